import { createHash } from 'node:crypto'
import { on } from 'node:events'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'

/** Content from this many bytes on is hashed in a thread; less is done sooner than handed over. */
const worthAThread = 8 * 1024 * 1024

/** Bytes handed to a thread at a time, and how often that: what a hash holds, and how far its thread may lag. */
const slotSize = 512 * 1024
const slots = 4

/** The SHA-256 of content as it passes. To be disposed of, whether its digest was asked for or not. */
export interface ContentHash extends Disposable {
  /**
   * Takes the bytes in; they may be changed as soon as it has resolved. It waits while the thread
   * lags behind, so that a source is held back and no bytes pile up.
   */
  update(bytes: Uint8Array): Promise<void>
  /** Lower-case hex. Ends the hash. */
  digest(): Promise<string>
}

/** What a thread is handed when a hash begins, and then what lies in `memory` for it. */
export interface HashBegin {
  readonly port: MessagePort
  readonly memory: SharedArrayBuffer
}
export type HashStep = { readonly start: number; readonly end: number } | 'digest'
/** A step is taken in, or the digest. */
export type HashAnswer = 'taken' | { readonly digest: string }

/**
 * Hashes large content beside the event loop, by threads that are started when first needed. One
 * keeps up with what an event loop can receive. A thread with nothing to do keeps no process alive.
 */
export class ContentHasher {
  readonly #threads: HashThread[] = []
  readonly #most: number

  constructor(threads = 1) {
    this.#most = threads
  }

  /** @param size Bytes that are expected, where that is known. */
  start(size = 0): ContentHash {
    return size < worthAThread ? new InlineHash() : this.#leastBusyThread().start()
  }

  #leastBusyThread(): HashThread {
    const [leastBusy] = this.#threads.toSorted((a, b) => a.hashes - b.hashes)
    if (leastBusy !== undefined && (leastBusy.hashes === 0 || this.#threads.length === this.#most)) return leastBusy
    const thread = new HashThread(() => this.#threads.splice(this.#threads.indexOf(thread), 1))
    this.#threads.push(thread)
    return thread
  }
}

class InlineHash implements ContentHash {
  readonly #hash = createHash('sha256')

  async update(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
  }

  async digest(): Promise<string> {
    return this.#hash.digest('hex')
  }

  [Symbol.dispose](): void {}
}

class HashThread {
  hashes = 0
  failure: Error | undefined
  readonly #worker: Worker

  constructor(ended: () => void) {
    const extension = import.meta.filename.slice(import.meta.filename.lastIndexOf('.'))
    const resourceLimits = { maxYoungGenerationSizeMb: 1 } // it makes little garbage
    this.#worker = new Worker(new URL(`./content-hash-thread${extension}`, import.meta.url), { resourceLimits })
    this.#worker.unref()
    this.#worker.once('error', (error: Error) => {
      this.failure = error // told by the hashes whose ports it closes
    })
    this.#worker.once('exit', ended)
  }

  start(): ContentHash {
    const { port1, port2 } = new MessageChannel()
    const memory = new SharedArrayBuffer(slotSize * slots)
    this.#worker.postMessage({ port: port2, memory } satisfies HashBegin, [port2])
    this.hashes++
    port1.once('close', () => this.hashes--)
    return new ThreadHash(this, port1, new Uint8Array(memory))
  }
}

/** Fills the slots of a ring in turn, while the thread hashes those before. */
class ThreadHash implements ContentHash {
  readonly #thread: HashThread
  readonly #port: MessagePort
  readonly #memory: Uint8Array
  readonly #answers: AsyncIterator<[HashAnswer]>
  #slot = 0
  #filled = 0
  #untaken = 0

  constructor(thread: HashThread, port: MessagePort, memory: Uint8Array) {
    this.#thread = thread
    this.#port = port
    this.#memory = memory
    this.#answers = on(port, 'message', { close: ['close'] }) as AsyncIterator<[HashAnswer]>
  }

  async update(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length; ) {
      if (this.#filled === slotSize) await this.#handOver()
      const piece = bytes.subarray(offset, offset + slotSize - this.#filled)
      this.#memory.set(piece, this.#slot * slotSize + this.#filled)
      this.#filled += piece.length
      offset += piece.length
    }
  }

  async digest(): Promise<string> {
    await this.#handOver()
    this.#post('digest')
    for (;;) {
      const answer = await this.#answer()
      if (answer !== 'taken') return answer.digest
    }
  }

  [Symbol.dispose](): void {
    this.#port.close()
  }

  async #handOver(): Promise<void> {
    const start = this.#slot * slotSize
    this.#post({ start, end: start + this.#filled })
    this.#slot = (this.#slot + 1) % slots
    this.#filled = 0
    if (++this.#untaken < slots) return
    await this.#answer()
    this.#untaken--
  }

  #post(step: HashStep): void {
    this.#port.postMessage(step)
  }

  async #answer(): Promise<HashAnswer> {
    const next = await this.#answers.next()
    if (next.done === true) throw new Error('the thread that hashes has ended', { cause: this.#thread.failure })
    return next.value[0]
  }
}
