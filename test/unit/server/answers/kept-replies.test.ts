import { expect } from 'chai'
import { parseTarget } from '../../../../src/hub/index.ts'
import { keepable, RecentReplies, readyAgain } from '../../../../src/server/answers/recent-replies.ts'
import { jsonReply, Renderings, renderedJson } from '../../../../src/server/answers/renderings.ts'
import type { Reply, ReplyBody } from '../../../../src/server/reply.ts'
import { mirrored, replyTo } from './mirrored.ts'

const targetOf = (url: string) => parseTarget(url, '').target
const bytesOf = (size: number): ReplyBody => ({ kind: 'bytes', bytes: Buffer.alloc(size), etag: 'e' })

function replyOf(body: ReplyBody, more: Partial<Reply> = {}): Reply {
  return { status: 200, headers: [['x-repo-commit', 'c']], body, source: 'store', outcome: 'hit', ...more }
}

describe('replies that are kept for a moment', () => {
  const target = targetOf('/api/models/org/model')

  it('are found by method and target, and by a page of another origin only if everybody may read them', () => {
    for (const allowedOrigin of ['*', 'https://app.example', undefined]) {
      const replies = new RecentReplies(60_000)
      const recent = { target, reply: replyOf(bytesOf(2)), allowedOrigin }
      replies.keep('GET', recent)
      expect(replies.find('GET', targetOf('/API/models//org/model'), {})).to.equal(recent)
      expect(replies.find('HEAD', target, {})).to.equal(undefined)
      expect(replies.find('GET', targetOf('/api/models/org/model?x'), {})).to.equal(undefined)
      const seen = replies.find('GET', target, { origin: 'https://app.example' })
      expect(seen).to.equal(allowedOrigin === '*' ? recent : undefined)
    }
  })

  it('are forgotten after their time', async () => {
    const replies = new RecentReplies(20)
    replies.keep('GET', { target, reply: replyOf(bytesOf(2)), allowedOrigin: '*' })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(replies.find('GET', target, {})).to.equal(undefined)
  })

  it('take no more memory than they may: bodies, texts and headers count', () => {
    const mebibyte = 1024 * 1024
    const long = 'x'.repeat(mebibyte)
    for (const [what, reply, query, most] of [
      ['bodies', replyOf(bytesOf(mebibyte)), '', 32],
      ['headers', replyOf(bytesOf(0), { headers: [['x', long]] }), '', 32],
      ['names of headers', replyOf(bytesOf(0), { headers: [[long, 'x']] }), '', 32],
      // The target has its texts several times over.
      ['keys', replyOf({ kind: 'head', etag: 'e', size: mebibyte }), 'a'.repeat(15_000), 370],
      ['entries', replyOf(bytesOf(0)), '', 16_000],
    ] as const) {
      const replies = new RecentReplies(60_000)
      const targets = Array.from({ length: Math.ceil(most * 1.2) }, (_, index) =>
        targetOf(`/api/models/org/m?${query}${index}`),
      )
      for (const one of targets) replies.keep('GET', { target: one, reply, allowedOrigin: '*' })
      const kept = targets.filter((one) => replies.find('GET', one, {}) !== undefined).length
      expect(kept, what).to.be.within(Math.floor(most * 0.9), most)
    }
  })

  it('are those that succeeded here, whole, with a tag', async () => {
    const bytes = Buffer.from('{}')
    const found = await replyTo('/org/model/resolve/main/a.json')
    if (found === undefined) throw new Error('it is mirrored')
    const json = replyOf(bytesOf(2))
    expect(keepable('GET', json, undefined)).to.equal(json)
    expect(keepable('HEAD', json, undefined)).to.equal(json)
    expect(keepable('GET', found, bytes)).to.deep.equal({
      ...found,
      body: { kind: 'bytes', bytes, etag: '1'.repeat(40) },
    })
    expect(keepable('HEAD', found, undefined)).to.deep.equal({
      ...found,
      body: { kind: 'head', etag: '1'.repeat(40), size: 7 },
    })
    for (const [reply, read] of [
      [found, undefined],
      [replyOf({ kind: 'bytes', bytes }), bytes],
      [replyOf(bytesOf(2), { status: 206 }), bytes],
      [replyOf(bytesOf(2), { outcome: 'fallback' }), bytes],
      [replyOf(bytesOf(2), { outcome: 'own' }), bytes],
      [replyOf({ kind: 'none' }), bytes],
    ] as const)
      expect(keepable('GET', reply, read), JSON.stringify(reply)).to.equal(undefined)
  })

  it("are given again by each request's own conditions", () => {
    const recent = { target, reply: replyOf(bytesOf(2)), allowedOrigin: '*' }
    expect(readyAgain(recent, 'GET', {})).to.include({ status: 200, length: 2, source: 'store', outcome: 'hit' })
    expect(readyAgain(recent, 'GET', { 'if-none-match': '"e"' }).status).to.equal(304)
  })
})

describe('renderings of a commit', () => {
  const count = () => {
    let rendered = 0
    return () => ({ rendered: ++rendered })
  }

  it('are made once for a snapshot and a name', () => {
    const renderings = new Renderings(1_000_000)
    const [one, other] = [mirrored(), mirrored()]
    const render = count()
    const texts = [one, one, other, other, one].map((snapshot) =>
      Buffer.from(renderings.once(snapshot, 'info', render).bytes).toString(),
    )
    expect(texts).to.deep.equal([1, 1, 2, 2, 1].map((rendered) => JSON.stringify({ rendered })))
    expect(renderings.once(one, 'tree', render).etag).to.equal(renderedJson('{"rendered":3}').etag)
    expect(renderings.once(one, 'tree', render).etag).to.not.equal(renderedJson('{"rendered":1}').etag)
  })

  it('are kept within their memory, in which bytes, keys and entries count', () => {
    for (const [what, memory, size, name, most] of [
      // Room for the compressed form, a third, is counted.
      ['bytes', 1_000_000, 75_000, 'x', 9],
      ['keys', 1_000_000, 0, 'x'.repeat(50_000), 9],
      ['entries', 10_000, 0, 'x', 18],
    ] as const) {
      const renderings = new Renderings(memory)
      const snapshot = mirrored()
      const names = Array.from({ length: most * 2 }, (_, index) => `${name}${index}`)
      let rendered = 0
      const render = () => {
        rendered++
        return 'y'.repeat(size)
      }
      for (const one of names) renderings.once(snapshot, one, render)
      // The newest are there still, and were not made anew; the first had to go.
      for (const one of names.toReversed().slice(0, most - 1)) renderings.once(snapshot, one, render)
      expect(rendered, what).to.equal(names.length)
      renderings.once(snapshot, names.at(-most - 2) ?? '', render)
      expect(rendered, what).to.equal(names.length + 1)
    }
  })

  it('are replies with a tag, the commit if there is one, and what headers are given', () => {
    const rendered = renderedJson('{"ä":1}')
    const type = ['content-type', 'application/json; charset=utf-8']
    const body = { kind: 'bytes', bytes: Buffer.from('{"ä":1}'), etag: rendered.etag, gzip: rendered.gzip }
    const common = { status: 200, body, source: 'store', outcome: 'hit' }
    expect(rendered.etag).to.match(/^[A-Za-z0-9_-]{27}$/)
    expect(jsonReply('store', rendered)).to.deep.equal({ ...common, headers: [type] })
    expect(jsonReply('store', rendered, { commit: 'c', headers: [['link', 'l']] })).to.deep.equal({
      ...common,
      headers: [type, ['x-repo-commit', 'c'], ['link', 'l']],
    })
  })
})
