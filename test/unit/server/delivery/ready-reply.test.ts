import type { IncomingHttpHeaders } from 'node:http'
import { expect } from 'chai'
import fc from 'fast-check'
import { makeReady, readyAtOnce } from '../../../../src/server/delivery/ready-reply.ts'
import type { Content, Reply } from '../../../../src/server/reply.ts'

const etag = 'abc'
const bytes = Buffer.from('0123456789')
const { signal } = new AbortController()

const opened: { start: number; end: number }[] = []
const content: Content = {
  etag,
  size: bytes.length,
  open: async (range) => {
    opened.push(range)
    return { send: async () => undefined, close: async () => undefined }
  },
}
const reply = (body: Reply['body']): Reply => ({
  status: 200,
  headers: [
    ['content-type', 'text/plain'],
    ['x-repo-commit', 'c'],
  ],
  body,
  source: 'local',
  outcome: 'hit',
})

const position = fc.oneof(fc.constant(''), fc.integer({ min: 0, max: 12 }).map(String))
const range = fc.oneof(
  fc.tuple(position, position).map(([first, last]) => `bytes=${first}-${last}`),
  fc.constantFrom('bytes=0-1,3-4', 'items=0-1', 'bytes=a-b', 'bytes=', '', 'bytes=9-2', 'bytes=-99', 'bytes=5'),
)
const tags = fc.constantFrom('"abc"', 'W/"abc"', '"other"', '*', '"other", "abc"', 'abc', '')
const conditions = fc.record(
  { range, 'if-none-match': tags, 'if-match': tags, 'if-range': tags },
  { requiredKeys: [] },
) as fc.Arbitrary<IncomingHttpHeaders>

/** RFC 9110 §13.2.2 and §14, said once more and without cleverness. */
function expectedOf(method: string, headers: IncomingHttpHeaders): { status: number; body?: string } {
  const { 'if-match': match, 'if-none-match': noneMatch, 'if-range': ifRange } = headers
  const listed = (list: string) => list.split(',').map((tag) => tag.trim())
  if (match !== undefined && match !== '*' && !listed(match).includes('"abc"')) return { status: 412 }
  const weak = (tag: string) => tag.replace(/^W\//, '').replaceAll('"', '')
  if (noneMatch !== undefined && (noneMatch === '*' || listed(noneMatch).some((tag) => weak(tag) === 'abc')))
    return { status: 304 }
  const whole = { status: 200, body: bytes.toString() }
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? []
  if (method !== 'GET' || (first === '' && last === '') || (ifRange !== undefined && ifRange !== '"abc"')) return whole
  if (first === '') {
    const suffix = Number(last)
    return suffix === 0 ? { status: 416 } : { status: 206, body: bytes.toString().slice(-suffix) }
  }
  if (last !== '' && Number(last) < Number(first)) return whole
  if (Number(first) >= bytes.length) return { status: 416 }
  return { status: 206, body: bytes.toString().slice(Number(first), last === '' ? undefined : Number(last) + 1) }
}

describe('a reply made ready for a request', () => {
  it('has the status, the bytes and the headers that its conditions and range ask for, from memory or a file alike', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('GET', 'HEAD'), conditions, async (method, headers) => {
        const expected = expectedOf(method, headers)
        const request = { method, headers }
        const fromMemory = readyAtOnce(reply({ kind: 'bytes', bytes, etag }), request)
        opened.length = 0
        const fromFile = await makeReady(reply({ kind: 'content', content }), request, signal)
        const fromHead = readyAtOnce(reply({ kind: 'head', etag, size: bytes.length }), { method: 'HEAD', headers })
        expect(fromMemory.status).to.equal(expected.status)
        expect(fromFile.status).to.equal(expected.status)
        expect(fromFile.headers).to.deep.equal(fromMemory.headers)
        expect(fromFile.length).to.equal(fromMemory.length)
        expect(fromHead.status).to.equal(expectedOf('HEAD', headers).status)
        const found = Object.fromEntries(fromFile.headers)
        expect(found).to.include({ etag: '"abc"', 'x-repo-commit': 'c' })
        if (expected.status === 416) expect(found['content-range']).to.equal('bytes */10')
        if (expected.body === undefined) {
          expect(opened, 'nothing is opened for a reply without a body').to.deep.equal([])
          expect(found).to.not.have.property('content-type')
          return
        }
        expect(fromFile.length).to.equal(expected.body.length)
        if (fromMemory.body.kind === 'bytes') expect(fromMemory.body.bytes.toString()).to.equal(expected.body)
        if (method === 'HEAD') expect(opened).to.deep.equal([])
        else {
          expect(opened).to.have.length(1)
          const [{ start, end } = { start: -1, end: -1 }] = opened
          expect(bytes.subarray(start, end + 1).toString()).to.equal(expected.body)
          const contentRange = expected.status === 206 ? `bytes ${start}-${end}/10` : undefined
          expect(found['content-range']).to.equal(contentRange)
        }
      }),
      { numRuns: 3000, seed: 20_261_125 },
    )
  })
})
