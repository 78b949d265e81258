import { expect } from 'chai'
import type { HeaderList } from 'mirrorface/plugin'
import { endToEnd, mirrorHeaders } from '../../../plugins/upstream-hub/rewrite/answer-headers.ts'
import { mapLinks } from '../../../plugins/upstream-hub/rewrite/link-header.ts'
import { MirrorUrls } from '../../../plugins/upstream-hub/rewrite/mirror-urls.ts'
import { withoutXetHeaders } from '../../../plugins/upstream-hub/rewrite/xet.ts'
import { upstreamRequest } from '../../conformance/index.ts'

const target = '/api/models/o/n?x=1'

describe("an answer's headers", () => {
  it('are without those of a connection, and what a mirror must not say', () => {
    const dropped = [
      ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
      ...['proxy-authentication-info', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'set-cookie', 'set-cookie2'],
      ...['strict-transport-security', 'alt-svc', 'clear-site-data', 'nel', 'report-to', 'reporting-endpoints'],
      ...['service-worker-allowed', 'access-control-allow-origin', 'access-control-x'],
    ]
    const kept = ['x-a', 'etag', 'x-access-control-a', 'date', 'vary', 'warning']
    const all = [...dropped, ...kept].map((name) => [name, 'v'] as const)
    expect(endToEnd(all).map(([name]) => name)).to.deep.equal(kept)
  })

  it('are without those that `Connection` names, less what clients need', () => {
    const needed = [
      ...['content-length', 'content-type', 'content-encoding', 'content-range', 'etag', 'location', 'x-repo-commit'],
      ...['x-linked-etag', 'x-linked-size', 'x-error-code', 'x-error-message'],
    ]
    const headers: HeaderList = [
      ['connection', `close, X-One ,${needed.join()}`],
      ['connection', 'x-two'],
      ...['x-one', 'x-two', 'x-three', ...needed].map((name) => [name, 'v'] as const),
    ]
    expect(endToEnd(headers).map(([name]) => name)).to.deep.equal(['x-three', ...needed])
    const naming: HeaderList = ['vary', 'x-one'].map((name) => [name, 'x-one'] as const)
    expect(endToEnd(naming)).to.deep.equal(naming)
  })

  it('are without what offers Xet', () => {
    const offers = ['hash', 'refresh-route', 'cas-url', 'access-token', 'token-expiration']
    const headers: HeaderList = [
      ...offers.map((name) => [`x-xet-${name}`, 'v'] as const),
      ['x-xet-other', 'v'],
      ['link', '<a>; rel="xet-auth"'],
      ['link', '<a>; rel="XET-Reconstruction-Info", <b>; rel="next"'],
    ]
    expect(withoutXetHeaders(headers)).to.deep.equal([
      ['x-xet-other', 'v'],
      ['link', '<b>; rel="next"'],
    ])
  })

  it('lead through the mirror, relative to its root or by its public URL', () => {
    const urls = new MirrorUrls('https://hub.example/base')
    const request = upstreamRequest(target)
    for (const [name, value, expected] of [
      ['location', 'https://hub.example/base/o/m', '/o/m'],
      ['content-location', '/base/o/m', '/o/m'],
      ['location', 'https://cdn.example/x', 'https://cdn.example/x'],
      ['location', 'https://', undefined],
      ['link', '<https://hub.example/base/a>; rel="next"', '</a>; rel="next"'],
      ['x-xet-refresh-route', '/base/a', 'http://mirror.test/mirror/a'],
      ['x-xet-refresh-route', 'https://cdn.example/a', 'https://cdn.example/a'],
      [
        'www-authenticate',
        'Bearer realm="https://hub.example/base/token",service="https://else.example/x",scope="a"',
        'Bearer realm="http://mirror.test/mirror/token",service="https://else.example/x",scope="a"',
      ],
      ['x-other', 'https://hub.example/base/o/m', 'https://hub.example/base/o/m'],
    ] as const) {
      const mapped = mirrorHeaders([[name, value]], urls, request)
      expect(mapped, value).to.deep.equal(expected === undefined ? [] : [[name, expected]])
    }
  })

  it('lead through the mirror at an upstream without TLS too', () => {
    const urls = new MirrorUrls('http://hub.example//')
    const challenge = (realm: string) => [['www-authenticate', `Bearer realm="${realm}"`] as const]
    expect(mirrorHeaders(challenge('http://hub.example/token'), urls, upstreamRequest(target))).to.deep.equal(
      challenge('http://mirror.test/mirror/token'),
    )
  })

  it('know the next page of this very list under another name, and no other link', () => {
    const urls = new MirrorUrls('https://hub.example')
    const request = upstreamRequest('/api/models/o/n/tree/main')
    const page = 'https://other.example/base/api/models/o/n/tree/main?cursor=2'
    for (const [link, expected] of [
      [`<${page}>; rel="next"`, '</api/models/o/n/tree/main?cursor=2>; rel="next"'],
      [`<${page}>; rel="prev"`, `<${page}>; rel="prev"`],
      ['<https://other.example/api/models/o/m>; rel="next"', '<https://other.example/api/models/o/m>; rel="next"'],
    ] as const)
      expect(mirrorHeaders([['link', link]], urls, request)).to.deep.equal([['link', expected]])
  })
})

describe('links', () => {
  it('are mapped one by one, with all that is said of them', () => {
    const seen: string[][] = []
    const mapped = mapLinks('<a>; rel="Next"; title="x \\"y\\"", <b>, <c>; rel=prev', (uri, relation) => {
      seen.push([uri, relation])
      return uri === 'b' ? undefined : `/${uri}`
    })
    expect(seen).to.deep.equal([
      ['a', 'next'],
      ['b', ''],
      ['c', 'prev'],
    ])
    expect(mapped).to.equal('</a>; rel="Next"; title="x \\"y\\"", </c>; rel="prev"')
  })

  it('are none where none is left, or the header is no list of links', () => {
    expect(mapLinks('<a>; rel="next"', () => undefined)).to.equal(undefined)
    for (const value of ['no link', '<a', 'a>; rel="next"'])
      expect(
        mapLinks(value, (uri) => uri),
        value,
      ).to.equal(undefined)
  })
})

describe('URLs at the upstream', () => {
  for (const [upstream, cases] of Object.entries({
    'https://hub.example': [
      ['https://hub.example/a/b?c#d', '/a/b?c#d'],
      ['https://hub.example', '/'],
      ['https://hub.example//a', '/a'],
      ['/a', '/a'],
      ['b', '/api/models/o/b'],
      ['//cdn.example/a', 'https://cdn.example/a'],
      ['http://hub.example/a', 'http://hub.example/a'],
      ['https://hub.example:8443/a', 'https://hub.example:8443/a'],
      ['https://', undefined],
    ],
    'https://hub.example/base/': [
      ['https://hub.example/base', '/'],
      ['https://hub.example/base?x', '/?x'],
      ['https://hub.example/base/a?b', '/a?b'],
      ['https://hub.example/base//a', '/a'],
      ['https://hub.example//base/a', '/a'],
      ['https://hub.example/based/a', 'https://hub.example/based/a'],
      ['https://hub.example/a', 'https://hub.example/a'],
      ['/base/a', '/a'],
      ['/a?b#c', '/a?b#c'],
      ['//hub.example/a', 'https://hub.example/a'],
      ['b', '/api/models/o/b'],
    ],
  } as const))
    it(`are told from others: ${upstream}`, () => {
      const urls = new MirrorUrls(upstream)
      for (const [url, expected] of cases) {
        expect(urls.toMirror(url, target), url).to.equal(expected)
        const isHere = expected?.startsWith('/') === true
        expect(urls.leadsAway(url, target), url).to.equal(expected !== undefined && !isHere)
        expect(urls.toPublic(url, target, 'http://m'), url).to.equal(isHere ? `http://m${expected}` : url)
      }
    })
})
