import { createHash, randomBytes } from 'node:crypto'
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { type ContentSource, Crc32c, type Storage } from 'mirrorface/plugin'
import { s3StorageOptions } from '../../plugins/storage-s3/index.ts'
import { openS3Storage } from '../../plugins/storage-s3/s3-storage.ts'
import { describeStorage } from '../conformance/index.ts'
import { type ConditionalRemovals, withConditionalRemovals } from '../support/conditional-removals.ts'
import { type S3Server, s3Credentials, startS3Server } from '../support/s3-server.ts'

const partSize = 5 * 1024 * 1024 // the service takes no smaller one

describe('storages on a real S3 server', function () {
  this.timeout(60_000)
  let server: S3Server
  // It compares and removes in two steps, where Amazon's service does it in one: here changes pass one at a time.
  let service: ConditionalRemovals
  let buckets = 0
  const environment = { ...process.env }

  before(async () => {
    Object.assign(process.env, s3Credentials)
    server = await startS3Server()
    service = await withConditionalRemovals(server.url)
  })
  after(async () => {
    for (const name of Object.keys(s3Credentials)) delete process.env[name]
    Object.assign(process.env, environment)
    await service[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  async function newBucket(): Promise<string> {
    const name = `conformance-${buckets++}`
    await server.makeBucket(name)
    return name
  }

  for (const [what, suffix, checksums] of [
    ['the whole bucket', '', true],
    ['below a prefix', '/some/prefix', true],
    ['without checksums', '', false],
  ] as const) {
    describeStorage(`s3, ${what}`, async () => {
      const name = await newBucket()
      const given = { bucket: name + suffix, endpoint: service.url, checksums }
      const storage = await openS3Storage(s3StorageOptions.parse(given))
      const client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true })
      const below = suffix === '' ? '' : `${suffix.slice(1)}/`
      return {
        storage,
        plugin: { url: new URL('../../plugins/storage-s3/index.ts', import.meta.url).href, options: given },
        put: async (key, content) => {
          await client.send(new PutObjectCommand({ Bucket: name, Key: below + key, Body: content }))
        },
        dispose: async () => {
          client.destroy()
          await storage.close()
        },
      }
    })
  }

  describe('multipart uploads', () => {
    const bytes = randomBytes(3 * partSize + 1234)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const expected = { size: bytes.length, sha256 }
    const source: ContentSource = async function* (start) {
      for (let at = start; at < bytes.length; at += 700_000) yield bytes.subarray(at, at + 700_000)
    }
    let storage: Storage

    beforeEach(async () => {
      storage = await openS3Storage(
        s3StorageOptions.parse({ bucket: await newBucket(), endpoint: service.url, partSize }),
      )
    })
    afterEach(() => storage.close())
    const code = async (attempt: Promise<unknown> | undefined) =>
      await attempt?.then(
        () => 'none',
        (error: { code?: string }) => error.code ?? String(error),
      )

    it('keep the checksum of the whole, and read back as they were', async () => {
      const written = await storage.writer?.write('blobs/large', source, expected)
      const crc32c = new Crc32c()
      crc32c.update(bytes)
      expect(written?.crc32c).to.equal(crc32c.toString())
      expect((await storage.stat('blobs/large'))?.generation).to.equal(written?.generation)
      const read = Buffer.concat(await Array.fromAsync(await storage.read('blobs/large')))
      expect(read.equals(bytes)).to.equal(true)
    })

    it('take content of unknown size', async () => {
      await storage.writer?.write('large', source, {})
      expect((await storage.stat('large'))?.size).to.equal(bytes.length)
    })

    it('are completed on their condition only', async () => {
      const { writer } = storage
      const first = await writer?.write('large', source, expected, { ifAbsent: true })
      expect(await code(writer?.write('large', source, expected, { ifAbsent: true }))).to.equal('Conflict')
      expect(await code(writer?.write('large', source, expected, { ifGeneration: '"other"' }))).to.equal('Conflict')
      await writer?.write('large', source, expected, { ifGeneration: first?.generation ?? '' })
      expect(await code(writer?.write('gone', source, expected, { ifGeneration: '"other"' }))).to.equal('Conflict')
      expect(await storage.stat('gone')).to.equal(undefined)
    })

    it('of two with one condition complete one', async () => {
      const both = [1, 2].map(
        async () => await code(storage.writer?.write('race', source, expected, { ifAbsent: true })),
      )
      expect((await Promise.all(both)).toSorted()).to.deep.equal(['Conflict', 'none'])
    })

    it('are discarded if nobody has sent a part of them since, with what their parts take', async () => {
      const bucket = await newBucket()
      const client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true })
      for (const Key of ['p/a', 'p/b', 'elsewhere']) {
        const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }))
        const part = { Bucket: bucket, Key, UploadId, PartNumber: 1 }
        await client.send(new UploadPartCommand({ ...part, Body: bytes.subarray(0, partSize) }))
      }
      const below = await openS3Storage(s3StorageOptions.parse({ bucket: `${bucket}/p`, endpoint: server.url }))
      const [early, late] = [-60_000, 60_000].map((from) => new Date(Date.now() + from)) as [Date, Date]
      expect(await below.writer?.discardUnfinished(early)).to.equal(0)
      expect(await below.writer?.discardUnfinished(late, { dryRun: true })).to.equal(2 * partSize)
      expect(await below.writer?.discardUnfinished(late)).to.equal(2 * partSize)
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
      expect(Uploads.map(({ Key }) => Key)).to.deep.equal(['elsewhere'])
      client.destroy()
      await below.close()
    })

    it('leave nothing of content that is wrong', async () => {
      const wrong = { size: bytes.length, sha256: sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) }
      expect(await code(storage.writer?.write('bad', source, wrong))).to.equal('ContentMismatch')
      expect(await storage.stat('bad')).to.equal(undefined)
      const later = new Date(Date.now() + 60_000)
      expect(await storage.writer?.discardUnfinished(later, { dryRun: true })).to.equal(0)
    })
  })

  describe('signed URLs', () => {
    it('give an object to whoever has one, under the name that was asked for', async () => {
      const storage = await openS3Storage(
        s3StorageOptions.parse({ bucket: `${await newBucket()}/p`, endpoint: server.url }),
      )
      await storage.writer?.write(
        'blobs/a',
        async function* () {
          yield Buffer.from('content')
        },
        { size: 7 },
      )
      const location = await storage.locate?.('blobs/a', {
        contentType: 'text/x',
        contentDisposition: 'attachment; filename="a b"',
      })
      expect(location?.kind).to.equal('url')
      const url = location?.kind === 'url' ? location.url : ''
      const response = await fetch(url, { headers: { range: 'bytes=0-2' } })
      expect(response.status).to.equal(206)
      expect(await response.text()).to.equal('con')
      expect(response.headers.get('content-disposition')).to.equal('attachment; filename="a b"')
      expect((await fetch(url.replace(/blobs/, 'blob'))).status).to.equal(403)
      await storage.close()
    })
  })

  describe('what is wrong', () => {
    const reason = async (options: object) => {
      const storage = await openS3Storage(s3StorageOptions.parse(options))
      const found = await storage.ready().then(() => 'ready', String)
      await storage.close()
      return found
    }
    it('is said: a bucket that is not there', async () => {
      expect(await reason({ bucket: 'nowhere', endpoint: server.url })).to.match(/bucket nowhere does not exist/)
    })
    it('is said: a server that is not there', async () => {
      expect(await reason({ bucket: 'bucket', endpoint: 'http://127.0.0.1:9' })).to.match(/ECONNREFUSED/)
    })
    it('is said: credentials that are not accepted', async () => {
      const bucket = await newBucket()
      process.env.AWS_SECRET_ACCESS_KEY = 'another'
      const found = await reason({ bucket, endpoint: server.url })
      Object.assign(process.env, s3Credentials)
      expect(found).to.match(/the credentials are not accepted for bucket conformance-\d+: SignatureDoesNotMatch/)
    })
  })
})
