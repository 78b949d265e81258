import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { type Stage, setStage } from '../../support/server.ts'

const head = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const running = head('/mirror/api/models/org/model', 'X-Request-Id: running\r\n')
const waiting = head('/mirror/api/models/org/other', 'X-Request-Id: waiting\r\n')

interface Case {
  readonly name: string
  /** What comes on the connection behind the running request. */
  readonly behind?: string
  readonly act?: (stage: Stage, socket: Socket) => void
  readonly status: number
  /** Why the running request ended; `undefined`: its client has gone. */
  readonly code: string | undefined
}

const cases: readonly Case[] = [
  { name: 'what is no request', behind: '\x01\x02 nonsense\r\n\r\n', status: 400, code: 'RequestUnreadable' },
  {
    name: 'what is no request, behind one that waits',
    behind: `${waiting}nonsense\r\n\r\n`,
    status: 400,
    code: 'RequestUnreadable',
  },
  {
    name: 'a head that is too large',
    behind: head('/', `X-A: ${'a'.repeat(40_000)}\r\n`),
    status: 431,
    code: 'RequestUnreadable',
  },
  {
    name: 'more than may wait',
    act: (stage) => void flood(stage),
    status: 429,
    code: 'TooManyPipelined',
  },
  {
    name: 'a stop',
    act: ({ server }) => void server.child.kill('SIGTERM'),
    status: 503,
    code: 'ServerStopped',
  },
  {
    name: 'a stop, with a request that waits',
    behind: waiting,
    act: ({ server }) => void server.child.kill('SIGTERM'),
    status: 503,
    code: 'ServerStopped',
  },
  { name: 'its client', act: (_stage, socket) => void socket.destroy(), status: 499, code: undefined },
  {
    name: 'its client, with a request that waits',
    behind: waiting,
    act: (_stage, socket) => void socket.destroy(),
    status: 499,
    code: undefined,
  },
]

describe('a request whose connection is cut', function () {
  this.timeout(60_000)

  for (const { name, behind = '', act, status, code } of cases)
    it(`says why: ${name}`, async () => {
      await using stage = await setStage(
        (hub) => {
          hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'a' })
        },
        [],
        { MIRRORFACE_GRACE_PERIOD: '200' },
      )
      const asked = Promise.withResolvers<void>()
      stage.hub.faults = () => {
        asked.resolve()
        return { kind: 'delay', milliseconds: 20_000 }
      }
      const socket = await connected(stage)
      socket.write(running)
      await asked.promise
      socket.write(behind)
      act?.(stage, socket)
      const line = await lineOf(stage, 'running')
      socket.destroy()
      expect(line, JSON.stringify(line)).to.include({ status, aborted: true })
      expect((line.err as { code?: string } | undefined)?.code, JSON.stringify(line)).to.equal(code)
    })
})

async function connected({ server }: Stage): Promise<Socket> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  socket.setNoDelay(true)
  await once(socket, 'connect')
  return socket
}

/** Connections like the first, on which so many requests wait that one more is too many. */
async function flood(stage: Stage): Promise<void> {
  for (let count = 0; count < 30; count++) (await connected(stage)).write(running + head('/').repeat(2_000))
}

async function lineOf({ server }: Stage, id: string): Promise<Record<string, unknown>> {
  for (;;) {
    const line = server.log.find(({ request, seconds }) => request === id && seconds !== undefined)
    if (line !== undefined) return line
    await delay(25)
  }
}
