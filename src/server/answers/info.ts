import type { Snapshot } from '../../mirror/index.ts'
import type { Reply } from '../reply.ts'
import { isTrue, type Question } from './question.ts'
import { jsonReply } from './renderings.ts'

/** `/api/{models,datasets,spaces}/{repo}[/revision/{rev}]` */
export async function answerInfo({ target, query, library, renderings }: Question<'info'>): Promise<Reply | undefined> {
  const snapshot = await library.find(target.repository, target.revision ?? 'main')
  if (snapshot === undefined) return undefined
  const expand = expandIn(query)
  const blobs = isTrue(query.get('blobs'))
  const rendered = renderings.once(snapshot, `info ${blobs} ${expand.join()}`, () =>
    expand.length === 0 ? wholeInfo(snapshot, blobs) : expandedInfo(snapshot, expand),
  )
  return jsonReply(snapshot.storage.name, rendered, { commit: snapshot.commit })
}

/** The fields that were asked for, each once, in one order. */
function expandIn(query: URLSearchParams): readonly string[] {
  const names = [...query.getAll('expand'), ...query.getAll('expand[]')].flatMap((value) => value.split(','))
  return names.length < 2 ? names : [...new Set(names)].sort()
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
function expandedInfo(snapshot: Snapshot, expand: readonly string[]): Record<string, unknown> {
  const wanted = new Set(['id', ...expand])
  return Object.fromEntries(Object.entries(wholeInfo(snapshot, false)).filter(([name]) => wanted.has(name)))
}

function siblings(snapshot: Snapshot, blobs: boolean): object[] {
  return Array.from(snapshot.files.values(), (file) => {
    if (!blobs) return { rfilename: file.path }
    const lfs = file.lfs && { sha256: file.lfs.sha256, size: file.size, pointerSize: file.lfs.pointerSize }
    return { rfilename: file.path, size: file.size, blobId: file.oid, ...(lfs && { lfs }) }
  })
}
