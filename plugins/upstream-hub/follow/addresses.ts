import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Where clouds tell a machine its own credentials; never reached by a redirect, whatever `followPrivate` says. */
const metadataServices = [
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
]
const metadataServices6 = ['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254']
const forbidden = new Set(
  [...metadataServices, ...metadataServices6].map((text) => ipaddr.parse(text).toNormalizedString()),
)

/** Global unicast, 2000::/3: what of IPv6 is on the Internet. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')
const sixToFour = ipaddr.IPv6.parseCIDR('2002::/16')
const nat64 = [ipaddr.IPv6.parseCIDR('64:ff9b::/96'), ipaddr.IPv6.parseCIDR('64:ff9b:1::/48')]
const compatible = ipaddr.IPv6.parseCIDR('::/96')

/** Networks that an operator named. */
export type Networks = readonly [Address, number][]

/** @param networks CIDRs that the options' schema has accepted. */
export function parseNetworks(networks: readonly string[]): Networks {
  return networks.map((text) => ipaddr.parseCIDR(text))
}

/**
 * Whether a server on the Internet may have this address: not this machine, not its networks, nothing reserved, nor an
 * IPv6 address that leads to such an IPv4 address by mapping, 6to4 or NAT64. Addresses in `networks` are taken for such.
 *
 * @param text As the resolver or the socket gives it, without brackets; what is no address is refused.
 */
export function isReachable(text: string, networks: Networks): boolean {
  const bare = text.split('%', 1)[0] ?? ''
  if (isIP(bare) === 0) return false // ipaddr.js reads 1.2.3 and octal octets, which are none
  const given = ipaddr.parse(bare)
  const address = unwrapped(given)
  if (address === undefined || forbidden.has(address.toNormalizedString())) return false
  if (networks.some((network) => isWithin(address, network) || isWithin(given, network))) return true
  if (address.range() !== 'unicast') return false
  return address instanceof ipaddr.IPv4 || address.match(globalUnicast)
}

/** The IPv4 address that an IPv6 address stands for, or the address itself; `undefined`: it hides one that can't be told. */
function unwrapped(address: Address): Address | undefined {
  if (address instanceof ipaddr.IPv4) return address
  if (address.isIPv4MappedAddress()) return address.toIPv4Address()
  const bytes = address.toByteArray()
  if (address.match(sixToFour)) return ipaddr.fromByteArray(bytes.slice(2, 6))
  if (address.match(nat64[0] ?? compatible)) return ipaddr.fromByteArray(bytes.slice(12))
  if (address.match(nat64[1] ?? compatible) || address.range() === 'teredo') return undefined
  // ::a.b.c.d was an IPv4 address once (RFC 4291 §2.5.5.1); :: and ::1 are not.
  if (address.match(compatible) && bytes.slice(12).some((byte, index) => byte > (index === 3 ? 1 : 0)))
    return ipaddr.fromByteArray(bytes.slice(12))
  return address
}

/** Whether two addresses are the same, however they are spelled. */
export function isSame(one: string, other: string): boolean {
  if (!ipaddr.isValid(one) || !ipaddr.isValid(other)) return false
  return ipaddr.process(one).toNormalizedString() === ipaddr.process(other).toNormalizedString()
}

function isWithin(address: Address, [network, bits]: Networks[number]): boolean {
  return address.kind() === network.kind() && address.match(network, bits)
}
