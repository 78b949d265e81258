import { describeError, Failure } from '../../hub/index.ts'

/** Content that cannot be given, found out before any byte was: another answerer may have it. */
export class ContentUnavailable extends Failure {
  /** The storage whose fault it is; `undefined`: nobody's, the content is only sooner had elsewhere. */
  readonly storage: string | undefined

  constructor(storage: string | undefined, cause: unknown) {
    super('StorageUnavailable', 503, describeError(cause), { cause })
    this.storage = storage
  }

  /** The reason's code, for a metric label. */
  get reasonCode(): string {
    return this.cause instanceof Error && 'code' in this.cause ? String(this.cause.code) : 'unknown'
  }
}

/**
 * Runs what reads a storage. What the storage did becomes a {@link ContentUnavailable}; a client that has gone, and
 * mistakes of our own code, stay what they are.
 */
export async function fromStorage<T>(storage: string, signal: AbortSignal, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    signal.throwIfAborted()
    throw isOwnMistake(error) ? error : new ContentUnavailable(storage, error)
  }
}

/** Errors that only a wrong program throws. A `TypeError` of the network has a cause, one of the program has none. */
export function isOwnMistake(error: unknown): boolean {
  return (
    (error instanceof TypeError && error.cause === undefined && !('code' in error)) ||
    error instanceof ReferenceError ||
    error instanceof RangeError ||
    error instanceof SyntaxError
  )
}
