import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { expect } from 'chai'
import { fileContent, StandInHub } from '../hub/index.ts'
import { addModel, modelId, pythonOf } from '../support/model.ts'
import { run, runMirrorFace, type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { type Client, clients, type Digests } from './clients.ts'
import { type ClosedNetwork, closeNetwork } from './network.ts'
import { recordOutcome, type Situation } from './outcomes.ts'

const datasets = ['founders/rows-parquet', 'founders/rows-json']

/**
 * Every client in three situations. In the closed network a client reaches the mirror and nothing
 * else: one that goes past it finds no way, and its test fails.
 */
describe('real clients', function () {
  this.timeout(240_000)
  const hub = new StandInHub()
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let network: ClosedNetwork
  let digests: Digests
  let commit: string

  before(async () => {
    folder = await temporaryFolder()
    network = closeNetwork()
    await hub.start()
    const repository = await addModel(hub)
    Object.assign(repository.traits, { xet: true })
    commit = repository.branches.get('main') ?? ''
    const files = [...(repository.commits.get(commit)?.files.values() ?? [])]
    digests = Object.fromEntries(files.map((file) => [file.path, file.content.sha256]))
    for (const id of datasets) await addDataset(id)
    const mirrored = join(folder.path, 'mirrored')
    const settings = { MIRRORFACE_UPSTREAM_URL: hub.url, MIRRORFACE_LOCAL_DIRECTORY: mirrored }
    const commands = [
      ['mirror', modelId, '--revision', 'main', '--revision', 'v1'],
      ...datasets.map((id) => ['mirror', id, '--type', 'dataset']),
    ]
    for (const command of commands) {
      const { code, stderr } = await runMirrorFace(command, settings)
      expect(code, stderr).to.equal(0)
    }
  })

  after(async () => {
    await hub.stop()
    network[Symbol.dispose]()
    await folder[Symbol.asyncDispose]()
  })

  async function addDataset(id: string): Promise<void> {
    const source = join(folder.path, id)
    const kind = id.endsWith('parquet') ? 'parquet' : 'json'
    const made = await run(
      pythonOf('datasets'),
      [new URL('scripts/make_dataset.py', import.meta.url).pathname, kind, source],
      { HF_HOME: join(folder.path, 'make') },
    )
    expect(made.code, made.stderr).to.equal(0)
    const paths = (await readdir(source, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
    const content = await Promise.all(
      paths.map(async (path) => [relative(source, path), await fileContent(path)] as const),
    )
    hub.add({ type: 'dataset', id, xet: true }).commit(Object.fromEntries(content))
  }

  async function use(
    client: Client,
    _server: ServerProcess,
    endpoint: string,
    enter: readonly string[],
  ): Promise<void> {
    await using home = await temporaryFolder()
    await client.use({
      endpoint,
      model: modelId,
      digests,
      commit,
      datasets,
      home: home.path,
      run: async (command, args, environment = {}) => {
        const [first = '', ...rest] = [...enter, command, ...args]
        const finished = await run(first, rest, {
          HOME: home.path,
          HF_HOME: join(home.path, 'hf'),
          HF_ENDPOINT: endpoint,
          HF_HUB_DISABLE_TELEMETRY: '1',
          ...environment,
        })
        expect(finished.code, `${command} ${args.join(' ')}\n${finished.stderr}\n${finished.stdout}`).to.equal(0)
        return finished
      },
    })
  }

  const situations: { name: Situation; args: () => string[]; hubOn: boolean; closed: boolean }[] = [
    {
      name: 'mirrored, the Hub off',
      args: () => ['--local-directory', join(folder.path, 'mirrored')],
      hubOn: false,
      closed: true,
    },
    { name: 'passed on', args: () => ['--local-directory', join(folder.path, 'empty')], hubOn: true, closed: false },
    {
      name: 'followed, in a closed network',
      args: () => [
        '--local-directory',
        join(folder.path, 'empty'),
        '--redirects',
        'follow',
        '--follow-hosts',
        new URL(hub.cdnUrl).host,
      ],
      hubOn: true,
      closed: true,
    },
  ]
  for (const { name, args, hubOn, closed } of situations) {
    describe(name, () => {
      let server: ServerProcess
      let endpoint: string

      before(async () => {
        if (!hubOn) await hub.stop()
        const host = closed ? network.hostAddress : '127.0.0.1'
        server = await startMirrorFace(['--upstream-url', hub.url, ...args()], {}, host)
        endpoint = server.endpoint
      })

      after(async () => {
        await server.stop()
        if (!hubOn) await hub.start()
      })

      for (const client of clients) {
        if (!hubOn && !client.fromMirrored) continue
        it(`${client.name}: ${client.does}`, async () => {
          const before = { served: server.log.length, hub: hub.requests.length }
          await use(client, server, endpoint, closed ? network.enter : [])
          const requests = server.log.slice(before.served).filter(({ msg }) => msg === 'request')
          expect(requests, 'requests that reached the mirror').to.not.be.empty
          const asked = hub.requests.slice(before.hub)
          const askedOf = (one: 'hub' | 'cdn') => asked.filter((request) => request.server === one).length
          await recordOutcome(client, name, { mirror: requests.length, hub: askedOf('hub'), cdn: askedOf('cdn') })
          if (!hubOn) expect(asked).to.deep.equal([])
        })
      }
    })
  }

  it('asks the Hub nothing for a mirrored repository', async () => {
    const server = await startMirrorFace([
      '--local-directory',
      join(folder.path, 'mirrored'),
      '--upstream-url',
      hub.url,
    ])
    const before = hub.requests.length
    const newest = clients.find(({ name }) => name.startsWith('huggingface_hub 2'))
    if (newest !== undefined) await use(newest, server, server.endpoint, [])
    await server.stop()
    // Of the model: what it asks at every start about itself is the Hub's to answer.
    const asked = hub.requests.slice(before).filter(({ url }) => url.includes(modelId))
    expect(asked).to.deep.equal([])
  })
})
