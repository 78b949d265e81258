import type { IncomingMessage } from 'node:http'
import { formatRepository } from '../hub/index.ts'
import type { RequestTrace } from '../telemetry/tracing.ts'
import type { RequestState, ServerParts } from './context.ts'

/** A request whose answer has ended, well or not. */
export interface EndedRequest extends Pick<RequestState, 'hub' | 'source' | 'outcome' | 'upstreamFailed' | 'failure'> {
  readonly id: string
  readonly client: string
  readonly method: string
  /** Without the query, which may carry a signature or a token. */
  readonly path: string
  readonly status: number
  /** Body bytes sent. */
  readonly bytes: number
  readonly seconds: number
  /** Whether the last byte is not known to have left. */
  readonly aborted: boolean
}

type RecorderParts = Pick<ServerParts, 'metrics' | 'logger' | 'misses' | 'tracing'>

/** Counts, logs and traces every request, in one place: metrics, misses, one log line, a span. */
export class RequestRecorder {
  readonly #parts: RecorderParts

  constructor(parts: RecorderParts) {
    this.#parts = parts
  }

  /** The span of a request that begins, where spans are wanted. */
  began({ headers }: IncomingMessage): RequestTrace | undefined {
    this.#parts.metrics.requestStarted()
    return this.#parts.tracing?.begin(headers)
  }

  ended({ id, client, hub, path, aborted, failure, ...request }: EndedRequest, trace: RequestTrace | undefined): void {
    const { metrics, misses, logger } = this.#parts
    const repository = 'repository' in hub ? formatRepository(hub.repository) : undefined
    const counted = { ...request, operation: hub.operation, repository }
    metrics.requestFinished(counted)
    trace?.end(counted)
    if (request.outcome === 'fallback' && 'repository' in hub && request.status < 400)
      misses.add(hub.repository, request.bytes)
    const fields = {
      request: id,
      client,
      ...counted,
      seconds: Number(request.seconds.toFixed(6)),
      revision: 'revision' in hub ? hub.revision : undefined,
      path,
      aborted: aborted || undefined,
      err: failure,
    }
    if (failure !== undefined && request.status >= 500) logger.warn(fields, 'request failed')
    else logger.info(fields, 'request')
  }
}

/** The path to log: without the query, and no longer than a log line should be. */
export function loggedPath(url: string): string {
  const end = url.indexOf('?')
  return (end === -1 ? url : url.slice(0, end)).slice(0, 1000)
}
