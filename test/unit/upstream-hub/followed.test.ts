import { getEventListeners, once } from 'node:events'
import { expect } from 'chai'
import type { UpstreamRequest } from 'mirrorface/plugin'
import { bodyOf, declinedBy, upstreamRequest } from '../../conformance/index.ts'
import { content, type FollowStage, path, sendPart, setFollowStage, sha256 } from './follow-stage.ts'
import { startServer, withoutPauses } from './stage.ts'

const size = String(content.length)
const headersOf = ({ headers }: { headers: readonly (readonly [string, string])[] }) => Object.fromEntries(headers)

describe('what a followed redirect is answered with', () => {
  const ofRedirect = {
    ...{
      'Cache-Control': 'no-store',
      Vary: 'Origin',
      Age: '5',
      Expires: 'x',
      'Content-Encoding': 'br',
      'Accept-Ranges': 'none',
      'Content-Range': 'bytes 0-4/5',
      ETag: '"redirect"',
      'Content-Length': '5',
    },
    ...{
      'Content-Type': 'text/html',
      'Content-Disposition': 'inline',
      'Last-Modified': 'yesterday',
      'X-Repo-Commit': 'd',
    },
  }
  const ofContent = {
    ...{ 'Content-Type': 'application/zip', 'Content-Disposition': 'attachment', 'Last-Modified': 'today' },
    ...{ 'Cache-Control': 'max-age=1', 'X-Cache': 'Hit' },
  }
  const expected = {
    ...{ 'content-type': 'application/zip', 'content-disposition': 'attachment', 'last-modified': 'today' },
    ...{ 'accept-ranges': 'bytes', etag: `"${sha256}"`, 'x-repo-commit': 'd', 'x-linked-size': size },
    'x-linked-etag': `"${sha256}"`,
  }
  const told = async (at: FollowStage, given: Partial<UpstreamRequest>) => {
    const answer = await at.ask(given)
    const body = await bodyOf(answer)
    const names = answer.headers.map(([name]) => name)
    expect(names).to.have.members([...new Set(names)])
    const { date: _date, ...headers } = headersOf(answer)
    return { status: answer.status, headers, body: body.length }
  }

  it('is of the file what the Hub says, and of the bytes what the last hop says', async () => {
    await using at = await setFollowStage()
    at.linked = { ...at.linked, ...ofRedirect }
    at.trouble = (asked, response) => {
      sendPart(response, at.bytes, asked, undefined, ofContent)
      return true
    }
    expect(await told(at, {})).to.deep.equal({
      ...{ status: 200, body: content.length },
      headers: { ...expected, 'content-length': size },
    })
    expect(await told(at, { headers: { range: 'bytes=1-3' } })).to.deep.equal({
      ...{ status: 206, body: 3 },
      headers: { ...expected, 'content-length': '3', 'content-range': `bytes 1-3/${size}` },
    })
    const { 'content-disposition': _disposition, 'last-modified': _modified, ...ofHead } = expected
    expect(await told(at, { method: 'HEAD' })).to.deep.equal({
      ...{ status: 200, body: 0 },
      headers: { ...ofHead, 'content-length': size, 'content-type': 'application/octet-stream' },
    })
  })

  it('is what the last hop says where the Hub says nothing, for HEAD by one byte', async () => {
    await using at = await setFollowStage()
    at.linked = {}
    at.trouble = (asked, response) => {
      sendPart(response, at.bytes, asked, undefined, ofContent)
      return true
    }
    const head = await told(at, { method: 'HEAD' })
    expect(head.headers).to.deep.equal({
      ...{ 'content-type': 'application/zip', 'content-disposition': 'attachment', 'last-modified': 'today' },
      ...{ 'content-length': size, etag: '"xet-hash"', 'accept-ranges': 'bytes', 'x-repo-commit': 'c'.repeat(40) },
    })
    at.trouble = (_asked, response) =>
      response.writeHead(200, { 'Transfer-Encoding': 'chunked' }).end('abc') !== undefined
    for (const [method, length] of [
      ['GET', 3],
      ['HEAD', 0],
    ] as const) {
      const answer = await told(at, { method })
      expect([answer.status, answer.body]).to.deep.equal([200, length])
      expect(answer.headers).to.deep.equal({ 'x-repo-commit': 'c'.repeat(40) })
    }
  })

  it('is a 416 with the range that there is, and empty content only where all of it is asked for', async () => {
    await using at = await setFollowStage()
    at.linked = {}
    for (const [range, contentRange, status] of [
      [undefined, 'bytes */0', 200],
      [undefined, 'bytes */5', 416],
      [undefined, 'xbytes */0', 416],
      [undefined, 'bytes */00', 416],
      [undefined, undefined, 416],
      ['bytes=9-', 'bytes */0', 416],
      ['bytes=9-', 'bytes */5', 416],
    ] as const) {
      at.trouble = (_asked, response) =>
        response.writeHead(416, contentRange === undefined ? {} : { 'Content-Range': contentRange }).end('page') !==
        undefined
      const answer = await told(at, { headers: range === undefined ? {} : { range } })
      expect([answer.status, answer.body], `${range} ${contentRange}`).to.deep.equal([status, 0])
      expect(answer.headers['content-range']).to.equal(status === 416 ? contentRange : undefined)
      if (status === 200) expect(answer.headers['content-length']).to.equal('0')
    }
  })

  it('is whole where the CDN gives it without a range', async () => {
    await using at = await setFollowStage()
    at.trouble = (_asked, response) => response.writeHead(200, { 'Content-Length': size }).end(at.bytes) !== undefined
    const answer = await told(at, { headers: { range: 'bytes=1-3' } })
    expect([answer.status, answer.body, answer.headers['content-range']]).to.deep.equal([
      200,
      content.length,
      undefined,
    ])
  })

  it('says why the content is not believed', async () => {
    await using at = await setFollowStage({ retries: 0 })
    for (const [range, contentRange, reason] of [
      [undefined, 'bytes 1-2/9', 'bytes=0-'],
      ['bytes=5-6', 'bytes 1-2/9', 'bytes=5-6'],
      [undefined, 'bytes 0-8/9', '9 bytes where the upstream announced 4000'],
    ] as const) {
      at.trouble = (_asked, response) => response.writeHead(206, { 'Content-Range': contentRange }).end() !== undefined
      const headers = range === undefined ? {} : { range }
      expect((await declinedBy(at.upstream, upstreamRequest(path, { headers }))).reason).to.include(reason)
    }
  })
})

describe('content that is under way', () => {
  it('ends with the client, and with the time that a whole may take', async () => {
    for (const [options, why] of [
      [{}, 'left'],
      [{ totalTimeout: 500 }, 'took too long'],
    ] as const) {
      await using at = await setFollowStage(options)
      at.trouble = ({ start, end }, response) =>
        response.writeHead(206, { 'Content-Range': `bytes ${start}-${end}/${size}` }).write('x') !== undefined
      const life = new AbortController()
      const { body } = await at.ask({ signal: life.signal })
      if (body instanceof Uint8Array) throw new Error('no stream')
      body.once('data', () => void (why === 'left' && life.abort(new Error(why))))
      const [error] = await once(body, 'error')
      expect(error).to.have.property('message').that.includes(why)
      const socket = at.cdn.requests[0]?.socket
      if (socket !== undefined && !socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
    }
  })

  it('is asked for once more where another part of it was given', async () => {
    using _ = withoutPauses()
    await using at = await setFollowStage()
    at.trouble = (asked, response) => {
      if (asked.index > 1) return undefined
      if (asked.index === 0) sendPart(response, at.bytes, asked, 1_000)
      else sendPart(response, at.bytes, { ...asked, start: 2_000 })
      return true
    }
    expect((await bodyOf(await at.ask())).equals(content)).to.equal(true)
    expect(at.asked.map(({ start }) => start)).to.deep.equal([0, 1_000, 1_000])
    const reasons = at.lines.flatMap(({ fields }) => ('reason' in fields ? [String(fields.reason)] : []))
    expect(reasons.at(-1)).to.include(`127.0.0.2:${at.cdn.port} does not give the rest: 206 bytes 2000-3999/4000`)
  })

  it('is watched by nobody any more when it is there', async () => {
    await using at = await setFollowStage()
    const { signal } = new AbortController()
    const { body } = await at.ask({ signal })
    if (body instanceof Uint8Array) throw new Error('no stream')
    expect((await bodyOf({ body })).equals(content)).to.equal(true)
    if (!body.closed) await new Promise((resolve) => body.once('close', resolve))
    expect(getEventListeners(signal, 'abort')).to.have.length(0)
  })

  it('is logged with the place where it is asked for again', async () => {
    using _ = withoutPauses()
    await using at = await setFollowStage()
    at.trouble = (asked, response) => {
      if (asked.index !== 0) return undefined
      sendPart(response, at.bytes, asked, 1_000)
      return true
    }
    await bodyOf(await at.ask({ id: 'the-request' }))
    const [line] = at.lines.filter(({ message }) => message === 'resuming a download')
    expect(line?.fields).to.include({ request: 'the-request', offset: 1_000 })
    expect(line?.fields).to.have.property('reason').that.matches(/./)
  })
})

describe('a content server', () => {
  it('may lead on a few times, and gets nothing that is another’s', async () => {
    await using other = await startServer((_request, response) => response.end('other'), '127.0.0.3')
    await using at = await setFollowStage({ followHosts: ['127.0.0.2', '127.0.0.3'] })
    const tries: string[] = []
    at.trouble = (asked, response) => {
      tries.push(asked.range ?? '')
      if (tries.length > hops) return undefined
      response.writeHead(302, { Location: `/again/${tries.length}` }).end('Found')
      return true
    }
    let hops = 4
    expect((await bodyOf(await at.ask())).equals(content)).to.equal(true)
    expect(tries).to.deep.equal(Array.from({ length: 5 }, () => 'bytes=0-'))
    tries.length = 0
    hops = 5
    expect((await declinedBy(at.upstream, upstreamRequest(path))).reason)
      .to.include('more than 5 times')
      .and.not.include('did not answer')
    expect(tries).to.have.length(5)
    at.linked = {}
    at.trouble = (_asked, response) => response.writeHead(302, { Location: `${other.url}/x` }).end() !== undefined
    await at.ask({ headers: { 'user-agent': 'client' } })
    expect(other.requests[0]?.headers).to.include({ range: 'bytes=0-', 'accept-encoding': 'identity' })
    expect([other.requests[0]?.method, at.cdn.requests.at(-1)?.headers['accept-encoding']]).to.deep.equal([
      'GET',
      'identity',
    ])
    for (const headers of [{}, { Location: 'http://[' }]) {
      at.trouble = (_asked, response) => response.writeHead(302, headers).end() !== undefined
      expect((await declinedBy(at.upstream, upstreamRequest(path))).reason).to.include('302')
    }
  })

  it('is asked again as often as requests are, where no head came', async () => {
    using _ = withoutPauses()
    for (const retries of [0, 1, 2]) {
      await using at = await setFollowStage({ retries })
      at.trouble = (asked, response) => {
        if (asked.index >= retries) return undefined
        response.destroy()
        return true
      }
      expect((await bodyOf(await at.ask())).equals(content)).to.equal(true)
      at.asked.length = 0
      at.trouble = (_asked, response) => response.destroy() !== undefined
      await declinedBy(at.upstream, upstreamRequest(path))
      expect(at.asked).to.have.length(retries + 1)
    }
  })

  it('is not asked again when the time for the whole is over', async () => {
    using _ = withoutPauses()
    await using at = await setFollowStage({ retries: 5, totalTimeout: 300 })
    at.trouble = () => true // it never answers
    expect(await declinedBy(at.upstream, upstreamRequest(path))).to.have.property('status', 504)
    expect(at.asked).to.have.length(1)
  })
})
