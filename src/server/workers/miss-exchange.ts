import type { Misses, Wanted } from '../observe/misses.ts'

/** Milliseconds for which misses are gathered before the other workers are told. */
const pause = 500

interface MissBatch {
  readonly kind: 'misses'
  readonly misses: readonly { readonly wanted: Wanted; readonly bytes: number }[]
}

export function isMissBatch(message: unknown): message is MissBatch {
  return message instanceof Object && 'kind' in message && message.kind === 'misses'
}

/** Tells the other workers what this one missed, and counts what they did: any of them can be asked. */
export function exchangeMisses(misses: Misses): void {
  let gathered: Array<MissBatch['misses'][number]> = []
  misses.onAdd = (wanted, bytes) => {
    if (gathered.length === 0) setTimeout(flush, pause).unref()
    gathered.push({ wanted, bytes })
  }
  const flush = () => {
    process.send?.({ kind: 'misses', misses: gathered } satisfies MissBatch)
    gathered = []
  }
  process.on('message', (message: unknown) => {
    if (isMissBatch(message)) for (const { wanted, bytes } of message.misses) misses.count(wanted, bytes)
  })
}
