import type { HubRefs, RefKind } from '../../hub/index.ts'
import type { MirroredRef } from '../../mirror/index.ts'
import { isTrue, type JsonAnswer, type Question } from './answer.ts'

/** `/api/T/{repo}/refs`: the refs that are mirrored. */
export async function answerRefs({ hub, query, library }: Question<'refs'>): Promise<JsonAnswer | undefined> {
  const refs = await library.refs(hub.repository)
  if (refs.length === 0) return undefined
  const body: HubRefs = {
    branches: ofKind(refs, 'branch', (name) => `refs/heads/${name}`),
    tags: ofKind(refs, 'tag', (name) => `refs/tags/${name}`),
    converts: ofKind(refs, 'convert', (name) => name),
    ...(isTrue(query.get('include_prs')) && { pullRequests: ofKind(refs, 'pull-request', (name) => name) }),
  }
  return { kind: 'json', storage: 'library', body: Buffer.from(JSON.stringify(body)) }
}

function ofKind(refs: MirroredRef[], kind: RefKind, refOf: (name: string) => string): HubRefs['branches'] {
  return refs
    .filter((ref) => ref.kind === kind)
    .map(({ name, commit }) => ({ name, ref: refOf(name), targetCommit: commit }))
}
