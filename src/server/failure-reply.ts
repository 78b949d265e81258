import { Failure, HubFailure, PolicyRefusal, type Target } from '../hub/index.ts'
import type { HeaderList } from '../plugin/index.ts'
import type { Reply } from './reply.ts'

/** No upstream answered. */
export class UpstreamUnavailable extends Failure {
  /** Seconds after which asking again may help. */
  readonly retryAfter: number | undefined

  constructor(status: number, message: string, options: ErrorOptions & { readonly retryAfter?: number | undefined }) {
    super('UpstreamUnavailable', status, message, options)
    this.retryAfter = options.retryAfter
  }
}

/** Asked by git itself, which prints the text of a refusal, and no JSON. */
const gitOperations: ReadonlySet<Target['operation']> = new Set(['git-refs', 'git-upload-pack', 'git-receive-pack'])
/** Asked by git-lfs, which prints the `message` of a JSON body. */
const lfsOperations: ReadonlySet<Target['operation']> = new Set(['lfs-batch', 'lfs'])

/** Whatever was thrown, as a reply of the Hub's own shape (hub-protocol §4). */
export function failureReply(error: unknown, target?: Target): Reply {
  const failure =
    error instanceof Failure
      ? error
      : new Failure('InternalError', 500, 'MirrorFace failed to answer; its log says why', { cause: error })
  const isUpstreams = error instanceof UpstreamUnavailable
  const body = bodyOf(failure, target?.operation)
  const headers: HeaderList = [
    ['x-error-code', failure instanceof PolicyRefusal ? failure.toldAs : failure.code],
    ['x-error-message', headerSafe(failure.message)],
    ['cache-control', 'no-store'],
    ['content-type', body.type],
    ['x-content-type-options', 'nosniff'],
    ...extraHeaders(failure, target),
  ]
  return {
    status: failure.status,
    headers,
    body: { kind: 'bytes', bytes: Buffer.from(body.text) },
    source: isUpstreams ? 'none' : 'mirrorface',
    outcome: isUpstreams ? 'fallback' : 'own',
    failure: error,
  }
}

function bodyOf({ code, message }: Failure, operation: Target['operation'] | undefined) {
  if (operation !== undefined && gitOperations.has(operation))
    return { type: 'text/plain; charset=utf-8', text: `${message}\n` }
  const lfs = operation !== undefined && lfsOperations.has(operation) ? { message } : {}
  return { type: 'application/json; charset=utf-8', text: JSON.stringify({ error: message, code, ...lfs }) }
}

function extraHeaders(failure: Failure, target: Target | undefined): HeaderList {
  const headers: [string, string][] = []
  if (failure instanceof HubFailure && failure.commit !== undefined) headers.push(['x-repo-commit', failure.commit])
  if (failure instanceof UpstreamUnavailable && failure.retryAfter !== undefined)
    headers.push(['retry-after', String(failure.retryAfter)])
  // Without it git asks nobody for a password.
  if (
    failure.status === 401 &&
    target !== undefined &&
    (gitOperations.has(target.operation) || lfsOperations.has(target.operation))
  )
    headers.push(['www-authenticate', 'Basic realm="MirrorFace"'])
  if (failure.status === 405) headers.push(['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'])
  return headers
}

/** A header's value as we write it: printable ASCII, without line breaks. */
function headerSafe(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 500)
}
