import { createHash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import type { HashAnswer, HashBegin, HashStep } from './content-hash.ts'

parentPort?.on('message', ({ port, memory }: HashBegin) => {
  const hash = createHash('sha256')
  const answer = (said: HashAnswer): void => port.postMessage(said)
  port.on('message', (step: HashStep) => {
    if (step === 'digest') return answer({ digest: hash.digest('hex') })
    hash.update(new Uint8Array(memory, step.start, step.end - step.start))
    answer('taken')
  })
})
