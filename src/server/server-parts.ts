import type { Library } from '../mirror/index.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { ReplyWriter } from './delivery/reply-writer.ts'
import type { Gate } from './gate/gate.ts'
import type { AddressSettings } from './mirror-address.ts'
import type { Misses } from './observe/misses.ts'
import type { Readiness } from './observe/readiness.ts'
import type { RequestRecorder } from './observe/request-recorder.ts'
import type { UpstreamChecks } from './observe/upstream-checks.ts'
import type { AnswerParts } from './who-answers.ts'

/** What the server is made of: built once, handed to whoever needs it. */
export interface ServerParts extends AnswerParts {
  readonly library: Library
  readonly gate: Gate
  readonly writer: ReplyWriter
  readonly recorder: RequestRecorder
  readonly misses: Misses
  readonly readiness: Readiness
  readonly upstreamChecks: UpstreamChecks
  /** Takes secrets out of what whoever asks is told of a failure. */
  redact(text: string): string
  readonly settings: ServerSettings
  readonly tracing?: Tracing | undefined
}

export interface ServerSettings extends AddressSettings {
  /** The path under which the Hub's routes are served, as well as at the root: `/mirror`. */
  readonly prefix: string
  /** Whether people are shown what is mirrored and what was missed, at `/`. */
  readonly page: boolean
  /** Milliseconds for which what is stored, or missed, is believed to be the same. */
  readonly refreshAfter: number
  /** Whether clients bring tokens of this mirror's own, of which the Hub knows nothing. */
  readonly ownTokens: boolean
}

/** Whether the server takes requests; false from the moment it was told to stop. */
export interface Lifecycle {
  accepting: boolean
}
