/**
 * The base of every error that a person or a client is meant to see.
 *
 * `code` is stable and for programs, `status` is what an HTTP answer carries, `message` is one
 * sentence for a person. The reason below it, if there is one, is the `cause`.
 */
export class Failure extends Error {
  readonly code: string
  readonly status: number

  constructor(code: string, status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.status = status
  }
}

/** Characters of a client's words in a message: enough to know them again. */
const longestQuote = 200

/** What a client sent, as a message quotes it: a name may be as long as a request's head. */
export function quoted(text: string): string {
  return text.length <= longestQuote ? text : `${text.slice(0, longestQuote)}…`
}

/** Bad input: a flag, a configuration key, a name that does not fit the grammar. The CLI exits with 2. */
export class UsageFailure extends Failure {
  constructor(message: string, options?: ErrorOptions) {
    super('BadInput', 400, message, options)
  }
}

/**
 * An error as one sentence. A {@link Failure}'s message says it all; others, such as those of the
 * network, have the reason in their causes.
 */
export function describeError(error: unknown): string {
  const messages: string[] = []
  let current: unknown = error
  while (current !== undefined && current !== null && messages.length < 5) {
    const message = messageOf(current)
    if (message !== '' && !messages.some((earlier) => earlier.includes(message))) messages.push(message)
    current = current instanceof Error && !(current instanceof Failure) ? current.cause : undefined
  }
  return messages.join(': ')
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ')
  if (error instanceof Error) return (error.message === '' ? error.name : error.message).split('\n', 1)[0] ?? ''
  return String(error)
}
