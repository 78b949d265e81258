import { isIP } from 'node:net'

/**
 * Whether a request's `Host` is one that this server may answer to. A page of an attacker's whose name was rebound to
 * this server's address sends the attacker's name; so names other than the public URL's are refused, while addresses
 * and `localhost`, which no attacker owns, are not.
 */
export function isExpectedHost(host: string | undefined, publicUrl: string): boolean {
  if (host === undefined) return true // HTTP/1.0: no browser
  const expected = new URL(publicUrl)
  const origin = `${expected.protocol}//${host}/`
  const given = URL.canParse(origin) ? new URL(origin) : undefined
  if (given === undefined) return false
  // Browsers send the one spelling that their URLs have: 2130706433, 0x7f.1 and full-width digits are 127.0.0.1 there.
  const [, spelled] = /^(.*?)(?::\d*)?$/.exec(host.toLowerCase()) ?? []
  if (spelled !== given.hostname) return false
  const name = given.hostname.replace(/^\[|\]$/g, '')
  return given.host === expected.host || name === 'localhost' || isIP(name) !== 0
}
