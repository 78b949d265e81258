import type { IncomingHttpHeaders } from 'node:http'
import { type Context, context, propagation, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import type { FinishedRequest } from './metrics.ts'

/** A request's span, from its first byte to its last. */
export interface RequestTrace {
  /** Runs what answers the request, so that spans within it are its children. */
  run<T>(act: () => T): T
  end(request: FinishedRequest): void
}

/** OpenTelemetry traces, where the standard environment variables ask for them. */
export class Tracing {
  readonly #tracer: Tracer
  readonly #stop: () => Promise<void>

  private constructor(tracer: Tracer, stop: () => Promise<void>) {
    this.#tracer = tracer
    this.#stop = stop
  }

  /**
   * Starts the SDK if an exporter or its endpoint is named (`OTEL_TRACES_EXPORTER`,
   * `OTEL_EXPORTER_OTLP_ENDPOINT`, …); it takes everything else from the environment as well. It is
   * loaded only then: most servers do without.
   */
  static async start(environment: NodeJS.ProcessEnv, version: string): Promise<Tracing | undefined> {
    const { OTEL_SDK_DISABLED: disabled, OTEL_TRACES_EXPORTER: exporter } = environment
    const endpoint = environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? environment.OTEL_EXPORTER_OTLP_ENDPOINT
    if (disabled === 'true' || exporter === 'none' || (exporter === undefined && endpoint === undefined))
      return undefined
    const { NodeSDK } = await import('@opentelemetry/sdk-node')
    const sdk = new NodeSDK({
      serviceName: environment.OTEL_SERVICE_NAME ?? 'mirrorface',
      instrumentations: [],
      // Metrics and logs have their own ways out.
      metricReaders: [],
      logRecordProcessors: [],
    })
    sdk.start()
    return new Tracing(trace.getTracer('mirrorface', version), () => sdk.shutdown())
  }

  /** Begins a request's span, within the client's own where it names one (`traceparent`). */
  begin(headers: IncomingHttpHeaders): RequestTrace {
    const within = propagation.extract(context.active(), headers)
    const span = this.#tracer.startSpan('request', { kind: SpanKind.SERVER }, within)
    const own = trace.setSpan(within, span)
    return {
      run: (act) => context.with(own, act),
      end: (request) => {
        span.updateName(`${request.method} ${request.operation}`)
        span.setAttributes({
          'http.request.method': request.method,
          'http.response.status_code': request.status,
          'http.response.body.size': request.bytes,
          'mirrorface.operation': request.operation,
          'mirrorface.source': request.source,
          'mirrorface.outcome': request.outcome,
          ...(request.repository !== undefined && { 'mirrorface.repository': request.repository }),
        })
        if (request.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      },
    }
  }

  /** A storage's operation that has ended just now, as a child of the request that it was for. */
  storageOperation(storage: string, operation: string, seconds: number, failure: string | undefined): void {
    const parent = context.active()
    if (trace.getSpan(parent) === undefined) return // no request's: a timer's
    const end = Date.now()
    const span = this.#tracer.startSpan(`storage ${operation}`, { startTime: end - seconds * 1000 }, parent)
    span.setAttribute('mirrorface.storage', storage)
    if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure })
    span.end(end)
  }

  /** Asks an upstream within a span; the headers that `ask` gets tell the upstream of it (W3C Trace Context). */
  async asking<T>(
    upstream: string,
    headers: Readonly<Record<string, string>>,
    ask: (traced: Readonly<Record<string, string>>) => Promise<T>,
  ): Promise<T> {
    const span = this.#tracer.startSpan('upstream', {
      kind: SpanKind.CLIENT,
      attributes: { 'mirrorface.upstream': upstream },
    })
    const within: Context = trace.setSpan(context.active(), span)
    const traced = { ...headers }
    propagation.inject(within, traced)
    try {
      return await context.with(within, () => ask(traced))
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  }

  /** Sends what is left. */
  async stop(): Promise<void> {
    await this.#stop()
  }
}
