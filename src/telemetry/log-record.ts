import { hidden, isSecretName } from './redact.ts'

/** Causes of causes, and members of members, beyond which a value is not followed. */
const deepest = 8

/** Numbers and names that the system and the network put on errors. Others may hold whole requests, credentials included. */
const errorDetails = ['code', 'status', 'statusCode', 'errno', 'syscall', 'path', 'address', 'port', 'hostname']

/** An error as a log line shows it. */
export interface LoggedError {
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
  readonly [detail: string]: unknown
}

/** A field's value as plain data: errors with their causes, nothing under a secret's name, no cycles. */
export function plainValue(value: unknown, seen: readonly object[] = []): unknown {
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (typeof value === 'function') return undefined
  if (!(value instanceof Object)) return value
  if (seen.includes(value)) return '(circular)'
  if (seen.length === deepest) return '(too deep)'
  const within = [...seen, value]
  try {
    if (value instanceof Error) return plainError(value, within)
    if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`
    if (value instanceof URL || value instanceof Date) return value.toJSON()
    if (value instanceof Set) return [...value].map((one) => plainValue(one, within))
    if (Array.isArray(value)) return value.map((one) => plainValue(one, within))
    const entries: [string, unknown][] =
      value instanceof Map ? [...value].map(([key, one]) => [String(key), one]) : Object.entries(value)
    return Object.fromEntries(
      entries.map(([name, one]) => [name, isSecretName(name) && one !== undefined ? hidden : plainValue(one, within)]),
    )
  } catch {
    return '(unreadable)' // a getter that throws, a proxy that was revoked
  }
}

function plainError(error: Error, within: readonly object[]): LoggedError {
  const details = errorDetails.flatMap((name) => {
    const value: unknown = Reflect.get(error, name)
    return typeof value === 'string' || typeof value === 'number' ? [[name, value] as const] : []
  })
  return {
    name: String(error.name),
    message: String(error.message),
    ...Object.fromEntries(details),
    ...(typeof error.stack === 'string' && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: plainValue(error.cause, within) }),
    ...(error instanceof AggregateError && { errors: error.errors.map((one) => plainValue(one, within)) }),
  }
}

/** The stacks of an error, its causes and its members, each cause below what it caused. */
export function stackLines(error: unknown, prefix = ''): string {
  if (!(error instanceof Object)) return `${prefix}${String(error)}`
  const { stack, name, message, cause, errors } = error as Partial<LoggedError>
  const lines = [`${prefix}${stack ?? (name === undefined ? JSON.stringify(error) : `${name}: ${message}`)}`]
  for (const member of errors ?? []) lines.push(stackLines(member, '  one of: '))
  if (cause !== undefined) lines.push(stackLines(cause, '  caused by: '))
  return lines.join('\n')
}
