import { expect } from 'chai'
import type { Rights, UpstreamRequest } from 'mirrorface/plugin'
import { bodyOf, declinedBy, headerIn, textBody, upstreamRequest } from '../../conformance/index.ts'
import { content, type FollowStage, path, sendPart, setFollowStage, sha256 } from './follow-stage.ts'

const commit = 'c'.repeat(40)
const pinned = `/o/n/resolve/${commit}/w.safetensors`
const mirror = { purpose: 'mirror' } as const

/** A Hub whose redirects say how long they are good. */
async function withExpiry(options: Record<string, unknown> = {}) {
  const at = await setFollowStage(options)
  const expires = Math.floor(Date.now() / 1000) + 3600
  let signature = 0
  at.hub.handler = (_request, response) =>
    void response
      .writeHead(302, { Location: `${at.cdn.url}/blob?Expires=${expires}&signature=${++signature}`, ...at.linked })
      .end()
  return at
}

const rangeOf = async (at: FollowStage, given: Partial<UpstreamRequest> = {}, target = pinned) =>
  (await bodyOf(await at.ask({ ...mirror, headers: { range: 'bytes=0-9' }, ...given }, target))).equals(
    content.subarray(0, 10),
  )

describe('a redirect that is kept for this server', () => {
  it('is of a commit, got by GET, and nobody else’s', async () => {
    await using at = await withExpiry({ token: 'hf_service' })
    const rights: readonly Rights[] = [
      { use: 'none' },
      { use: 'service' },
      { use: 'client', token: 'hf_a' },
      { use: 'client', token: 'hf_b' },
      { use: 'service', otherwise: 'hf_a' },
      { use: 'service', otherwise: 'hf_b' },
    ]
    for (const round of [1, 2]) {
      for (const one of rights) expect(await rangeOf(at, { rights: one })).to.equal(true)
      expect(at.hub.requests, `round ${round}`).to.have.length(rights.length)
    }
    for (const [target, method] of [
      [path, 'GET'],
      [`/o/n/resolve/${commit}-x/w.safetensors`, 'GET'],
      [`/o/n/resolve/x-${commit}/w.safetensors`, 'GET'],
      [`/api/resolve-cache/models/o/n/${commit}/f`, 'GET'],
    ] as const) {
      const before = at.hub.requests.length
      for (const _ of [1, 2]) await bodyOf(await at.ask({ ...mirror, method }, target))
      expect(at.hub.requests.length - before, target).to.equal(2)
    }
  })

  it('of HEAD is followed, and not kept for GET', async () => {
    await using at = await withExpiry()
    for (const [method, length] of [
      ['HEAD', 0],
      ['GET', content.length],
    ] as const) {
      const answer = await at.ask({ ...mirror, method }, pinned)
      expect([answer.status, (await bodyOf(answer)).length]).to.deep.equal([200, length])
      expect(headerIn(answer, 'content-length')).to.equal(String(content.length))
    }
    expect(at.hub.requests.map(({ method }) => method)).to.deep.equal(['HEAD', 'GET'])
  })

  it('is renewed with the same rights, and forgotten, when its URL is refused', async () => {
    await using at = await withExpiry()
    const rights: Rights = { use: 'client', token: 'hf_a' }
    expect(await rangeOf(at, { rights })).to.equal(true)
    expect(at.hub.requests).to.have.length(1)
    at.trouble = (asked, response) => (asked.signature === 1 ? response.writeHead(403).end() !== undefined : undefined)
    expect(await rangeOf(at, { rights })).to.equal(true)
    const renewing = at.hub.requests.length
    expect(renewing).to.be.greaterThan(1)
    expect(at.hub.requests.every(({ headers }) => headers.authorization === 'Bearer hf_a')).to.equal(true)
    expect(await rangeOf(at, { rights })).to.equal(true)
    expect(at.hub.requests.length).to.equal(renewing + 1)
  })

  it('is not kept where it does not say until when', async () => {
    await using at = await setFollowStage()
    for (const _ of [1, 2]) expect(await rangeOf(at)).to.equal(true)
    expect(at.hub.requests).to.have.length(2)
  })
})

describe('the place of content that is asked for again', () => {
  it('is asked for without conditions or a range, whoever asks', async () => {
    const conditions = {
      range: 'bytes=0-9',
      ...{ 'if-range': `"${sha256}"`, 'if-match': `"${sha256}"`, 'if-none-match': '"x"' },
    }
    for (const purpose of ['client', 'mirror'] as const) {
      await using at = await setFollowStage()
      at.trouble = (asked, response) =>
        asked.signature === 1 ? response.writeHead(403).end() !== undefined : undefined
      const answer = await at.ask({ purpose, headers: { ...conditions, 'user-agent': 'test' } })
      expect([answer.status, (await bodyOf(answer)).length]).to.deep.equal([206, 10])
      const again = at.hub.requests.at(-1)?.headers
      expect(at.hub.requests.length).to.be.greaterThan(1)
      expect(again).to.include({ 'user-agent': 'test' })
      expect(again).not.to.have.any.keys(...Object.keys(conditions))
    }
  })

  it('is none where the Hub gives no URL any more, or one of other content', async () => {
    await using at = await setFollowStage()
    at.trouble = (_asked, response) => {
      at.hub.handler = (_request, answer) => void answer.writeHead(404).end('gone')
      return response.writeHead(403).end() !== undefined
    }
    expect((await declinedBy(at.upstream, upstreamRequest(path))).reason)
      .to.include('no URL')
      .and.include('404')
  })

  it('may be answered by another server, whose tag is another', async () => {
    await using at = await setFollowStage()
    at.trouble = (asked, response) => {
      if (asked.index === 0) sendPart(response, at.bytes, asked, 1_000)
      else if (asked.signature === 1) response.writeHead(403).end()
      else sendPart(response, at.bytes, asked, undefined, { ETag: '"of another server"' })
      return true
    }
    expect((await bodyOf(await at.ask())).equals(content)).to.equal(true)
  })
})

describe('redirects within the upstream', () => {
  it('are followed a few times, and no more', async () => {
    await using at = await setFollowStage()
    let hops = 4
    at.hub.handler = (request, response) => {
      const hop = Number(/\/f(\d)$/.exec(request.url ?? '')?.[1])
      if (hop === hops) response.end('content')
      else response.writeHead(302, { Location: `/o/n/resolve/main/f${hop + 1}` }).end('Found')
    }
    expect(String(await bodyOf(await at.ask(mirror, '/o/n/resolve/main/f0')))).to.equal('content')
    hops = 5
    const request = upstreamRequest('/o/n/resolve/main/f0', mirror)
    expect((await declinedBy(at.upstream, request)).reason).to.include('more than 5 times')
    expect(at.hub.requests).to.have.length(5 + 5)
  })

  it('are given to who asked where they lead to something else, or nowhere', async () => {
    await using at = await setFollowStage()
    for (const [target, location, status] of [
      ['/o/n/resolve/main/f', '/datasets/o/n/resolve/main/f', 307],
      ['/o/n/resolve/main/f', '/o/other/resolve/main/f', 307],
      ['/o/n/resolve/main/f', '/api/whoami-v2', 307],
      ['/o/n/resolve/main/f', '/o/n/resolve/main/', 307],
      ['/o/n/resolve/main/f', 'http://[', 307],
      ['/o/n/resolve/main/f', undefined, 307],
      ['/o/n/resolve/main/f', '/o/n/resolve/main/g', 200],
      ['/api/models', '/o/n/resolve/main/f', 307],
    ] as const) {
      for (const purpose of ['mirror', 'client'] as const) {
        at.hub.requests.length = 0
        at.hub.handler = (_request, response) =>
          void response.writeHead(status, location === undefined ? {} : { Location: location }).end('text')
        const answer = await at.ask({ purpose }, target)
        expect([answer.status, String(await bodyOf(answer))], `${target} ${location}`).to.deep.equal([status, 'text'])
        expect(at.hub.requests).to.have.length(1)
      }
    }
  })
})

describe('an LFS object', () => {
  const object = `/-/lfs/models/o/n/${sha256}`
  const lfsJson = { 'Content-Type': 'application/vnd.git-lfs+json' }
  const batchOf = (href: string) => JSON.stringify({ objects: [{ actions: { download: { href } } }] })

  it('is followed to where the Hub itself has it', async () => {
    await using at = await setFollowStage()
    at.hub.handler = (request, response) => {
      if (request.method === 'POST') response.writeHead(200, lfsJson).end(batchOf(`${at.hub.url}/o/n/resolve/main/f`))
      else response.end(`${request.url}`)
    }
    const answer = await at.ask({ headers: { 'user-agent': 'x' } }, object)
    expect(String(await bodyOf(answer))).to.equal('/o/n/resolve/main/f')
    const head = await at.ask({ method: 'HEAD' }, object)
    expect([head.status, (await bodyOf(head)).length]).to.deep.equal([200, 0])
  })

  it('is refused as the Hub refuses it', async () => {
    await using at = await setFollowStage()
    at.hub.handler = (_request, response) => void response.writeHead(403, { 'X-Error-Code': 'GatedRepo' }).end('no')
    const answer = await at.ask({}, object)
    expect([answer.status, headerIn(answer, 'x-error-code'), String(await bodyOf(answer))]).to.deep.equal([
      ...[403, 'GatedRepo', 'no'],
    ])
  })

  it('is declined where the answer is larger than any, of known length or not', async () => {
    await using at = await setFollowStage()
    for (const [length, isRead] of [
      [65_536, true],
      [65_537, false],
    ] as const) {
      const text = batchOf(`${at.hub.url}/o/n/resolve/main/f`).padEnd(length)
      for (const headers of [{ 'Content-Length': String(length) }, {}]) {
        at.hub.handler = (request, response) =>
          void (request.method === 'POST' ? response.writeHead(200, { ...lfsJson, ...headers }) : response).end(text)
        const outcome = await at.upstream.ask(upstreamRequest(object))
        expect(outcome.kind).to.equal(isRead ? 'answered' : 'declined')
        if (outcome.kind === 'answered') await bodyOf(outcome)
        else expect(outcome.reason).to.include('too large')
      }
    }
  })
})

describe('a request that is passed on', () => {
  it('is not followed where it is none for content', async () => {
    await using at = await setFollowStage()
    for (const purpose of ['client', 'mirror'] as const) {
      const answer = await at.ask({ purpose, method: 'PUT', body: textBody('x') }, '/api/models/o/n/settings')
      expect([answer.status, at.asked.length], purpose).to.deep.equal([302, 0])
    }
  })
})
