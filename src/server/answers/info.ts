import type { Snapshot } from '../../mirror/index.ts'
import { isTrue, type JsonAnswer, type Question, renderedOnce } from './answer.ts'

/** `/api/{models,datasets,spaces}/{repo}[/revision/{rev}]` */
export async function answerInfo({ hub, query, library }: Question<'info'>): Promise<JsonAnswer | undefined> {
  const snapshot = await library.find(hub.repository, hub.revision ?? 'main')
  if (snapshot === undefined) return undefined
  const expand = query
    .getAll('expand')
    .concat(query.getAll('expand[]'))
    .flatMap((names) => names.split(','))
  const blobs = isTrue(query.get('blobs'))
  const body = renderedOnce(snapshot, `info ${blobs} ${expand.toSorted().join()}`, () =>
    expand.length === 0 ? wholeInfo(snapshot, blobs) : expandedInfo(snapshot, expand),
  )
  return { kind: 'json', storage: snapshot.storage.name, body, commit: snapshot.commit }
}

function wholeInfo(snapshot: Snapshot, blobs: boolean): Record<string, unknown> {
  return {
    tags: [],
    downloads: 0,
    likes: 0,
    private: false,
    gated: false,
    disabled: false,
    ...snapshot.info,
    id: snapshot.repository.id,
    sha: snapshot.commit,
    siblings: siblings(snapshot, blobs),
  }
}

/** With `expand`, the Hub gives the id and what was asked for. */
function expandedInfo(snapshot: Snapshot, expand: string[]): Record<string, unknown> {
  const whole = wholeInfo(snapshot, false)
  return Object.fromEntries(Object.entries(whole).filter(([name]) => name === 'id' || expand.includes(name)))
}

function siblings(snapshot: Snapshot, blobs: boolean): object[] {
  return Array.from(snapshot.files.values(), (file) => {
    if (!blobs) return { rfilename: file.path }
    const lfs = file.lfs && { sha256: file.lfs.sha256, size: file.size, pointerSize: file.lfs.pointerSize }
    return { rfilename: file.path, size: file.size, blobId: file.oid, ...(lfs && { lfs }) }
  })
}
