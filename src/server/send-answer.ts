import { quoteETag } from '../hub/index.ts'
import { publicUrl } from './addresses.ts'
import type { FileAnswer, JsonAnswer, TextAnswer } from './answers/answer.ts'
import type { Answer } from './answers/index.ts'
import { etagOf } from './answers/index.ts'
import type { Context, ServerParts } from './context.ts'
import type { Shortcut } from './delivery/file-delivery.ts'
import { contentTypeOf, fileHeaders, linkedHeaders } from './delivery/file-headers.ts'
import { selectRange } from './delivery/preconditions.ts'

/** Bytes of a file that is read whole and given again for a moment: the configurations that a whole fleet asks for. */
const largestRepeated = 128 * 1024

/** Said once, for making an error with its stack for every answer that ends is dear. */
const clientGone = 'the client has gone, or has everything'

/** Writes an answer out. Rejects before the first byte where the storage can't give the content. */
export async function sendAnswer(ctx: Context, parts: ServerParts, answer: Answer): Promise<void> {
  ctx.state.outcome = 'hit'
  switch (answer.kind) {
    case 'json':
      return sendJson(ctx, parts, answer)
    case 'text':
      return sendText(ctx, answer)
    case 'file':
      return await sendFileAnswer(ctx, parts, answer)
  }
}

function sendJson(ctx: Context, { settings, recentAnswers }: ServerParts, answer: JsonAnswer): void {
  const etag = etagOf(answer.body)
  ctx.state.source = answer.storage
  ctx.set('ETag', quoteETag(etag))
  if (answer.commit !== undefined) ctx.set('X-Repo-Commit', answer.commit)
  if (answer.nextQuery !== undefined) {
    const path = (ctx.req.url ?? '').split('?', 1)[0]?.slice(ctx.state.prefix.length)
    ctx.set('Link', `<${publicUrl(ctx.req, ctx.state.prefix, settings)}${path}?${answer.nextQuery}>; rel="next"`)
  }
  sendBody(ctx, etag, 'application/json; charset=utf-8', answer.body)
  // A `Link` depends on the host that the client asked.
  if (ctx.status === 200 && answer.nextQuery === undefined && ctx.method !== 'POST')
    recentAnswers?.remember(ctx, etag, answer.body)
}

function sendText(ctx: Context, { snapshot, file, text }: TextAnswer): void {
  ctx.state.source = snapshot.storage.name
  ctx.set('X-Repo-Commit', snapshot.commit)
  ctx.set('ETag', quoteETag(file.oid))
  sendBody(ctx, file.oid, 'text/plain; charset=utf-8', Buffer.from(text))
}

function sendBody(ctx: Context, etag: string, contentType: string, body: Buffer): void {
  if (selectRange(ctx.req, etag, body.length).status === 304) {
    ctx.status = 304
    return
  }
  ctx.status = 200
  ctx.set('Content-Type', contentType)
  ctx.body = body
  ctx.state.bytes = body.length
}

async function sendFileAnswer(
  ctx: Context,
  { delivery, recentAnswers }: ServerParts,
  { snapshot, file }: FileAnswer,
): Promise<void> {
  const { storage } = snapshot
  const download = ctx.URL.searchParams.get('download') !== null
  const headers = fileHeaders(snapshot.commit, file, download)
  const selection = selectRange(ctx.req, file.etag, file.size)
  ctx.state.source = storage.name
  if (selection.status === 304 || selection.status === 412) {
    ctx.set(headers)
    ctx.status = selection.status
    ctx.body = null
    ctx.status = selection.status
    return
  }
  if (selection.status === 416) {
    ctx.set({ ...headers, 'Content-Range': `bytes */${file.size}` })
    ctx.status = 416
    ctx.body = ''
    return
  }
  const range = selection.status === 206 ? selection.range : { start: 0, end: file.size - 1 }
  ctx.set('Content-Type', contentTypeOf(file.path))
  if (ctx.method === 'HEAD' || file.size === 0) {
    ctx.set(headers)
    ctx.status = 200
    ctx.respond = false
    ctx.res.setHeader('Content-Length', file.size)
    recentAnswers?.remember(ctx, file.etag, undefined)
    ctx.res.end()
    return
  }
  const shortcut = await delivery.shortcut(storage, file, range.end - range.start + 1, download)
  if (shortcut !== undefined) {
    sendShortcut(ctx, shortcut, { ...headers, ...linkedHeaders(file) })
    return
  }
  const gone = new AbortController()
  ctx.res.once('close', () => gone.abort(clientGone))
  if (recentAnswers !== undefined && selection.status === 200 && file.size <= largestRepeated) {
    const body = await delivery.read(storage, file, gone.signal)
    ctx.set(headers)
    ctx.body = body
    ctx.state.bytes = body.length
    recentAnswers.remember(ctx, file.etag, body)
    return
  }
  const opened = await delivery.open(storage, file, range, gone.signal)
  try {
    ctx.set(headers)
    ctx.status = selection.status
    if (selection.status === 206) ctx.set('Content-Range', `bytes ${range.start}-${range.end}/${file.size}`)
    ctx.set('Content-Length', String(range.end - range.start + 1))
    ctx.respond = false
    await opened.send(ctx.res, (bytes) => {
      ctx.state.bytes += bytes
    })
    ctx.res.end()
  } finally {
    await opened.close()
  }
}

function sendShortcut(ctx: Context, shortcut: Shortcut, headers: Record<string, string>): void {
  ctx.set(headers)
  ctx.body = null
  if (shortcut.kind === 'redirect') {
    ctx.status = 302
    ctx.set('Location', shortcut.url)
    ctx.remove('Content-Type')
    return
  }
  // nginx reads the range from the client's request, and sends the file with these headers.
  ctx.status = 200
  ctx.set('X-Accel-Redirect', shortcut.path)
}
