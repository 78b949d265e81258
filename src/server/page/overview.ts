import html from 'html-template-tag'
import prettyBytes from 'pretty-bytes'
import { encodeFilePath } from '../../hub/index.ts'
import type { CatalogRepository } from '../../mirror/index.ts'
import { renderDocument, renderTable } from './layout.ts'
import type { Overview } from './page-content.ts'

export const formatSize = (bytes: number): string => prettyBytes(bytes, { binary: true })

/** `2026-01-31 12:00`, in UTC. */
export const formatTime = (iso: string): string => iso.slice(0, 16).replace('T', ' ')

/** Safe in an attribute: an id is of letters, digits, `.`, `-`, `_` and `/`, and is encoded all the same. */
function repositoryPath({ type, id }: CatalogRepository): string {
  return `/-/repositories/${type}s/${encodeFilePath(id)}`
}

/** What is mirrored, what was missed, and whether all is well. */
export function renderOverview({ catalogs, misses, upstreams, hits, endpoint, at }: Overview): string {
  const repositories = catalogs.flatMap(({ storage, catalog }) =>
    (catalog?.repositories ?? []).map((repository) => ({ storage, repository })),
  )
  const body = html`<h1>MirrorFace</h1>
<p>Clients set <code>HF_ENDPOINT=${endpoint}</code>. <span class="quiet">As of ${formatTime(at)} UTC.</span></p>
<h2>Health</h2>
$${renderHealth(catalogs, upstreams)}
<h2>Mirrored repositories</h2>
$${
    repositories.length === 0
      ? '<p>Nothing is mirrored yet: <code>mirrorface mirror namespace/name</code></p>'
      : renderTable(
          ['Repository', 'Type', 'Size', 'Revisions', 'Mirrored', 'Requests', 'Storage'],
          repositories.map(({ storage, repository }) => [
            html`<a href="$${repositoryPath(repository)}">${repository.id}</a>`,
            html`${repository.type}`,
            html`${formatSize(repository.bytes)}`,
            html`${refsOf(repository)}`,
            html`${formatTime(repository.revisions[0]?.mirroredAt ?? '')}`,
            html`${String(hits(repository))}`,
            html`${storage}`,
          ]),
          ['Size', 'Requests'],
        )
  }
<h2>Most wanted, and not mirrored</h2>
$${
    misses.length === 0
      ? '<p>Nothing was missed.</p>'
      : renderTable(
          ['Repository', 'Requests', 'Bytes', 'Command'],
          misses.map((miss) => [
            html`${miss.id}`,
            html`${String(miss.requests)}`,
            html`${formatSize(miss.bytes)}`,
            html`<code>mirrorface mirror ${miss.id}${miss.type === 'model' ? '' : ` --type ${miss.type}`}</code>`,
          ]),
          ['Requests', 'Bytes'],
        )
  }`
  return renderDocument('MirrorFace', body)
}

function refsOf({ revisions }: CatalogRepository): string {
  const refs = revisions
    .flatMap((revision) => (revision.refs.length > 0 ? revision.refs : [revision.commit.slice(0, 8)]))
    .toSorted()
  return refs.length > 4 ? `${refs.slice(0, 4).join(', ')} and ${refs.length - 4} more` : refs.join(', ')
}

function renderHealth(catalogs: Overview['catalogs'], upstreams: Overview['upstreams']): string {
  const storages = catalogs.map(({ storage, failure, catalog, verification }) => [
    html`storage ${storage}`,
    failure === undefined ? '<span class="good">ready</span>' : html`<span class="bad">not ready: ${failure}</span>`,
    html`${formatSize(catalog?.bytes ?? 0)}`,
    verification === undefined
      ? '<span class="quiet">never verified</span>'
      : html`<span class="${verification.problems === 0 ? 'good' : 'bad'}">verified ${formatTime(verification.at)}${verification.content ? '' : ' (quick)'}: ${verification.problems === 0 ? 'sound' : `${verification.problems} problems`}</span>`,
  ])
  const hubs = upstreams.map(({ name, state }) => [
    html`upstream ${name}`,
    state === 'closed' || state === undefined
      ? '<span class="good">in use</span>'
      : html`<span class="bad">left alone after failures (${state})</span>`,
    '',
    '',
  ])
  return renderTable(['Part', 'State', 'Size', 'Verified'], [...storages, ...hubs], ['Size'])
}
