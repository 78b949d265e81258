import cliProgress from 'cli-progress'
import type { VerifyProgress } from '../mirror/index.ts'
import { formatBytes, formatSeconds } from './format.ts'

/** A bar on a terminal, with speed and time left; nothing elsewhere. */
export class VerifyBar implements VerifyProgress {
  readonly #bar: cliProgress.SingleBar | undefined
  #started = 0
  #total = 0
  #checked = 0

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

  planned(_blobs: number, bytes: number): void {
    this.#started = performance.now()
    this.#total = bytes
    this.#bar?.start(Math.max(1, bytes), 0, this.#payload())
  }

  blobChecked(bytes: number): void {
    this.#checked += bytes
    this.#bar?.update(this.#checked, this.#payload())
  }

  stop(): void {
    this.#bar?.stop()
  }

  #payload() {
    const speed = this.#checked / Math.max(0.001, (performance.now() - this.#started) / 1000)
    return {
      done: formatBytes(this.#checked),
      all: formatBytes(this.#total),
      speed: formatBytes(speed),
      left: speed === 0 ? '?' : formatSeconds((this.#total - this.#checked) / speed),
    }
  }
}
