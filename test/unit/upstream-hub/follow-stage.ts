import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Upstream, UpstreamRequest } from 'mirrorface/plugin'
import { answerOf, upstreamRequest } from '../../conformance/index.ts'
import { type Logged, openHub, startServer, type TestServer } from './stage.ts'

export const path = '/o/n/resolve/main/w.safetensors'
export const content = Buffer.from(Array.from({ length: 4_000 }, (_, index) => (index * 31 + (index >> 3)) & 0xff))
export const sha256 = createHash('sha256').update(content).digest('hex')

/** What the CDN does to one request for bytes; `undefined`: it answers as it should. */
export type Trouble = (asked: CdnRequest, response: ServerResponse) => boolean | undefined

export interface CdnRequest {
  /** Counts requests from 0. */
  readonly index: number
  readonly range: string | undefined
  readonly start: number
  /** Inclusive. */
  readonly end: number
  /** Which signature the URL carries. */
  readonly signature: number
}

export interface FollowStage extends AsyncDisposable {
  readonly upstream: Upstream
  readonly hub: TestServer
  readonly cdn: TestServer
  readonly asked: CdnRequest[]
  readonly lines: Logged[]
  /** What the Hub says of the file. */
  linked: Record<string, string>
  bytes: Buffer
  trouble: Trouble
  ask(given?: Partial<UpstreamRequest>, target?: string): ReturnType<typeof answerOf>
}

/** A Hub that redirects to a CDN on another host with a signature that counts, and the plugin that follows. */
export async function setFollowStage(options: Record<string, unknown> = {}): Promise<FollowStage> {
  const asked: CdnRequest[] = []
  let signature = 0
  const cdn = await startServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://cdn')
    const { range } = request.headers
    const match = /^bytes=(\d*)-(\d*)$/.exec(range ?? '')
    const size = stage.bytes.length
    const start = match === null ? 0 : match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1])
    const end = match === null || match[1] === '' || match[2] === '' ? size - 1 : Math.min(size - 1, Number(match[2]))
    const one = { index: asked.length, range, start, end, signature: Number(url.searchParams.get('signature')) }
    asked.push(one)
    if (stage.trouble(one, response) === true) return
    if (match !== null && start >= size) response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end()
    else sendPart(response, stage.bytes, one)
  }, '127.0.0.2')
  const hub = await startServer((_request, response) => {
    const location = `${cdn.url}/blob?signature=${++signature}`
    response
      .writeHead(302, { Location: location, 'X-Repo-Commit': 'c'.repeat(40), 'X-Xet-Hash': 'x', ...stage.linked })
      .end('Found')
  })
  const lines: Logged[] = []
  const upstream = await openHub(
    { url: hub.url, redirects: 'follow', followHosts: ['127.0.0.2'], retries: 1, ...options },
    lines,
  )
  const stage: FollowStage = {
    upstream,
    hub,
    cdn,
    asked,
    lines,
    linked: { 'X-Linked-ETag': `"${sha256}"`, 'X-Linked-Size': String(content.length) },
    bytes: content,
    trouble: () => undefined,
    ask: async (given = {}, target = path) => await answerOf(upstream, upstreamRequest(target, given)),
    [Symbol.asyncDispose]: async () => {
      await upstream.close()
      await Promise.all([hub[Symbol.asyncDispose](), cdn[Symbol.asyncDispose]()])
    },
  }
  return stage
}

/** A right answer of the CDN, cut after so many bytes of its body. */
export function sendPart(
  response: ServerResponse,
  bytes: Buffer,
  { range, start, end }: CdnRequest,
  cutAfter = Number.POSITIVE_INFINITY,
  headers: Record<string, string> = {},
): void {
  const part = bytes.subarray(start, end + 1)
  response.writeHead(range === undefined ? 200 : 206, {
    'Content-Length': String(part.length),
    ETag: '"xet-hash"',
    'Content-Type': 'application/octet-stream',
    ...(range !== undefined && { 'Content-Range': `bytes ${start}-${end}/${bytes.length}` }),
    ...headers,
  })
  if (cutAfter >= part.length) response.end(part)
  else if (cutAfter === 0) {
    response.flushHeaders()
    setImmediate(() => response.destroy())
  } else response.write(part.subarray(0, cutAfter), () => response.destroy())
}
