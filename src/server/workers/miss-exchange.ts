import type { Repository } from '../../hub/index.ts'
import type { Misses } from '../observe/misses.ts'

/** Milliseconds for which misses are gathered before the other workers are told. */
const pause = 500

interface MissBatch {
  readonly kind: 'misses'
  readonly misses: readonly { readonly repository: Repository; readonly bytes: number }[]
}

export function isMissBatch(message: unknown): message is MissBatch {
  return message instanceof Object && 'kind' in message && message.kind === 'misses'
}

/** Tells the other workers what this one missed, and counts what they did: any of them can be asked. */
export function exchangeMisses(misses: Misses): void {
  let gathered: Array<MissBatch['misses'][number]> = []
  misses.onAdd = (repository, bytes) => {
    if (gathered.length === 0) setTimeout(flush, pause).unref()
    gathered.push({ repository, bytes })
  }
  const flush = () => {
    process.send?.({ kind: 'misses', misses: gathered } satisfies MissBatch)
    gathered = []
  }
  process.on('message', (message: unknown) => {
    if (isMissBatch(message)) for (const { repository, bytes } of message.misses) misses.count(repository, bytes)
  })
}
