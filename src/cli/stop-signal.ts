import { Failure } from '../hub/index.ts'

/** Aborted by Ctrl-C or SIGTERM, so that a command can leave in good order. A second signal kills. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () =>
      stop.abort(new Failure('Interrupted', 499, 'interrupted; run it again to go on from here')),
    )
  }
  return stop.signal
}
