import { z } from 'zod'
import { increment } from './increment.ts'

/** Run as a process: increments a number in the storage that its arguments name. */
const [url = '', options = '{}', key = '', times = '0'] = process.argv.slice(2)
const definition = (await import(url)).default
const storage = await definition.create(
  definition.options.parse(z.record(z.string(), z.unknown()).parse(JSON.parse(options))),
  { logger: console },
)
await increment(storage.writer, key, Number(times))
await storage.close()
