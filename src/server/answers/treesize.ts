import { entryNotFound } from '../../hub/index.ts'
import type { Reply } from '../reply.ts'
import { foldersOf } from './folders.ts'
import type { Question } from './question.ts'
import { jsonReply, renderedJson } from './renderings.ts'

/** `/api/T/{repo}/treesize/{rev}/{path}`: the bytes of all files below a folder. */
export async function answerTreesize({ target, library }: Question<'treesize'>): Promise<Reply | undefined> {
  const { repository, revision, path } = target
  const snapshot = await library.find(repository, revision)
  if (snapshot === undefined) return undefined
  if (path !== '' && !snapshot.directories.has(path)) throw entryNotFound(path, revision, snapshot.commit)
  const size = foldersOf(snapshot).bytesBelow(path)
  const rendered = renderedJson(JSON.stringify({ path: path === '' ? '/' : path, size }))
  return jsonReply(snapshot.storage.name, rendered, { commit: snapshot.commit })
}
