import type { Readable } from 'node:stream'

/** Gives up a body that nobody wants; that it then ends early is no fault. */
export function discard(body: Readable): void {
  body.on('error', () => undefined)
  body.destroy()
}
