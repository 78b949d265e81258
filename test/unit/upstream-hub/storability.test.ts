import { expect } from 'chai'
import { carriesSecret, expiryOfUrl } from '../../../plugins/upstream-hub/cache/signed-url.ts'
import { storabilityOf } from '../../../plugins/upstream-hub/cache/storability.ts'

const freshFor = 1_000
const staleIfError = 3_600_000
const now = Date.UTC(2026, 10, 25)
const options = { freshFor, staleIfError, leadsAway: (url: string) => url.startsWith('https://cdn.') }

interface Case {
  readonly status: number
  readonly directives: readonly string[]
  readonly vary: string | undefined
  readonly setCookie: boolean
  /** Seconds from now. */
  readonly expires: number | undefined
  readonly age: number | undefined
}

interface Expected {
  readonly isShareable: boolean
  readonly isStorable: boolean
  readonly freshFor: number
  readonly staleFor: number
}

/** What RFC 9111 and our settings say, written from their text: no code of the cache's, nor its library's. */
function oracle({ status, directives, vary, setCookie, expires, age }: Case): Expected {
  const none = { isShareable: false, isStorable: false, freshFor: 0, staleFor: 0 }
  const has = (name: string) => directives.some((one) => one.toLowerCase().split('=')[0] === name)
  const seconds = (name: string) => {
    const found = directives.find((one) => one.toLowerCase().startsWith(`${name}=`))
    return found === undefined ? undefined : Number(found.split('=')[1])
  }
  // §4.1: `*` matches no request. §5.2.2.5, §5.2.2.7. §7.3 leaves cookies to the cache; we take them for one client's own.
  if (vary?.includes('*') === true || setCookie || has('no-store') || has('private')) return none
  const shareable = { ...none, isShareable: true }
  const maxAge = seconds('s-maxage') ?? seconds('max-age') ?? expires
  const isExplicit = maxAge !== undefined
  // RFC 9110 §15.1, and 302 and 307 by our setting.
  const isDefault = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501, 302, 307].includes(status)
  // RFC 9111 §3: a status code that the cache understands; ours are these and 303.
  if (!(isDefault || (status === 303 && (isExplicit || has('public'))))) return shareable
  // §4.2: what is left of the stated lifetime, of which ours may be a part only.
  const lifetime = isExplicit ? (maxAge - (age ?? 0)) * 1000 : freshFor
  const fresh =
    has('no-cache') || (has('proxy-revalidate') && isExplicit) ? 0 : Math.max(0, Math.min(lifetime, freshFor))
  // §4.2.4
  const mayBeStale = !['no-cache', 'must-revalidate', 'proxy-revalidate', 's-maxage'].some(has)
  const isWorth = [200, 203, 301, 302, 307, 308].includes(status)
  return { isShareable: true, isStorable: true, freshFor: fresh, staleFor: mayBeStale && isWorth ? staleIfError : 0 }
}

const statuses = [
  200, 201, 203, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 410, 416, 429, 451, 500, 501,
  502, 503,
]
const directiveSets: readonly (readonly string[])[] = [
  [],
  ['no-store'],
  ['No-Store'],
  ['private'],
  ['PRIVATE', 'max-age=60'],
  ['no-cache'],
  ['no-cache', 'max-age=60'],
  ['max-age=0'],
  ['max-age=60'],
  ['Max-Age=60', 'must-revalidate'],
  ['max-age=60', 'proxy-revalidate'],
  ['s-maxage=60', 'max-age=0'],
  ['s-maxage=0', 'max-age=60'],
  ['s-maxage=0'],
  ['s-maxage=60'],
  ['public'],
  ['public', 'max-age=60'],
  ['must-revalidate'],
  ['max-age=60', 'no-store'],
  ['unheard-of'],
]

describe('what may be kept of an answer (RFC 9111)', () => {
  let cases = 0
  for (const status of statuses) {
    it(`of ${status}`, () => {
      for (const directives of directiveSets)
        for (const vary of [undefined, 'Accept', 'Origin, Accept-Language', '*', 'Accept, *'])
          for (const setCookie of [false, true])
            for (const expires of [undefined, 0, 60])
              for (const age of [undefined, 10, 59.5, 100]) {
                const one = {
                  status,
                  directives,
                  vary,
                  setCookie,
                  expires,
                  age: age === undefined ? undefined : Math.floor(age),
                }
                const found = storabilityOf(
                  { method: 'GET', status, headers: headersOf(one), receivedAt: now },
                  options,
                )
                const { isShareable, isStorable, freshFor: fresh, staleFor } = found
                cases++
                expect(
                  { isShareable, isStorable, freshFor: isStorable ? fresh : 0, staleFor: isStorable ? staleFor : 0 },
                  JSON.stringify(one),
                ).to.deep.equal(oracle(one))
              }
    })
  }
  after(() => console.log(`      ${cases} combinations`))

  it('with the word that HTTP/1.0 has for it', () => {
    for (const pragma of ['no-cache', 'No-Cache', 'x, NO-CACHE']) {
      const judged = { method: 'GET', status: 200, headers: [['pragma', pragma] as const], receivedAt: now }
      expect(storabilityOf(judged, options), pragma).to.include({ freshFor: 0, staleFor: 0 })
    }
  })

  it('counts the time since `Date` as age (§4.2.3)', () => {
    const headers = [
      ['cache-control', 'max-age=60'],
      ['date', new Date(now - 59_500).toUTCString()],
    ] as const
    const { freshFor: fresh } = storabilityOf(
      { method: 'GET', status: 200, headers, receivedAt: now },
      { ...options, freshFor: 600_000 },
    )
    expect(fresh).to.be.within(0, 1_000)
  })

  it('keeps a redirect no longer than its URL is good', () => {
    const until = (location: string, status = 302) => {
      const headers = [['location', location]] as const
      const found = storabilityOf({ method: 'HEAD', status, headers, receivedAt: now }, options)
      return { isStorable: found.isStorable, staleFor: found.staleFor }
    }
    const seconds = now / 1000
    expect(until(`https://cdn.x/a?Expires=${seconds + 3600}&Signature=x`).staleFor).to.equal(3_540_000)
    expect(until(`https://cdn.x/a?Expires=${seconds + 30}&Signature=x`)).to.deep.equal({
      isStorable: false,
      staleFor: 0,
    })
    expect(until('https://cdn.x/a?X-Amz-Date=20261125T000000Z&X-Amz-Expires=600&X-Amz-Signature=x').staleFor).to.equal(
      540_000,
    )
    expect(until('https://cdn.x/a').staleFor).to.equal(60_000)
    expect(until('/api/resolve-cache/models/o/n/c/f').staleFor).to.equal(staleIfError)
  })
})

describe('signed URLs', () => {
  it('are known by their queries', () => {
    for (const query of [
      'Signature=x',
      'X-Amz-Signature=x',
      'x-goog-signature=x',
      'sig=x',
      'token=hf_x',
      'access_token=x',
      'Key-Pair-Id=K',
      'Policy=x',
      'api_key=x',
      'X-Amz-Security-Token=x',
      'a=b&Signature=x',
    ])
      expect(carriesSecret(query), query).to.equal(true)
    for (const query of [
      '',
      'recursive=true&expand=false',
      'blobs=true',
      'cursor=abc%3D',
      'limit=100',
      'securityStatus=true',
      'expand%5B%5D=sha',
    ])
      expect(carriesSecret(query), query).to.equal(false)
  })

  it('say how long they are good', () => {
    const policy = Buffer.from(
      JSON.stringify({ Statement: [{ Condition: { DateLessThan: { 'AWS:EpochTime': 1_800_000_000 } } }] }),
    )
      .toString('base64')
      .replaceAll('+', '-')
      .replaceAll('=', '_')
      .replaceAll('/', '~')
    expect(expiryOfUrl(`https://cdn.x/?Policy=${policy}`)).to.equal(1_800_000_000_000 - 60_000)
    expect(expiryOfUrl('https://cdn.x/?se=2026-11-25T01%3A00%3A00Z&sig=x')).to.equal(now + 3_600_000 - 60_000)
    expect(expiryOfUrl('https://cdn.x/?Expires=never')).to.equal(undefined)
    expect(expiryOfUrl('https://cdn.x/')).to.equal(undefined)
  })
})

function headersOf({ directives, vary, setCookie, expires, age }: Case): [string, string][] {
  const headers: [string, string][] = []
  // In several fields, as a list is allowed to come (RFC 9110 §5.3).
  for (const directive of directives) headers.push(['cache-control', directive])
  if (vary !== undefined) headers.push(['vary', vary])
  if (setCookie) headers.push(['set-cookie', 'a=b'])
  if (expires !== undefined) headers.push(['expires', new Date(now + expires * 1000).toUTCString()])
  if (age !== undefined) headers.push(['age', String(age)])
  headers.push(['date', new Date(now).toUTCString()])
  return headers
}
