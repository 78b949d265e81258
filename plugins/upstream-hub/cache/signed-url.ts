/** Milliseconds before a signed URL expires from which it is no longer given to anybody. */
const margin = 60_000

/**
 * Names of query parameters that carry a signature or a token, whole or behind a vendor's prefix. What may stand before
 * and behind is not spelt out as `.*`, which would be tried from each word in it anew.
 */
const secret =
  /^x-(?:amz|goog|oss|cos|ms|bz|tos|obs)-|signature|token|credential|api[-_]?key|access[-_]?key|secret|passw(?:or)?d|^(?:sig|se|sp|sv|sr|auth|authorization|jwt|policy|key-pair-id|hmac|code|ticket|session(?:id)?)$/i

/** Whether a query carries a signature or a token: an answer to it is its bearer's alone. */
export function carriesSecret(query: string): boolean {
  if (query === '') return false
  for (const name of new URLSearchParams(query).keys()) if (secret.test(name)) return true
  return false
}

/** When a signed URL must no longer be given, in milliseconds by `Date.now()`; `undefined`: it does not say. */
export function expiryOfUrl(url: string): number | undefined {
  const start = url.indexOf('?')
  if (start === -1) return undefined
  const query = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(url.slice(start))) query.set(name.toLowerCase(), value)
  const expiry =
    afterDate(query.get('x-amz-date'), query.get('x-amz-expires')) ??
    afterDate(query.get('x-goog-date'), query.get('x-goog-expires')) ??
    epoch(query.get('expires')) ??
    epoch(policyExpiry(query.get('policy'))) ??
    date(query.get('se')) // Azure
  return expiry === undefined ? undefined : expiry - margin
}

/** `20261125T031700Z` and seconds from then. */
function afterDate(start: string | undefined, seconds: string | undefined): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(start ?? '')
  if (match === null || seconds === undefined) return undefined
  const [, year, month, day, hour, minute, second] = match
  const from = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  const length = Number(seconds)
  return Number.isFinite(from) && Number.isFinite(length) ? from + length * 1000 : undefined
}

function epoch(seconds: string | undefined): number | undefined {
  if (seconds === undefined || !/^\d{1,12}$/.test(seconds)) return undefined
  return Number(seconds) * 1000
}

function date(text: string | undefined): number | undefined {
  const parsed = Date.parse(text ?? '')
  return Number.isFinite(parsed) ? parsed : undefined
}

/** CloudFront's custom policy: base64 of JSON that says until when. */
function policyExpiry(policy: string | undefined): string | undefined {
  if (policy === undefined) return undefined
  const text = Buffer.from(policy.replaceAll('-', '+').replaceAll('_', '=').replaceAll('~', '/'), 'base64').toString()
  return /"AWS:EpochTime"\s*:\s*(\d+)/.exec(text)?.[1]
}
