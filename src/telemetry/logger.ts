import bunyan from 'bunyan'
import type { LogLevel } from './log-levels.ts'
import type { LogOutput } from './log-output.ts'
import { plainValue, stackLines } from './log-record.ts'
import { hidden, isSecretName, Redactor } from './redact.ts'

export type Logger = bunyan
export type LogFormat = 'json' | 'text'

/**
 * A bunyan logger to `output`: JSON lines for programs, one readable line each for terminals. Every
 * line goes through the redactor, whoever wrote it.
 */
export function createLogger(
  level: LogLevel,
  format: LogFormat,
  output: LogOutput,
  redactor: Redactor = new Redactor(),
): Logger {
  const render = format === 'json' ? jsonLine : textLine
  const write = (record: object) => output.write(`${redactor.redact(render(record, redactor))}\n`)
  // bunyan gives a raw stream the record itself.
  return bunyan.createLogger({ name: 'mirrorface', streams: [{ type: 'raw', stream: { write }, level }] })
}

const coreFields = new Set(['name', 'hostname', 'pid', 'v'])

/** Names of fields, and whether they are those of secrets: there are few, and each line has most of them. */
const knownNames = new Map<string, boolean>()
const mostKnownNames = 1000

function namesSecret(name: string): boolean {
  let isSecret = knownNames.get(name)
  if (isSecret === undefined) {
    isSecret = isSecretName(name)
    if (knownNames.size < mostKnownNames) knownNames.set(name, isSecret)
  }
  return isSecret
}

/** A record's fields; most are strings and numbers, and as they are, but for very long ones. */
function plainFields(record: object, redactor: Redactor): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(record)) {
    const type = typeof value
    if (value === undefined || type === 'number' || type === 'boolean') plain[name] = value
    else if (namesSecret(name)) plain[name] = hidden
    else plain[name] = typeof value === 'string' ? redactor.shorten(value) : shortened(plainValue(value), redactor)
  }
  return plain
}

/** Plain data, with every text in it cut where it is too long. */
function shortened(value: unknown, redactor: Redactor, name?: string): unknown {
  if (typeof value === 'string') return redactor.shorten(value, name === 'stack')
  if (Array.isArray(value)) return value.map((one) => shortened(one, redactor))
  if (!(value instanceof Object)) return value
  // A stack begins with the message; the frames below it are what it is there for.
  if ('stack' in value && typeof value.stack === 'string' && 'message' in value && typeof value.message === 'string') {
    const message = redactor.shorten(value.message)
    if (message !== value.message) {
      const stack = value.stack.replace(value.message, () => message)
      return shortened({ ...value, message, stack }, redactor)
    }
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [redactor.shorten(key), shortened(one, redactor, key)]),
  )
}

function jsonLine(record: object, redactor: Redactor): string {
  return JSON.stringify(plainFields(record, redactor))
}

/** `12:00:01 INFO  message field=value`, and below it an error's stack and causes where there is one. */
function textLine(record: object, redactor: Redactor): string {
  const { err, time, level, msg, ...fields } = plainFields(record, redactor)
  const shown = Object.entries(fields)
    .filter(([name, value]) => !coreFields.has(name) && value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const levelName = (bunyan.nameFromLevel[Number(level)] ?? String(level)).toUpperCase().padEnd(5)
  const stack = err === undefined ? '' : `\n${stackLines(err)}`
  return `${String(time).slice(11, 19)} ${levelName} ${[msg, ...shown].join(' ')}${stack}`
}
