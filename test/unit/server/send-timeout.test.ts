import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { hubFile } from '../../hub/repository.ts'
import { type Stage, setStage } from '../../support/server.ts'

/** Milliseconds. */
const sendTimeout = 2000
/** More than the kernel's buffers of both ends hold. */
const weights = syntheticContent(40_000_000, 31)
const text = hubFile('text.txt', syntheticContent(40_000_000, 32), false)

interface Source {
  readonly args?: readonly string[]
  readonly environment?: Record<string, string>
  readonly isMirrored?: true
  readonly path?: string
}

/** Every way by which a body comes to the writer. */
const sources: Record<string, Source> = {
  'a stored file, copied by the kernel': { isMirrored: true },
  'a stored file, through memory': { isMirrored: true, environment: { MIRRORFACE_SENDFILE: 'false' } },
  'a pulled file': { args: ['--pull-through', '--follow-hosts', '127.0.0.2'] },
  'a followed redirect': { args: ['--redirects', 'follow', '--follow-hosts', '127.0.0.2'] },
  'a body passed on': { path: 'raw/main/text.txt' },
}

describe('a client that reads nothing', function () {
  this.timeout(60_000)

  for (const [name, { args = [], environment = {}, isMirrored, path = 'resolve/main/w.safetensors' }] of Object.entries(
    sources,
  ))
    it(`of ${name} is cut, and not after the limit has passed twice`, async () => {
      await using stage = await setStage(
        (hub) => {
          hub
            .add({ type: 'model', id: 'org/model' })
            .commit(isMirrored ? { 'w.safetensors': weights } : { 'w.safetensors': weights, 'text.txt': text })
        },
        args,
        { MIRRORFACE_SEND_TIMEOUT: String(sendTimeout), ...environment },
      )
      if (isMirrored) await stage.mirror('org/model')
      const client = await stopped(stage, path)
      const line = await cutLine(stage)
      client.destroy()
      expect(line.err, JSON.stringify(line)).to.have.property('code', 'ReaderStopped')
      const milliseconds = Number(line.seconds) * 1000
      // Some of it is the time until the first bytes are there, and until the kernel's buffers are full.
      expect(milliseconds).to.be.within(sendTimeout, sendTimeout * 1.8)
    })
})

/** A client that asks and then reads no byte. */
async function stopped({ server }: Stage, path: string): Promise<ReturnType<typeof connect>> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.pause()
  socket.write(`GET /mirror/org/model/${path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: stopped\r\n\r\n`)
  return socket
}

async function cutLine({ server }: Stage): Promise<Record<string, unknown>> {
  for (;;) {
    const line = server.log.find(({ request, seconds }) => request === 'stopped' && seconds !== undefined)
    if (line !== undefined) return line
    await delay(25)
  }
}
