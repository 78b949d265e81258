import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { seededRandom } from '../support/seeded-random.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const rounds = Number(process.env.FUZZ_LEAVING ?? 600)
const atOnce = 20

/** What becomes of a Hub that is asked: nothing to connect to, nothing said, a refusal, a cut, a broken head. */
const hubs = {
  down: undefined,
  silent: () => undefined,
  failing: (socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
  cutting: (socket) => socket.destroy(),
  babbling: (socket) => socket.end('no HTTP at all\r\n\r\n'),
} satisfies Record<string, ((socket: Socket) => unknown) | undefined>

const routes = ['/org/ID/resolve/main/f', '/api/models/org/ID', '/api/models/org/ID/tree/main', '/api/whoami-v2']
  .concat(
    '/org/ID/resolve/main/model.bin',
    '/org/ID.git/info/refs?service=git-upload-pack',
    '/v2/org/ID/manifests/latest',
  )
  .concat('/api/models/org/ID/paths-info/main', '/datasets/org/ID/resolve/main/f', '/-/misses', '/ready')

/**
 * A client that has gone is nobody's failure, whatever the server was doing for it. Connections are reset after random
 * milliseconds, most of them before an answer can be there.
 */
describe(`clients that leave (seed ${seed})`, function () {
  this.timeout(60_000)

  for (const [name, answer] of Object.entries(hubs))
    for (const settings of [
      ['--access', 'open'],
      ['--access', 'hub', '--pull-through'],
      ['--pickle-files', 'refuse-if-safetensors'],
    ])
      it(`do not end the server while its Hub is ${name}: ${settings.join(' ')}`, async () => {
        const random = seededRandom(seed)
        const sockets = new Set<Socket>()
        const hub = createServer((socket) => {
          sockets.add(socket.on('error', () => undefined))
          socket.once('data', () => answer?.(socket))
        })
        hub.listen(0, '127.0.0.1')
        await once(hub, 'listening')
        const url = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`
        if (answer === undefined) hub.close()
        await using folder = await temporaryFolder()
        const server = await startMirrorFace(['--local-directory', folder.path, '--upstream-url', url, ...settings])
        const port = Number(new URL(server.url).port)
        const ask = async (patience: number): Promise<void> => {
          const socket = connect(port, '127.0.0.1').on('error', () => undefined)
          const id = `r${Math.floor(random() * 1e9)}`
          const route = routes[Math.floor(random() * routes.length)]?.replace('ID', id)
          const who = random() < 0.5 ? '' : `Authorization: Bearer hf_${id}\r\n`
          socket.write(`GET ${route} HTTP/1.1\r\nHost: mirror\r\n${who}\r\n`)
          socket.resume()
          await delay(patience)
          socket.resetAndDestroy()
        }
        // Enough that the breaker opens where it does.
        await Promise.all(Array.from({ length: atOnce }, () => ask(200)))
        for (let round = 0; round < rounds; round += atOnce)
          await Promise.all(Array.from({ length: atOnce }, () => ask(random() * 5)))
        const died = server.log.filter(({ level }) => level === 60)
        expect(JSON.stringify(died)).to.equal('[]')
        expect((await fetch(`${server.url}/health`)).status).to.equal(200)
        const { code, signal } = await server.stop()
        expect({ code, signal }).to.deep.equal({ code: 0, signal: null })
        hub.close()
        for (const socket of sockets) socket.destroy()
      })
})
