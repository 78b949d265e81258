import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { guardStorage } from '../../../src/plugin/guarded-storage.ts'
import { Failure, type Storage } from '../../../src/plugin/index.ts'
import { MemoryBucket } from '../../search/memory-bucket.ts'
import { MemoryStorage } from '../../search/memory-storage.ts'

describe('a guarded storage', () => {
  /** The first read hangs until it is released; those after it are answered. */
  function hangingOnce(): { storage: Storage; release(): void; late: Readable } {
    const bucket = new MemoryBucket()
    bucket.put('a', Buffer.from('content'), new Date())
    const storage = new MemoryStorage(bucket, async (_operation, _key, act) => act())
    const hanging = Promise.withResolvers<Readable>()
    const late = Readable.from(['content'])
    const read = storage.read.bind(storage)
    let asked = 0
    storage.read = async (key, options) => (asked++ === 0 ? await hanging.promise : await read(key, options))
    return { storage, late, release: () => hanging.resolve(late) }
  }
  const guard = { timeout: 50, retries: 2, observe: () => undefined }

  it('tries again what took too long, for callers without another storage', async () => {
    const { storage } = hangingOnce()
    const guarded = guardStorage(storage, { ...guard, retryExpired: true })
    expect(await text(await guarded.read('a'))).to.equal('content')
  })

  it('fails after the time limit for callers that have another', async () => {
    let failure: unknown
    await guardStorage(hangingOnce().storage, guard)
      .read('a')
      .catch((error: unknown) => {
        failure = error
      })
    expect(failure).to.be.instanceOf(Failure)
    expect(String(failure)).to.match(/read took more than 50 ms/)
  })

  it('closes a body that is opened too late', async () => {
    const { storage, release, late } = hangingOnce()
    const guarded = guardStorage(storage, { ...guard, retryExpired: true })
    const body = await guarded.read('a')
    expect(late.destroyed).to.equal(false)
    const closed = new Promise((resolve) => late.once('close', resolve))
    release()
    await closed
    expect(await text(body)).to.equal('content')
  })
})
