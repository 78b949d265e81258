import { expect } from 'chai'
import { answerOf, declinedBy, upstreamRequest } from '../../conformance/index.ts'
import { openHub, startServer } from './stage.ts'

const paths = {
  api: ['/api/models/o/n', '/api/models/o/n/tree/main/resolve/x', '/api/quicksearch?q=x', '/api/other'],
  resolvers: [
    '/o/n/resolve/main/f',
    '/datasets/o/n/resolve/main/f',
    `/api/resolve-cache/models/o/n/${'a'.repeat(40)}/f`,
  ],
  pages: ['/o/n', '/o/n/raw/main/f', '/o/n.git/info/refs?service=git-upload-pack'],
} as const
type LimitClass = keyof typeof paths
const classes: readonly LimitClass[] = ['api', 'resolvers', 'pages']

describe('429', () => {
  for (const asked of classes)
    for (const named of [undefined, 'unheard-of', ...classes])
      it(`to a route of ${asked} pauses that class for the same credentials, and what it names (${named}), nothing else`, async () => {
        for (const first of paths[asked]) {
          await using server = await startServer((_request, response) =>
            response
              .writeHead(429, {
                'Retry-After': '60',
                ...(named !== undefined && { RateLimit: `"${named}";r=0;t=50` }),
              })
              .end(),
          )
          const hub = await openHub({ url: server.url })
          expect((await answerOf(hub, upstreamRequest(first))).status).to.equal(429)
          expect(server.requests).to.have.length(1)
          server.handler = (_request, response) => response.end('{}')
          for (const other of classes)
            for (const path of paths[other])
              for (const purpose of ['client', 'mirror'] as const) {
                if (other !== asked && other !== named) {
                  expect((await answerOf(hub, upstreamRequest(path, { purpose }))).status, path).to.equal(200)
                  continue
                }
                const before = server.requests.length
                const declined = await declinedBy(hub, upstreamRequest(path, { purpose }))
                expect(declined.status, path).to.equal(429)
                expect(declined.retryAfter).to.be.within(30, 60)
                expect(server.requests).to.have.length(before)
              }
          const others = upstreamRequest(first, { rights: { use: 'client', token: 'hf_a' } })
          expect((await answerOf(hub, others)).status).to.equal(200)
          await hub.close()
        }
      })

  it('pauses by what is left of a limit, where nothing says when to come back', async () => {
    await using server = await startServer((_request, response) =>
      response.writeHead(429, { RateLimit: '"api";r=0;t=50' }).end(),
    )
    const hub = await openHub({ url: server.url })
    await answerOf(hub, upstreamRequest('/api/other'))
    expect((await declinedBy(hub, upstreamRequest('/api/models/o/n'))).retryAfter).to.be.within(30, 50)
    await hub.close()
  })
})
