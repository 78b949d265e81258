import type { Readable } from 'node:stream'
import type { HeaderList } from 'mirrorface/plugin'

/** An answer as it is given for a question of metadata. */
export interface CachedAnswer {
  readonly status: number
  /** End-to-end, without `set-cookie`; URLs as the upstream gave them. */
  readonly headers: HeaderList
  /** A stream where it was too large to be read. */
  readonly body: Uint8Array | Readable
  /** Seconds since the upstream said it, where it can't be asked. */
  readonly staleFor?: number
}

export type WholeAnswer = CachedAnswer & { readonly body: Uint8Array }

/** What is kept: the upstream's answer, or one from which Xet was removed. */
export type AnswerForm = 'original' | 'plain'

/** Gives a whole answer its form before it is kept. */
export type PrepareAnswer = (answer: WholeAnswer, form: AnswerForm) => WholeAnswer
