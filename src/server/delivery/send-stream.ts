import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { Failure } from '../../hub/index.ts'

/** A body that is not of the length that was announced. */
export class BodyBrokeOff extends Failure {
  constructor(sent: number, length: number) {
    super('BodyBrokeOff', 502, `the body ended after ${sent} of ${length} bytes`)
  }
}

export interface StreamOptions {
  /** Bytes announced to the client; `undefined`: the body is chunked. */
  readonly length: number | undefined
  readonly onBytes: (bytes: number) => void
}

/**
 * Sends a stream as the body, without ending the response. Resolves when it has ended or the client has gone; rejects
 * where it fails, or is not of the announced length. The stream is destroyed if it was not read to its end.
 */
export function sendStream(body: Readable, response: ServerResponse, options: StreamOptions): Promise<void> {
  const { length, onBytes } = options
  return new Promise((resolve, reject) => {
    let sent = 0
    const settle = (error?: unknown): void => {
      body.off('data', onData)
      response.off('drain', onDrain)
      response.off('close', onGone)
      if (!body.readableEnded) body.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const onData = (chunk: Buffer): void => {
      sent += chunk.length
      // Nothing beyond the announced length may go out: a client would take it for the next response.
      if (length !== undefined && sent > length) {
        settle(new BodyBrokeOff(sent, length))
        return
      }
      onBytes(chunk.length)
      if (!response.write(chunk)) body.pause()
    }
    const onDrain = (): void => {
      body.resume()
    }
    const onGone = (): void => settle()
    // Stays: a stream may fail once more while it is destroyed, and nobody else listens.
    body.on('error', (error) => settle(response.destroyed ? undefined : error))
    body.once('end', () =>
      settle(
        length === undefined || sent === length || response.destroyed ? undefined : new BodyBrokeOff(sent, length),
      ),
    )
    body.once('close', () => {
      if (!body.readableEnded && !response.destroyed) settle(new BodyBrokeOff(sent, length ?? sent))
    })
    if (response.destroyed || body.destroyed) {
      if (body.errored !== null) settle(body.errored)
      else settle(response.destroyed ? undefined : new BodyBrokeOff(0, length ?? 0))
      return
    }
    response.once('close', onGone)
    response.on('drain', onDrain)
    body.on('data', onData)
  })
}
