import { once } from 'node:events'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyOfBytes } from 'mirrorface/plugin'
import { createAgent } from '../../../plugins/upstream-hub/transport/agents.ts'
import { RequestBodyFailed, UpstreamTimeout } from '../../../plugins/upstream-hub/transport/failures.ts'
import { Deadline, type Limits } from '../../../plugins/upstream-hub/transport/limits.ts'
import { streamBody } from '../../conformance/index.ts'
import type { Handler } from './stage.ts'
import { failureOf, wiresTo } from './wire-stage.ts'

const echoing: Handler = (request, response) => {
  void buffer(request).then((body) =>
    response
      .writeHead(200, [
        ...['Set-Cookie', 'a'],
        ...['Set-Cookie', 'b'],
        ...['X-Length', `${request.headers['content-length']}`],
      ])
      .end(`${request.method} ${request.url} ${body}`),
  )
}

describe('a request on the wire', () => {
  it('is sent as it is, and its answer read with every header', async () => {
    await using at = await wiresTo(echoing)
    for (const wire of at.wires) {
      for (const [method, body, length, text] of [
        ['GET', undefined, 'undefined', ''],
        ['POST', undefined, '0', ''],
        ['PUT', bodyOfBytes(Buffer.from('abc')), '3', 'abc'],
        ['PATCH', streamBody(3, [Buffer.from('a'), Buffer.from('bc')]), '3', 'abc'],
        ['POST', streamBody(undefined, [Buffer.from('abc')]), 'undefined', 'abc'],
      ] as const) {
        const answer = await wire.send(
          at.request({ method, ...(body !== undefined && { body }), headers: { 'x-a': 'b' } }),
        )
        expect(answer.status).to.equal(200)
        expect((await buffer(answer.body)).toString()).to.equal(`${method} /x?y ${text}`)
        const ours = ['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding']
        const told = answer.headers.filter(([name]) => !ours.includes(name))
        expect(told, `${wire.constructor.name} ${method}`).to.deep.equal([
          ['set-cookie', 'a'],
          ['set-cookie', 'b'],
          ['x-length', length],
        ])
        expect(at.server.requests.at(-1)?.headers).to.include({ 'x-a': 'b', host: new URL(at.server.url).host })
      }
    }
  })

  it('is not sent for a client that has gone, and ends with one that goes', async () => {
    await using at = await wiresTo((_request, response) => void response.writeHead(200).write('x'))
    for (const wire of at.wires) {
      const reason = new Error('left')
      expect(await failureOf(wire.send(at.request({ signal: AbortSignal.abort(reason) })))).to.equal(reason)
      const life = new AbortController()
      const { body } = await wire.send(at.request({ signal: life.signal }))
      body.once('data', () => life.abort(reason))
      const [error] = await once(body, 'error')
      expect(error).to.equal(reason)
    }
    expect(at.server.requests).to.have.length(2)
  })

  it('that waits for its head ends with the client, and with its time', async () => {
    await using at = await wiresTo(() => undefined)
    for (const wire of at.wires) {
      const life = new AbortController()
      const reason = new Error('left')
      const arrived = Promise.withResolvers<void>()
      at.server.handler = () => arrived.resolve()
      const asked = failureOf(wire.send(at.request({ signal: life.signal })))
      await arrived.promise
      life.abort(reason)
      expect(await asked).to.equal(reason)
      const late = await failureOf(wire.send(at.request({ deadline: new Deadline(60) })))
      expect(late).to.be.instanceOf(UpstreamTimeout).with.property('message').that.includes('whole')
    }
  })

  it('whose answer comes in part ends with its time', async () => {
    await using at = await wiresTo((_request, response) => void response.writeHead(200).write('x'))
    for (const wire of at.wires) {
      const { body } = await wire.send(at.request({ deadline: new Deadline(300) }))
      body.resume()
      const [error] = await once(body, 'error')
      expect(error).to.be.instanceOf(UpstreamTimeout).with.property('message').that.includes('whole')
    }
  })

  it('whose body fails is the body’s fault', async () => {
    async function* failing() {
      yield Buffer.from('a')
      throw new Error('cut')
    }
    await using at = await wiresTo(echoing)
    for (const wire of at.wires)
      for (const body of [streamBody(5, [Buffer.from('a')]), streamBody(undefined, failing())]) {
        const error = await failureOf(wire.send(at.request({ method: 'POST', body })))
        expect(error, wire.constructor.name).to.be.instanceOf(RequestBodyFailed)
      }
  })

  it('with a body is answered late without end, or none of it is taken, is given up', async () => {
    for (const [handler, given, reason] of [
      [(request) => void request.resume(), { headersTimeout: 60 }, 'no answer within 60 ms'],
      [() => undefined, { idleTimeout: 60 }, 'no byte of the request for 60 ms'],
    ] satisfies [Handler, Partial<Limits>, string][]) {
      await using at = await wiresTo(handler, given)
      for (const wire of at.wires) {
        const isAnswer = given.headersTimeout !== undefined
        function* endless() {
          for (let index = 0; index < 1_000; index++) yield Buffer.alloc(64 * 1024)
        }
        const body = isAnswer ? bodyOfBytes(Buffer.from('abc')) : streamBody(undefined, endless())
        const error = await failureOf(wire.send(at.request({ method: 'POST', body })))
        expect(error, wire.constructor.name).to.be.instanceOf(UpstreamTimeout)
        expect(error).to.have.property('message').that.includes(reason)
      }
    }
  })
})

describe('agents', () => {
  it('are those of the scheme', () => {
    for (const [protocol, Kind] of [
      ['http:', HttpAgent],
      ['https:', HttpsAgent],
    ] as const) {
      const agent = createAgent(protocol)
      expect(agent.constructor).to.equal(Kind)
      agent.destroy()
    }
  })
})
