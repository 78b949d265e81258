import cliProgress from 'cli-progress'
import type { VerifyProgress } from '../mirror/index.ts'
import { formatBytes, formatSeconds } from './format.ts'

/** A bar on a terminal, with speed and time left; nothing elsewhere. */
export class VerifyBar implements VerifyProgress {
  readonly #bar: cliProgress.SingleBar | undefined
  #started = 0
  #totalBytes = 0
  #checkedBytes = 0
  #totalBlobs = 0
  #checkedBlobs = 0

  constructor(isTerminal: boolean) {
    if (isTerminal) {
      this.#bar = new cliProgress.SingleBar({
        format: '{bar} {percentage}% | {done} of {all} | {speed}/s | {left} left',
        hideCursor: true,
        clearOnComplete: true,
        stream: process.stderr,
        fps: 5,
      })
    }
  }

  planned(blobs: number, bytes: number): void {
    this.#started = performance.now()
    this.#totalBlobs = blobs
    this.#totalBytes = bytes
    this.#bar?.start(Math.max(1, bytes), 0, this.#payload())
  }

  bytesChecked(bytes: number): void {
    this.#checkedBytes += bytes
    this.#bar?.update(this.#checkedBytes, this.#payload())
  }

  blobChecked(): void {
    this.#checkedBlobs++
  }

  /** How far it came: `3 of 7 blobs (1.2 GiB)`. */
  get summary(): string {
    return `${this.#checkedBlobs} of ${this.#totalBlobs} blobs (${formatBytes(this.#checkedBytes)})`
  }

  stop(): void {
    this.#bar?.stop()
  }

  #payload() {
    const speed = this.#checkedBytes / Math.max(0.001, (performance.now() - this.#started) / 1000)
    return {
      done: formatBytes(this.#checkedBytes),
      all: formatBytes(this.#totalBytes),
      speed: formatBytes(speed),
      left: speed === 0 ? '?' : formatSeconds((this.#totalBytes - this.#checkedBytes) / speed),
    }
  }
}
