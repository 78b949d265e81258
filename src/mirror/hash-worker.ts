import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import type { HashJob, HashResult } from './hash-blobs.ts'

/** Large reads into one buffer: a stream's small chunks would cost three times the hash itself. */
const buffer = Buffer.allocUnsafeSlow(1 << 20)

parentPort?.on('message', ({ path }: HashJob) => {
  parentPort?.postMessage(hashFile(path))
})

function hashFile(path: string): HashResult {
  try {
    const file = openSync(path, 'r')
    try {
      const hash = createHash('sha256')
      for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
        hash.update(buffer.subarray(0, length))
      }
      return { sha256: hash.digest('hex') }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}
