import { entryNotFound } from '../../hub/index.ts'
import { type JsonAnswer, type Question, renderedOnce } from './answer.ts'
import { entriesIn } from './tree-entries.ts'

/** `/api/T/{repo}/treesize/{rev}/{path}`: the bytes of all files below a folder. */
export async function answerTreesize({ hub, library }: Question<'treesize'>): Promise<JsonAnswer | undefined> {
  const snapshot = await library.find(hub.repository, hub.revision)
  if (snapshot === undefined) return undefined
  if (hub.path !== '' && !snapshot.directories.has(hub.path))
    throw entryNotFound(hub.path, hub.revision, snapshot.commit)
  const body = renderedOnce(snapshot, `treesize ${hub.path}`, () => ({
    path: hub.path === '' ? '/' : hub.path,
    size: entriesIn(snapshot, hub.path, true).reduce((sum, entry) => sum + entry.size, 0),
  }))
  return { kind: 'json', storage: snapshot.storage.name, body, commit: snapshot.commit }
}
