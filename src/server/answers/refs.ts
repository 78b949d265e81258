import type { HubRefs, RefKind } from '../../hub/index.ts'
import type { MirroredRef } from '../../mirror/index.ts'
import type { Reply } from '../reply.ts'
import { isTrue, type Question } from './question.ts'
import { jsonReply, renderedJson } from './renderings.ts'

/** `/api/T/{repo}/refs`: the refs that are mirrored. */
export async function answerRefs({ target, query, library }: Question<'refs'>): Promise<Reply | undefined> {
  const refs = await library.refs(target.repository)
  if (refs.length === 0) return undefined
  const body: HubRefs = {
    branches: ofKind(refs, 'branch', (name) => `refs/heads/${name}`),
    tags: ofKind(refs, 'tag', (name) => `refs/tags/${name}`),
    converts: ofKind(refs, 'convert', (name) => name),
    ...(isTrue(query.get('include_prs')) && { pullRequests: ofKind(refs, 'pull-request', (name) => name) }),
  }
  return jsonReply('library', renderedJson(JSON.stringify(body)))
}

function ofKind(refs: readonly MirroredRef[], kind: RefKind, refOf: (name: string) => string): HubRefs['branches'] {
  return refs
    .filter((ref) => ref.kind === kind)
    .map(({ name, commit }) => ({ name, ref: refOf(name), targetCommit: commit }))
}
