import html from 'html-template-tag'
import type { CatalogRepository, CatalogRevision, Manifest } from '../../mirror/index.ts'
import { renderDocument, renderTable } from './layout.ts'
import { formatSize, formatTime } from './overview.ts'

/** Files shown of one revision. */
const mostFiles = 500

/** One repository: how to use it, its revisions, and their files. */
export function renderRepository(repository: CatalogRepository, storage: string, endpoint: string): string {
  const { id, type, revisions, manifests, problems } = repository
  const body = html`<p><a href="/">MirrorFace</a></p>
<h1>${id}</h1>
<p>${type}, ${formatSize(repository.bytes)} in storage ${storage}</p>
$${problems.map((problem) => html`<p class="bad">${problem}: run <code>mirrorface verify --repair</code></p>`).join('')}
<h2>Use it</h2>
<pre>${snippet(type, id, endpoint)}</pre>
$${revisions
    .map((revision) =>
      renderRevision(
        revision,
        manifests.find(({ commit }) => commit === revision.commit),
      ),
    )
    .join('')}`
  return renderDocument(`${id}: MirrorFace`, body)
}

function renderRevision(revision: CatalogRevision, manifest: Manifest | undefined): string {
  const files = (manifest?.files ?? []).toSorted((a, b) => a.path.localeCompare(b.path))
  const more = files.length > mostFiles ? html`<p>and ${String(files.length - mostFiles)} more files</p>` : ''
  return html`<h2>${revision.refs.join(', ') || 'Commit'} <code>${revision.commit.slice(0, 12)}</code></h2>
<p>${String(revision.files)} files, ${formatSize(revision.bytes)}, mirrored ${formatTime(revision.mirroredAt)} from ${revision.mirroredFrom}${revision.leftOut > 0 ? `; ${revision.leftOut} files left out` : ''}</p>
$${renderTable(
    ['File', 'Size', 'SHA-256'],
    files
      .slice(0, mostFiles)
      .map((file) => [
        html`${file.path}`,
        html`${formatSize(file.size)}`,
        file.blob === null ? '<span class="quiet">not mirrored</span>' : html`<code>${file.blob.slice(0, 16)}…</code>`,
      ]),
    ['Size'],
  )}$${more}`
}

function snippet(type: string, id: string, endpoint: string): string {
  const name = JSON.stringify(id)
  const kind = type === 'model' ? '' : ` --repo-type ${type}`
  const python =
    type === 'dataset'
      ? `from datasets import load_dataset\nload_dataset(${name})`
      : `from transformers import AutoModel\nAutoModel.from_pretrained(${name})`
  return `export HF_ENDPOINT=${endpoint}\n\nhf download ${id}${kind}\n\n# Python\n${python}`
}
