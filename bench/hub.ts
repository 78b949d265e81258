/** The stand-in Hub as a process of its own (sizes of the weights and of a shard): prints its URL, and the SHA-256 of the weights. */
import { StandInHub, syntheticContent } from '../test/hub/index.ts'

const weights = syntheticContent(Number(process.argv[2]), 1)
const hub = await new StandInHub().start()
const metadata = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`shard-${index}.json`, String(index)]))
hub.add({ type: 'model', id: 'org/weights' }).commit({ 'weights.safetensors': weights })
const shards = Object.fromEntries(
  Array.from({ length: 20 }, (_, index) => {
    return [`shard-${index}.safetensors`, syntheticContent(Number(process.argv[3]), 100 + index)] as const
  }),
)
hub.add({ type: 'model', id: 'org/shards' }).commit({ 'config.json': '{}', ...shards })
const parts = Object.fromEntries(
  Array.from({ length: 8 }, (_, index) => {
    return [`part-${index}.safetensors`, syntheticContent(weights.size / 4, 200 + index)] as const
  }),
)
hub.add({ type: 'model', id: 'org/parts' }).commit(parts)
hub.add({ type: 'model', id: 'org/metadata' }).commit(metadata)
hub.add({ type: 'model', id: 'org/fallback' }).commit(metadata)
setInterval(() => hub.requests.splice(0), 1000) // it counts for tests; here it would only grow
process.stdout.write(`${JSON.stringify({ url: hub.url, sha256: weights.sha256 })}\n`)
