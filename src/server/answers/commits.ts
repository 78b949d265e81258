import { type JsonAnswer, type Question, renderedOnce } from './answer.ts'

/** `/api/T/{repo}/commits/{rev}`: the newest commits, as the Hub listed them when this one was mirrored. */
export async function answerCommits({ hub, library }: Question<'commits'>): Promise<JsonAnswer | undefined> {
  const snapshot = await library.find(hub.repository, hub.revision)
  if (snapshot === undefined || snapshot.commits.length === 0) return undefined
  const body = renderedOnce(snapshot, 'commits', () => snapshot.commits)
  return { kind: 'json', storage: snapshot.storage.name, body, commit: snapshot.commit }
}
