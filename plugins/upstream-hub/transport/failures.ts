import { errors } from 'undici'

/** The upstream did not answer within a limit. */
export class UpstreamTimeout extends Error {}

/** No connection to the upstream: refused, unreachable, not resolved, TLS failed, or not within the limit. */
export class ConnectFailed extends Error {}

/** The client's request body failed, or is not of the announced length: no fault of the upstream's. */
export class RequestBodyFailed extends Error {}

/** An HTTP library refused the request before a byte of it was sent: no fault of the upstream's. */
export class RequestRefused extends Error {}

/** It answered something that is no HTTP, or more than is read: the fault of that answer alone, not of the way to it. */
export class AnswerUnreadable extends Error {}

/** The breaker is open: the upstream is not asked. */
export class BreakerOpen extends Error {}

/** The upstream ordered a pause with a 429. */
export class Paused extends Error {
  /** Seconds that are left of it. */
  readonly seconds: number

  constructor(seconds: number) {
    super(`limits the rate of requests, and is left alone for ${seconds} s`)
    this.seconds = seconds
  }
}

const inputCodes =
  /^(?:ERR_INVALID_|ERR_HTTP_|ERR_UNESCAPED_|UND_ERR_INVALID_|UND_ERR_NOT_SUPPORTED|UND_ERR_REQ_CONTENT)/
const connectCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])
/** Of the parsers of Node and undici. */
const parserCodes = /^(?:HPE_|UND_ERR_HEADERS_OVERFLOW$)/
const timeoutCodes = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** Names a library's error by whose fault it is; ours are returned as they are. */
export function classify(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  if (isOurs(error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (error instanceof TypeError || inputCodes.test(code)) return new RequestRefused(error.message, { cause: error })
  if (error instanceof errors.HTTPParserError || parserCodes.test(code))
    return new AnswerUnreadable(`its answer can't be read (${error.message})`, { cause: error })
  if (timeoutCodes.has(code)) return new UpstreamTimeout(error.message, { cause: error })
  if (connectCodes.has(code) || isConnecting(error)) return new ConnectFailed('no connection', { cause: error })
  return error
}

function isOurs(error: Error): boolean {
  return (
    error instanceof UpstreamTimeout ||
    error instanceof ConnectFailed ||
    error instanceof AnswerUnreadable ||
    error instanceof RequestBodyFailed ||
    error instanceof RequestRefused
  )
}

/** Several addresses were tried (`autoSelectFamily`), or TLS was refused. */
function isConnecting(error: Error): boolean {
  return (error instanceof AggregateError && error.errors.length > 0) || 'cert' in error || 'reason' in error
}
