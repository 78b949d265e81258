import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { ContentSource } from 'mirrorface/plugin'
import { openAzureStorage } from '../../plugins/storage-azure/azure-storage.ts'
import { azureStorageOptions } from '../../plugins/storage-azure/index.ts'
import { describeStorage } from '../conformance/index.ts'
import { type AzureServer, azureAccount, azureCredentials, startAzureServer } from '../support/azure-server.ts'

describe('storages on a server of the Azure Blob protocol', function () {
  this.timeout(60_000)
  let server: AzureServer
  let containers = 0
  const environment = { ...process.env }

  before(async () => {
    Object.assign(process.env, azureCredentials)
    server = await startAzureServer()
  })
  after(async () => {
    for (const name of Object.keys(azureCredentials)) delete process.env[name]
    Object.assign(process.env, environment)
    await server[Symbol.asyncDispose]()
  })

  async function newContainer(suffix = '') {
    const name = `conformance-${containers++}`
    const client = await server.makeContainer(name)
    const given = { account: azureAccount, container: name + suffix, endpoint: server.url }
    return { client, given, options: azureStorageOptions.parse(given) }
  }

  for (const [what, suffix, partSize] of [
    ['the whole container', '', 64 * 1024 * 1024],
    ['below a prefix', '/some/prefix', 64 * 1024 * 1024],
    ['in blocks', '', 256 * 1024],
  ] as const) {
    describeStorage(`azure, ${what}`, async () => {
      const { client, given, options } = await newContainer(suffix)
      const below = suffix === '' ? '' : `${suffix.slice(1)}/`
      const storage = await openAzureStorage({ ...options, partSize })
      return {
        storage,
        plugin: { url: new URL('../../plugins/storage-azure/index.ts', import.meta.url).href, options: given },
        put: async (key, content) => {
          await client.getBlockBlobClient(below + key).upload(content, content.length)
        },
        dispose: () => storage.close(),
      }
    })
  }

  describe('blocks', () => {
    const bytes = randomBytes(3 * 1024 * 1024 + 1234)
    const expected = { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
    const source: ContentSource = async function* (start) {
      for (let at = start; at < bytes.length; at += 700_000) yield bytes.subarray(at, at + 700_000)
    }
    const code = async (attempt: Promise<unknown> | undefined) =>
      await attempt?.then(
        () => 'none',
        (error: { code?: string }) => error.code ?? String(error),
      )

    it('are committed on their condition only', async () => {
      const { options } = await newContainer()
      const { writer } = await openAzureStorage({ ...options, partSize: 1024 * 1024 })
      const first = await writer?.write('large', source, expected, { ifAbsent: true })
      expect(await code(writer?.write('large', source, expected, { ifAbsent: true }))).to.equal('Conflict')
      await writer?.write('large', source, expected, { ifGeneration: first?.generation ?? '' })
      const again = writer?.write('large', source, expected, { ifGeneration: first?.generation ?? '' })
      expect(await code(again)).to.equal('Conflict')
    })

    it('of two uploads with one condition make one blob, and no mixture', async () => {
      const { options } = await newContainer()
      const storage = await openAzureStorage({ ...options, partSize: 1024 * 1024 })
      const both = [1, 2].map(
        async () => await code(storage.writer?.write('race', source, expected, { ifAbsent: true })),
      )
      expect((await Promise.all(both)).toSorted()).to.deep.equal(['Conflict', 'none'])
      const read = Buffer.concat(await Array.fromAsync(await storage.read('race')))
      expect(read.equals(bytes)).to.equal(true)
    })

    it('whose bytes have changed since are not given as if they were whole', async () => {
      const { client, options } = await newContainer()
      const storage = await openAzureStorage({ ...options, partSize: 1024 * 1024 })
      await storage.writer?.write('changed', source, expected)
      const { metadata = {} } = await client.getBlobClient('changed').getProperties()
      await client.getBlockBlobClient('changed').upload(bytes.subarray(1), bytes.length - 1, { metadata })
      const reading = Array.fromAsync(await storage.read('changed'))
      expect(await code(reading)).to.equal('ContentMismatch')
    })
  })

  it('signed URLs give a blob to whoever has one, under the name that was asked for', async () => {
    const { options } = await newContainer('/p')
    const storage = await openAzureStorage(options)
    const source: ContentSource = async function* () {
      yield Buffer.from('content')
    }
    await storage.writer?.write('blobs/a b', source, { size: 7 })
    const location = await storage.locate?.('blobs/a b', {
      contentType: 'text/x',
      contentDisposition: 'attachment; filename="a b"',
    })
    const url = location?.kind === 'url' ? location.url : ''
    const response = await fetch(url, { headers: { range: 'bytes=0-2' } })
    expect(response.status).to.equal(206)
    expect(await response.text()).to.equal('con')
    expect(response.headers.get('content-disposition')).to.equal('attachment; filename="a b"')
    expect((await fetch(url.replace(/sig=../, 'sig=AA'))).status).to.equal(403)
  })

  describe('what is wrong', () => {
    const reason = async (options: object) =>
      await (await openAzureStorage(azureStorageOptions.parse(options))).ready().then(() => 'ready', String)

    it('is said: a container that is not there', async () => {
      const found = await reason({ account: azureAccount, container: 'nowhere', endpoint: server.url })
      expect(found).to.match(/container nowhere does not exist/)
    })
    it('is said: a server that is not there', async () => {
      const found = await reason({ account: azureAccount, container: 'abc', endpoint: 'http://127.0.0.1:9/mirror' })
      expect(found).to.match(/ECONNREFUSED/)
    })
    it('is said: a key that is not accepted', async () => {
      const { given } = await newContainer()
      process.env.AZURE_STORAGE_KEY = Buffer.from('another').toString('base64')
      const found = await reason(given)
      Object.assign(process.env, azureCredentials)
      expect(found).to.match(/the credentials are not accepted for container conformance-\d+/)
    })
  })
})
