import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import { MalformedObject } from './manifest.ts'
import { writeJson, writerOf } from './objects.ts'

/** What every object that changes carries. */
export interface Stamped {
  readonly rev?: string | undefined
  readonly writer?: string | undefined
}

/** What a writer makes of an object: its new value, or that it stays or goes. */
export type Decision<T> = { readonly write: T } | 'keep' | 'remove'

export interface ChangeOptions<T> extends OperationOptions {
  readonly storage: Storage
  /** Who writes. */
  readonly run: string
  readonly key: string
  parse(key: string, text: string): T
  /**
   * Called with what is stored now, again after each conflict; it must decide on that alone. A
   * damaged object counts as absent. What it throws ends the change.
   */
  decide(current: T | undefined): Decision<T>
}

/** Conflicts in a row, each of which means that another writer has got on. */
const mostConflicts = 1000

/** Doublings of the pause between two attempts. */
const mostDoublings = 5

/** An id of 128 random bits. */
export function randomId(): string {
  return randomBytes(16).toString('hex')
}

/**
 * Changes an object by a conditional write that is decided on what it replaces, until it succeeds:
 * so no update of another writer is lost. Resolves to the object as it then is.
 */
export async function changeObject<T extends Stamped>(change: ChangeOptions<T>): Promise<T | undefined> {
  const { storage, run, key, signal } = change
  const writer = writerOf(storage)
  const options = signal === undefined ? {} : { signal }
  let attempted: string | undefined
  for (let conflicts = 0; ; conflicts++) {
    const loaded = await writer.load(key, options)
    const current = loaded === undefined ? undefined : parseSound(change, loaded.bytes.toString())
    // The response of the last attempt was lost, or came as a conflict with itself.
    if (attempted !== undefined && current?.rev === attempted) return current
    const decision = change.decide(current)
    if (decision === 'keep') return current
    try {
      if (decision === 'remove') {
        if (loaded !== undefined) await writer.remove(key, { ...options, ifGeneration: loaded.generation })
        return undefined
      }
      attempted = randomId()
      const value = { ...decision.write, rev: attempted, writer: run }
      const condition = loaded === undefined ? { ifAbsent: true as const } : { ifGeneration: loaded.generation }
      await writeJson(writer, key, value, { ...options, ...condition })
      return value
    } catch (error) {
      if (!(error instanceof Conflict) || conflicts === mostConflicts) throw error
      if (error.retryAfter === 0) continue
      // Drawn from a range that doubles, so that many writers of one object get out of each other's way.
      const range = error.retryAfter * 2 ** Math.min(conflicts, mostDoublings)
      await delay(range * Math.random(), undefined, options)
    }
  }
}

function parseSound<T>({ key, parse }: ChangeOptions<T>, text: string): T | undefined {
  try {
    return parse(key, text)
  } catch (error) {
    if (error instanceof MalformedObject) return undefined
    throw error
  }
}
