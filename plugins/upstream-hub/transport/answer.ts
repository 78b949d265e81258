import type { Readable } from 'node:stream'
import type { HeaderList } from 'mirrorface/plugin'

/** The upstream's answer as it came over the wire. Names of headers are in lower case. */
export interface WireAnswer {
  readonly status: number
  readonly headers: HeaderList
  /** Must be read to its end or destroyed; ends with an error where it is cut short. */
  readonly body: Readable
}

/** The first value of a header; `name` in lower case. */
export function headerOf(headers: HeaderList, name: string): string | undefined {
  for (const [one, value] of headers) if (one === name) return value
  return undefined
}

/** All values of a header as one list (RFC 9110 §5.3); `undefined` where it is absent. */
export function listOf(headers: HeaderList, name: string): string | undefined {
  const values = headers.filter(([one]) => one === name)
  return values.length === 0 ? undefined : values.map(([, value]) => value).join(', ')
}

export function withoutHeaders(headers: HeaderList, names: ReadonlySet<string>): HeaderList {
  return headers.filter(([name]) => !names.has(name))
}

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

/** Answers that have no body whatever their headers say (RFC 9110 §6.4.1). */
export function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 205 || status === 304
}

/** Reads a body that carries no bytes, so that its connection can be used again. */
export function drain(body: Readable): void {
  body.on('error', () => undefined)
  body.resume()
}

/** `Content-Length`; `undefined` where it is absent or no number. */
export function lengthOf(headers: HeaderList): number | undefined {
  const length = headerOf(headers, 'content-length')
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}
