import type { HubOperation } from '../../hub/index.ts'
import type { Answer, Question } from './answer.ts'
import { answerCommits } from './commits.ts'
import { answerInfo } from './info.ts'
import { answerPathsInfo } from './paths-info.ts'
import { answerRefs } from './refs.ts'
import { answerRaw, answerResolve } from './resolve.ts'
import { answerTree } from './tree.ts'
import { answerTreesize } from './treesize.ts'

export type { Answer } from './answer.ts'
export { etagOf } from './answer.ts'

type Answerers = { [Operation in HubOperation]?: (question: Question<Operation>) => Promise<Answer | undefined> }

const answerers: Answerers = {
  info: answerInfo,
  tree: answerTree,
  treesize: answerTreesize,
  'paths-info': answerPathsInfo,
  refs: answerRefs,
  commits: answerCommits,
  resolve: answerResolve,
  'resolve-cache': answerResolve,
  raw: answerRaw,
}

/**
 * The answer from what is mirrored; `undefined` where that is the upstream's to give. Throws an
 * EntryNotFound for a path that the mirrored commit does not have.
 */
export async function findAnswer(method: string, question: Question<HubOperation>): Promise<Answer | undefined> {
  const { operation } = question.hub
  const expected = operation === 'paths-info' ? ['POST'] : ['GET', 'HEAD']
  if (!expected.includes(method)) return undefined
  const answer = answerers[operation] as ((question: Question<HubOperation>) => Promise<Answer | undefined>) | undefined
  return await answer?.(question)
}
