import { expect } from 'chai'
import fc from 'fast-check'
import { bodyOf, declinedBy, headerIn, upstreamRequest } from '../../conformance/index.ts'
import { runs } from '../../support/runs.ts'
import { content, path, sendPart, setFollowStage, sha256 } from './follow-stage.ts'
import { withoutPauses } from './stage.ts'

const size = String(content.length)

describe('content behind a redirect', () => {
  it('is asked of the CDN as a range, and given whole with the headers of all hops', async () => {
    await using at = await setFollowStage()
    const answer = await at.ask({ headers: { authorization: 'x' }, rights: { use: 'client', token: 'hf_x' } })
    expect(answer.status).to.equal(200)
    expect(headerIn(answer, 'content-length')).to.equal(size)
    expect(headerIn(answer, 'content-range')).to.equal(undefined)
    expect(headerIn(answer, 'etag')).to.equal(`"${sha256}"`)
    expect(headerIn(answer, 'x-repo-commit')).to.equal('c'.repeat(40))
    expect(headerIn(answer, 'x-linked-size')).to.equal(size)
    expect(headerIn(answer, 'x-xet-hash')).to.equal(undefined)
    expect(headerIn(answer, 'location')).to.equal(undefined)
    expect((await bodyOf(answer)).equals(content)).to.equal(true)
    expect(at.asked.map(({ range }) => range)).to.deep.equal(['bytes=0-'])
    expect(at.cdn.requests[0]?.headers.authorization).to.equal(undefined)
  })

  it('is given by range, exactly', async () => {
    await using at = await setFollowStage()
    await fc.assert(
      fc.asyncProperty(
        fc.nat(content.length + 10),
        fc.nat(content.length + 10),
        fc.constantFrom('both', 'from', 'suffix'),
        async (a, b, kind) => {
          const [first, last] = [Math.min(a, b), Math.max(a, b)]
          const range =
            kind === 'both' ? `bytes=${first}-${last}` : kind === 'from' ? `bytes=${first}-` : `bytes=-${first}`
          const start = kind === 'suffix' ? Math.max(0, content.length - first) : first
          const end = kind === 'both' ? Math.min(last, content.length - 1) : content.length - 1
          const answer = await at.ask({ headers: { range } })
          const body = await bodyOf(answer)
          if (start > content.length - 1) {
            expect(answer.status).to.equal(416)
            expect(headerIn(answer, 'content-range')).to.equal(`bytes */${size}`)
            return
          }
          expect(answer.status).to.equal(206)
          expect(headerIn(answer, 'content-range')).to.equal(`bytes ${start}-${end}/${size}`)
          expect(headerIn(answer, 'content-length')).to.equal(String(end - start + 1))
          expect(body.equals(content.subarray(start, end + 1))).to.equal(true)
        },
      ),
      { numRuns: runs(150), seed: 20_261_125 },
    )
  })

  it('is whole where the range is of another tag, malformed, or of several parts', async () => {
    await using at = await setFollowStage()
    const headers = [
      { range: 'bytes=1-2', 'if-range': '"other"' },
      { range: 'bytes=1-2,5-6' },
      { range: 'lines=1-2' },
      { range: 'bytes=-' },
    ]
    for (const one of headers) {
      const answer = await at.ask({ headers: one })
      expect(answer.status).to.equal(200)
      expect((await bodyOf(answer)).equals(content)).to.equal(true)
    }
    const matching = await at.ask({ headers: { range: 'bytes=1-2', 'if-range': `"${sha256}"` } })
    expect(matching.status).to.equal(206)
    await bodyOf(matching)
  })

  it("is not fetched for HEAD, nor for conditions that the Hub's word decides", async () => {
    await using at = await setFollowStage()
    const head = await at.ask({ method: 'HEAD' })
    expect(head.status).to.equal(200)
    expect(headerIn(head, 'content-length')).to.equal(size)
    expect(headerIn(head, 'etag')).to.equal(`"${sha256}"`)
    expect((await bodyOf(head)).length).to.equal(0)
    for (const tag of [`"${sha256}"`, `W/"${sha256}", "x"`, '*']) {
      const unchanged = await at.ask({ headers: { 'if-none-match': tag } })
      expect(unchanged.status).to.equal(304)
      expect(headerIn(unchanged, 'etag')).to.equal(`"${sha256}"`)
    }
    expect((await at.ask({ headers: { 'if-match': '"other"' } })).status).to.equal(412)
    expect(at.asked).to.have.length(0)
  })

  it('has the size that the CDN says, for HEAD too, where the Hub says none', async () => {
    await using at = await setFollowStage()
    at.linked = {}
    const head = await at.ask({ method: 'HEAD' })
    expect(headerIn(head, 'content-length')).to.equal(size)
    expect(headerIn(head, 'etag')).to.equal('"xet-hash"')
    expect(at.asked.map(({ range }) => range)).to.deep.equal(['bytes=0-0'])
  })

  it('may be empty', async () => {
    await using at = await setFollowStage()
    at.linked = { 'X-Linked-Size': '0', 'X-Linked-ETag': '"e"' }
    at.bytes = Buffer.alloc(0)
    const answer = await at.ask()
    expect(answer.status).to.equal(200)
    expect(headerIn(answer, 'content-length')).to.equal('0')
    expect((await bodyOf(answer)).length).to.equal(0)
  })
})

describe('a CDN that breaks off', () => {
  it('is asked for the rest, wherever it was cut, and however often', async () => {
    using _ = withoutPauses()
    await using at = await setFollowStage()
    let cuts: readonly number[] = []
    at.trouble = (asked, response) => {
      const cut = cuts[asked.index]
      if (cut === undefined) return undefined
      sendPart(response, at.bytes, asked, cut)
      return true
    }
    // Every offset near the edges and some between them, and then several cuts in a row.
    const offsets = [0, 1, 2, 3, 1_000, 2_047, 2_048, 3_998, 3_999]
    const lists = fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 12 })
    for (const offset of offsets) await check([offset])
    await fc.assert(fc.asyncProperty(lists, check), { numRuns: runs(60), seed: 20_261_125 })

    async function check(list: readonly number[]): Promise<void> {
      cuts = list
      at.asked.length = 0
      const answer = await at.ask()
      expect(headerIn(answer, 'content-length')).to.equal(size)
      expect((await bodyOf(answer)).equals(content)).to.equal(true)
      for (const { range, start } of at.asked.slice(1)) expect(range).to.equal(`bytes=${start}-${content.length - 1}`)
    }
  }).timeout(60_000)

  it('is asked again after a refused reconnect or two', async () => {
    using _ = withoutPauses()
    await using at = await setFollowStage({ retries: 0 })
    at.trouble = (asked, response) => {
      if (asked.index === 0) sendPart(response, at.bytes, asked, 1_000)
      else if (asked.index <= 2) response.destroy()
      else if (asked.index === 3) response.writeHead(503).end()
      else return undefined
      return true
    }
    expect((await bodyOf(await at.ask())).equals(content)).to.equal(true)
    expect(at.lines.filter(({ message }) => message === 'resuming a download').length).to.be.greaterThan(2)
  })

  it('fails the download when it brings no byte any more, and never ends it as if it were whole', async () => {
    using _ = withoutPauses()
    await using at = await setFollowStage({ retries: 0 })
    at.trouble = (asked, response) => {
      if (asked.index === 0) sendPart(response, at.bytes, asked, 1_000)
      else response.destroy()
      return true
    }
    await bodyOf(await at.ask()).then(
      () => expect.fail('it ended'),
      () => undefined,
    )
    expect(at.asked.length).to.be.within(5, 8)
  }).timeout(20_000)

  it('is left alone when the client has gone', async () => {
    await using at = await setFollowStage()
    const closed = Promise.withResolvers<void>()
    at.trouble = ({ start, end }, response) => {
      response.once('close', closed.resolve)
      response.writeHead(206, { 'Content-Range': `bytes ${start}-${end}/${size}` }).write('x')
      return true
    }
    const { body } = await at.ask()
    if (body instanceof Uint8Array) throw new Error('no stream')
    body.on('error', () => undefined)
    body.destroy()
    await closed.promise
    expect(at.asked).to.have.length(1)
  })
})

describe('a CDN that lies', () => {
  const lies: Readonly<Record<string, Record<string, string>>> = {
    'another start': {
      'Content-Range': `bytes 1-${content.length - 1}/${size}`,
      'Content-Length': String(content.length - 1),
    },
    'another total': { 'Content-Range': `bytes 0-${content.length - 1}/${content.length + 1}` },
    'an end beyond the total': { 'Content-Range': `bytes 0-${content.length}/${size}` },
    'no total': { 'Content-Range': `bytes 0-${content.length - 1}/*` },
    'no numbers': { 'Content-Range': 'bytes a-b/c' },
    'a length that contradicts the range': { 'Content-Range': 'bytes 0-9/4000' },
  }
  for (const [what, headers] of Object.entries(lies)) {
    it(`in its first answer is not believed: ${what}`, async () => {
      await using at = await setFollowStage({ retries: 0 })
      at.trouble = (asked, response) => {
        sendPart(
          response,
          at.bytes,
          { ...asked, start: content.length - Number(headers['Content-Length'] ?? content.length) },
          undefined,
          headers,
        )
        return true
      }
      expect((await declinedBy(at.upstream, upstreamRequest(path))).status).to.equal(502)
    })

    it(`when a download is resumed gives the client no wrong byte: ${what}`, async () => {
      using _ = withoutPauses()
      await using at = await setFollowStage({ retries: 0 })
      at.trouble = (asked, response) => {
        if (asked.index === 0) sendPart(response, at.bytes, asked, 1_000)
        else response.writeHead(206, { ETag: '"xet-hash"', ...headers }).end(at.bytes)
        return true
      }
      const received: Buffer[] = []
      const { body } = await at.ask()
      if (body instanceof Uint8Array) throw new Error('no stream')
      await new Promise((resolve) =>
        body
          .on('data', (chunk: Buffer) => received.push(chunk))
          .on('error', resolve)
          .on('end', resolve),
      )
      expect(Buffer.concat(received).equals(content.subarray(0, 1_000))).to.equal(true)
      expect(body.errored).not.to.equal(null)
    }).timeout(20_000)
  }

  it('about its content by another tag or total ends the download at once', async () => {
    for (const headers of [{ ETag: '"other"' }, { 'Content-Range': `bytes 1000-3999/5000` }]) {
      await using at = await setFollowStage()
      at.trouble = (asked, response) => {
        sendPart(response, at.bytes, asked, asked.index === 0 ? 1_000 : undefined, asked.index === 0 ? {} : headers)
        return true
      }
      await bodyOf(await at.ask()).then(
        () => expect.fail('mixed'),
        (error: Error) => expect(error.message).to.include('other content'),
      )
      expect(at.asked).to.have.length(2)
    }
  })

  it('by sending more than it announced gives the client no byte too many', async () => {
    await using at = await setFollowStage()
    at.trouble = ({ start, end }, response) => {
      response
        .writeHead(206, { 'Content-Range': `bytes ${start}-${end}/${size}` })
        .end(Buffer.concat([at.bytes, at.bytes]))
      return true
    }
    expect((await bodyOf(await at.ask())).equals(content)).to.equal(true)
  })

  it('by giving less of the whole than was asked is asked for the rest', async () => {
    await using at = await setFollowStage()
    at.trouble = (asked, response) => {
      sendPart(response, at.bytes, { ...asked, end: Math.min(asked.end, asked.start + 1_499) })
      return true
    }
    const answer = await at.ask()
    expect(headerIn(answer, 'content-length')).to.equal(size)
    expect((await bodyOf(answer)).equals(content)).to.equal(true)
    expect(at.asked).to.have.length(3)
  })
})

describe('a signed URL that expires', () => {
  for (const status of [400, 401, 403, 410]) {
    it(`in the middle of a download is renewed (${status})`, async () => {
      await using at = await setFollowStage()
      at.trouble = (asked, response) => {
        if (asked.index === 0) sendPart(response, at.bytes, asked, 1_000)
        else if (asked.signature === 1) response.writeHead(status).end('expired')
        else return undefined
        return true
      }
      expect((await bodyOf(await at.ask())).equals(content)).to.equal(true)
      expect(at.asked.map(({ signature }) => signature)).to.deep.equal([1, 1, 2])
    })
  }

  it('is renewed for the same content only: a branch may have moved', async () => {
    for (const linked of [
      { 'X-Linked-ETag': '"other"', 'X-Linked-Size': size },
      { 'X-Linked-ETag': `"${sha256}"`, 'X-Linked-Size': '1' },
    ] as Record<string, string>[]) {
      await using at = await setFollowStage()
      at.trouble = (asked, response) => {
        if (asked.index === 0) sendPart(response, at.bytes, asked, 1_000)
        else if (asked.signature === 1) response.writeHead(403).end()
        else return undefined
        at.linked = linked
        return true
      }
      await bodyOf(await at.ask()).then(
        () => expect.fail('mixed'),
        (error: Error) => expect(error.message).to.include('other content'),
      )
    }
  })

  it("at once is declined, for it can't be renewed", async () => {
    await using at = await setFollowStage()
    at.trouble = (_asked, response) => response.writeHead(403).end() !== undefined
    const declined = await declinedBy(at.upstream, upstreamRequest(path))
    expect(declined.status).to.equal(502)
    expect(declined.reason).to.include('403')
    expect(at.asked).to.have.length(2)
  })
})

describe('content that its own server does not give', () => {
  it('is told of that server by name, and not of the upstream that leads there', async () => {
    await using at = await setFollowStage({ retries: 0 })
    at.trouble = (_asked, response) => response.writeHead(500).end() !== undefined
    const { host } = new URL(at.cdn.url)
    const expected = `${at.hub.url} leads to content that can't be fetched: ${host} answered 500`
    for (const purpose of ['client', 'mirror'] as const)
      expect((await declinedBy(at.upstream, upstreamRequest(path, { purpose }))).reason).to.equal(expected)
    at.trouble = (_asked, response) => response.socket?.destroy() !== undefined
    const broken = await declinedBy(at.upstream, upstreamRequest(path))
    expect(broken.reason).to.match(
      new RegExp(`^${at.hub.url} leads to content that can't be fetched: ${host} did not answer: .`),
    )
    expect(broken.status).to.equal(502)
  })
})

describe("this server's own requests", () => {
  it('follow to the CDN in pass mode too, and ask the Hub once for many parts of a commit', async () => {
    await using at = await setFollowStage({ redirects: 'pass' })
    const target = `/o/n/resolve/${'c'.repeat(40)}/w.safetensors`
    const expires = Math.floor(Date.now() / 1000) + 3600
    at.hub.handler = (_request, response) => {
      const location = `${at.cdn.url}/blob?Expires=${expires}&signature=1`
      response.writeHead(302, { Location: location, ...at.linked }).end()
    }
    for (let start = 0; start < 4_000; start += 1_000) {
      const range = `bytes=${start}-${start + 999}`
      const answer = await at.ask({ purpose: 'mirror', headers: { range } }, target)
      expect((await bodyOf(answer)).equals(content.subarray(start, start + 1_000))).to.equal(true)
    }
    expect(at.hub.requests).to.have.length(1)
  })

  it('follow within the Hub while the repository stays the same, and no further', async () => {
    await using at = await setFollowStage({ redirects: 'pass' })
    const commit = 'c'.repeat(40)
    at.hub.handler = (request, response) => {
      if (request.url === '/o/n/resolve/main/f')
        response.writeHead(307, { Location: `/api/resolve-cache/models/o/n/${commit}/f` }).end()
      else if (request.url === '/o/old/resolve/main/f')
        response.writeHead(307, { Location: '/o/new/resolve/main/f' }).end()
      else response.end('content')
    }
    expect(String(await bodyOf(await at.ask({ purpose: 'mirror' }, '/o/n/resolve/main/f')))).to.equal('content')
    const renamed = await at.ask({ purpose: 'mirror' }, '/o/old/resolve/main/f')
    expect(renamed.status).to.equal(307)
    expect(headerIn(renamed, 'location')).to.equal('/o/new/resolve/main/f')
  })
})
