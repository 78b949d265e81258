/**
 * What the work settles with, or a rejection with the signal's reason, whichever comes first. It takes the work and no
 * promise of it, for a promise that is made and then not waited for ends the process when it rejects.
 */
export async function abortable<Value>(work: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work(), aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
