import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Failure } from '../../hub/index.ts'

/** The response that each connection gives; those to pipelined requests come after it. */
const underWay = new WeakMap<Duplex, ServerResponse>()

/** To be told of each response when its request is begun. */
export function noteUnderWay(connection: Duplex, response: ServerResponse): void {
  underWay.set(connection, response)
}

/** Cuts a response's connection for a reason of this server's own. */
export function cut(response: ServerResponse, reason: Failure): void {
  response.destroy(reason)
}

/** Cuts a connection for such a reason, with the response that it is giving: its client has done nothing of the kind. */
export function cutConnection(connection: Duplex, reason: Failure): void {
  const response = underWay.get(connection)
  if (response !== undefined && !response.writableFinished) cut(response, reason)
  connection.destroy()
}

/** Whether the head of a response is on its way on a connection. */
export function hasBegunToAnswer(connection: Duplex): boolean {
  const response = underWay.get(connection)
  return response !== undefined && !response.writableFinished && response.headersSent
}

/** Why this server cut a response. That a client went is nobody's failure; that it was cut is worth a word. */
export function cutBy({ errored }: ServerResponse): Failure | undefined {
  return errored instanceof Failure ? errored : undefined
}
