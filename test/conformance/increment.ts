import { setTimeout as delay } from 'node:timers/promises'
import type { StorageWriter } from 'mirrorface/plugin'

/** Adds one to a number in a storage, so often, each time by a conditional write; counts what conflicted. */
export async function increment(writer: StorageWriter, key: string, times: number): Promise<number> {
  let conflicts = 0
  for (let done = 0; done < times; ) {
    const former = await writer.load(key)
    const bytes = Buffer.from(String(Number(former?.bytes ?? 0) + 1))
    const condition = former === undefined ? { ifAbsent: true as const } : { ifGeneration: former.generation }
    try {
      await writer.write(
        key,
        async function* () {
          yield bytes
        },
        { size: bytes.length },
        condition,
      )
      done++
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'Conflict')) throw error
      conflicts++
      await delay(Math.random() * 20)
    }
  }
  return conflicts
}
