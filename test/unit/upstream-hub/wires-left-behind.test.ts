import { getEventListeners, once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyOfBytes } from 'mirrorface/plugin'
import { abortable } from '../../../plugins/upstream-hub/transport/abortable.ts'
import { drain } from '../../../plugins/upstream-hub/transport/answer.ts'
import { Deadline } from '../../../plugins/upstream-hub/transport/limits.ts'
import { OutgoingBody } from '../../../plugins/upstream-hub/transport/outgoing-body.ts'
import { streamBody } from '../../conformance/index.ts'
import { failureOf, wiresTo } from './wire-stage.ts'

/** A deadline that knows how many still watch it. */
class WatchedDeadline extends Deadline {
  watching = 0

  override watch(onOver: () => void): () => void {
    this.watching++
    const stop = super.watch(onOver)
    let isStopped = false
    return () => {
      if (!isStopped) this.watching--
      isStopped = true
      stop()
    }
  }
}

const closed = async (stream: Readable) =>
  stream.closed ? undefined : await new Promise<void>((resolve) => stream.once('close', resolve))

describe('a request that is over', () => {
  it('is watched by nobody any more, however it ended', async () => {
    const broken = () => streamBody(5, [Buffer.from('a')])
    await using at = await wiresTo((request, response) => {
      if (request.url === '/cut') request.socket.destroy()
      else if (request.url === '/half') response.writeHead(200, { 'Content-Length': '9' }).write('x')
      else response.end('whole')
    })
    for (const wire of at.wires)
      for (const [path, more, isRead] of [
        ['/whole', {}, true],
        ['/whole', { method: 'POST', body: bodyOfBytes(Buffer.from('abc')) }, true],
        ['/half', {}, false],
        ['/cut', {}, false],
        ['/never', { method: 'POST', body: broken() }, false],
      ] as const) {
        const { signal } = new AbortController()
        const deadline = new WatchedDeadline(60_000)
        const url = `${at.server.url}${path}`
        const answer = await wire.send(at.request({ url, signal, deadline, ...more })).catch(() => undefined)
        if (answer !== undefined) {
          if (isRead) await buffer(answer.body)
          else answer.body.destroy()
          await closed(answer.body)
        }
        expect(getEventListeners(signal, 'abort'), `${wire.constructor.name} ${path}`).to.have.length(0)
        expect(deadline.watching).to.equal(0)
      }
  })

  it('may fail when nobody has come for its body yet', async () => {
    await using at = await wiresTo((_request, response) =>
      response.writeHead(200, { 'Content-Length': '9' }).write('x', () => response.destroy()),
    )
    for (const wire of at.wires) {
      const { body } = await wire.send(at.request({}))
      await closed(body)
      expect(body.errored).to.be.instanceOf(Error)
    }
  })

  it('leaves its connection for the next, until the wire is closed', async () => {
    await using at = await wiresTo((_request, response) => response.end('ok'))
    for (const wire of at.wires) {
      await buffer((await wire.send(at.request({}))).body)
      const { socket } = at.server.requests.at(-1) ?? expect.fail('it was not asked')
      expect(socket.destroyed, wire.constructor.name).to.equal(false)
      const ended = once(socket, 'close')
      await wire.close()
      await ended
    }
  })

  it('ends with the client where that leaves at once, before there is a connection', async () => {
    await using at = await wiresTo((_request, response) => response.end('ok'))
    for (const wire of at.wires) {
      const life = new AbortController()
      const asked = failureOf(wire.send(at.request({ signal: life.signal, url: `${at.server.url}/left` })))
      const reason = new Error('left')
      life.abort(reason)
      expect(await asked).to.equal(reason)
      await buffer((await wire.send(at.request({}))).body)
    }
    expect(at.server.requests.map(({ url }) => url)).to.deep.equal(['/x?y', '/x?y'])
  })
})

describe('what is waited for', () => {
  it('is watched by nobody any more when it is there', async () => {
    const { signal } = new AbortController()
    expect(await abortable(async () => 1, signal)).to.equal(1)
    expect(await failureOf(abortable(() => Promise.reject(new Error('x')), signal))).to.be.instanceOf(Error)
    expect(getEventListeners(signal, 'abort')).to.have.length(0)
  })
})

describe('a body that nobody wants', () => {
  it('is read to its end, and may fail', async () => {
    const left = Readable.from([Buffer.from('a'), Buffer.from('b')])
    drain(left)
    await closed(left)
    expect(left.readableEnded).to.equal(true)
    const failing = new Readable({ read() {} })
    drain(failing)
    failing.destroy(new Error('cut'))
    await closed(failing)
  })

  it('leaves its source as it is, where the wire gives up sending it', async () => {
    const source = new Readable({ read() {} })
    source.push('first')
    const outgoing = new OutgoingBody({ length: 10, bytes: undefined, isSpent: false, take: () => source })
    outgoing.stream.once('data', () => outgoing.stream.destroy())
    await closed(outgoing.stream)
    expect(source.destroyed).to.equal(false)
  })

  it('fails without a listener, with its cause', async () => {
    const cause = new Error('cut')
    const source = new Readable({ read() {} })
    const outgoing = new OutgoingBody({ length: 10, bytes: undefined, isSpent: false, take: () => source })
    outgoing.stream.resume()
    source.destroy(cause)
    await closed(outgoing.stream)
    expect(outgoing.failure).to.have.property('cause', cause)
  })
})
