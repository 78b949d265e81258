import { Readable } from 'node:stream'
import { expect } from 'chai'
import { unlessKnown } from '../../../plugins/upstream-hub/cache/not-modified.ts'

const asking = (tags: string | undefined) => ({ headers: tags === undefined ? {} : { 'if-none-match': tags } })
const answer = {
  ...{ status: 200, body: Buffer.from('{}') },
  headers: [
    ...[['etag', '"a"'] as const, ['content-type', 'x'] as const, ['content-length', '2'] as const],
    ...[['content-location', '/x'] as const, ['content-security-policy', 'y'] as const, ['x-content-a', 'z'] as const],
  ],
}

describe('a shared answer, to a client that has it already', () => {
  it('is a 304 that says all but what its body is', () => {
    for (const tags of ['"a"', 'W/"a"', '"b", "a"', '*'])
      expect(unlessKnown(asking(tags), answer), tags).to.deep.equal({
        status: 304,
        headers: [
          ['etag', '"a"'],
          ['content-location', '/x'],
          ['content-security-policy', 'y'],
          ['x-content-a', 'z'],
        ],
        body: new Uint8Array(),
      })
  })

  it('is whole where it has another, has none, or the answer is none to keep', () => {
    for (const tags of [undefined, '', '"b"', 'a']) expect(unlessKnown(asking(tags), answer), tags).to.equal(answer)
    for (const other of [
      { ...answer, status: 404 },
      { ...answer, status: 206 },
      { ...answer, headers: [] },
    ])
      expect(unlessKnown(asking('"a", *'), other)).to.equal(other)
  })

  it('lets go of a body that is not sent', () => {
    const body = Readable.from([Buffer.from('large')])
    expect(unlessKnown(asking('"a"'), { ...answer, body }).body).to.deep.equal(new Uint8Array())
    expect(body.destroyed).to.equal(true)
  })
})
