import cliProgress from 'cli-progress'
import { formatRepository, type TreeEntry } from '../hub/index.ts'
import type { MirrorPlan, MirrorProgress } from '../mirror/index.ts'
import { formatBytes, formatSeconds } from './format.ts'

/** Milliseconds between two lines where no bar can be drawn. */
const lineInterval = 10_000

/** Shows bytes, speed and time left: a bar on a terminal, a line now and then elsewhere. On stderr. */
export class TransferProgress implements MirrorProgress {
  readonly #bar: cliProgress.SingleBar | undefined
  #plan: MirrorPlan | undefined
  #total = 0
  /** Bytes from the source in this run: what the speed is made of. */
  #received = 0
  /** Bytes that an interrupted run had left. */
  #resumed = 0
  #filesDone = 0
  #started = 0
  #lastLine = 0
  #current = ''

  constructor(isTerminal: boolean) {
    if (!isTerminal) return
    this.#bar = new cliProgress.SingleBar({
      format: '{bar} {percentage}% | {done} of {all} | {speed}/s | {left} left | {file}',
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
      fps: 5,
    })
  }

  /** Another revision's turn. */
  begin(): void {
    this.#plan = undefined
  }

  planned(plan: MirrorPlan): void {
    const { request, listing, present, missing } = plan
    this.#plan = plan
    this.#total = missing.reduce((sum, file) => sum + file.size, 0)
    this.#received = 0
    this.#resumed = 0
    this.#filesDone = 0
    this.#started = performance.now()
    this.#lastLine = this.#started
    const have = present.length === 0 ? '' : `, ${present.length} files are here already`
    process.stderr.write(
      `${formatRepository(request.repository)}@${request.revision} is ${listing.commit.slice(0, 12)}: ${missing.length} files to fetch (${formatBytes(this.#total)})${have}\n`,
    )
    if (missing.length > 0) this.#bar?.start(Math.max(1, this.#total), 0, this.#payload())
  }

  fileStarted(file: TreeEntry): void {
    this.#current = file.path
  }

  bytesResumed(_file: TreeEntry, bytes: number): void {
    this.#resumed += bytes
    this.#show()
  }

  bytesReceived(_file: TreeEntry, bytes: number): void {
    this.#received += bytes
    this.#show()
  }

  fileFinished(): void {
    this.#filesDone++
  }

  /** How far the revision under way came: `3 of 7 files (1.2 GiB)`; `undefined` where nothing of it was begun. */
  get summary(): string | undefined {
    if (this.#plan === undefined) return undefined
    return `${this.#filesDone} of ${this.#plan.missing.length} files (${formatBytes(this.#received + this.#resumed)} of ${formatBytes(this.#total)})`
  }

  stop(): void {
    this.#bar?.stop()
  }

  #show(): void {
    const now = performance.now()
    if (this.#bar !== undefined) {
      this.#bar.update(this.#received + this.#resumed, this.#payload())
    } else if (now - this.#lastLine > lineInterval) {
      this.#lastLine = now
      const { done, all, speed, left } = this.#payload()
      process.stderr.write(`${done} of ${all}, ${speed}/s, ${left} left\n`)
    }
  }

  #payload() {
    const done = this.#received + this.#resumed
    const speed = this.#received / Math.max(0.001, (performance.now() - this.#started) / 1000)
    return {
      done: formatBytes(done),
      all: formatBytes(this.#total),
      speed: formatBytes(speed),
      left: speed === 0 ? '?' : formatSeconds((this.#total - done) / speed),
      file: this.#current,
    }
  }
}
