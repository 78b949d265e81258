import { Worker } from 'node:worker_threads'
import { LRUCache } from 'lru-cache'
import { Failure } from '../hub/index.ts'
import { shared, Turns } from '../sharing/index.ts'
import type { FromFactsThread, GgufFacts, ToFactsThread } from './gguf-facts.ts'

/** A GGUF somewhere. */
export interface GgufSource {
  /** Names this very content. */
  readonly key: string
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** `end` is included. */
  read(start: number, end: number): Promise<Uint8Array>
}

/** The content is no GGUF, or one whose header is beyond the limits. */
export class GgufUnreadable extends Failure {
  constructor(path: string, reason: string) {
    super('GgufUnreadable', 422, `the GGUF header of ${path} can't be read: ${reason}`)
  }
}

/** Bytes of a header; those of today's models have some 15 MB. */
const largestHeader = 64 * 1024 * 1024
/** Milliseconds for a header; those of today's models take less than one second. */
const longest = 8_000
/** Milliseconds for which an unreadable one is believed to be so: each try may cost a core for as long as above. */
const refusedFor = 60_000
/** Of the thread's heap, in MiB: tokens and merges are many small strings. */
const heap = 512
const threads = { of: 'GGUF headers', atATime: 1, waiting: 64, patience: longest }

/** Files whose facts are kept, and the bytes of templates that this may take. */
const mostKept = 1_000
const memory = 8 * 1024 * 1024

/** Reads GGUF headers, each once, one at a time, in a thread that is ended with it. */
export class GgufReader {
  readonly #kept = new LRUCache<string, GgufFacts>({
    max: mostKept,
    maxSize: memory,
    sizeCalculation: ({ template = '', stop }) => 256 + 2 * (template.length + stop.join().length),
  })
  readonly #refused = new LRUCache<string, GgufUnreadable>({ max: mostKept, ttl: refusedFor })
  readonly #reading = new Map<string, Promise<GgufFacts>>()
  readonly #turns = new Turns(threads)

  /** What is known already. */
  known({ key }: GgufSource): GgufFacts | undefined {
    return this.#kept.get(key)
  }

  /** Rejects with a {@link GgufUnreadable}, with what `read` rejects with, or where too many wait. */
  async facts(source: GgufSource): Promise<GgufFacts> {
    const known = this.known(source)
    if (known !== undefined) return known
    const refused = this.#refused.get(source.key)
    if (refused !== undefined) throw refused
    return await shared(this.#reading, source.key, async () => {
      try {
        const facts = await this.#turns.take(() => factsOf(source))
        this.#kept.set(source.key, facts)
        return facts
      } catch (error) {
        if (error instanceof GgufUnreadable) this.#refused.set(source.key, error)
        throw error
      }
    })
  }
}

async function factsOf(source: GgufSource): Promise<GgufFacts> {
  const extension = import.meta.filename.slice(import.meta.filename.lastIndexOf('.'))
  const thread = new Worker(new URL(`./facts-thread${extension}`, import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: heap },
    env: {},
  })
  const ended = Promise.withResolvers<GgufFacts>()
  const fail = (reason: string) => ended.reject(new GgufUnreadable(source.path, reason))
  const late = setTimeout(() => fail(`it takes longer than ${longest / 1000} s`), longest)
  let given = 0
  const give = async (start: number, end: number): Promise<void> => {
    const last = Math.min(end, source.size - 1)
    given += Math.max(0, last - start + 1)
    if (given > largestHeader) return fail(`it is longer than ${largestHeader} bytes`)
    if (last < start) return fail('it ends early')
    thread.postMessage({ bytes: await source.read(start, last) } satisfies ToFactsThread)
  }
  thread.on('message', (message: FromFactsThread) => {
    if (message.kind === 'facts') ended.resolve(message.facts)
    else if (message.kind === 'unreadable') fail(message.reason)
    else give(message.start, message.end).catch(ended.reject)
  })
  thread.on('error', (error: Error) => fail(error.message))
  thread.on('exit', () => fail('its thread ended'))
  try {
    return await ended.promise
  } finally {
    clearTimeout(late)
    await thread.terminate()
  }
}
