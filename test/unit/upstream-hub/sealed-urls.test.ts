import { expect } from 'chai'
import { HubFailure, type UpstreamRequest } from 'mirrorface/plugin'
import { bodyOf, declinedBy, headerIn, textBody, upstreamRequest } from '../../conformance/index.ts'
import { content, setFollowStage, sha256 } from './follow-stage.ts'
import { openHub } from './stage.ts'

const size = String(content.length)

describe('a sealed URL that is fetched', () => {
  it('is given whole and by range, and not renewed', async () => {
    await using at = await setFollowStage()
    const sealedUrl = `${at.cdn.url}/blob?signature=1`
    const ask = async (given: Partial<UpstreamRequest>) => await at.ask({ sealedUrl, ...given }, '/-/follow/seal')
    expect((await bodyOf(await ask({}))).equals(content)).to.equal(true)
    const part = await ask({ headers: { range: 'bytes=1-2' } })
    expect([part.status, (await bodyOf(part)).length]).to.deep.equal([206, 2])
    const head = await ask({ method: 'HEAD' })
    expect([head.status, headerIn(head, 'content-length')]).to.deep.equal([200, size])
    expect(at.cdn.requests.at(-1)).to.include({ method: 'GET' }) // URLs are signed for one method
    expect(at.asked.at(-1)).to.include({ range: 'bytes=0-0' })
    at.trouble = (_asked, response) => response.writeHead(403).end() !== undefined
    const declined = await declinedBy(at.upstream, upstreamRequest('/-/follow/seal', { sealedUrl }))
    expect(declined.reason).to.include('expired, or was revoked')
    expect(at.hub.requests).to.have.length(0)
    const without = await declinedBy(at.upstream, upstreamRequest('/-/follow/seal'))
    expect(without.reason).to.include('without its URL')
  })

  it('goes without TLS only where the upstream itself is asked without', async () => {
    await using at = await setFollowStage()
    const sealedUrl = `${at.cdn.url}/blob?signature=1`
    for (const [url, isFetched] of [
      ['https://hub.example', false],
      ['http://hub.example', true],
    ] as const) {
      const upstream = await openHub({ url, redirects: 'follow', followHosts: ['127.0.0.2'], retries: 0 })
      const outcome = await upstream.ask(upstreamRequest('/-/follow/seal', { sealedUrl }))
      if (outcome.kind === 'answered') await bodyOf(outcome)
      else expect(outcome.reason).to.include('followHosts').and.not.include('did not answer')
      expect([outcome.kind === 'answered', at.asked.length > 0], url).to.deep.equal([isFetched, isFetched])
      await upstream.close()
    }
  })

  it('is answered as its server answers what is uploaded', async () => {
    await using at = await setFollowStage()
    const sealedUrl = `${at.cdn.url}/part`
    for (const [status, text] of [
      [200, 'made'],
      [204, ''],
      [403, 'expired'],
    ] as const) {
      at.trouble = (_asked, response) =>
        response.writeHead(status, { 'X-A': 'b', Connection: 'x' }).end(text) !== undefined
      const answer = await at.ask({ sealedUrl, method: 'POST', body: textBody('bytes') }, '/-/follow/seal')
      expect([answer.status, String(await bodyOf(answer)), headerIn(answer, 'x-a')]).to.deep.equal([status, text, 'b'])
      expect(headerIn(answer, 'connection')).to.equal(undefined)
    }
  })
})

describe('an egress proxy', () => {
  it('is said to resolve names itself, where there is one', async () => {
    const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']
    const before = new Map(names.map((name) => [name, process.env[name]]))
    for (const name of names) delete process.env[name]
    try {
      for (const [name, value, isSaid] of [
        [undefined, '', false],
        ...names.map((one) => [one, 'http://proxy.example:1', true] as const),
        ['HTTPS_PROXY', '', false],
      ] as const) {
        if (name !== undefined) process.env[name] = value
        await using at = await setFollowStage({ name: 'of-the-test' })
        const said = at.lines.filter(({ message }) => message.includes('proxy'))
        expect(said.map(({ fields }) => fields)).to.deep.equal(isSaid ? [{ upstream: 'of-the-test' }] : [])
        if (name !== undefined) delete process.env[name]
      }
    } finally {
      for (const [name, value] of before) if (value !== undefined) process.env[name] = value
    }
  })
})

describe('a followed request that is none for content', () => {
  it('is refused for LFS objects, and keeps its redirect otherwise', async () => {
    await using at = await setFollowStage()
    const object = upstreamRequest(`/-/lfs/models/o/n/${sha256}`, { method: 'POST' })
    const error = await at.upstream.ask(object).catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(HubFailure).that.includes({ status: 405, code: 'MethodNotAllowed' })
    expect(error).to.have.property('message').that.includes('POST')
    for (const purpose of ['client', 'mirror'] as const) {
      const answer = await at.ask({ method: 'PUT', purpose, body: textBody('x') }, '/api/models/o/n/settings')
      expect([answer.status, at.asked.length], purpose).to.deep.equal([302, 0])
    }
  })
})
