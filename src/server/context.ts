import type Koa from 'koa'
import type { HubRequest, InvalidRequest, OtherRequest } from '../hub/index.ts'
import type { Library } from '../mirror/index.ts'
import type { Upstream } from '../plugin/index.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { Access } from './access.ts'
import type { FileDelivery } from './delivery/file-delivery.ts'
import type { Misses } from './misses.ts'
import type { Policy } from './policy.ts'
import type { PullThrough } from './pull/pull-through.ts'
import type { RecentAnswers } from './recent-answers.ts'
import type { RequestRecorder } from './request-recorder.ts'

/** What the server is made of: built once, handed to whoever needs it. */
export interface ServerParts {
  readonly library: Library
  readonly upstreams: readonly Upstream[]
  readonly delivery: FileDelivery
  readonly metrics: Metrics
  readonly logger: Logger
  readonly policy: Policy
  readonly access: Access
  readonly misses: Misses
  /** Absent: no traces are wanted. */
  readonly tracing?: Tracing | undefined
  readonly recorder: RequestRecorder
  /** Absent where answers are not everybody's: each client is looked at. */
  readonly recentAnswers?: RecentAnswers | undefined
  /** Absent: the server only reads. */
  readonly pullThrough?: PullThrough | undefined
  readonly settings: ServerSettings
}

export interface ServerSettings {
  /** The path under which the Hub's routes are served, as well as at the root: `/mirror`. */
  readonly prefix: string
  /** Whether people are shown what is mirrored and what was missed, at `/`. */
  readonly page: boolean
  /** The mirror's address as clients know it, without the prefix; else taken from each request. */
  readonly publicUrl: string | undefined
  /** Whether an address is a proxy whose `X-Forwarded-*` headers are believed. */
  readonly trustsProxy: (address: string, hop: number) => boolean
}

/** What is learnt of a request on its way; read by metrics and the access log at its end. */
export interface RequestState extends Koa.DefaultState {
  id: string
  /** `/mirror` or empty: what the client put before the Hub's path. */
  prefix: string
  hub: HubRequest | OtherRequest | InvalidRequest
  source: string
  outcome: 'hit' | 'fallback' | 'own'
  /** Body bytes sent. */
  bytes: number
  upstreamFailed: boolean
  /** Why the answer broke off or failed, for the log. */
  failure: unknown
}

export type Context = Koa.ParameterizedContext<RequestState>
