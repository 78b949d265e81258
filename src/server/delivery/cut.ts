import type { ServerResponse } from 'node:http'
import { Failure } from '../../hub/index.ts'

/** Cuts a response's connection for a reason of this server's own. */
export function cut(response: ServerResponse, reason: Failure): void {
  response.destroy(reason)
}

/** Why this server cut a response. That a client went is nobody's failure; that it was cut is worth a word. */
export function cutBy({ errored }: ServerResponse): Failure | undefined {
  return errored instanceof Failure ? errored : undefined
}
