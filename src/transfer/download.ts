import { describeError } from '../hub/index.ts'
import { discardBody, type HubClient, type HubHeaders, type HubResponse } from './hub-client.ts'
import { HubUnreachable } from './hub-failure.ts'
import { type PartMemory, partSize } from './part-memory.ts'
import { isRetryableStatus, pause, Retryable, retryAfter } from './retry.ts'

/** Parts of one file under way at a time. */
const partsAhead = 6

/** Bytes of a part handed on at a time. */
const pieceSize = 1024 * 1024

/** Milliseconds after which less than a piece is handed on. */
const longestHeld = 500

export interface Download {
  readonly client: HubClient
  readonly place: DownloadPlace
  /** The whole file's size in bytes. */
  readonly size: number
  readonly memory: PartMemory
  readonly signal: AbortSignal
  /** Called as bytes arrive, with their number: parts are held until their turn comes. */
  readonly onReceived?: ((bytes: number) => void) | undefined
  /** Makes the error of an answer that asking again will not change. */
  refuse(status: number, headers: HubHeaders): Error
}

/**
 * Where a file's bytes are: at the Hub, or where that has led to, for as long as it answers. The Hub counts requests
 * against a limit, and a large file is hundreds of parts.
 */
export class DownloadPlace {
  /** A place of {@link HubClient}. */
  readonly #atHub: string
  #ledTo: string | undefined

  constructor(atHub: string) {
    this.#atHub = atHub
  }

  get current(): string {
    return this.#ledTo ?? this.#atHub
  }

  answered({ ledTo }: HubResponse): void {
    if (ledTo !== undefined) this.#ledTo = ledTo
  }

  /** The Hub is asked the next time. Returns whether this was somewhere else. */
  forget(): boolean {
    const wasElsewhere = this.#ledTo !== undefined
    this.#ledTo = undefined
    return wasElsewhere
  }
}

/**
 * A file's bytes from `start` on, in order; each piece is good until the next is asked for. A small
 * file is one request; a large one is asked for in parts, several at a time, so that one slow
 * connection does not set the pace. Each part goes on from where it broke off.
 */
export function downloadFile(download: Download, start: number): AsyncIterable<Buffer> {
  return download.size - start > partSize ? inParts(download, start) : oneBody(download, start, download.size)
}

/** Bytes `start` to `end` (exclusive), resumed after faults as long as each attempt brings some bytes. */
async function* oneBody(download: Download, start: number, end: number): AsyncGenerator<Buffer> {
  let offset = start
  let fruitless = 0
  if (offset === end) return
  while (offset < end) {
    const before = offset
    try {
      const response = await openRange(download, offset, end)
      for await (const chunk of response.body) {
        const bytes: Buffer = chunk
        offset += bytes.length
        if (offset > end)
          throw new HubUnreachable(
            download.client.endpoint,
            `it sends more than the ${download.size} bytes it announced`,
          )
        download.onReceived?.(bytes.length)
        yield bytes
      }
      if (offset < end)
        throw new Retryable(
          new HubUnreachable(download.client.endpoint, `the download broke off at byte ${offset} of ${download.size}`),
        )
    } catch (error) {
      download.signal.throwIfAborted()
      if (
        error instanceof HubUnreachable ||
        (error instanceof Error && 'status' in error && !(error instanceof Retryable))
      )
        throw error
      fruitless = offset > before ? 0 : fruitless + 1
      if (fruitless >= download.client.retries.attempts) throw causeOf(error, download)
      await pause(
        download.client.retries,
        Math.max(1, fruitless),
        error instanceof Retryable ? error.after : undefined,
        download.signal,
      )
    }
  }
}

function causeOf(error: unknown, download: Download): Error {
  if (error instanceof Retryable && error.cause instanceof Error) return error.cause
  return new HubUnreachable(download.client.endpoint, describeError(error), { cause: error })
}

/** An answer whose body is exactly the bytes from `offset` on. */
async function openRange(download: Download, offset: number, end: number): Promise<HubResponse> {
  const { client, place, signal } = download
  const whole = offset === 0 && end === download.size
  const headers: Record<string, string> = whole ? {} : { range: `bytes=${offset}-${end - 1}` }
  const response = await client.get(place.current, headers, signal).catch((error: unknown) => {
    place.forget()
    throw error
  })
  const expected = whole ? 200 : 206
  if (response.status === expected) {
    place.answered(response)
    return response
  }
  discardBody(response)
  if (response.status === 200) {
    throw new HubUnreachable(client.endpoint, 'it ignores ranges, which large downloads need')
  }
  const refusal = download.refuse(response.status, response.headers)
  // A signed URL that has expired is refused at the CDN; the Hub gives a new one.
  const isExpired = response.status === 403 && response.headers['x-error-code'] === undefined
  if (place.forget() || isExpired || isRetryableStatus(response.status))
    throw new Retryable(refusal, retryAfter(response.headers))
  throw refusal
}

async function* inParts(download: Download, start: number): AsyncGenerator<Buffer> {
  const stop = new AbortController()
  const bounded = { ...download, signal: AbortSignal.any([download.signal, stop.signal]) }
  const ahead: Part[] = []
  let offset = start
  const begin = (memory: Buffer): void => {
    const end = Math.min(offset + partSize, download.size)
    ahead.push(new Part(memory, end - offset, oneBody(bounded, offset, end)))
    offset = end
  }
  try {
    while (offset < download.size || ahead.length > 0) {
      if (ahead.length === 0) begin(await download.memory.take())
      while (ahead.length < partsAhead && offset < download.size) {
        const memory = download.memory.tryTake()
        if (memory === undefined) break
        begin(memory)
      }
      const part = ahead[0] as Part
      yield* part.pieces()
      ahead.shift()
      download.memory.give(part.memory)
    }
  } finally {
    stop.abort()
    // What still receives still writes: its memory may go to another file only when that has ended.
    await Promise.allSettled(ahead.map(({ filled }) => filled))
    for (const { memory } of ahead) download.memory.give(memory)
  }
}

/** A part under way: received into memory, whether or not its turn to be handed on has come. */
class Part {
  readonly memory: Buffer
  /** Settles when nothing more is written to `memory`. */
  readonly filled: Promise<void>
  readonly #size: number
  #received = 0
  #arrived: (() => void) | undefined

  constructor(memory: Buffer, size: number, body: AsyncIterable<Buffer>) {
    this.memory = memory
    this.#size = size
    this.filled = this.#fill(body)
    this.filled.catch(() => undefined) // its turn to be awaited comes later; until then it must not count as unhandled
  }

  /** The bytes as they arrive, in pieces; what was handed on outlives an interruption, what is held does not. */
  async *pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.#size; ) {
      if (this.#received - at < pieceSize && this.#received < this.#size) await this.#moreThan(at)
      const end = Math.min(this.#received, at + pieceSize)
      if (end > at) yield this.memory.subarray(at, end)
      at = end
    }
    await this.filled
  }

  /** Waits for a piece beyond `at`, or for less on a slow connection. Rejects if the rest will not come. */
  async #moreThan(at: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#arrived = () => {
      if (this.#received - at >= pieceSize) resolve()
    }
    this.filled.then(resolve, reject)
    const timer = setTimeout(resolve, longestHeld)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#arrived = undefined
    }
  }

  async #fill(body: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of body) {
      this.#received += chunk.copy(this.memory, this.#received)
      free(chunk)
      this.#arrived?.()
    }
  }
}

/**
 * Frees a chunk at once, if it is all of its memory and so nobody else's. It lies outside V8's heap,
 * and left to the collector each 64 MB of such would have it go through the whole heap.
 */
function free({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
