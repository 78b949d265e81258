import { expect } from 'chai'
import fc from 'fast-check'
import { isReachable, parseNetworks } from '../../../plugins/upstream-hub/follow/addresses.ts'
import { RedirectGuard } from '../../../plugins/upstream-hub/follow/redirect-guard.ts'
import { declinedBy, upstreamRequest } from '../../conformance/index.ts'
import { runs } from '../../support/runs.ts'
import { openHub, startServer } from './stage.ts'

type Octets = readonly [number, number, number, number]

/** Whether an IPv4 address is on the Internet, by the IANA special-purpose registry (RFC 6890) and the clouds' manuals. */
function isPublic([a, b, c, d]: Octets): boolean {
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false
  if (a === 100 && b >= 64 && b < 128) return false
  if (a === 169 && b === 254) return false
  if (a === 172 && b >= 16 && b < 32) return false
  if (a === 192 && b === 168) return false
  if (a === 192 && b === 0 && (c === 0 || c === 2)) return false
  if (a === 192 && b === 88 && c === 99) return false
  if (a === 192 && b === 31 && c === 196) return false
  if (a === 192 && b === 52 && c === 193) return false
  if (a === 192 && b === 175 && c === 48) return false
  if (a === 198 && (b === 18 || b === 19)) return false
  if (a === 198 && b === 51 && c === 100) return false
  if (a === 203 && b === 0 && c === 113) return false
  return !(a === 168 && b === 63 && c === 129 && d === 16)
}

const special = fc.constantFrom<Octets>(
  [127, 0, 0, 1],
  [10, 0, 0, 1],
  [172, 16, 0, 1],
  [172, 32, 0, 1],
  [192, 168, 1, 1],
  [169, 254, 169, 254],
  [100, 100, 100, 200],
  [168, 63, 129, 16],
  [0, 0, 0, 0],
  [255, 255, 255, 255],
  [8, 8, 8, 8],
  [224, 0, 0, 1],
)
const octet = fc.integer({ min: 0, max: 255 })
const octets: fc.Arbitrary<Octets> = fc.oneof(special, fc.tuple(octet, octet, octet, octet))

const hex = (value: number) => value.toString(16)
const low = ([a, b, c, d]: Octets) => `${hex(a * 256 + b)}:${hex(c * 256 + d)}`

/** IPv6 addresses that lead to an IPv4 address. */
const wrappings: Readonly<Record<string, (address: Octets) => string>> = {
  mapped: (address) => `::ffff:${address.join('.')}`,
  'mapped in hex': (address) => `::ffff:${low(address)}`,
  'mapped in full': (address) => `0:0:0:0:0:FFFF:${low(address).toUpperCase()}`,
  '6to4': (address) => `2002:${low(address)}::1`,
  NAT64: (address) => `64:ff9b::${low(address)}`,
}

describe('addresses that redirects may lead to', () => {
  it('are those on the Internet, however they are wrapped', () => {
    fc.assert(
      fc.property(octets, fc.constantFrom(...Object.keys(wrappings)), (address, wrapping) => {
        expect(isReachable(address.join('.'), [])).to.equal(isPublic(address))
        const wrapped = wrappings[wrapping]?.(address) ?? ''
        expect(isReachable(wrapped, []), wrapped).to.equal(isPublic(address))
      }),
      { numRuns: runs(20_000), seed: 20_261_125 },
    )
  })

  it('are none of IPv6 beyond global unicast', () => {
    for (const address of [
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'fc00::1',
      'fd00:ec2::254',
      'ff02::1',
      '100::1',
      '2001:db8::1',
      '2001::1',
      '64:ff9b:1::7f00:1',
      '::127.0.0.1',
      '::7f00:1',
      'fec0::1',
      '4000::1',
      '',
      'localhost',
      '1.2.3',
      '0x7f.1',
      '127.1',
    ])
      expect(isReachable(address, []), address).to.equal(false)
    for (const address of ['2606:4700::1111', '2a00:1450:4001::1'])
      expect(isReachable(address, []), address).to.equal(true)
  })

  it("are private ones only in networks that are named, and never a cloud's metadata", () => {
    const networks = parseNetworks(['10.0.0.0/8', '169.254.0.0/16', '100.64.0.0/10', 'fd00::/8'])
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '2002:a01:203::1', '64:ff9b::a01:203', 'fd12::1'])
      expect(isReachable(address, networks), address).to.equal(true)
    for (const address of [
      '192.168.0.1',
      '127.0.0.1',
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '100.100.100.200',
      'fd00:ec2::254',
    ])
      expect(isReachable(address, networks), address).to.equal(false)
  })
})

describe('URLs that redirects may name', () => {
  const guard = new RedirectGuard({
    followHosts: ['*.hf.co', 'cdn.example:8443', '127.0.0.2', '[::1]:9000', '*', '**'],
    followPrivate: [],
    allowsPlainHttp: true,
  })
  const isNamed = (url: string) => {
    try {
      guard.assertUrl(new URL(url))
      return true
    } catch {
      return false
    }
  }

  it('have no literal address but one that is named, in no spelling', () => {
    const spellings: readonly ((address: Octets) => string)[] = [
      (address) => address.join('.'),
      ([a, b, c, d]) => String(((a * 256 + b) * 256 + c) * 256 + d),
      ([a, b, c, d]) => `0x${hex(((a * 256 + b) * 256 + c) * 256 + d)}`,
      ([a, b, c, d]) => `0${a.toString(8)}.0${b.toString(8)}.0${c.toString(8)}.0${d.toString(8)}`,
      ([a, b, c, d]) => `${a}.${b}.${c * 256 + d}`,
      ([a, b, c, d]) => `${a}.${(b * 256 + c) * 256 + d}`,
      ([a, b, c, d]) => `0x${hex(a)}.0x${hex(b)}.0x${hex(c)}.0x${hex(d)}`,
      (address) => `${address.join('.')}.`,
      ...Object.values(wrappings).map((wrap) => (address: Octets) => `[${wrap(address)}]`),
    ]
    fc.assert(
      fc.property(octets, fc.constantFrom(...spellings), (address, spell) => {
        const host = spell(address)
        if (!URL.canParse(`http://${host}/`)) return
        const isTheNamed = new URL(`http://${host}/`).hostname === '127.0.0.2'
        expect(isNamed(`http://${host}/`), host).to.equal(isTheNamed)
      }),
      { numRuns: runs(20_000), seed: 20_261_125 },
    )
  })

  it('have the usual ports, or one that is named', () => {
    const strict = new RedirectGuard({
      followHosts: ['*.hf.co', 'cdn.example:8443', '*.any.example:*'],
      followPrivate: [],
      allowsPlainHttp: false,
    })
    const check = (url: string) => {
      try {
        strict.assertUrl(new URL(url))
        return true
      } catch {
        return false
      }
    }
    for (const url of [
      'https://a.hf.co/',
      'https://a.hf.co:443/',
      'https://A.HF.CO./x',
      'https://cdn.example:8443/',
      'https://a.any.example:99/',
    ])
      expect(check(url), url).to.equal(true)
    for (const url of [
      'http://a.hf.co/',
      'https://a.hf.co:8443/',
      'https://a.hf.co:22/',
      'https://cdn.example/',
      'https://hf.co/',
      'https://a.b.evil/',
      'https://user:x@a.hf.co/',
      'ftp://a.hf.co/',
      'file:///etc/passwd',
      'https://a.hf.co.evil.example/',
      'https://evil.example/.hf.co',
    ])
      expect(check(url), url).to.equal(false)
  })
})

describe('sockets', () => {
  it('go to no name that resolves to this machine, and the request is not sent', async () => {
    await using inside = await startServer((_request, response) => response.end('secret'))
    await using server = await startServer((_request, response) =>
      response.writeHead(302, { Location: `http://localhost:${inside.port}/latest/meta-data` }).end(),
    )
    const options = { url: server.url, redirects: 'follow', retries: 0, followHosts: ['localhost:*'] }
    for (const [more, isReached] of [
      [{}, false],
      [{ followPrivate: ['127.0.0.0/8', '::1/128'] }, true],
    ] as const) {
      const hub = await openHub({ ...options, ...more })
      const outcome = await hub.ask(upstreamRequest('/o/n/resolve/main/f'))
      expect(outcome.kind).to.equal(isReached ? 'answered' : 'declined')
      if (outcome.kind === 'declined') expect(outcome.reason).to.match(/localhost has the address .*private/)
      expect(inside.requests.length > 0).to.equal(isReached)
      await hub.close()
    }
  })

  it('go nowhere private by a second redirect, nor by a sealed URL', async () => {
    await using inside = await startServer((_request, response) => response.end('secret'))
    await using cdn = await startServer(
      (_request, response) => response.writeHead(302, { Location: inside.url }).end(),
      '127.0.0.2',
    )
    await using server = await startServer((_request, response) => response.writeHead(302, { Location: cdn.url }).end())
    const hub = await openHub({ url: server.url, redirects: 'follow', retries: 0, followHosts: ['127.0.0.2', '*'] })
    expect((await declinedBy(hub, upstreamRequest('/o/n/resolve/main/f'))).reason).to.include('not among followHosts')
    for (const sealedUrl of [
      inside.url,
      'http://2130706433/',
      'http://[::ffff:7f00:1]/',
      'file:///etc/passwd',
      'http://127.0.0.1.:80/',
    ])
      for (const method of ['GET', 'HEAD', 'PUT'] as const) {
        const declined = await declinedBy(hub, upstreamRequest('/-/follow/seal', { method, sealedUrl }))
        expect(declined.status, sealedUrl).to.equal(502)
      }
    expect(inside.requests).to.have.length(0)
    await hub.close()
  })
})
