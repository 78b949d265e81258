import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { Failure, formatRepository, type Repository, repositoryTypes, type Target } from '../../hub/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { RequestTrace, Tracing } from '../../telemetry/tracing.ts'
import type { Reply } from '../reply.ts'
import { type Misses, wantedBy } from './misses.ts'

export interface RecorderParts {
  readonly metrics: Metrics
  readonly logger: Logger
  readonly misses: Misses
  /** Absent: no traces are wanted. */
  readonly tracing?: Tracing | undefined
}

/** A request that has begun. */
export interface BegunRequest {
  /** The id that the client sees and the log has. */
  readonly id: string
  readonly method: string
  /** The address that a trusted proxy vouches for, or that of the connection. */
  readonly client: string
  readonly startedAt: number
  readonly trace: RequestTrace | undefined
  /** `undefined`: it could not be parsed. */
  readonly target: Target | undefined
  /** Without the query, which may carry a signature or a token. */
  readonly path: string
}

/** What became of it. */
export interface EndedRequest extends Pick<Reply, 'source' | 'outcome' | 'failure'> {
  readonly status: number
  /** Body bytes sent. */
  readonly bytes: number
  /** Whether what the body came from broke off. */
  readonly sourceFailed: boolean
  /** Whether the last byte is not known to have left. */
  readonly aborted: boolean
}

/** A client's own id is kept if it can't do harm in a header or a log. */
const soundRequestId = /^[A-Za-z0-9._:/+=-]{1,128}$/

/** Nobody came to answer it. */
export const unanswered = { source: 'mirrorface', outcome: 'own' } as const

/** Status that the log has where the client went before there was one, as nginx has it. */
export const clientClosedRequest = 499

/** The server ended before the request did. */
export class ServerStopped extends Failure {
  constructor() {
    super('ServerStopped', 503, 'the server was stopped, and its grace period ended before the answer did')
  }
}

/** Milliseconds for the requests that a stop has cut to come to their end. */
const settlingTime = 1_500

/** Counts, logs and traces every request, in one place: metrics, misses, one log line, a span. */
export class RequestRecorder {
  readonly #parts: RecorderParts
  readonly #open = new Set<BegunRequest>()
  #onSettled: () => void = () => undefined

  constructor(parts: RecorderParts) {
    this.#parts = parts
  }

  begin(
    { method, target, path }: Pick<BegunRequest, 'method' | 'target' | 'path'>,
    headers: IncomingHttpHeaders,
    client: string,
  ): BegunRequest {
    this.#parts.metrics.requestStarted()
    const begun: BegunRequest = {
      id: requestIdOf(headers),
      method,
      client,
      startedAt: performance.now(),
      trace: this.#parts.tracing?.begin(headers),
      target,
      path,
    }
    this.#open.add(begun)
    return begun
  }

  /**
   * Resolves when every request has its line, once all connections are closed. What hangs even then, on a dead mount
   * say, is recorded as it stands.
   */
  async settle(): Promise<void> {
    const settled = new Promise<void>((resolve) => {
      this.#onSettled = resolve
    })
    if (this.#open.size > 0) await Promise.race([settled, delay(settlingTime)])
    const failure = new ServerStopped()
    for (const begun of this.#open)
      this.end(begun, {
        ...unanswered,
        status: failure.status,
        bytes: 0,
        sourceFailed: false,
        aborted: true,
        failure,
      })
  }

  /** Once for each request; what comes later is not heard. */
  end(begun: BegunRequest, ended: EndedRequest): void {
    if (!this.#open.delete(begun)) return
    const { metrics, misses, logger } = this.#parts
    const { id, method, client, startedAt, trace, target, path } = begun
    const { aborted, failure, source, outcome, status, bytes } = ended
    const seconds = (performance.now() - startedAt) / 1000
    const repository = target !== undefined && 'repository' in target ? target.repository : undefined
    const counted = {
      method,
      source,
      outcome,
      status,
      bytes,
      seconds,
      operation: target?.operation ?? 'invalid',
      repository: repository === undefined ? undefined : nameOf(repository),
      upstreamFailed: outcome === 'fallback' && (status >= 500 || ended.sourceFailed),
    }
    metrics.requestFinished(counted)
    trace?.end(counted)
    const wanted = outcome === 'fallback' && status < 400 && target !== undefined ? wantedBy(method, target) : undefined
    if (wanted !== undefined) misses.add(wanted, bytes)
    const fields = {
      request: id,
      client,
      ...counted,
      seconds: Number(seconds.toFixed(6)),
      revision: target !== undefined && 'revision' in target ? target.revision : undefined,
      path,
      aborted: aborted || undefined,
      err: failure,
    }
    if (failure !== undefined && (status >= 500 || status < 400)) logger.warn(fields, 'request failed')
    else logger.info(fields, 'request')
    if (this.#open.size === 0) this.#onSettled()
  }
}

type Named = { readonly type: string; readonly id: string }

function isMirrorable(repository: Named): repository is Repository {
  return repositoryTypes.some((type) => type === repository.type)
}

function nameOf(repository: Named): string {
  return isMirrorable(repository) ? formatRepository(repository) : `${repository.type}s/${repository.id}`
}

/**
 * The client's own, so that its log and ours can be compared. huggingface_hub sends it as `X-Amzn-Trace-Id`, and names
 * in its errors what comes back as `X-Request-Id`.
 */
function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = [headers['x-request-id'], headers['x-amzn-trace-id']]
  return given.find((id): id is string => typeof id === 'string' && soundRequestId.test(id)) ?? randomUUID()
}
