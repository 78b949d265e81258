import { entryNotFound, lfsPointer } from '../../hub/index.ts'
import type { Snapshot, SnapshotFile } from '../../mirror/index.ts'
import type { FileAnswer, Question, TextAnswer } from './answer.ts'

/** `{repo}/resolve/{rev}/{path}` and where the Hub sends small files, `/api/resolve-cache/…`. */
export async function answerResolve({
  hub,
  library,
}: Question<'resolve' | 'resolve-cache'>): Promise<FileAnswer | undefined> {
  const found = await findFile({ hub, library })
  return found === undefined ? undefined : contentOf(found.snapshot, found.file)
}

/** `{repo}/raw/{rev}/{path}`: what git holds, which for a large file is its pointer. */
export async function answerRaw({ hub, library }: Question<'raw'>): Promise<FileAnswer | TextAnswer | undefined> {
  const found = await findFile({ hub, library })
  if (found === undefined) return undefined
  const { snapshot, file } = found
  if (file.lfs === undefined) return contentOf(snapshot, file)
  return { kind: 'text', snapshot, file, text: lfsPointer(file.lfs.sha256, file.size) }
}

async function findFile({ hub, library }: Pick<Question<'resolve' | 'resolve-cache' | 'raw'>, 'hub' | 'library'>) {
  const snapshot = await library.find(hub.repository, hub.revision)
  if (snapshot === undefined) return undefined
  const file = snapshot.files.get(hub.path)
  if (file === undefined) throw entryNotFound(hub.path, hub.revision, snapshot.commit)
  return { snapshot, file }
}

function contentOf(snapshot: Snapshot, file: SnapshotFile): FileAnswer | undefined {
  const { key } = file
  return key === undefined ? undefined : { kind: 'file', snapshot, file: { ...file, key } }
}
