import { lookup as resolve } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import picomatch from 'picomatch'
import { isReachable, isSame, type Networks, parseNetworks } from './addresses.ts'

/** A URL that this server does not go to. */
export class RedirectRefused extends Error {}

export interface RedirectGuardOptions {
  readonly followHosts: readonly string[]
  readonly followPrivate: readonly string[]
  /** The upstream itself is asked without TLS. */
  readonly allowsPlainHttp: boolean
}

const withPort = /:(?:\d+|\*)$/

/**
 * Where this server goes by a redirect or a sealed URL: to hosts of `followHosts`, and only to addresses on the Internet
 * or in `followPrivate`. A literal address must be named as it stands, for a pattern such as `*` must not open the way
 * into the private network; it is trusted then, with all its ports.
 */
export class RedirectGuard {
  readonly #named: ReadonlySet<string>
  readonly #matches: (name: string) => boolean
  readonly #matchesWithPort: (host: string) => boolean
  readonly #networks: Networks
  readonly #allowsPlainHttp: boolean

  constructor({ followHosts, followPrivate, allowsPlainHttp }: RedirectGuardOptions) {
    this.#named = new Set(followHosts.map((host) => host.toLowerCase()))
    this.#matches = picomatch(
      followHosts.filter((host) => !withPort.test(host)),
      { nocase: true },
    )
    this.#matchesWithPort = picomatch(
      followHosts.filter((host) => withPort.test(host)),
      { nocase: true },
    )
    this.#networks = parseNetworks(followPrivate)
    this.#allowsPlainHttp = allowsPlainHttp
  }

  /** Throws {@link RedirectRefused} by what the URL itself says. */
  assertUrl(url: URL): void {
    const { protocol, host, hostname, username, password } = url
    const isHttp = protocol === 'https:' || (protocol === 'http:' && this.#allowsPlainHttp)
    if (isHttp && username === '' && password === '' && this.#isNamed(url)) return
    throw new RedirectRefused(`it redirects to ${protocol}//${host || hostname}, which is not among followHosts`)
  }

  /** Whether a socket to a host of {@link assertUrl} may be connected to this address. */
  mayConnect(hostname: string, address: string): boolean {
    const literal = literalOf(hostname)
    return literal === undefined ? isReachable(address, this.#networks) : isSame(literal, address)
  }

  /** Resolves a name; fails if any of its addresses is not to be reached, for which one is used is not known yet. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, '')
        return
      }
      const refused = addresses.find(({ address }) => !isReachable(address, this.#networks))
      const [first] = addresses
      if (refused !== undefined || first === undefined) callback(refusedAddress(hostname, refused?.address), '')
      else if (options.all === true) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }

  #isNamed({ host, hostname, port }: URL): boolean {
    const name = hostname.replace(/\.$/, '') // `host.` is the same host
    if (literalOf(hostname) !== undefined) return this.#named.has(hostname) || this.#named.has(host)
    // 443 and 80 need no naming.
    return port === '' ? this.#matches(name) : this.#matchesWithPort(`${name}:${port}`)
  }
}

export function refusedAddress(hostname: string, address: string | undefined): RedirectRefused {
  return new RedirectRefused(
    `${hostname} has the address ${address ?? '(none)'}, which is private; name its network in followPrivate if that is meant`,
  )
}

/** A URL's host as an address, without brackets; `undefined`: it is a name. */
function literalOf(hostname: string): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return isIP(bare) === 0 ? undefined : bare
}
