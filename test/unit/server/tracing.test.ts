import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { expect } from 'chai'
import { setStage } from '../../support/server.ts'

interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: { readonly key: string; readonly value: Record<string, unknown> }[]
}

/** A collector that keeps what it is sent (OTLP over HTTP, JSON). */
async function startCollector(): Promise<{ url: string; spans: Span[] } & AsyncDisposable> {
  const spans: Span[] = []
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      const { resourceSpans } = body as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }
      for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans)
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

describe('traces', () => {
  it('go to a collector by the standard environment variables, within the trace of the client', async () => {
    await using collector = await startCollector()
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, authorization: 'Bearer hf_valid' }
    {
      await using stage = await setStage(
        (hub) => {
          hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{}' })
          hub.add({ type: 'model', id: 'org/other' }).commit({ 'a.json': '{}' })
        },
        [],
        { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
      )
      await stage.mirror('org/model')
      await (await stage.get('/org/model/resolve/main/config.json', { headers })).arrayBuffer()
      await (await stage.get('/org/model/resolve/main/config.json', { headers })).arrayBuffer()
      const ownQuestion = '/org/other/resolve/main/a.json' // metadata is asked for many clients at once, in nobody's trace
      await (await stage.get(ownQuestion, { headers })).arrayBuffer()
      const asked = stage.hub.requests.find(({ url }) => url === ownQuestion)
      expect(asked?.headers.traceparent).to.match(new RegExp(`^00-${traceId}-`))
    } // the server stops, and sends what is left
    const { spans } = collector
    expect(new Set(spans.map((span) => span.traceId))).to.deep.equal(new Set([traceId]))
    const requests = spans.filter(({ parentSpanId }) => parentSpanId === 'b7ad6b7169203331')
    expect(requests.map(({ name }) => name)).to.deep.equal(['GET resolve', 'GET resolve', 'GET resolve'])
    const childrenOf = (span: Span | undefined) => spans.filter(({ parentSpanId }) => parentSpanId === span?.spanId)
    expect(childrenOf(requests[0]).map(({ name }) => name)).to.include('storage read')
    expect(childrenOf(requests[2]).map(({ name }) => name)).to.include('upstream')
    const attributes = Object.fromEntries(
      (requests[0]?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]),
    )
    expect(attributes).to.include({
      'mirrorface.repository': 'org/model',
      'mirrorface.source': 'local',
      'mirrorface.outcome': 'hit',
    })
    expect(JSON.stringify(spans)).to.not.include('hf_valid')
  })

  it('are not made, and their library is not loaded, unless somebody asks for them', async () => {
    await using collector = await startCollector()
    await using stage = await setStage(() => undefined, [], {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_SDK_DISABLED: 'true',
    })
    await (await stage.get('/health')).arrayBuffer()
    expect(collector.spans).to.deep.equal([])
  })
})
