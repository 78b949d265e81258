import type { Reply } from '../reply.ts'
import type { Question } from './question.ts'
import { jsonReply } from './renderings.ts'

/** `/api/T/{repo}/commits/{rev}`: the newest commits, as the Hub listed them when this one was mirrored. */
export async function answerCommits({ target, library, renderings }: Question<'commits'>): Promise<Reply | undefined> {
  const snapshot = await library.find(target.repository, target.revision)
  if (snapshot === undefined || snapshot.commits.length === 0) return undefined
  const rendered = renderings.once(snapshot, 'commits', () => snapshot.commits)
  return jsonReply(snapshot.storage.name, rendered, { commit: snapshot.commit })
}
