import { Writable } from 'node:stream'
import bunyan from 'bunyan'
import type { LogLevel } from './log-levels.ts'
import type { LogOutput } from './log-output.ts'

export type Logger = bunyan
export type LogFormat = 'json' | 'text'

/** A bunyan logger to `output`: JSON lines for programs, one readable line each for terminals. */
export function createLogger(level: LogLevel, format: LogFormat, output: LogOutput): Logger {
  const stream: bunyan.Stream =
    format === 'json' ? { stream: output as NodeJS.WritableStream } : { type: 'raw', stream: new ReadableLines(output) }
  return bunyan.createLogger({ name: 'mirrorface', streams: [{ ...stream, level }] })
}

interface LogRecord {
  readonly time: Date
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

const coreFields = new Set(['name', 'hostname', 'pid', 'level', 'msg', 'time', 'v'])

/** `12:00:01 INFO  message field=value`, and below it an error's stack where there is one. */
class ReadableLines extends Writable {
  readonly #output: LogOutput

  constructor(output: LogOutput) {
    super({ objectMode: true })
    this.#output = output
  }

  override _write(record: LogRecord, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const { err, ...rest } = record
    const fields = Object.entries(rest)
      .filter(([name, value]) => !coreFields.has(name) && value !== undefined)
      .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    const level = (bunyan.nameFromLevel[record.level] ?? String(record.level)).toUpperCase().padEnd(5)
    const stack = err instanceof Object && 'stack' in err ? `\n${String(err.stack)}` : ''
    this.#output.write(
      `${record.time.toISOString().slice(11, 19)} ${level} ${[record.msg, ...fields].join(' ')}${stack}\n`,
    )
    done()
  }
}
