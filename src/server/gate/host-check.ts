import { isIP } from 'node:net'

/**
 * Whether a request's `Host` is one that this server may answer to. A page of an attacker's whose name was rebound to
 * this server's address sends the attacker's name; so names other than the public URL's are refused, while addresses
 * and `localhost`, which no attacker owns, are not.
 */
export function isExpectedHost(host: string | undefined, publicUrl: string): boolean {
  if (host === undefined) return true // HTTP/1.0: no browser
  const expected = new URL(publicUrl)
  const given = URL.canParse(`${expected.protocol}//${host}/`) ? new URL(`${expected.protocol}//${host}/`) : undefined
  if (given === undefined || given.pathname !== '/' || given.username !== '' || given.search !== '') return false
  const name = given.hostname.replace(/^\[|\]$/g, '')
  return given.host === expected.host || name === 'localhost' || isIP(name) !== 0
}
