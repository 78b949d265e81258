import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { answerOf, bodyOf, headerIn, upstreamRequest } from '../../conformance/index.ts'
import { type SentByClient, sentByClients } from './client-headers.ts'
import { type Handler, openHub, startServer } from './stage.ts'

const environments = fileURLToPath(new URL('../../../.cache/python', import.meta.url))

function requestOf({ method, path, headers }: SentByClient) {
  return upstreamRequest(path, { method, headers })
}

const answering: Handler = (_request, response) => {
  response.writeHead(200, { 'Content-Type': 'application/json', ETag: '"e"', 'X-Repo-Commit': 'c' }).end('{}')
}

/** Every header of the Hub's own that the installed clients name in their sources; answers' are among them. */
async function namedByInstalledClients(): Promise<Set<string>> {
  const names = new Set<string>()
  if (!existsSync(environments)) return names
  const sources = glob('*/lib/python3*/site-packages/{huggingface_hub,datasets,transformers}/{,utils/}*.py', {
    cwd: environments,
  })
  for await (const path of sources) {
    const text = await readFile(`${environments}/${path}`, 'utf8')
    for (const [, name = ''] of text.matchAll(/["'](x-hf-[a-z-]+)["']/gi)) names.add(name.toLowerCase())
  }
  return names
}

describe('the headers that real clients send for metadata', () => {
  for (const sent of sentByClients) {
    const { client, method, path } = sent
    it(`${client}: ${method} ${path} shares, and is answered stale`, async () => {
      const gate = Promise.withResolvers<void>()
      const arrived = Promise.withResolvers<void>()
      await using server = await startServer((request, response) => {
        arrived.resolve()
        void gate.promise.then(() => answering(request, response))
      })
      const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 1 })
      const asked = Array.from({ length: 20 }, async () => (await answerOf(hub, requestOf(sent))).status)
      await arrived.promise
      gate.resolve()
      expect(new Set(await Promise.all(asked))).to.deep.equal(new Set([200]))
      expect(server.requests).to.have.length(1)
      server.handler = (_request, response) => void response.writeHead(503).end()
      let last = await answerOf(hub, requestOf(sent))
      // What came a moment ago may still be fresh.
      while (last.staleFor === undefined && last.status === 200) last = await answerOf(hub, requestOf(sent))
      expect(last.status).to.equal(200)
      expect(last.staleFor).to.be.a('number')
      await hub.close()
    })
  }

  it('share one question with each other, whatever they say of themselves', async () => {
    await using server = await startServer(answering)
    const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 60_000 })
    for (const one of sentByClients) await answerOf(hub, requestOf(one))
    const keys = sentByClients.map(
      ({ method, path, headers: { accept, 'accept-encoding': encoding } }) => `${method} ${path} ${accept} ${encoding}`,
    )
    expect(server.requests).to.have.length(new Set(keys).size)
    await hub.close()
  })

  it('leave nothing of themselves on the shared question: a counter would count one for all, and again when it is asked anew', async () => {
    await using server = await startServer(answering)
    const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 60_000 })
    for (const one of sentByClients) await answerOf(hub, requestOf(one))
    for (const { headers } of server.requests)
      expect(headers).not.to.have.any.keys('x-hf-download-counter', 'x-hf-bill-to', 'x-amzn-trace-id', 'if-none-match')
    await hub.close()
  })

  it('count a download at the Hub with the content, which each fetches by itself', async () => {
    await using server = await startServer(answering)
    const hub = await openHub({ url: server.url, retries: 0 })
    for (let client = 0; client < 2; client++) {
      const request = { headers: { 'x-hf-download-counter': '1' } }
      await bodyOf(await answerOf(hub, upstreamRequest('/o/n/resolve/main/config.json', request)))
    }
    expect(server.requests.map(({ headers }) => headers['x-hf-download-counter'])).to.deep.equal(['1', '1'])
    await hub.close()
  })

  it('hold every header of the Hub that the installed clients name, and those to come', async () => {
    await using server = await startServer(answering)
    const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 60_000 })
    const names = [...(await namedByInstalledClients()), 'x-hf-download-counter', 'x-hf-of-the-next-version']
    for (const name of names)
      for (const value of ['1', 'other']) {
        const answer = await answerOf(hub, upstreamRequest('/api/models/o/n', { headers: { [name]: value } }))
        expect(answer.status, name).to.equal(200)
      }
    expect(server.requests).to.have.length(1)
    await hub.close()
  })

  it('are told "not modified" by the shared answer where they have what it says', async () => {
    await using server = await startServer(answering)
    const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 60_000 })
    for (const [method, path] of [
      ['HEAD', '/o/n/resolve/main/config.json'],
      ['GET', '/api/models/o/n'],
    ] as const) {
      const of = (tag: string) => answerOf(hub, upstreamRequest(path, { method, headers: { 'if-none-match': tag } }))
      const known = await of('"x", W/"e"')
      expect(known.status).to.equal(304)
      expect(headerIn(known, 'etag')).to.equal('"e"')
      expect(headerIn(known, 'x-repo-commit')).to.equal('c')
      expect(headerIn(known, 'content-length')).to.equal(undefined)
      expect(await bodyOf(known)).to.have.length(0)
      expect((await of('"x"')).status).to.equal(200)
    }
    expect(server.requests).to.have.length(2)
    await hub.close()
  })
})
