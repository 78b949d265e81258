import type { Credentials } from '../credentials.ts'
import type { AnswerForm } from './cached-answer.ts'
import type { SharedHeaders } from './shared-headers.ts'

/**
 * All that a shared question is made of. Whoever asks the upstream for several clients gets this and no client's request,
 * so that what one of them sent cannot become what the others are answered.
 */
export interface QuestionKey {
  readonly method: 'GET' | 'HEAD'
  /** In its canonical spelling. */
  readonly target: string
  /** The target without its query. */
  readonly path: string
  readonly credentials: Credentials
  readonly form: AnswerForm
  readonly headers: SharedHeaders
}

export interface Question {
  readonly key: QuestionKey
  /** A stale answer is better than none. */
  readonly mayBeStale: boolean
  /** The repository that it is about, in one spelling. */
  readonly repository: string | undefined
}

/** Under what its answer is kept. No part has a line break in it, so that no two keys are spelled alike. */
export function spell({ method, target, credentials, form, headers }: QuestionKey): string {
  const { accept, 'accept-encoding': encoding, via } = headers
  return `${method} ${target} ${credentials.digest} ${form}\n${accept}\n${encoding}\n${via ?? ''}`
}
