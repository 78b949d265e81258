import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { StandInHub } from '../hub/index.ts'
import { runMirrorFace, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { anyRequest, Dice } from './target-mutations.ts'
import { type Received, type Rules, violation } from './target-oracle.ts'
import { WireConnection } from './wire.ts'

/** FUZZ_TARGETS=1000000 searches longer, FUZZ_SEED elsewhere. */
const requests = Number(process.env.FUZZ_TARGETS ?? 100_000)
const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)

const marker = 'DENIED-BYTES'
const ids = ['ok/repo', 'ok/models', 'ok/secret', 'evil/denied', 'evil/models', 'evilgpt', 'other/repo'] as const

interface Policy {
  readonly title: string
  readonly environment: Record<string, string>
  readonly rules: Rules
  /** Bytes that must not come back: of repositories that are mirrored, and what the Hub says to what it should not see. */
  readonly refusedBytes: RegExp
}

const isEvil = (name: string) => /^(?:(?:dataset|space|kernel|bucket)s\/)?(?:evil\/[^/]+|evilgpt)$/.test(name)
const everyType = (glob: string) => ['', 'datasets/', 'spaces/', 'kernels/', 'buckets/'].map((type) => type + glob)

const policies: readonly Policy[] = [
  {
    title: 'deny, pickleFiles',
    environment: {
      MIRRORFACE_DENY: [...everyType('evil/*'), ...everyType('evilgpt')].join(','),
      MIRRORFACE_PICKLE_FILES: 'refuse',
    },
    rules: { isDenied: isEvil, isAllowed: undefined, readOnly: false },
    refusedBytes: /DENIED-BYTES|bytes-of-evil/,
  },
  {
    title: 'allow and deny, pickleFiles, readOnly',
    environment: {
      MIRRORFACE_ALLOW: 'ok/*,datasets/ok/*',
      MIRRORFACE_DENY: 'ok/secret',
      MIRRORFACE_PICKLE_FILES: 'refuse',
      MIRRORFACE_READ_ONLY: 'true',
    },
    rules: {
      isDenied: (name) => name === 'ok/secret',
      isAllowed: (name) => /^(?:datasets\/)?ok\/[^/]+$/.test(name),
      readOnly: true,
    },
    refusedBytes: /DENIED-BYTES|bytes-of-(?!ok\/repo)/,
  },
]

/** A Hub that has everything: whatever is asked is answered, and what the rules forbid with the marker. */
async function recordingHub(rules: Rules) {
  const received: { request: Received; reason: string | undefined; agent: string }[] = []
  const server = createServer({ maxHeaderSize: 65_536 }, async (request, response) => {
    const seen = { method: request.method ?? '', target: request.url ?? '', body: await text(request) }
    const reason = violation(seen, rules)
    received.push({ request: seen, reason, agent: String(request.headers['user-agent']) })
    const said = reason === undefined ? 'fine' : marker
    response.writeHead(200, { 'Content-Type': 'application/json', 'X-Repo-Commit': 'a'.repeat(40), ETag: `"${said}"` })
    response.end(JSON.stringify({ said }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { received, url: `http://127.0.0.1:${port}`, close }
}

describe(`request targets on the wire (seed ${seed})`, function () {
  this.timeout(600_000 + requests * 10)
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let storage: string

  before(async () => {
    folder = await temporaryFolder()
    storage = `${folder.path}/storage`
    const hub = await new StandInHub().start()
    try {
      for (const id of ['ok/repo', 'ok/secret', 'evil/denied', 'evilgpt']) {
        const bytes = `bytes-of-${id}`
        hub
          .add({ type: 'model', id })
          .commit({ 'config.json': bytes, 'pytorch_model.bin': marker, 'a/config.json': bytes })
        const { code, stderr } = await runMirrorFace(
          ['mirror', id, '--local-directory', storage, '--upstream-url', hub.url],
          {},
        )
        expect(code, stderr).to.equal(0)
      }
    } finally {
      await hub.stop()
    }
  })
  after(async () => await folder[Symbol.asyncDispose]())

  for (const [index, { title, environment, rules, refusedBytes }] of policies.entries()) {
    const count = Math.ceil(requests / policies.length)
    it(`${count.toLocaleString('en')} targets, ${title}: what is sent and what comes back is what the policy allows (fault 27)`, async () => {
      const hub = await recordingHub(rules)
      const server = await startMirrorFace(['--local-directory', storage, '--upstream-url', hub.url], environment)
      const port = Number(new URL(server.url).port)
      const dice = new Dice(seed + index)
      const statuses = new Map<string, number>()
      const leaks: string[] = []
      let next = 0
      const ask = async (connection: WireConnection) => {
        const { method, target } = anyRequest(dice, ids)
        const number = next++
        const body = method === 'GET' || method === 'HEAD' ? '' : '{"operation":"upload","paths":["a"]}'
        const framing = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
        const head = `${method} ${target} HTTP/1.1\r\nHost: mirror\r\nUser-Agent: fuzz/${number}\r\n${framing}\r\n`
        const response = await connection.ask(Buffer.from(head + body, 'latin1'), method)
        const status = String(response?.status ?? 'closed')
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        if (response !== undefined && refusedBytes.test(`${response.head}\n${response.body.toString('latin1')}`))
          leaks.push(`${method} ${JSON.stringify(target)}`)
      }
      try {
        await Promise.all(
          Array.from({ length: 24 }, async () => {
            const connection = new WireConnection(port)
            while (next < count) await ask(connection)
            connection.close()
          }),
        )
      } finally {
        await server.stop()
        await hub.close()
      }
      const broken = hub.received.filter(({ reason }) => reason !== undefined)
      console.log(
        `      ${[...statuses].map(([status, times]) => `${status}: ${times}`).join(', ')}; sent on: ${hub.received.length}, ` +
          `against the policy: ${broken.length}; denied bytes given: ${leaks.length}`,
      )
      expect(
        broken
          .slice(0, 40)
          .map(({ request, reason, agent }) => `${agent}: ${request.method} ${request.target}: ${reason}`),
        'sent against the policy',
      ).to.deep.equal([])
      expect(leaks.slice(0, 40), 'denied bytes').to.deep.equal([])
      expect(statuses.get('500') ?? 0).to.equal(0)
      // A mirror that refused everything would pass, too.
      expect(hub.received.length).to.be.greaterThan(count / 50)
      expect(statuses.get('200') ?? 0).to.be.greaterThan(count / 50)
      expect(statuses.get('403') ?? 0).to.be.greaterThan(count / 50)
    })
  }
})
