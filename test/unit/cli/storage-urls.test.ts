import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import fc from 'fast-check'
import { type FlagValues, loadConfig } from '../../../src/config/index.ts'
import { UsageFailure } from '../../../src/hub/index.ts'
import { readStorageUrl } from '../../../src/plugin/storage-urls.ts'
import { runMirrorFace, startMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { runs } from '../../support/runs.ts'

const storagesOf = async (flags: FlagValues, environment: NodeJS.ProcessEnv = {}) =>
  (await loadConfig({ flags, environment })).config.storages

describe('storages by URL', () => {
  for (const [url, reference] of [
    ['file:///models', { plugin: 'local', directory: '/models' }],
    ['file:///my%20models,%232', { plugin: 'local', directory: '/my models,#2' }],
    ['file:///models?create=false', { plugin: 'local', directory: '/models', create: false }],
    ['/models/../data', { plugin: 'local', directory: '/data' }],
    ['./models', { plugin: 'local', directory: join(process.cwd(), 'models') }],
    ['gs://bucket', { plugin: 'gcs', bucket: 'bucket' }],
    ['az://account/models', { plugin: 'azure', account: 'account', container: 'models' }],
    [
      'az://account/models/p?endpoint=http://127.0.0.1:1/account',
      { plugin: 'azure', account: 'account', container: 'models/p', endpoint: 'http://127.0.0.1:1/account' },
    ],
    [
      's3://bucket/p?endpoint=https://minio:9000&forcePathStyle=false&partSize=5242880',
      { plugin: 's3', bucket: 'bucket/p', endpoint: 'https://minio:9000', forcePathStyle: false, partSize: 5242880 },
    ],
    ['gs://bucket/', { plugin: 'gcs', bucket: 'bucket' }],
    ['gs://b_1.x/some//prefix/', { plugin: 'gcs', bucket: 'b_1.x/some/prefix' }],
    [
      'gs://bucket/p?signedUrlLifetime=600&endpoint=http://127.0.0.1:1',
      { plugin: 'gcs', bucket: 'bucket/p', signedUrlLifetime: 600, endpoint: 'http://127.0.0.1:1' },
    ],
    [
      'gcs-mount:///mnt/models?requireFuse=false&cachedStats=5',
      { plugin: 'gcs-mount', directory: '/mnt/models', requireFuse: false, cachedStats: 5 },
    ],
  ] as const) {
    it(`${url} is what its plugin is opened with`, async () => {
      expect(await readStorageUrl(url)).to.deep.equal(reference)
    })
  }

  for (const [url, message] of [
    [
      'models',
      /"models" is no storage URL: write file:\/\/\/directory, gs:\/\/bucket\/prefix, .*, or a directory as \.\/name/,
    ],
    ['', /"" is no storage URL/],
    ['file:/models', /expected scheme:\/\/place/],
    ['file://models/x', /names a host: write a directory as file:\/\/\/models\/x/],
    ['gcs-mount://mnt/x', /names a host: write a directory as gcs-mount:\/\/\/mnt\/x/],
    ['az://account', /names no container: write az:\/\/account\/container or/],
    ['az://Account!/models', /account: .*3 to 24 letters and digits/],
    ['gs:///x', /names no bucket: write gs:\/\/bucket or gs:\/\/bucket\/prefix/],
    ['gs://bucket:80/x', /names no bucket/],
    ['gs://key:secret@bucket', /holds no credentials/],
    ['gs://bucket/a#b', /write "#" in a name as %23/],
    ['file:///100%', /write "%" in a name as %25/],
    ['file:///a%00', /write "%" in a name/],
    ['gs://bucket?prefixes=x', /[Uu]nrecognized key.*prefixes/],
    ['gs://bucket?signedUrlLifetime=long', /signedUrlLifetime: .*expected/],
    ['gs://bucket?signedUrlLifetime=1', /signedUrlLifetime: /],
    ['gs://bucket?bucket=other', /bucket is said by the URL itself/],
    ['gs://bucket?endpoint=http://a&endpoint=http://b', /endpoint is given twice/],
    [
      'gcs://bucket',
      /no storage plugin for gcs: URLs: built in are .*gs.*; others come from a package mirrorface-storage-gcs/,
    ],
  ] as const) {
    it(`says what is wrong with "${url}", and where it stands`, async () => {
      const refused = await storagesOf({ storages: [url] }).catch((error: unknown) => error)
      expect(refused).to.be.instanceOf(UsageFailure)
      expect((refused as Error).message)
        .to.match(message)
        .and.to.match(/^--storage: /)
      expect((refused as Error).message).to.not.match(/secret/)
    })
  }

  it('a directory of any name comes back from its URL', async () => {
    const segment = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 12 })
      .filter((text) => !/[/\0]|^\.{1,2}$/.test(text) && text.isWellFormed())
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 3 }), async (segments) => {
        const directory = `/${segments.join('/')}`
        const reference = { plugin: 'local', directory }
        const url = `file:///${segments.map(encodeURIComponent).join('/')}`
        expect(await readStorageUrl(url)).to.deep.equal(reference)
        expect(await readStorageUrl(directory)).to.deep.equal(reference)
      }),
      { numRuns: runs(1000), seed: 20261201 },
    )
  })

  it('whatever is written is a storage, or refused with a sentence', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .tuple(fc.constantFrom('file:', 'gs:', 'gcs-mount:', 'x:'), fc.constantFrom('', '//', '///'), fc.string())
        .map((parts) => parts.join('')),
    )
    await fc.assert(
      fc.asyncProperty(text, async (url) => {
        const found = await readStorageUrl(url).catch((error: unknown) => error)
        if (found instanceof Error) expect(found).to.be.instanceOf(UsageFailure)
      }),
      { numRuns: runs(1000), seed: 20261201 },
    )
  })

  it('the settings of one kind of storage are the same by other names', async () => {
    for (const [url, flags] of [
      ['file:///models', { localDirectory: '/models' }],
      ['gs://bucket/p', { gcsBucket: 'bucket/p' }],
      ['gcs-mount:///mnt/models', { gcsMount: '/mnt/models' }],
    ] as const) {
      const byUrl = await storagesOf({ storages: [url], gcsEndpoint: 'http://127.0.0.1:1' })
      expect(await storagesOf({ ...flags, gcsEndpoint: 'http://127.0.0.1:1' })).to.deep.equal(byUrl)
      expect(await storagesOf({}, { MIRRORFACE_STORAGE: url, MIRRORFACE_GCS_ENDPOINT: 'http://127.0.0.1:1' }))
        .to //
        .deep.equal(byUrl)
    }
  })

  it('keeps the order, lets the stronger source count, and refuses two words of one', async () => {
    const variable = { MIRRORFACE_STORAGE: 'gs://one  file:///two' }
    const plugins = async (flags: FlagValues, environment: NodeJS.ProcessEnv) =>
      (await storagesOf(flags, environment)).map(({ plugin }) => plugin)
    expect(await plugins({}, variable)).to.deep.equal(['gcs', 'local'])
    expect(await plugins({ gcsMount: '/x' }, variable)).to.deep.equal(['gcs-mount'])
    expect(await plugins({ storages: ['file:///x'] }, { MIRRORFACE_GCS_BUCKET: 'bucket' })).to.deep.equal(['local'])
    const both = await storagesOf({ storages: ['file:///x'], gcsBucket: 'abc' }).catch(String)
    expect(both).to.match(/storages and gcsBucket: give one of them, or list both under storages \(--storage\)/)
  })

  it('serves from several in order, and every command takes one', async () => {
    await using folder = await temporaryFolder()
    const [one, two] = ['one', 'two'].map((name) => pathToFileURL(join(folder.path, name)).href) as [string, string]
    await mkdir(join(folder.path, 'one'))
    const server = await startMirrorFace(['--storage', one, '--storage', two, '--offline'])
    const body = (await (await fetch(`${server.url}/ready`)).json()) as { storages: unknown[] }
    await server.stop()
    expect(body.storages).to.have.length(2)
    for (const command of [['list'], ['verify'], ['sweep'], ['doctor'], ['config']]) {
      const finished = await runMirrorFace([...command, '--storage', 'nowhere://x'])
      expect(finished.stderr, command.join()).to.match(/^mirrorface: --storage: no storage plugin for nowhere: URLs/)
      expect(finished.code, command.join()).to.equal(2)
    }
    const listed = await runMirrorFace(['list', '--storage', one])
    expect(listed.stdout, listed.stderr).to.match(/nothing is mirrored yet/)
    const shown = await runMirrorFace(['config', '--json', '--storage', one])
    expect(JSON.parse(shown.stdout).storages).to.deep.equal({
      value: [{ plugin: 'local', directory: join(folder.path, 'one') }],
      origin: 'flag',
    })
  })

  it('URLs and references stand together in a file', async () => {
    await using folder = await temporaryFolder()
    const entries = `storages: ["file://${folder.path}/data", {plugin: local, directory: "${folder.path}/more"}]\n`
    await writeFile(join(folder.path, 'c.yaml'), entries)
    const { config } = await loadConfig({ flags: {}, environment: {}, file: join(folder.path, 'c.yaml') })
    expect(config.storages).to.deep.equal([
      { plugin: 'local', directory: join(folder.path, 'data') },
      { plugin: 'local', directory: join(folder.path, 'more') },
    ])
  })
})
