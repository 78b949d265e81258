import { type Declined, describeError } from 'mirrorface/plugin'
import { ContentFailed } from './follow/content-failed.ts'
import { BreakerOpen, ConnectFailed, Paused, UpstreamTimeout } from './transport/failures.ts'

/** Why the upstream did not answer, for the server. */
export function declineFor(
  error: unknown,
  upstream: { readonly url: string; readonly breakerPause: number },
): Declined {
  const reason = `${upstream.url} ${whatItDid(error)}${describeError(error)}`
  if (error instanceof Paused) {
    return { kind: 'declined', status: 429, reason, retryAfter: error.seconds, cause: error }
  }
  if (error instanceof BreakerOpen) {
    const retryAfter = Math.ceil(upstream.breakerPause / 1000)
    return { kind: 'declined', status: 503, reason, retryAfter, cause: error }
  }
  const status = isTimeout(error) ? 504 : 502
  return { kind: 'declined', status, reason, cause: error }
}

/** Begins the sentence that the error's own words end. */
function whatItDid(error: unknown): string {
  if (error instanceof Paused) return ''
  if (error instanceof BreakerOpen) return 'is not asked: '
  if (error instanceof ContentFailed) return "leads to content that can't be fetched: "
  const isSilent = error instanceof ConnectFailed || error instanceof UpstreamTimeout
  return isSilent ? 'did not answer: ' : 'gave no usable answer: '
}

function isTimeout(error: unknown): boolean {
  if (error instanceof ContentFailed) return isTimeout(error.cause)
  if (error instanceof UpstreamTimeout) return true
  return (
    error instanceof ConnectFailed && (error.cause === undefined || codeOf(error.cause) === 'UND_ERR_CONNECT_TIMEOUT')
  )
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
