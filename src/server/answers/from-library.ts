import type { Method, Target } from '../../hub/index.ts'
import type { Reply } from '../reply.ts'
import { answerCommits } from './commits.ts'
import { answerInfo } from './info.ts'
import { answerPathsInfo } from './paths-info.ts'
import type { AnsweredOperation, Question } from './question.ts'
import { answerRefs } from './refs.ts'
import { answerRegistryBlob, answerRegistryManifest } from './registry.ts'
import { answerRaw, answerResolve } from './resolve.ts'
import { answerTree } from './tree.ts'
import { answerTreesize } from './treesize.ts'

type Answerer<Name extends AnsweredOperation> = (question: Question<Name>) => Promise<Reply | undefined>

/** What a request asks of the library, before its operation is known. */
export type AnyQuestion = Omit<Question<AnsweredOperation>, 'target' | 'query'>

/**
 * The reply from what is mirrored; `undefined` where that is the upstream's to give. Throws an EntryNotFound for a path
 * that the mirrored commit does not have.
 */
export async function answerFromLibrary(
  method: Method,
  target: Target,
  question: AnyQuestion,
): Promise<Reply | undefined> {
  const isRead = method === 'GET' || method === 'HEAD'
  const ask = <Name extends AnsweredOperation>(
    answer: Answerer<Name>,
    asked: Target<Name>,
  ): Promise<Reply | undefined> => answer({ ...question, target: asked, query: new URLSearchParams(target.query) })
  if (target.operation === 'paths-info') return method === 'POST' ? await ask(answerPathsInfo, target) : undefined
  if (!isRead) return undefined
  switch (target.operation) {
    case 'info':
      return await ask(answerInfo, target)
    case 'tree':
      return await ask(answerTree, target)
    case 'treesize':
      return await ask(answerTreesize, target)
    case 'refs':
      return await ask(answerRefs, target)
    case 'commits':
      return await ask(answerCommits, target)
    case 'resolve':
    case 'resolve-cache':
      return await ask(answerResolve, target)
    case 'raw':
      return await ask(answerRaw, target)
    case 'oci-manifest':
      return await ask(answerRegistryManifest, target)
    case 'oci-blob':
      return await ask(answerRegistryBlob, target)
    default:
      return undefined
  }
}
