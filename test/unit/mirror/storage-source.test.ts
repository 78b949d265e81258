import { createHash } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { blobKey, blobName, layoutVersion, manifestKey } from '../../../src/mirror/layout.ts'
import { StorageSource } from '../../../src/mirror/storage-source.ts'
import { MemoryBucket } from '../../search/memory-bucket.ts'
import { MemoryStorage, type Request } from '../../search/memory-storage.ts'

const repository = { type: 'model', id: 'org/model' } as const
const commit = 'c'.repeat(40)
const key = manifestKey(repository, commit)
const sha256Of = (content: string) => createHash('sha256').update(content).digest('hex')

describe('a storage as the source of a mirror run', () => {
  const contents = Array.from({ length: 100 }, (_, index) => `content ${index}`)

  /** Under names of the copy with this number; absent: under the plain names. */
  function store(bucket: MemoryBucket, copy?: number): void {
    const files = contents.map((content, index) => {
      const blob = sha256Of(content)
      bucket.put(blobKey(blobName(blob, copy)), Buffer.from(content), new Date())
      return { path: `${index}.txt`, size: content.length, oid: 'a'.repeat(40), blob, ...(copy && { copy }) }
    })
    const said = { mirroredAt: new Date().toISOString(), mirroredFrom: 'test', info: {}, commits: [], directories: [] }
    const manifest = { layout: layoutVersion, repository, commit, ...said, files }
    bucket.put(key, Buffer.from(JSON.stringify(manifest)), new Date())
  }

  function openSource(bucket: MemoryBucket) {
    let manifestReads = 0
    const request: Request = async (operation, name, act) => {
      if (operation === 'get' && name === key) manifestReads++
      return act()
    }
    const source = new StorageSource(new MemoryStorage(bucket, request), 'memory')
    const read = async (index: number): Promise<string> => {
      const size = contents[index]?.length ?? 0
      const file = { type: 'file', path: `${index}.txt`, size, oid: 'a'.repeat(40) } as const
      return await text(source.open(repository, commit, file, { signal: new AbortController().signal })(0))
    }
    return { read, manifestReads: () => manifestReads }
  }

  it('reads the manifest once for all of its files', async () => {
    const bucket = new MemoryBucket()
    store(bucket)
    const source = openSource(bucket)
    expect(await Promise.all(contents.map((_, index) => source.read(index)))).to.deep.equal(contents)
    expect(source.manifestReads()).to.equal(1)
  })

  it('follows a file whose content was stored under another name meanwhile', async () => {
    const bucket = new MemoryBucket()
    store(bucket)
    const source = openSource(bucket)
    expect(await source.read(0)).to.equal(contents[0])
    store(bucket, 7)
    for (const content of contents) bucket.objects.delete(blobKey(sha256Of(content)))
    expect(await source.read(1)).to.equal(contents[1])
    expect(source.manifestReads()).to.equal(2)
  })

  it('reads the manifest again after it could not be read', async () => {
    const bucket = new MemoryBucket()
    store(bucket)
    let failures = 1
    const request: Request = async (operation, name, act) => {
      if (operation === 'get' && name === key && failures-- > 0) throw new Error('the connection broke')
      return act()
    }
    const source = new StorageSource(new MemoryStorage(bucket, request), 'memory')
    const file = { type: 'file', path: '0.txt', size: contents[0]?.length ?? 0, oid: 'a'.repeat(40) } as const
    const read = () => text(source.open(repository, commit, file, { signal: new AbortController().signal })(0))
    let failed: unknown
    await read().catch((error: unknown) => {
      failed = error
    })
    expect(String(failed)).to.match(/the connection broke/)
    expect(await read()).to.equal(contents[0])
  })
})
