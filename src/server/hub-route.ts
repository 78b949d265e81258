import getRawBody from 'raw-body'
import { describeError, Failure, HubFailure, type HubRequest, parseHubPath, UsageFailure } from '../hub/index.ts'
import type { ReadableLibrary } from './access.ts'
import type { LibraryView } from './answers/answer.ts'
import { findAnswer } from './answers/index.ts'
import type { Context, ServerParts } from './context.ts'
import { fallBack, UpstreamUnavailable } from './fallback.ts'
import { answerByPulling } from './pull/answer-by-pulling.ts'
import { sendAnswer } from './send-answer.ts'

/** The largest body that we read ourselves (`paths-info`), in bytes: some 100,000 paths. */
const largestBody = 10 * 1024 * 1024

/** Every request of the Hub's: from what is mirrored, else from the upstreams. */
export function answerHubRequests(parts: ServerParts): (ctx: Context) => Promise<void> {
  return async (ctx) => {
    const url = ctx.req.url ?? '/'
    // Absolute-form and authority-form targets ask for a general proxy, which this is not.
    if (!url.startsWith('/')) throw new UsageFailure('the request target must be a path')
    ctx.state.prefix = prefixOf(url, parts.settings.prefix)
    const [path = '/'] = url.slice(ctx.state.prefix.length).split('?', 1)
    ctx.state.hub = parseHubPath(path === '' ? '/' : path)
    const { hub } = ctx.state
    if (hub.operation === 'invalid') throw new UsageFailure(hub.reason)
    const { authorization } = ctx.req.headers
    const library = parts.access.limit(parts.library, authorization)
    await parts.policy.assertAllowed(ctx.method, path, hub, { authorization, library })
    if (hub.operation !== 'other') {
      if (await answerFromMirror(ctx, parts, hub, library)) return
      if (await answerByPulling(ctx, parts, hub, library)) return
    }
    try {
      await fallBack(ctx, parts, library)
    } catch (error) {
      if (!(await answerAsLastSeen(ctx, parts, library, error))) throw error
    }
  }
}

/** With the Hub down, a branch is where it was when its files were pulled through. */
async function answerAsLastSeen(
  ctx: Context,
  parts: ServerParts,
  library: ReadableLibrary,
  error: unknown,
): Promise<boolean> {
  const { hub } = ctx.state
  const isDown = error instanceof UpstreamUnavailable && !ctx.res.headersSent
  if (!isDown || hub.operation === 'other' || hub.operation === 'invalid') return false
  ctx.respond = true
  return await answerFromMirror(ctx, parts, hub, {
    find: (repository, revision) => library.find(repository, revision, { pulled: true }),
    refs: (repository) => library.refs(repository),
  })
}

function prefixOf(url: string, prefix: string): string {
  const next = url.charAt(prefix.length)
  return url.startsWith(prefix) && (next === '/' || next === '?' || next === '') ? prefix : ''
}

/** Whether what is mirrored gave the answer. A storage that fails leaves it to the upstream. */
async function answerFromMirror(
  ctx: Context,
  parts: ServerParts,
  hub: HubRequest,
  library: LibraryView,
): Promise<boolean> {
  const answer = await findAnswer(ctx.method, {
    hub,
    query: ctx.URL.searchParams,
    library,
    readBody: () => readBody(ctx),
  })
  if (answer === undefined) return false
  try {
    await sendAnswer(ctx, parts, answer)
    return true
  } catch (error) {
    if (ctx.res.headersSent || error instanceof HubFailure) throw error
    const storage = answer.kind === 'json' ? answer.storage : answer.snapshot.storage.name
    const code = error instanceof Failure ? error.code : ((error as NodeJS.ErrnoException).code ?? 'unknown')
    parts.metrics.storageFailed(storage, code)
    parts.logger.error(
      { request: ctx.state.id, storage, code, reason: describeError(error) },
      'storage failed, asking the upstream',
    )
    if (parts.upstreams.length === 0)
      throw new Failure('StorageUnavailable', 503, describeError(error), { cause: error })
    return false
  }
}

async function readBody(ctx: Context): Promise<{ contentType: string; text: string }> {
  try {
    const text = await getRawBody(ctx.req, { limit: largestBody, encoding: 'utf8' })
    return { contentType: ctx.get('content-type'), text }
  } catch (error) {
    const tooLarge = error instanceof Error && 'type' in error && error.type === 'entity.too.large'
    throw tooLarge
      ? new Failure('BodyTooLarge', 413, `the body is larger than ${largestBody} bytes`, { cause: error })
      : new UsageFailure('the body broke off', { cause: error })
  }
}
