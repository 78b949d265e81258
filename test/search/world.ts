import { mock } from 'node:test'
import type { Scheduler } from 'fast-check'
import { Conflict, StorageUnavailable } from 'mirrorface/plugin'
import { MemoryBucket } from './memory-bucket.ts'
import { changes, MemoryStorage, type Request } from './memory-storage.ts'

/** What befalls one process. Calls are counted from 0; absent: nothing of the kind. */
export interface Fate {
  /** It dies before this call. */
  readonly crash?: number | undefined
  /** This call fails; `lost`: after it was carried out; `echoed`: as a conflict with itself, as after a retry. */
  readonly failure?: { readonly call: number; readonly kind: 'refused' | 'lost' | 'echoed' } | undefined
  /** It is stopped before this call until so many steps of others are done; for a `day` by the storage's clock, or a moment. */
  readonly sleep?: { readonly call: number; readonly steps: number; readonly day: boolean } | undefined
  /** Seconds by which its clock is wrong. */
  readonly skew: number
}

export const unharmed: Fate = { skew: 0 }

/** Virtual seconds between two steps: long enough that times differ. */
const stepSeconds = 1

/** A storage, its clock, and processes of which the scheduler lets one make one request at a time. */
export class World {
  readonly bucket = new MemoryBucket()
  readonly trace: string[] = []
  /** Virtual time of the storage, in milliseconds since the epoch. */
  now = Date.UTC(2026, 0, 10)
  step = 0
  readonly #scheduler: Scheduler
  #asleep: { readonly until: number; readonly wake: () => void }[] = []

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** The storage as a process of this name and fate sees it. */
  storageOf(process: Process): MemoryStorage {
    return new MemoryStorage(this.bucket, process.request)
  }

  process(name: string, fate: Fate): Process {
    return new Process(this, name, fate)
  }

  /** Runs processes until each has ended or died, and `check` after every step. */
  async run(check: () => void): Promise<void> {
    for (;;) {
      await settled()
      this.#wake()
      await settled()
      if (this.#scheduler.count() === 0) {
        if (this.#asleep.length === 0) return
        const [next] = this.#asleep.toSorted((a, b) => a.until - b.until)
        this.step = next?.until ?? this.step
        continue
      }
      await this.#scheduler.waitNext(1)
      check()
    }
  }

  async turn(label: string): Promise<void> {
    await this.#scheduler.schedule(Promise.resolve(), label)
  }

  async sleep(steps: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#asleep.push({ until: this.step + steps, wake: resolve })
    await promise
  }

  /** Lets time pass, and shows a process its own clock. */
  tick(skew: number, milliseconds = stepSeconds * 1000): void {
    this.now += milliseconds
    mock.timers.setTime(this.now + skew * 1000)
  }

  #wake(): void {
    const due = this.#asleep.filter(({ until }) => until <= this.step)
    this.#asleep = this.#asleep.filter(({ until }) => until > this.step)
    for (const { wake } of due) wake()
  }
}

/** A command under way on a machine of its own. */
export class Process {
  readonly name: string
  /** The step of its last change to a manifest or ref; 0 before. */
  committedAt = 0
  /** Of a pull: the step at which it read or wrote the manifest for whose journal it then pulled. */
  openedAt = Number.POSITIVE_INFINITY
  /** The step of its first request; infinite before. */
  begunAt = Number.POSITIVE_INFINITY
  /** How it ended; `undefined` while it runs, and for ever if it died. */
  outcome: 'done' | Error | undefined
  readonly #world: World
  readonly #fate: Fate
  #calls = 0
  #hasPulled = false

  constructor(world: World, name: string, fate: Fate) {
    this.#world = world
    this.name = name
    this.#fate = fate
  }

  start(run: () => Promise<void>): void {
    run().then(
      () => {
        this.outcome = 'done'
        this.#world.trace.push(`${this.name}: ended well`)
      },
      (error: unknown) => {
        this.outcome = error instanceof Error ? error : new Error(String(error))
        this.#world.trace.push(`${this.name}: failed: ${this.outcome.message}`)
      },
    )
  }

  readonly request: Request = async (operation, key, act) => {
    const { crash, failure, sleep, skew } = this.#fate
    const call = this.#calls++
    if (crash !== undefined && call >= crash) {
      if (call === crash) this.#world.trace.push(`${this.name}: killed`)
      return await new Promise<never>(() => undefined)
    }
    if (sleep?.call === call) {
      this.#world.trace.push(`${this.name}: stopped for a ${sleep.day ? 'day' : 'moment'}`)
      if (sleep.day) this.#world.tick(0, 25 * 3_600_000)
      await this.#world.sleep(sleep.steps)
    }
    const label = `${this.name}: ${operation} ${key.replaceAll(/([0-9a-f]{6})[0-9a-f]{34,}/g, '$1')}`
    await this.#world.turn(label)
    this.#world.step++
    this.#world.tick(skew)
    const fails = failure?.call === call ? failure.kind : undefined
    const isChange = changes.has(operation)
    this.#world.trace.push(fails === undefined ? label : `${label} (${fails})`)
    if (fails === 'refused') throw new StorageUnavailable('memory', 'refused')
    this.begunAt = Math.min(this.begunAt, this.#world.step)
    const [, folder] = /^repositories\/[^/]+\/([^/]+)/.exec(key) ?? []
    if (folder === 'commits' && (isChange || operation === 'load') && !this.#hasPulled) this.openedAt = this.#world.step
    this.#hasPulled ||= folder === 'pulled'
    // The storage's clock is right, whatever the process's is.
    mock.timers.setTime(this.#world.now)
    const result = act()
    if (isChange && (folder === 'commits' || folder === 'refs')) this.committedAt = this.#world.step
    mock.timers.setTime(this.#world.now + skew * 1000)
    if (fails === 'lost' && isChange) throw new StorageUnavailable('memory', 'the response was lost')
    if (fails === 'echoed' && operation === 'put') throw new Conflict('memory', key)
    return result
  }
}

/** Until every process waits for its next turn: promises and streams have run dry. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
