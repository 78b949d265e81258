import { type ByteRange, formatRepository, type HubRequest } from '../../hub/index.ts'
import type { ReadableLibrary } from '../access.ts'
import type { Context, ServerParts } from '../context.ts'
import { contentTypeOf, fileHeaders } from '../delivery/file-headers.ts'
import { selectRange } from '../delivery/preconditions.ts'
import { sendAnswer } from '../send-answer.ts'
import type { PulledFile } from './pull-through.ts'
import { PullThrough } from './pull-through.ts'

/** Whether a missing file could be given from a download into the storage. */
export async function answerByPulling(
  ctx: Context,
  parts: ServerParts,
  hub: HubRequest,
  library: ReadableLibrary,
): Promise<boolean> {
  const isDownload =
    (hub.operation === 'resolve' || hub.operation === 'resolve-cache') && ['GET', 'HEAD'].includes(ctx.method)
  if (parts.pullThrough === undefined || parts.upstreams.length === 0 || !isDownload) return false
  const token = /^Bearer (.+)$/i.exec(ctx.req.headers.authorization ?? '')?.[1]
  const pulled = await parts.pullThrough.find(
    hub.repository,
    hub.revision,
    hub.path,
    parts.access.ownsTokens ? undefined : token,
  )
  if (pulled === undefined) return false
  await parts.access.assertMayRead(hub.repository, ctx.req.headers.authorization)
  // The branch may point to a commit of which this file has been pulled before.
  const snapshot = await library.find(hub.repository, pulled.commit)
  const stored = snapshot?.files.get(hub.path)
  if (snapshot !== undefined && stored?.key !== undefined) {
    await sendAnswer(ctx, parts, { kind: 'file', snapshot, file: { ...stored, key: stored.key } })
    return true
  }
  return await send(ctx, parts, pulled, formatRepository(hub.repository))
}

async function send(ctx: Context, parts: ServerParts, pulled: PulledFile, repository: string): Promise<boolean> {
  const { file, commit } = pulled
  const selection = selectRange(ctx.req, file.etag, file.size)
  if (selection.status !== 200 && selection.status !== 206) return false // the Hub knows how to say it
  const range: ByteRange = selection.status === 206 ? selection.range : { start: 0, end: file.size - 1 }
  const headers = {
    ...fileHeaders(commit, file, ctx.URL.searchParams.get('download') !== null),
    'Content-Type': contentTypeOf(file.path),
  }
  ctx.state.source = 'pull-through'
  ctx.state.outcome = 'fallback'
  if (ctx.method === 'HEAD') {
    ctx.set(headers)
    ctx.status = 200
    ctx.respond = false
    ctx.res.setHeader('Content-Length', file.size)
    ctx.res.end()
    return true
  }
  const growing = await pulled.join()
  try {
    if (!PullThrough.isNear(growing, range.start)) return false
    ctx.set(headers)
    ctx.status = selection.status
    if (selection.status === 206) ctx.set('Content-Range', `bytes ${range.start}-${range.end}/${file.size}`)
    ctx.set('Content-Length', String(Math.max(0, range.end - range.start + 1)))
    ctx.respond = false
    await parts.delivery.send(growing, range, ctx.res, (bytes) => {
      ctx.state.bytes += bytes
    })
    ctx.res.end()
    return true
  } catch (error) {
    parts.logger.warn({ request: ctx.state.id, repository, path: file.path, sent: ctx.state.bytes }, 'pull broke off')
    throw error
  } finally {
    await growing.release()
  }
}
