import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Failure } from '../hub/index.ts'
import { cutConnection, noteUnderWay } from './delivery/cut.ts'

/** Requests of one connection that may wait before it is read no further: only those of the same read join them. */
const mostAhead = 8
/** Requests that may wait on all connections; one that adds to these, and has many itself, is cut. */
const mostInAll = 20_000

/** The connection was cut for what waited behind the request that was being answered. */
export class TooManyPipelined extends Failure {
  constructor(waiting: number) {
    super(
      'TooManyPipelined',
      429,
      `the connection was cut, for ${waiting} more requests waited on it, and too many in all`,
    )
  }
}

/**
 * One request at a time on each connection: a pipelined one is begun only when the response before it has ended. Node
 * hands over every request whose head it has parsed, so that one read of 64 KiB would begin a thousand, each with its
 * open file and its question to an upstream. A request that waits is neither logged nor counted: should the connection
 * break first, nothing has happened.
 */
export function inTurn(listener: RequestListener): RequestListener {
  const waiting = new WaitingRequests(listener)
  return (request, response) => {
    // Node gives a response its socket when it is the connection's first.
    if (response.socket !== null) {
      noteUnderWay(response.socket, response)
      listener(request, response)
    } else waiting.add(request, response)
  }
}

class WaitingRequests {
  readonly #listener: RequestListener
  readonly #queues = new WeakMap<Socket, Queue>()
  #inAll = 0

  constructor(listener: RequestListener) {
    this.#listener = listener
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    if (socket.destroyed) return
    const queue = this.#queueOf(socket)
    this.#inAll++
    queue.add()
    if (this.#inAll > mostInAll && queue.length > mostAhead) {
      cutConnection(socket, new TooManyPipelined(queue.length))
      return
    }
    response.once('socket', () => {
      // Not within the event, in which Node still works on the response; and other connections have their turn.
      setImmediate(() => {
        if (response.destroyed || socket.destroyed) return
        this.#inAll--
        queue.remove()
        noteUnderWay(socket, response)
        this.#listener(request, response)
      })
    })
  }

  #queueOf(socket: Socket): Queue {
    let queue = this.#queues.get(socket)
    if (queue === undefined) {
      const made = new Queue(socket)
      socket.once('close', () => {
        this.#inAll -= made.length
      })
      this.#queues.set(socket, made)
      queue = made
    }
    return queue
  }
}

/** How many requests of a connection wait; Node keeps them in order. Many: the connection is read no further. */
class Queue {
  length = 0
  readonly #socket: Socket
  #isPaused = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  add(): void {
    this.length++
    if (this.#isPaused || this.length < mostAhead) return
    this.#isPaused = true
    this.#socket.on('resume', this.#pause)
    this.#pause()
  }

  remove(): void {
    this.length--
    if (!this.#isPaused || this.length > 0) return
    this.#isPaused = false
    this.#socket.off('resume', this.#pause)
    this.#socket.resume()
  }

  /** Again and again: Node resumes the socket for whoever reads a body, and when a response has drained. */
  readonly #pause = (): void => {
    this.#socket.pause()
  }
}
