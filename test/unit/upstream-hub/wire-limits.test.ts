import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { DirectWire } from '../../../plugins/upstream-hub/transport/direct-wire.ts'
import { ConnectFailed, UpstreamTimeout } from '../../../plugins/upstream-hub/transport/failures.ts'
import { ProxiedWire } from '../../../plugins/upstream-hub/transport/proxied-wire.ts'
import { streamBody } from '../../conformance/index.ts'
import { isQuick } from '../../support/runs.ts'
import { startRawServer } from './stage.ts'
import { failureOf, wireRequest, wiresTo } from './wire-stage.ts'

const limit = isQuick ? 50 : 100
const patient = { connectTimeout: 5_000, headersTimeout: 5_000, idleTimeout: 5_000 }

describe('each limit of a request on the wire', () => {
  it('for connecting holds until TLS is there', async () => {
    await using server = await startRawServer(() => undefined)
    const limits = { ...patient, connectTimeout: limit }
    const proxied = new ProxiedWire('https:', limits)
    const direct = new DirectWire(limits)
    // undici's clock for connections ticks twice a second.
    for (const wire of isQuick ? [proxied] : [proxied, direct]) {
      const began = performance.now()
      const error = await failureOf(wire.send(wireRequest(server.url.replace('http:', 'https:'))))
      expect(error, wire.constructor.name).to.be.instanceOf(ConnectFailed)
      expect(performance.now() - began).to.be.lessThan(4_000)
    }
    proxied.close()
    await direct.close()
  })

  it('for connecting ends with the connection, for the head with the head', async () => {
    await using at = await wiresTo(
      (_request, response) => {
        setTimeout(() => response.writeHead(200).write('head'), 4 * limit)
        setTimeout(() => response.end(' and body'), 12 * limit)
      },
      { ...patient, connectTimeout: 3 * limit, headersTimeout: 10 * limit },
    )
    const bodies = at.wires.map(async (wire) => String(await buffer((await wire.send(at.request({}))).body)))
    expect(await Promise.all(bodies)).to.deep.equal(['head and body', 'head and body'])
  })

  it('for the head holds on a connection that was used before', async () => {
    await using at = await wiresTo((_request, response) => response.end('ok'), { ...patient, headersTimeout: limit })
    await buffer((await at.proxied.send(at.request({}))).body)
    at.server.handler = () => undefined
    const error = await failureOf(at.proxied.send(at.request({})))
    expect(error).to.be.instanceOf(UpstreamTimeout).with.property('message').that.includes('no answer within')
  })

  it('for bytes of the request is the Hub’s, and not that of a client which is slow', async () => {
    await using at = await wiresTo(
      (request, response) => void buffer(request).then(({ length }) => response.end(String(length))),
      { ...patient, idleTimeout: limit },
    )
    async function* slowly() {
      yield Buffer.from('a')
      await delay(2 * limit)
      yield Buffer.from('b')
    }
    const sent = at.wires.map(async (wire) => {
      const answer = await wire.send(at.request({ method: 'POST', body: streamBody(2, slowly()) }))
      return String(await buffer(answer.body))
    })
    expect(await Promise.all(sent)).to.deep.equal(['2', '2'])
  })

  it('for bytes of the answer begins anew with each of them', async () => {
    await using at = await wiresTo(
      (_request, response) => {
        let left = 6
        const timer = setInterval(() => {
          if (--left > 0) response.write('x')
          else {
            clearInterval(timer)
            response.end('x')
          }
        }, limit)
      },
      { ...patient, idleTimeout: 4 * limit },
    )
    const bodies = at.wires.map(async (wire) => String(await buffer((await wire.send(at.request({}))).body)))
    expect(await Promise.all(bodies)).to.deep.equal(['xxxxxx', 'xxxxxx'])
  })

  it('for the head is over with an answer that comes before the request was sent', async () => {
    const answered = Promise.withResolvers<void>()
    await using at = await wiresTo(
      (request, response) => {
        response.writeHead(200).write('early')
        // What is sent afterwards has no reader, nor has it a limit for its answer.
        request.resume().once('end', () => setTimeout(() => response.end(' and late'), 6 * limit))
      },
      { ...patient, headersTimeout: 4 * limit },
    )
    async function* body() {
      yield Buffer.from('a')
      await answered.promise
      yield Buffer.from('b')
    }
    const answer = await at.proxied.send(at.request({ method: 'POST', body: streamBody(2, body()) }))
    const [first] = (await once(answer.body, 'data')) as [Buffer]
    answered.resolve()
    expect(String(first) + String(await buffer(answer.body))).to.equal('early and late')
  })
})
