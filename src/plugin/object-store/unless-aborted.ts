/** Rejects with `reason` where the signal aborts first. */
export async function unlessAborted(
  attempt: Promise<void>,
  signal: AbortSignal | undefined,
  reason: () => Error,
): Promise<void> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(reason())
  signal?.addEventListener('abort', abort)
  try {
    await Promise.race([attempt, aborted.promise])
  } finally {
    signal?.removeEventListener('abort', abort)
    attempt.catch(() => undefined) // nobody waits for it any more
  }
}
