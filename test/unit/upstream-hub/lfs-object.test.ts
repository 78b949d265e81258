import { expect } from 'chai'
import type { UpstreamRequest } from 'mirrorface/plugin'
import { bodyOf, headerIn, textBody } from '../../conformance/index.ts'
import { content, sendPart, setFollowStage, sha256 } from './follow-stage.ts'
import { startServer } from './stage.ts'

const object = `/-/lfs/models/o/n/${sha256}?size=${content.length}`
const whole = { index: 0, start: 0, end: content.length - 1, signature: 0 }
const lfsJson = { 'Content-Type': 'application/vnd.git-lfs+json' }

describe('an LFS object that this mirror gives itself', () => {
  async function setStage(header: Record<string, string> = {}, options: Record<string, unknown> = {}) {
    const at = await setFollowStage(options)
    const batches: string[] = []
    let signature = 0
    at.hub.handler = (request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.once('end', () => {
        batches.push(`${request.method} ${request.url} ${body}`)
        const href = `${at.cdn.url}/blob?signature=${++signature}`
        const actions = { download: { href, header } }
        response
          .writeHead(200, lfsJson)
          .end(JSON.stringify({ objects: [{ oid: sha256, size: content.length, actions }] }))
      })
    }
    return Object.assign(at, { batches })
  }

  it('is looked up when it is asked for, and given with the headers that its storage wants', async () => {
    await using at = await setStage({
      Authorization: 'Basic storage',
      'X-Amz-Meta': '1',
      Host: 'evil',
      'Content-Length': '9',
    })
    const answer = await at.ask({ rights: { use: 'client', token: 'hf_x' } }, object)
    expect(answer.status).to.equal(200)
    expect(headerIn(answer, 'etag')).to.equal(`"${sha256}"`)
    expect((await bodyOf(answer)).equals(content)).to.equal(true)
    const [batch] = at.batches
    expect(batch)
      .to.match(/^POST \/o\/n\.git\/info\/lfs\/objects\/batch /)
      .and.to.include(`"oid":"${sha256}","size":${content.length}`)
    expect(at.hub.requests[0]?.headers.authorization).to.equal('Bearer hf_x')
    expect(at.cdn.requests[0]?.headers).to.include({
      authorization: 'Basic storage',
      'x-amz-meta': '1',
      host: new URL(at.cdn.url).host,
    })
  })

  it('leads on without the headers that its storage wants, but on the same host', async () => {
    await using other = await startServer(
      (_request, response) => sendPart(response, content, { ...whole, range: undefined }),
      '127.0.0.3',
    )
    await using at = await setStage({ Authorization: 'Basic storage' }, { followHosts: ['127.0.0.2', '127.0.0.3'] })
    for (const [location, to] of [
      ['/again', at.cdn],
      [`${other.url}/blob`, other],
    ] as const) {
      const before = at.asked.length
      at.trouble = ({ index }, response) =>
        index > before ? undefined : response.writeHead(302, { Location: location }).end() !== undefined
      expect((await bodyOf(await at.ask({}, object))).equals(content)).to.equal(true)
      expect(to.requests.at(-1)?.headers.authorization).to.equal(to === at.cdn ? 'Basic storage' : undefined)
    }
  })

  it('is given by range and resumed, and its place renewed', async () => {
    await using at = await setStage()
    at.trouble = (asked, response) => {
      if (asked.index === 0) sendPart(response, at.bytes, asked, 500)
      else if (asked.signature === 1) response.writeHead(403).end()
      else return undefined
      return true
    }
    const answer = await at.ask({ headers: { range: 'bytes=1000-2999' } }, object)
    expect(answer.status).to.equal(206)
    expect((await bodyOf(answer)).equals(content.subarray(1000, 3000))).to.equal(true)
    expect(at.batches).to.have.length(2)
  })

  it('is not found where the Hub has none', async () => {
    await using at = await setStage()
    for (const body of [
      '{"objects":[{"oid":"x","error":{"code":404}}]}',
      '{}',
      'x',
      '{"objects":[{"actions":{"download":{"href":"file:///etc/passwd"}}}]}',
    ]) {
      at.hub.handler = (_request, response) => response.writeHead(200, lfsJson).end(body)
      await at.ask({}, object).then(
        () => expect.fail('found'),
        (error: { status?: number }) => expect(error.status).to.equal(404),
      )
    }
  })

  for (const [what, options, given] of [
    ["the service's authorization", { redirects: 'pass', token: 'hf_service' }, { rights: { use: 'service' } }],
    ['headers that a sealed URL does not carry', {}, {}],
  ] as const) {
    it(`is what a batch names where the download needs ${what}`, async () => {
      await using at = await setStage({ Authorization: 'Basic storage' }, options)
      const request: Partial<UpstreamRequest> = { method: 'POST', body: textBody('{}'), ...given }
      const answer = JSON.parse(String(await bodyOf(await at.ask(request, '/o/n.git/info/lfs/objects/batch'))))
      expect(answer.objects[0].actions).to.deep.equal({ download: { href: `http://mirror.test/mirror${object}` } })
    })
  }
})
