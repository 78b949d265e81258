import { entryNotFound, type FileTarget, lfsPointer } from '../../hub/index.ts'
import type { Snapshot, SnapshotFile } from '../../mirror/index.ts'
import type { FileDelivery } from '../delivery/file-delivery.ts'
import { fileHeaders } from '../delivery/file-headers.ts'
import type { Reply } from '../reply.ts'
import type { Question } from './question.ts'

type FileQuestion = Pick<Question<'resolve' | 'resolve-cache' | 'raw'>, 'target' | 'library' | 'query' | 'delivery'>

/** `{repo}/resolve/{rev}/{path}` and where the Hub sends small files, `/api/resolve-cache/…`. */
export async function answerResolve(question: FileQuestion): Promise<Reply | undefined> {
  const found = await findFile(question)
  return found === undefined
    ? undefined
    : fileReply(found.snapshot, found.file, question.delivery, question.query.has('download'))
}

/** `{repo}/raw/{rev}/{path}`: what git holds, which for a large file is its pointer. */
export async function answerRaw(question: FileQuestion): Promise<Reply | undefined> {
  const found = await findFile(question)
  if (found === undefined) return undefined
  const { snapshot, file } = found
  if (file.lfs === undefined) return fileReply(snapshot, file, question.delivery, question.query.has('download'))
  return {
    status: 200,
    headers: [
      ['x-repo-commit', snapshot.commit],
      ['content-type', 'text/plain; charset=utf-8'],
      ['x-content-type-options', 'nosniff'],
    ],
    body: { kind: 'bytes', bytes: Buffer.from(lfsPointer(file.lfs.sha256, file.size)), etag: file.oid },
    source: snapshot.storage.name,
    outcome: 'hit',
  }
}

/** A stored file; `undefined` where its content was not mirrored. */
export function fileReply(
  { storage, commit }: Pick<Snapshot, 'storage' | 'commit'>,
  file: SnapshotFile,
  delivery: FileDelivery,
  download: boolean,
): Reply | undefined {
  const { key } = file
  if (key === undefined) return undefined
  return {
    status: 200,
    headers: fileHeaders(commit, file, download),
    body: { kind: 'content', content: delivery.contentOf(storage, { ...file, key }, download) },
    source: storage.name,
    outcome: 'hit',
  }
}

async function findFile({
  target,
  library,
}: {
  readonly target: FileTarget
  readonly library: Question<'resolve'>['library']
}): Promise<{ readonly snapshot: Snapshot; readonly file: SnapshotFile } | undefined> {
  const snapshot = await library.find(target.repository, target.revision)
  if (snapshot === undefined) return undefined
  const file = snapshot.files.get(target.path)
  if (file === undefined) throw entryNotFound(target.path, target.revision, snapshot.commit)
  return { snapshot, file }
}
