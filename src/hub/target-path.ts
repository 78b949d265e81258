import { InvalidTarget } from './errors.ts'

/** A path taken apart; what the grammar works on. */
export interface TargetPath {
  /** Decoded once, parted at encoded slashes too, without empty ones; none is `.` or `..`. */
  readonly segments: readonly string[]
  /** `joined[n]`: an encoded slash stands before segment `n`; `undefined`: there is none in the path. */
  readonly joined: readonly boolean[] | undefined
  readonly endsInSlash: boolean
  readonly hasBackslash: boolean
}

/** Everything that may stand raw in a target; `#` and backslash mean different things to different parsers. */
const exceptPlain = /[^\u0021\u0022\u0024-\u005b\u005d-\u007e]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
const refusedRaw = /[\u0000-\u0020\u007f#\\]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
const control = /[\u0000-\u001f\u007f]/
/** RFC 9112 §3.2.2. The authority is of no account: this server is what was reached. */
const absoluteForm = /^https?:\/\/[^/?]+/i
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function malformed(reason: string, options?: ErrorOptions): InvalidTarget {
  return new InvalidTarget('InvalidTarget', 400, `The request's URL is malformed: ${reason}`, options)
}

/** Splits a raw request target, as Node gives it, into path and query (without `?`, empty where there is none). */
export function splitTarget(raw: string): [path: string, query: string] {
  let target = exceptPlain.test(raw) ? readRawBytes(raw) : raw
  if (!target.startsWith('/')) {
    const origin = absoluteForm.exec(target)?.[0]
    if (origin === undefined) throw malformed('expected a path, or an absolute http URL')
    target = target.slice(origin.length)
    if (!target.startsWith('/')) target = `/${target}`
  }
  const question = target.indexOf('?')
  return question === -1 ? [target, ''] : [target.slice(0, question), target.slice(question + 1)]
}

/** Node gives each byte of a target as one character; browsers and curl may send UTF-8 unencoded. */
function readRawBytes(raw: string): string {
  if (refusedRaw.test(raw)) throw malformed('it contains "#", "\\", a space or a control character')
  for (let index = 0; index < raw.length; index++)
    if (raw.charCodeAt(index) > 0xff) throw malformed('it is not a sequence of bytes')
  try {
    return utf8.decode(Buffer.from(raw, 'latin1'))
  } catch (cause) {
    throw malformed('it is not valid UTF-8', { cause })
  }
}

export function splitPath(path: string): TargetPath {
  const segments: string[] = []
  let joined: boolean[] | undefined
  let endsInSlash = false
  let hasBackslash = false
  for (const encoded of path.split('/')) {
    endsInSlash = encoded === ''
    if (encoded === '') continue
    if (!encoded.includes('%')) {
      if (isDots(encoded)) throw malformed('it contains "." or ".." as a segment')
      segments.push(encoded)
      joined?.push(false)
      continue
    }
    const decoded = decodeSegment(encoded)
    hasBackslash ||= decoded.includes('\\')
    let isFirst = true
    for (const part of decoded.split('/')) {
      endsInSlash = part === ''
      if (part === '') continue
      if (isDots(part)) throw malformed('it contains "." or ".." as a segment')
      if (!isFirst) joined ??= segments.map(() => false)
      joined?.push(!isFirst)
      segments.push(part)
      isFirst = false
    }
  }
  return { segments, joined, endsInSlash, hasBackslash }
}

function decodeSegment(encoded: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(encoded)
  } catch (cause) {
    throw malformed('its path is not percent-encoded UTF-8', { cause })
  }
  if (control.test(decoded)) throw malformed('its path contains a control character')
  return decoded
}

function isDots(segment: string): boolean {
  return segment === '.' || segment === '..'
}

/** Whether `path` begins with the segments of `prefix`. */
export function hasPrefix(path: TargetPath, prefix: readonly string[]): boolean {
  return prefix.every((segment, index) => path.segments[index] === segment)
}

export function withoutFirst(path: TargetPath, count: number): TargetPath {
  return { ...path, segments: path.segments.slice(count), joined: path.joined?.slice(count) }
}

const plainSegment = /^[A-Za-z0-9._~-]*$/

/** Percent-encodes one segment. A colon stays: registries and the Hub write digests as `sha256:…`. */
export function encodeSegment(segment: string): string {
  return plainSegment.test(segment) ? segment : encodeURIComponent(segment).replaceAll('%3A', ':')
}

/** Spells the segments from `from` on, each with its slash in front; encoded slashes stay encoded. */
export function spellSegments({ segments, joined }: TargetPath, from = 0): string {
  let spelled = ''
  for (let index = from; index < segments.length; index++) {
    const isJoined = index > from && joined?.[index] === true
    spelled += (isJoined ? '%2F' : '/') + encodeSegment(segments[index] ?? '')
  }
  return spelled
}
