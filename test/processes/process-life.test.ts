import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { listen } from '../../src/server/listen.ts'
import { syntheticContent } from '../hub/index.ts'
import { type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { setStage } from '../support/server.ts'
import { answers, freePort, hasHandlers, isTaken, ProcessGroup, sendSignal, until } from './process-group.ts'

const ask = async (url: string, agent: Agent): Promise<IncomingMessage> => {
  const [response] = (await once(get(url, { agent }), 'response')) as [IncomingMessage]
  return response
}

/** Milliseconds that a stop takes. */
async function timeToStop(server: ServerProcess): Promise<number> {
  const started = performance.now()
  const { code, signal } = await server.stop()
  expect({ code, signal }).to.deep.equal({ code: 0, signal: null })
  return performance.now() - started
}

describe('the life of a process', function () {
  this.timeout(60_000)

  const startGroup = async (directory: string, ...more: string[]) => {
    const port = await freePort()
    const addresses = ['--host', '127.0.0.1', '--port', String(port), '--metrics-port', '0']
    return { port, group: new ProcessGroup([...addresses, '--offline', '--local-directory', directory, ...more]) }
  }

  for (const wait of [0, 20, 150, 400, 800]) {
    it(`ends when it is told while workers restart: SIGTERM ${wait} ms after SIGHUP (fault 37)`, async () => {
      await using folder = await temporaryFolder()
      const { port, group: started } = await startGroup(folder.path, '--workers', '2')
      await using group = started
      await until('it serves', () => group.output.includes('"listening;'))
      group.child.kill('SIGHUP')
      await delay(wait)
      group.child.kill('SIGTERM')
      expect(await group.endsWithin(20_000), 'it ends').to.deep.equal({ code: 0, signal: null })
      expect(await group.leftAfter(1_000)).to.deep.equal([])
      expect(await isTaken(port)).to.equal(false)
    })
  }

  for (const workers of ['1', '2']) {
    it(`takes signals while it loads, with workers: ${workers} (fault 37)`, async () => {
      await using folder = await temporaryFolder()
      const { group: reloaded, port } = await startGroup(folder.path, '--workers', workers)
      await using survivor = reloaded
      await until('its handlers are there', () => hasHandlers(survivor.pid))
      expect(survivor.output, 'they come before everything else').to.equal('')
      for (let count = 0; count < 5; count++) {
        sendSignal(survivor.pid, 'SIGHUP')
        await delay(20)
      }
      await until('it serves', () => answers(port))
      survivor.child.kill('SIGTERM')
      expect(await survivor.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
      const { group: told } = await startGroup(folder.path, '--workers', workers)
      await using early = told
      await until('its handlers are there', () => hasHandlers(early.pid))
      early.child.kill('SIGTERM')
      expect(await early.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
      expect(early.output).to.equal('')
    })

    it(`ends soon after the last byte, whatever connections clients keep, with workers: ${workers} (fault 40)`, async () => {
      await using stage = await setStage(
        (hub) => {
          hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': syntheticContent(30_000_000, 2) })
        },
        ['--workers', workers],
      )
      await stage.mirror('org/model')
      const agent = new Agent({ keepAlive: true })
      const idle = await ask(`${stage.server.url}/health`, agent)
      await idle.resume().toArray()
      // Its head has left before the stop: it can no longer say that the connection closes.
      const running = await ask(`${stage.server.url}/org/model/resolve/main/w.safetensors`, agent)
      expect(running.headers.connection).to.equal('keep-alive')
      const stopping = timeToStop(stage.server)
      let bytes = 0
      for await (const chunk of running) {
        bytes += chunk.length
        await delay(1)
      }
      const ended = performance.now()
      expect(bytes).to.equal(30_000_000)
      await stopping
      expect(performance.now() - ended, 'milliseconds after the last byte').to.be.lessThan(8_000)
      agent.destroy()
    })

    it(`cuts running responses at the second signal, with workers: ${workers}`, async () => {
      await using stage = await setStage(
        (hub) => {
          hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': syntheticContent(30_000_000, 2) })
        },
        ['--workers', workers],
      )
      await stage.mirror('org/model')
      const agent = new Agent()
      const stalled = await ask(`${stage.server.url}/org/model/resolve/main/w.safetensors`, agent)
      stalled.on('error', () => undefined)
      stage.server.child.kill('SIGTERM')
      await delay(400)
      expect(stage.server.child.exitCode, 'it waits for the response').to.equal(null)
      expect(await timeToStop(stage.server), 'after the second signal').to.be.lessThan(8_000)
      agent.destroy()
    })
  }

  it('leaves no worker behind when the primary is killed, at any time (fault 37)', async () => {
    await using folder = await temporaryFolder()
    for (const wait of [300, 500, 700, 1_000, 1_500]) {
      const { port, group: started } = await startGroup(folder.path, '--workers', '2')
      await using group = started
      await delay(wait)
      sendSignal(group.pid, 'SIGKILL')
      expect(await group.leftAfter(3_000), `after ${wait} ms`).to.deep.equal([])
      expect(await isTaken(port)).to.equal(false)
    }
  })

  it('does not end for a worker that was killed while the server started', async () => {
    await using folder = await temporaryFolder()
    const { port, group: started } = await startGroup(folder.path, '--workers', '2')
    await using group = started
    await until('a worker starts', () => group.workers().length > 0)
    sendSignal(group.workers()[0] ?? 0, 'SIGKILL')
    await until('it serves', () => answers(port))
    group.child.kill('SIGTERM')
    expect(await group.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
  })

  it('ends in time though a worker is stopped in its tracks', async () => {
    await using folder = await temporaryFolder()
    const { group: started } = await startGroup(folder.path, '--workers', '2', '--grace-period', '200')
    await using group = started
    await until('it serves', () => group.output.includes('"listening;'))
    sendSignal(group.workers()[0] ?? 0, 'SIGSTOP')
    group.child.kill('SIGTERM')
    expect(await group.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
    expect(await group.leftAfter(1_000)).to.deep.equal([])
  })

  it('gives a slow reader the whole of a response that was only buffered when the server stopped', async () => {
    const size = 8_000_000
    const server = createServer((_, response) => response.end(Buffer.alloc(size)))
    const { address, close } = await listen(server, '127.0.0.1', 0)
    const socket = connect(address.port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.pause()
    await delay(200)
    const closing = close(20_000)
    let bytes = 0
    for await (const chunk of socket) bytes += chunk.length
    await closing
    expect(bytes).to.be.greaterThan(size)
  })

  it('waits a second at most for a request that never ends its head', async () => {
    await using folder = await temporaryFolder()
    const server = await startMirrorFace(['--offline', '--local-directory', folder.path])
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => undefined)
    socket.write('GET / HTTP/1.1\r\nHost:')
    await delay(200)
    expect(await timeToStop(server)).to.be.lessThan(8_000)
    socket.destroy()
  })
})
