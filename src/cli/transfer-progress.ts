import cliProgress from 'cli-progress'
import type { TreeEntry } from '../hub/index.ts'
import type { MirrorPlan, MirrorProgress } from '../mirror/index.ts'
import { formatBytes, formatSeconds } from './format.ts'

/** Milliseconds between two lines where no bar can be drawn. */
const lineInterval = 10_000

/** Shows bytes, speed and time left: a bar on a terminal, a line now and then elsewhere. On stderr. */
export class TransferProgress implements MirrorProgress {
  readonly #bar: cliProgress.SingleBar | undefined
  #total = 0
  #received = 0
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

  planned({ request, listing, present, missing }: MirrorPlan): void {
    this.#total = missing.reduce((sum, file) => sum + file.size, 0)
    this.#received = 0
    this.#started = performance.now()
    this.#lastLine = this.#started
    const have = present.length === 0 ? '' : `, ${present.length} files are here already`
    process.stderr.write(
      `${request.repository.id}@${request.revision} is ${listing.commit.slice(0, 12)}: ${missing.length} files to fetch (${formatBytes(this.#total)})${have}\n`,
    )
    if (missing.length > 0) this.#bar?.start(Math.max(1, this.#total), 0, this.#payload())
  }

  fileStarted(file: TreeEntry): void {
    this.#current = file.path
  }

  bytesReceived(_file: TreeEntry, bytes: number): void {
    this.#received += bytes
    this.#bar?.update(this.#received, this.#payload())
    if (this.#bar === undefined && performance.now() - this.#lastLine > lineInterval) {
      this.#lastLine = performance.now()
      const { done, all, speed, left } = this.#payload()
      process.stderr.write(`${done} of ${all}, ${speed}/s, ${left} left\n`)
    }
  }

  fileFinished(file: TreeEntry): void {
    if (this.#bar === undefined) process.stderr.write(`fetched ${file.path} (${formatBytes(file.size)})\n`)
  }

  stop(): void {
    this.#bar?.stop()
  }

  #payload() {
    const seconds = Math.max(0.001, (performance.now() - this.#started) / 1000)
    const speed = this.#received / seconds
    return {
      done: formatBytes(this.#received),
      all: formatBytes(this.#total),
      speed: formatBytes(speed),
      left: speed === 0 ? '?' : formatSeconds((this.#total - this.#received) / speed),
      file: this.#current,
    }
  }
}
