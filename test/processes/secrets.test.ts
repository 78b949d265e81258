import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { runMirrorFace, temporaryFolder } from '../support/processes.ts'
import { answers, freePort, ProcessGroup, until } from './process-group.ts'
import { choose, randomFrom } from './random.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const requests = Number(process.env.SECRET_REQUESTS ?? 200)

/** Every secret is different, so that the one which leaks is known. */
class Secrets {
  readonly #random: () => number
  readonly planted = new Map<string, string>()

  constructor(random: () => number) {
    this.#random = random
  }

  plant(where: string): string {
    const letters = 'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'
    const secret = Array.from({ length: 30 }, () => choose(this.#random, [...letters])).join('')
    this.planted.set(secret, where)
    return secret
  }

  /** Where the secrets that stand in some text were planted. */
  foundIn(text: string): string[] {
    return [...this.planted]
      .filter(([secret]) => isIn(text, secret))
      .map(([secret, where]) => `${where}: ${lineWith(text, secret)}`)
  }
}

function isIn(text: string, secret: string): boolean {
  return text.includes(secret) || text.includes(Buffer.from(secret).toString('base64').replaceAll('=', ''))
}

function lineWith(text: string, secret: string): string {
  return (
    text
      .split('\n')
      .find((line) => isIn(line, secret))
      ?.slice(0, 500) ?? ''
  )
}

/** A storage whose every error holds its own credentials, in the ways that clients of services do. */
const leakyPlugin = (local: string) => `
import { z } from ${JSON.stringify(import.meta.resolve('zod'))}
import local from ${JSON.stringify(local)}
let count = 0
export default {
  kind: 'storage', name: 'leaky', options: local.options.extend({ phrase: z.string().meta({ secret: true }).optional() }).loose(),
  create: async (options, { logger }) => {
    const inner = await local.create({ directory: options.directory, create: true }, { logger })
    const { secretAccessKey, password, connectionString, deep, phrase } = options
    const fail = () => {
      const error = [
        () => new Error('signing failed with ' + secretAccessKey),
        () => new Error('the phrase is ' + phrase),
        () => Object.assign(new Error('request failed'), { config: { headers: { Authorization: 'Bearer ' + password } } }),
        () => new Error('outer', { cause: new Error('GET https://me:' + password + '@bucket/x?X-Amz-Signature=' + secretAccessKey) }),
        () => new AggregateError([new Error(connectionString), new Error(deep.apiKey)], 'all failed'),
        () => Object.assign(new TypeError('x'), { code: 'E' + deep.apiKey }),
      ][count++ % 6]()
      logger.error({ err: error, options, headers: { 'x-api-key': deep.apiKey } }, 'leaky: ' + error.message)
      throw error
    }
    return new Proxy(inner, { get: (target, name) => {
      const value = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (['stat', 'read', 'children', 'list', 'locate'].includes(name)) return fail
      return value.bind(target)
    } })
  },
}
`

/** What only `debug` and `trace` say, of requests such as these. */
const toldAtDebug = [
  'admitted',
  'not from the library',
  'upstream asked',
  'upstream answered',
  'upstream did not answer',
  'storage asked',
]

describe('secrets', function () {
  this.timeout(300_000)

  for (const [workers, logFormat] of [
    [1, 'json'],
    [2, 'text'],
  ] as const)
    it(`are in no line at any level: ${requests} requests from seed ${seed}, workers: ${workers}, ${logFormat}`, async () => {
      await using folder = await temporaryFolder()
      const random = randomFrom(seed + workers)
      const secrets = new Secrets(random)
      const hub = await new StandInHub().start()
      hub
        .add({ type: 'model', id: 'org/model' })
        .commit({ 'a.txt': 'a', 'w.safetensors': syntheticContent(300_000, 1) })
      hub.add({ type: 'model', id: 'org/private', private: true }).commit({ 'a.txt': 'a' })
      const plugin = join(folder.path, 'plugin.mjs')
      await writeFile(plugin, leakyPlugin(new URL('../../dist/plugins/storage-local/index.js', import.meta.url).href))
      const port = await freePort()
      const withUserinfo = (url: string, where: string) => url.replace('://', `://user:${secrets.plant(where)}@`)
      const config = {
        ...{ host: '127.0.0.1', port, metricsPort: 0, workers, logFormat, logLevel: 'trace', gracePeriod: 500 },
        upstreamToken: secrets.plant('upstreamToken'),
        upstreamUrl: withUserinfo('http://127.0.0.1:9', 'the userinfo of upstreamUrl'),
        publicUrl: withUserinfo('http://127.0.0.1:9', 'the userinfo of publicUrl'),
        access: 'tokens',
        accessTokens: [{ token: secrets.plant('accessTokens'), repositories: ['**'] }],
        pullThrough: workers === 1,
        storages: [
          {
            plugin,
            directory: join(folder.path, 'leaky'),
            secretAccessKey: secrets.plant('secretAccessKey'),
            password: secrets.plant('password'),
            phrase: secrets.plant('an option that its schema marks'),
            connectionString: `AccountKey=${secrets.plant('connectionString')}`,
            deep: { apiKey: secrets.plant('apiKey') },
            endpoint: withUserinfo('http://127.0.0.1:9', 'the userinfo of endpoint'),
          },
          { plugin: 'local', directory: join(folder.path, 'data') },
        ],
        upstreams: [
          { plugin: 'hub', name: 'down', url: 'http://127.0.0.1:9', token: secrets.plant('token of an upstream') },
          { plugin: 'hub', url: hub.url, redirects: 'follow', followHosts: ['127.0.0.2'] },
        ],
      }
      const file = join(folder.path, 'c.yaml')
      await writeFile(file, stringify(config))
      await using group = new ProcessGroup(['--config', file], { HF_TOKEN: secrets.plant('HF_TOKEN') })
      await until('it serves', () => group.child.exitCode !== null || answers(port))
      expect(group.child.exitCode, group.output).to.equal(null)
      const faults = ['refuse', 'corrupt', undefined, undefined, undefined] as const
      hub.faults = () => {
        const kind = choose(random, faults)
        return kind === undefined ? undefined : { kind }
      }
      const own = config.accessTokens[0]?.token ?? ''
      /** What probes, and whoever else asks, are told. */
      let told = ''
      const ask = async () => {
        const query = choose(random, [
          '',
          `?token=${secrets.plant('query: token')}`,
          `?X-Amz-Signature=${secrets.plant('query: signature')}`,
        ])
        const target = choose(random, [
          '/org/model/resolve/main/a.txt',
          '/org/model/resolve/main/w.safetensors',
          '/api/models/org/model',
          '/org/private/resolve/main/a.txt',
          '/api/whoami-v2',
          '/nothing/here',
          '/-/misses',
          '/ready',
          `http://u:${secrets.plant('absolute target')}@elsewhere/x`,
          `/-/follow/${secrets.plant('a seal')}`,
          '/org/model/resolve/%ff/a',
        ])
        const headers = {
          authorization: choose(random, [
            `Bearer ${own}`,
            `Bearer ${secrets.plant('bearer')}`,
            `Basic ${Buffer.from(`u:${secrets.plant('basic')}`).toString('base64')}`,
            secrets.plant('bare authorization'),
          ]),
          cookie: `session=${secrets.plant('cookie')}`,
          'x-api-key': secrets.plant('x-api-key'),
          'proxy-authorization': `Bearer ${secrets.plant('proxy-authorization')}`,
        }
        const method = choose(random, ['GET', 'GET', 'HEAD', 'POST', 'PUT'])
        const asked = request({
          host: '127.0.0.1',
          port,
          path: target + query,
          method,
          headers,
          signal: AbortSignal.timeout(random() < 0.1 ? 20 : 3_000),
        })
        asked.end(method === 'POST' ? JSON.stringify({ token: secrets.plant('body') }) : undefined)
        await once(asked, 'response').then(
          async ([response]) => {
            const body: unknown[] = await response.toArray().catch(() => [])
            if (target === '/ready') told += body.join('')
          },
          () => undefined,
        )
      }
      const asking = 40
      for (let count = 0; count < requests; count += asking) await Promise.all(Array.from({ length: asking }, ask))
      // Whatever chance has brought: the Hub is well again, and asked by one who may.
      hub.faults = () => undefined
      await until('every line of debug was written', async () => {
        expect(group.child.exitCode, group.output.slice(-5_000)).to.equal(null)
        const headers = { authorization: `Bearer ${own}` }
        await (await fetch(`http://127.0.0.1:${port}/api/models/org/model`, { headers })).arrayBuffer()
        told += await (await fetch(`http://127.0.0.1:${port}/ready`)).text()
        return toldAtDebug.every((line) => group.output.includes(line))
      })
      group.child.kill('SIGTERM')
      expect((await group.endsWithin(15_000))?.code).to.equal(0)
      await hub.stop()
      expect(group.output.length).to.be.greaterThan(10_000)
      expect(group.output).to.match(/leaky/)
      expect(secrets.foundIn(group.output).slice(0, 5)).to.deep.equal([])
      expect(told).to.include('"storages"')
      expect(secrets.foundIn(told).slice(0, 5)).to.deep.equal([])
      for (const flags of [[], ['--json'], ['--yaml']]) {
        const { stdout, stderr } = await runMirrorFace(['config', '--config', file, ...flags])
        expect(secrets.foundIn(stdout + stderr), flags.join()).to.deep.equal([])
      }
    })

  it('are left out of config --yaml, whose output the server takes', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'c.yaml')
    await writeFile(
      file,
      stringify({
        upstreamToken: 'a-service-token',
        accessTokens: [{ token: 'an-access-token' }],
        allow: ['org/*'],
        storages: [{ plugin: 'local', directory: join(folder.path, 'data'), password: 'of-the-storage' }],
      }),
    )
    const { stdout } = await runMirrorFace(['config', '--config', file, '--yaml'])
    expect(stdout).not.to.match(/hidden|a-service-token|an-access-token|of-the-storage/)
    expect(stdout).to.match(
      /^# upstreamToken is left out, for it holds a secret: set MIRRORFACE_UPSTREAM_TOKEN, or write it here$/m,
    )
    expect(stdout).to.match(/^# accessTokens is left out, for it holds a secret: write it here$/m)
    expect(stdout).to.match(/^# storages\[0\]\.password is left out/m)
    const again = join(folder.path, 'again.yaml')
    await writeFile(again, stdout)
    await chmod(again, 0o600)
    const shown = JSON.parse((await runMirrorFace(['config', '--config', again, '--json'])).stdout)
    expect(shown.allow.value).to.deep.equal(['org/*'])
    expect(shown.upstreamToken.value).to.equal(undefined)
  })
})
