import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { type Stage, setStage } from '../../support/server.ts'

const size = 20_000_003
const content = syntheticContent(size, 11)
const path = '/mirror/org/model/resolve/main/w.safetensors'
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const start = sha256(await buffer(content.read(0, 999_999)))

async function stageOf(sendfile: boolean): Promise<Stage> {
  const stage = await setStage(
    (hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': content })
    },
    [],
    { MIRRORFACE_SENDFILE: String(sendfile) },
  )
  await stage.mirror('org/model')
  return stage
}

for (const sendfile of [true, false]) {
  describe(`large files ${sendfile ? 'copied by the kernel' : 'through memory'}`, function () {
    this.timeout(60_000)
    let stage: Stage
    before(async () => {
      stage = await stageOf(sendfile)
    })
    after(async () => {
      await stage[Symbol.asyncDispose]()
    })

    it('arrive whole, again and again on one connection', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const whole = sha256(await buffer(content.read(0, size - 1)))
      for (let count = 0; count < 5; count++) {
        const [response] = (await once(get(stage.server.url + path, { agent }), 'response')) as [IncomingMessage]
        expect(sha256(await buffer(response))).to.equal(whole)
      }
      agent.destroy()
    })

    for (const [first, last] of [
      [0, 262_144],
      [1, 300_000],
      [32_767, 10_000_000],
      [19_000_000, size - 1],
    ] as const)
      it(`give bytes ${first} to ${last}`, async () => {
        const response = await fetch(stage.server.url + path, { headers: { range: `bytes=${first}-${last}` } })
        expect(response.status).to.equal(206)
        const received = Buffer.from(await response.arrayBuffer())
        expect(received).to.have.length(last - first + 1)
        expect(sha256(received)).to.equal(sha256(await buffer(content.read(first, last))))
      })

    it('keep the order of requests that were sent ahead', async () => {
      const { hostname, port } = new URL(stage.server.url)
      const socket = connect(Number(port), hostname)
      const ask = (range: string, more = '') =>
        `GET ${path} HTTP/1.1\r\nHost: a\r\nRange: bytes=${range}\r\n${more}\r\n`
      socket.write(ask('0-999999') + ask('500000-1499999') + ask('0-999999', 'Connection: close\r\n'))
      const received = await buffer(socket)
      const bodies: string[] = []
      for (let at = 0; at < received.length; at += 1_000_000) {
        at = received.indexOf('\r\n\r\n', at) + 4
        bodies.push(sha256(received.subarray(at, at + 1_000_000)))
      }
      expect(bodies).to.deep.equal([start, sha256(await buffer(content.read(500_000, 1_499_999))), start])
    })

    it('are let go with the client, who never gets what another asked for', async () => {
      const handles = async () => (await readdir(`/proc/${stage.server.child.pid}/fd`)).length
      const before = await handles()
      const whole = Array.from({ length: 4 }, async () => {
        const [response] = (await once(get(stage.server.url + path, { agent: false }), 'response')) as [IncomingMessage]
        return sha256(await buffer(response))
      })
      for (let count = 0; count < 100; count++) {
        const request = get(stage.server.url + path, { agent: false }).on('error', () => undefined)
        const [response] = (await once(request, 'response')) as [IncomingMessage]
        response.on('error', () => undefined)
        await once(response, 'data')
        request.destroy()
        const small = await fetch(`${stage.server.url}/api/models/org/model`)
        expect(((await small.json()) as { id: string }).id).to.equal('org/model')
      }
      expect(new Set(await Promise.all(whole)).size).to.equal(1)
      for (let attempt = 0; attempt < 100 && (await handles()) > before + 5; attempt++) await delay(50)
      expect(await handles()).to.be.at.most(before + 5)
    })
  })
}
