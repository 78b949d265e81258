import { type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { Failure } from '../hub/index.ts'
import { cutConnection, hasBegunToAnswer } from './delivery/cut.ts'

/** What a client sent on the connection of a request, in its body or behind it, can't be read. */
export class RequestUnreadable extends Failure {
  constructor(status: number, cause: Error) {
    super('RequestUnreadable', status, `what came on the connection could not be read: ${cause.message}`, { cause })
  }
}

/**
 * Answers what is not HTTP as Node does, with a bare status where no answer has begun, and ends the connection; but the
 * request that was being answered there learns why. That the client has gone is no such thing.
 */
export function refuseUnreadable(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, connection) => {
    const status = statusOf(error)
    if (status === undefined) {
      connection.destroy(error)
      return
    }
    if (connection.writable && !hasBegunToAnswer(connection)) answer(connection, status)
    cutConnection(connection, new RequestUnreadable(status, error))
  })
}

function answer(connection: Duplex, status: number): void {
  connection.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`)
}

/** `undefined`: the client has gone, or the network. */
function statusOf({ code = '' }: NodeJS.ErrnoException): number | undefined {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 431
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 413
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408
    case 'HPE_INVALID_EOF_STATE':
      return undefined
    default:
      return code.startsWith('HPE_') ? 400 : undefined
  }
}
