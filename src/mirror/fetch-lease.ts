import { setTimeout as delay } from 'node:timers/promises'
import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import { Judge } from './judge.ts'
import { blobKey, sha256OfName } from './layout.ts'
import { Lease } from './lease.ts'

/** Bytes below which it costs less to fetch a content twice than to ask who else does. */
const smallestLeased = 4 * 1024 * 1024

/** Milliseconds between two looks at another's fetch: at first, and at most. */
const pauses = { first: 100, longest: 2_000 }

export interface FetchTurnOptions extends OperationOptions {
  readonly storage: Storage
  /** The blob's name. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** The lease of who asks. */
  readonly lease: Lease
  /** Milliseconds to wait for another's fetch. */
  readonly patience: number
}

/** To be disposed of once the content is stored, or could not be: then it is the next one's turn. */
export interface FetchTurn extends AsyncDisposable {
  /** Whether the content is there already, and need not be fetched. */
  readonly isStored: boolean
}

const stored: FetchTurn = { isStored: true, [Symbol.asyncDispose]: async () => undefined }
const unleased: FetchTurn = { isStored: false, [Symbol.asyncDispose]: async () => undefined }

/**
 * Lets one of several processes fetch a content, and the others wait for it. The lease bears the content's SHA-256 as its
 * id. It is a hint: who has waited long enough, or finds the holder dead, fetches as well, and blobs are kept once
 * however often they are fetched.
 */
export async function takeFetchTurn(options: FetchTurnOptions): Promise<FetchTurn> {
  const { storage, name, size, lease, patience, signal } = options
  if (size < smallestLeased) return unleased
  if (await isStored(options)) return stored
  const id = sha256OfName(name)
  const end = performance.now() + patience
  for (let pause = pauses.first; ; pause = Math.min(2 * pause, pauses.longest)) {
    const own = await beginFetch(storage, id)
    // Whoever held it before may have stored the content since it was looked for.
    if (await isStored(options)) {
      await own?.[Symbol.asyncDispose]()
      return stored
    }
    if (own !== undefined) return { isStored: false, [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() }
    if (await new Judge(storage, lease).isDead(id, signal === undefined ? {} : { signal })) continue
    const left = end - performance.now()
    if (left <= 0) return unleased
    await delay(Math.min(pause, left), undefined, signal === undefined ? {} : { signal })
  }
}

/** `undefined`: another has it. */
async function beginFetch(storage: Storage, id: string): Promise<Lease | undefined> {
  try {
    return await Lease.begin(storage, 'fetch', `fetch ${id}`, id)
  } catch (error) {
    if (error instanceof Conflict) return undefined
    throw error
  }
}

async function isStored({ storage, name, size, signal }: FetchTurnOptions): Promise<boolean> {
  const found = await storage.stat(blobKey(name), signal === undefined ? {} : { signal })
  return found?.size === size
}
