import { mock } from 'node:test'
import { expect } from 'chai'
import { isReachable, isSame, parseNetworks } from '../../../plugins/upstream-hub/follow/addresses.ts'
import {
  isAnswerTo,
  parseContentRange,
  singleRange,
  spanOf,
} from '../../../plugins/upstream-hub/follow/content-range.ts'
import { contentHeaders } from '../../../plugins/upstream-hub/follow/content-server.ts'
import { KnownRedirects } from '../../../plugins/upstream-hub/follow/known-redirects.ts'
import {
  conditionOf,
  isSameContent,
  type Pinned,
  pinnedBy,
  rangeFor,
} from '../../../plugins/upstream-hub/follow/pinned.ts'

describe('ranges of content', () => {
  it('are read where they are whole and make sense', () => {
    for (const [value, span] of [
      ['bytes 0-0/1', { start: 0, end: 0, total: 1 }],
      [' BYTES 2-4/5 ', { start: 2, end: 4, total: 5 }],
      ['bytes 3-3/9', { start: 3, end: 3, total: 9 }],
      ['bytes 4-3/9', undefined],
      ['bytes 4-5/5', undefined],
      ['bytes 9-8/5', undefined],
      ['bytes 0-4/*', undefined],
      ['bytes */5', undefined],
      ['xbytes 0-0/1', undefined],
      ['bytes 0-0/1x', undefined],
      ['bytes 0-0/1234567890123456', undefined],
      ['', undefined],
      [undefined, undefined],
    ] as const)
      expect(parseContentRange(value), value).to.deep.equal(span)
  })

  it('of an answer are what it carries, by its length and its range', () => {
    const whole = (total: number) => ({ start: 0, end: total - 1, total })
    const part = { start: 2, end: 4, total: 9 }
    for (const [status, range, length, span] of [
      [200, undefined, '7', whole(7)],
      [200, undefined, '0', whole(0)],
      [200, undefined, undefined, undefined],
      [200, 'bytes 2-4/9', '7', whole(7)],
      [206, 'bytes 2-4/9', '3', part],
      [206, 'bytes 2-4/9', undefined, part],
      [206, 'bytes 2-4/9', '4', undefined],
      [206, undefined, '3', undefined],
      [206, undefined, undefined, undefined],
    ] as const) {
      const headers = [
        ...(range === undefined ? [] : [['content-range', range] as const]),
        ...(length === undefined ? [] : [['content-length', length] as const]),
      ]
      expect(spanOf({ status, headers }), `${status} ${range} ${length}`).to.deep.equal(span)
    }
  })

  it('that are asked for are single ones, and answered by as much or less', () => {
    for (const [header, range] of [
      ['bytes=0-', 'bytes=0-'],
      [' Bytes=1-2 ', 'Bytes=1-2'],
      ['bytes=-5', 'bytes=-5'],
      ['bytes=-', undefined],
      ['bytes=1-2,3-4', undefined],
      ['xbytes=1-2', undefined],
      ['bytes=1-2x', undefined],
      [undefined, undefined],
    ] as const)
      expect(singleRange(header), header).to.equal(range)
    for (const [range, start, end, isRight] of [
      ['bytes=0-', 0, 9, true],
      ['bytes=0-', 0, 4, true],
      ['bytes=0-', 1, 9, false],
      ['bytes=2-4', 2, 4, true],
      ['bytes=2-4', 2, 3, true],
      ['bytes=2-4', 2, 5, false],
      ['bytes=2-4', 1, 4, false],
      ['bytes=-3', 7, 9, true],
      ['bytes=-3', 6, 9, false],
      ['bytes=-30', 0, 9, true],
    ] as const)
      expect(isAnswerTo(range, { start, end, total: 10 }), `${range}: ${start}-${end}`).to.equal(isRight)
  })
})

describe('what the upstream said of content', () => {
  it('is the tag, size and commit of the file, not of the redirect', () => {
    expect(
      pinnedBy([
        ['etag', '"redirect"'],
        ['x-linked-etag', '"file"'],
        ['x-linked-size', '12'],
        ['x-repo-commit', 'c'],
      ]),
    ).to.deep.equal({ etag: '"file"', size: 12, commit: 'c' })
    expect(pinnedBy([['etag', '"a"']])).to.deep.equal({ etag: '"a"', size: undefined, commit: undefined })
    for (const size of ['x1', '1x', '', '-1', '1234567890123456'])
      expect(pinnedBy([['x-linked-size', size]]).size, size).to.equal(undefined)
  })

  it('is of one content by its size and tag, or by the commit where a tag is missing', () => {
    const pinned = (etag: string | undefined, size: number | undefined, commit: string | undefined): Pinned => ({
      ...{ etag, size, commit },
    })
    for (const [one, other, isOne] of [
      [pinned('a', 1, 'c'), pinned('a', 1, 'd'), true],
      [pinned('a', 1, 'c'), pinned('a', 2, 'c'), false],
      [pinned('a', 1, 'c'), pinned('b', 1, 'c'), false],
      [pinned(undefined, 1, 'c'), pinned('a', 1, 'c'), true],
      [pinned('a', 1, 'c'), pinned(undefined, 1, 'c'), true],
      [pinned('a', 1, 'c'), pinned(undefined, 1, 'd'), false],
      [pinned(undefined, 1, 'c'), pinned(undefined, 1, 'd'), false],
      [pinned(undefined, undefined, 'c'), pinned(undefined, undefined, 'c'), true],
    ] as const)
      expect(isSameContent(one, other), JSON.stringify([one, other])).to.equal(isOne)
  })

  it('decides conditions, strongly or weakly as they are', () => {
    for (const [header, list, etag, status] of [
      ['if-match', '"a"', '"a"', undefined],
      ['if-match', '"b", "a"', '"a"', undefined],
      ['if-match', ' * ', '"a"', undefined],
      ['if-match', ' * ', undefined, undefined],
      ['if-match', '"b"', '"a"', 412],
      ['if-match', 'W/"a"', '"a"', 412],
      ['if-match', '"a"', 'W/"a"', 412],
      ['if-match', 'W/"a"', 'W/"a"', 412],
      ['if-match', 'a', '"a"', 412],
      ['if-match', '"a"', undefined, 412],
      ['if-none-match', '"a"', '"a"', 304],
      ['if-none-match', 'W/"a"', '"a"', 304],
      ['if-none-match', '"a"', 'W/"a"', 304],
      ['if-none-match', '*', '"a"', 304],
      ['if-none-match', '"b"', '"a"', undefined],
      ['if-none-match', '"xW/a"', '"xa"', undefined],
      ['if-none-match', 'undefined', undefined, undefined],
      ['if-none-match', '"a"', undefined, undefined],
    ] as const)
      expect(conditionOf({ [header]: list }, { etag }), `${header}: ${list} ${etag}`).to.equal(status)
    expect(conditionOf({}, { etag: '"a"' })).to.equal(undefined)
  })

  it('decides whether a range holds', () => {
    for (const [ifRange, etag, holds] of [
      [undefined, '"a"', true],
      ['"a"', '"a"', true],
      ['"b"', '"a"', false],
      ['W/"a"', 'W/"a"', false],
      ['"aW/', '"aW/', true],
      ['"a"', undefined, false],
    ] as const) {
      const headers = { range: 'bytes=0-', ...(ifRange !== undefined && { 'if-range': ifRange }) }
      expect(rangeFor(headers, { etag, size: 1, commit: '' })).to.equal(holds ? 'bytes=0-' : undefined)
    }
  })
})

describe('redirects that are known', () => {
  it('are good for as long as their URL says, until they are forgotten', () => {
    const now = Date.UTC(2026, 0, 1)
    mock.timers.enable({ apis: ['Date'], now })
    try {
      const redirects = new KnownRedirects()
      const redirect = { headers: [['location', 'x']] as const }
      const until = (milliseconds: number) => `https://cdn.x/a?Expires=${(now + milliseconds) / 1_000}`
      for (const [key, location, isKept] of [
        ['none', 'https://cdn.x/a', false],
        ['past', until(-1_000), false],
        ['now', until(60_000), false],
        ['later', until(3_600_000), true],
      ] as const) {
        redirects.note(key, redirect, location)
        expect(redirects.get(key), key).to.equal(isKept ? redirect : undefined)
      }
      redirects.forget('later')
      expect(redirects.get('later')).to.equal(undefined)
    } finally {
      mock.timers.reset()
    }
  })
})

describe('addresses in other addresses', () => {
  it('are judged by what they lead to, networks that are named included', () => {
    for (const [address, network, isReached] of [
      ['2001::1', '::/0', false], // Teredo hides an address that can't be told
      ['64:ff9b:1::a00:1', '::/0', false],
      ['::10.0.0.1', '10.0.0.0/8', true],
      ['::1.0.0.0', '1.0.0.0/8', true],
      ['::0.0.0.2', '0.0.0.0/8', true],
      // The same in hexadecimal, as resolvers give it.
      ['::a00:1', '10.0.0.0/8', true],
      ['::100:0', '1.0.0.0/8', true],
      ['::2', '0.0.0.0/8', true],
      ['::a9fe:a9fe', '::/0', false],
      ['::169.254.169.254', '::/0', false],
      ['::ffff:169.254.169.254', '::/0', false],
      ['64:ff9b::169.254.169.254', '::/0', false],
      ['2002:a9fe:a9fe::', '::/0', false],
      // These were no IPv4 addresses ever.
      ['::1', '0.0.0.0/8', false],
      ['::', '0.0.0.0/8', false],
      ['::1', '::1/128', true],
    ] as const)
      expect(isReachable(address, parseNetworks([network])), `${address} in ${network}`).to.equal(isReached)
  })

  it('are the same however they are spelled', () => {
    for (const [one, other, areSame] of [
      ['10.0.0.1', '::ffff:10.0.0.1', true],
      ['2001:db8::1', '2001:DB8:0::1', true],
      ['10.0.0.1', '10.0.0.2', false],
      ['10.0.0.1', 'x', false],
      ['x', '10.0.0.1', false],
      ['x', 'x', false],
    ] as const)
      expect(isSame(one, other), `${one} ${other}`).to.equal(areSame)
  })
})

describe('headers to a sealed URL', () => {
  it('are of the content, and tell nobody’s name', () => {
    const kept = [
      ...['accept', 'content-type', 'content-encoding', 'range', 'if-match', 'if-none-match', 'if-range', 'user-agent'],
    ]
    const given = Object.fromEntries([...kept, 'authorization', 'cookie', 'via', 'x-hf-a'].map((name) => [name, name]))
    expect(contentHeaders(given)).to.deep.equal({
      'accept-encoding': 'identity',
      ...Object.fromEntries(kept.map((name) => [name, name])),
    })
    expect(contentHeaders({})).to.deep.equal({ 'accept-encoding': 'identity' })
  })
})
