import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import type { HashJob, HashProgress, HashResult } from './hash-blobs.ts'

/** Large reads into one buffer: a stream's small chunks would cost three times the hash itself. */
const buffer = Buffer.allocUnsafeSlow(1 << 20)

/** Bytes hashed between two messages. */
const progressInterval = 32 * 1024 * 1024

parentPort?.on('message', ({ path }: HashJob) => {
  parentPort?.postMessage(hashFile(path))
})

function hashFile(path: string): HashResult {
  try {
    const file = openSync(path, 'r')
    try {
      const hash = createHash('sha256')
      let unreported = 0
      for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
        hash.update(buffer.subarray(0, length))
        unreported += length
        if (unreported < progressInterval) continue
        parentPort?.postMessage({ hashed: unreported } satisfies HashProgress)
        unreported = 0
      }
      return { sha256: hash.digest('hex') }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}
