import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Content } from './content.ts'
import type { Fault } from './faults.ts'

/** Sends content with ranges, spoiling it as a fault says. */
export async function sendContent(
  request: IncomingMessage,
  response: ServerResponse,
  content: Content,
  headers: Record<string, string>,
  fault: Fault | undefined,
): Promise<void> {
  const range = readRange(request.headers.range, content.size)
  if (range === 'unsatisfiable') {
    response.writeHead(416, { ...headers, 'Content-Range': `bytes */${content.size}` }).end()
    return
  }
  const { start, end } = range ?? { start: 0, end: content.size - 1 }
  const length = end - start + 1
  const partial = range === undefined ? {} : { 'Content-Range': `bytes ${start}-${end}/${content.size}` }
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    ...partial,
    'Accept-Ranges': 'bytes',
    'Content-Length': String(length),
  })
  if (request.method === 'HEAD' || length === 0) {
    response.end()
    return
  }
  let sent = 0
  for await (const chunk of content.read(start, end)) {
    let bytes: Buffer = fault?.kind === 'corrupt' ? Buffer.from(chunk.map((byte: number) => byte ^ 0x55)) : chunk
    if (fault !== undefined && 'after' in fault && sent + bytes.length > fault.after) {
      bytes = bytes.subarray(0, Math.max(0, fault.after - sent))
      if (bytes.length > 0) await new Promise((resolve) => response.write(bytes, resolve))
      if (fault.kind === 'stall') return
      response.destroy()
      return
    }
    sent += bytes.length
    if (response.destroyed) return
    if (fault?.kind === 'slow') {
      for (let offset = 0; offset < bytes.length && !response.destroyed; offset += 1024) {
        response.write(bytes.subarray(offset, offset + 1024))
        await delay((1024 / fault.bytesPerSecond) * 1000)
      }
    } else if (!response.write(bytes)) await drained(response)
  }
  response.end()
}

async function drained(response: ServerResponse): Promise<void> {
  const settled = Promise.withResolvers<void>()
  response.once('drain', settled.resolve).once('close', settled.resolve)
  await settled.promise
  response.off('drain', settled.resolve).off('close', settled.resolve)
}

function readRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  if (match[1] === '') return { start: Math.max(0, size - Number(match[2])), end: size - 1 }
  const start = Number(match[1])
  if (start >= size) return 'unsatisfiable'
  return { start, end: match[2] === '' ? size - 1 : Math.min(size - 1, Number(match[2])) }
}
