import type { UpstreamRequest } from 'mirrorface/plugin'
import type { Deadline } from './limits.ts'
import type { OutgoingBody } from './outgoing-body.ts'

/** One request as it is sent, once. */
export interface WireRequest {
  readonly method: UpstreamRequest['method']
  /** Whole, in its canonical spelling: nothing normalises it afterwards. */
  readonly url: string
  /** Every header but `host` and those that frame the body; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: OutgoingBody | undefined
  readonly deadline: Deadline
  /** Its reason is what the request rejects with. */
  readonly signal: AbortSignal
}
