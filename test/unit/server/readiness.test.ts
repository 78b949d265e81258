import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { answerable } from '../../../src/server/observe/readiness.ts'
import { type ServerProcess, startMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { startSilentServer } from '../../support/silent-server.ts'

interface Readiness {
  readonly status: string
  readonly storages: readonly { readonly storage: string; readonly ready: boolean; readonly reason?: string }[]
  readonly upstreams: readonly { readonly upstream: string; readonly state: string; readonly reason?: string }[]
}

const secret = 'a-secret-of-the-storage'

/** A storage that never answers, whatever it is told, and one whose failure holds a secret. */
const plugin = (ready: string) => `
export default {
  kind: 'storage', name: 'own', options: { safeParse: (data) => ({ success: true, data }) },
  create: async ({ password }) => ({ name: 'own', ready: ${ready}, stat: async () => undefined, children: async () => [], close: async () => {} }),
}`

interface Case {
  readonly name: string
  readonly args: (silent: string, folder: string) => Promise<readonly string[]>
  readonly reason: RegExp
}

const withPlugin = (ready: string) => async (_silent: string, folder: string) => {
  const module = join(folder, 'plugin.mjs')
  await writeFile(module, plugin(ready))
  const config = join(folder, 'c.yaml')
  await writeFile(config, `storages: [{plugin: ${module}, password: ${secret}}]\n`)
  return ['--config', config]
}

const cases: readonly Case[] = [
  {
    name: 'a bucket without credentials',
    args: async () => ['--gcs-bucket', 'bucket-1/models'],
    // What is there at the first probe, and at a later one.
    reason:
      /^storage gcs is unavailable: it still waits for .*Google credentials: .*(?:metadata server|workload identity)/,
  },
  {
    name: 'a bucket whose service says nothing',
    args: async (silent) => ['--gcs-bucket', 'bucket-1/models', '--gcs-endpoint', silent],
    reason: /^storage gcs is unavailable: it still waits for an answer about bucket bucket-1$/,
  },
  {
    name: 'a storage that hangs',
    args: withPlugin('() => new Promise(() => {})'),
    reason: /^storage own has not answered for 1\.2 s$/,
  },
  {
    name: 'a storage that fails',
    args: withPlugin("async () => { throw new Error('https://me:' + password + '@host refused ' + password) }"),
    reason: /^https:\/\/\(hidden\)@host refused \(hidden\)$/,
  },
]

describe('readiness', function () {
  this.timeout(60_000)

  it('is whether requests can be answered, and names what is down', () => {
    const states = ['closed', 'half-open', 'open', undefined] as const
    for (const accepting of [true, false])
      for (const state of ['none', ...states] as const)
        for (const ready of [[], [true], [false], [true, false], [false, true], [false, false], [true, true]]) {
          const storages = ready.map((isReady, index) => ({ storage: `s${index}`, ready: isReady }))
          const upstreams = state === 'none' ? [] : [{ upstream: 'hub', ...(state !== undefined && { state }) }]
          const about = JSON.stringify({ accepting, state, ready })
          const { status, canAnswer, down } = answerable(accepting, storages, upstreams)
          const expected = ready.flatMap((isReady, index) => (isReady ? [] : [`s${index}`]))
          const answers = state !== 'none' && state !== 'open'
          expect(down, about).to.deep.equal(expected)
          expect(canAnswer, about).to.equal(accepting && (answers || expected.length === 0))
          expect(status === 'ready', about).to.equal(accepting && expected.length === 0)
          expect(status === 'stopping', about).to.equal(!accepting)
          expect(canAnswer, about).to.equal(status === 'ready' || status === 'degraded')
        }
  })

  for (const { name, args, reason } of cases)
    it(`names within two seconds what is down: ${name}`, async () => {
      await using folder = await temporaryFolder()
      await using silent = await startSilentServer()
      const server = await startMirrorFace([...(await args(silent.url, folder.path)), '--offline'], {
        HOME: folder.path,
        GCE_METADATA_HOST: new URL(silent.url).host,
      })
      // Probes come again, whether the last was answered or not.
      for (let count = 0; count < 2; count++) {
        const started = performance.now()
        const { status, body } = await ready(server)
        expect(performance.now() - started).to.be.lessThan(2_000)
        expect(status).to.equal(503)
        expect(body.status).to.equal('not ready')
        expect(body.storages).to.have.length(1)
        expect(body.storages[0]?.reason).to.match(reason)
      }
      expect((await fetch(`${server.url}/health`)).status).to.equal(200)
      const page = await (await fetch(server.url, { signal: AbortSignal.timeout(500) }).catch(() => undefined))?.text()
      expect(`${page}${server.output()}`).not.to.include(secret)
      await server.stop('SIGKILL')
    })

  it('names an upstream that is left alone, and why; the server is ready without it', async () => {
    await using folder = await temporaryFolder()
    const server = await startMirrorFace(['--local-directory', folder.path, '--upstream-url', 'http://127.0.0.1:9'])
    for (;;) {
      await (await fetch(`${server.endpoint}/api/models/org/model`)).arrayBuffer()
      const { status, body } = await ready(server)
      expect(status).to.equal(200)
      const [upstream] = body.upstreams
      if (upstream?.reason?.includes('ECONNREFUSED') === true) {
        expect(upstream).to.deep.include({ upstream: 'hub', state: 'open' })
        break
      }
      await delay(50)
    }
    await server.stop()
  })
})

async function ready({ url }: ServerProcess): Promise<{ readonly status: number; readonly body: Readiness }> {
  const response = await fetch(`${url}/ready`)
  const body: unknown = await response.json()
  return { status: response.status, body: body as Readiness }
}
