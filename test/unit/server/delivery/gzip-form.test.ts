import { gunzipSync } from 'node:zlib'
import { expect } from 'chai'
import fc from 'fast-check'
import { GzipForm } from '../../../../src/server/delivery/gzip-form.ts'
import { type ReadyReply, readyAtOnce } from '../../../../src/server/delivery/ready-reply.ts'
import type { Reply } from '../../../../src/server/reply.ts'

function replyOf(bytes: Buffer): Reply {
  const body = { kind: 'bytes', bytes, etag: 'tag', gzip: new GzipForm() } as const
  return { status: 200, headers: [['content-type', 'application/json']], body, source: 'local', outcome: 'hit' }
}

const asks = (encodings?: string, more: Record<string, string> = {}) => ({
  method: 'GET',
  headers: { ...(encodings !== undefined && { 'accept-encoding': encodings }), ...more },
})
const headersOf = ({ headers }: ReadyReply) => Object.fromEntries(headers)
const bytesOf = ({ body }: ReadyReply) => (body.kind === 'bytes' ? Buffer.from(body.bytes) : Buffer.alloc(0))

/** The reply once its compressed form is there. */
async function compressed(reply: Reply, request = asks('gzip')): Promise<ReadyReply> {
  for (;;) {
    const ready = readyAtOnce(reply, request)
    if (headersOf(ready)['content-encoding'] !== undefined || ready.status !== 200) return ready
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a reply with a compressed form', () => {
  const bytes = Buffer.from(JSON.stringify(Array.from({ length: 500 }, (_, index) => ({ path: `file-${index}` }))))

  it('is the same representation by either form, each with its own strong entity tag and length', async () => {
    const reply = replyOf(bytes)
    const ready = await compressed(reply)
    expect(gunzipSync(bytesOf(ready)).equals(bytes)).to.equal(true)
    expect(headersOf(ready)).to.include({ etag: '"tag-gzip"', vary: 'Accept-Encoding', 'content-encoding': 'gzip' })
    expect(ready.length)
      .to.equal(bytesOf(ready).length)
      .and.to.be.below(bytes.length / 3)
    const plain = readyAtOnce(reply, asks())
    expect(bytesOf(plain).equals(bytes)).to.equal(true)
    expect(headersOf(plain))
      .to.include({ etag: '"tag"', vary: 'Accept-Encoding' })
      .and.not.to.have.property('content-encoding')
  })

  it('is revalidated by the tag of the form that the client has', async () => {
    const reply = replyOf(bytes)
    await compressed(reply)
    expect(readyAtOnce(reply, asks('gzip', { 'if-none-match': '"tag-gzip"' })).status).to.equal(304)
    expect(readyAtOnce(reply, asks('gzip', { 'if-none-match': '"tag"' })).status).to.equal(200)
    expect(readyAtOnce(reply, asks(undefined, { 'if-none-match': '"tag"' })).status).to.equal(304)
  })

  it('is compressed only for those who take it, whatever they send (RFC 9110 §12.5.3)', async () => {
    const reply = replyOf(bytes)
    await compressed(reply)
    const cases: [string, boolean][] = [
      ['gzip', true],
      ['GZIP', true],
      ['*', true],
      ['deflate, gzip;q=0.5, br', true],
      ['gzip;q=0', false],
      ['identity', false],
      ['br', false],
      ['', false],
      ['identity;q=1, gzip;q=0.5', false],
    ]
    for (const [encodings, taken] of cases)
      expect(headersOf(readyAtOnce(reply, asks(encodings)))['content-encoding'] === 'gzip', encodings).to.equal(taken)
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (encodings) => {
        const ready = readyAtOnce(reply, asks(encodings))
        const isCompressed = headersOf(ready)['content-encoding'] === 'gzip'
        const content = isCompressed ? gunzipSync(bytesOf(ready)) : bytesOf(ready)
        expect(content.equals(bytes)).to.equal(true)
        if (isCompressed) expect(encodings).to.match(/gzip|\*/i)
      }),
    )
  })

  it('is sent as it is while there is no compressed form, or where it is small', async () => {
    expect(headersOf(readyAtOnce(replyOf(bytes), asks('gzip')))).not.to.have.property('content-encoding')
    const small = replyOf(Buffer.from('{}'))
    for (let tries = 0; tries < 20; tries++) {
      expect(headersOf(readyAtOnce(small, asks('gzip')))).not.to.have.property('content-encoding')
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
})
