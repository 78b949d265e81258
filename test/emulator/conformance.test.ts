import { Storage as GoogleStorage } from '@google-cloud/storage'
import { openGcsStorage } from '../../plugins/storage-gcs/gcs-storage.ts'
import { gcsStorageOptions } from '../../plugins/storage-gcs/index.ts'
import { openGcsMount } from '../../plugins/storage-gcs-mount/gcs-mount.ts'
import { gcsMountOptions } from '../../plugins/storage-gcs-mount/index.ts'
import { describeStorage } from '../conformance/index.ts'
import { type ConditionalRemovals, withConditionalRemovals } from '../support/conditional-removals.ts'
import { type GcsEmulator, mountBucket, startGcsEmulator } from '../support/emulator.ts'

describe('storages on a real GCS API server', function () {
  this.timeout(60_000)
  let emulator: GcsEmulator
  let service: ConditionalRemovals
  let buckets = 0

  before(async () => {
    emulator = await startGcsEmulator()
    service = await withConditionalRemovals(emulator.url)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await emulator[Symbol.asyncDispose]()
  })

  async function newBucket() {
    const name = `conformance-${buckets++}`
    await emulator.makeBucket(name)
    const bucket = new GoogleStorage({ apiEndpoint: emulator.url, projectId: 'x' }).bucket(name)
    const put = async (key: string, content: Buffer) => await bucket.file(key).save(content, { resumable: false })
    return { name, put }
  }

  for (const [what, suffix, partSize] of [
    ['the whole bucket', '', 64 * 1024 * 1024],
    ['below a prefix', '/some/prefix', 64 * 1024 * 1024],
    ['in parts', '', 1024 * 1024],
  ] as const) {
    describeStorage(`gcs, ${what}`, async () => {
      const { name, put } = await newBucket()
      const options = gcsStorageOptions.parse({ bucket: name + suffix, endpoint: service.url })
      const storage = await openGcsStorage({ ...options, partSize })
      const below = suffix === '' ? '' : `${suffix.slice(1)}/`
      return {
        storage: withoutLocate(storage),
        plugin: {
          url: new URL('../../plugins/storage-gcs/index.ts', import.meta.url).href,
          options: { bucket: name + suffix, endpoint: service.url },
        },
        put: (key, content) => put(below + key, content),
        dispose: () => storage.close(),
      }
    })
  }

  describeStorage('gcs-mount, on gcsfuse', async () => {
    const { name, put } = await newBucket()
    const mount = await mountBucket(emulator.url, name)
    const storage = await openGcsMount(gcsMountOptions.parse({ directory: mount.path }))
    return { storage, put, dispose: async () => await mount[Symbol.asyncDispose]() }
  })
})

/** Without a key nothing can be signed; signed URLs have a test of their own. */
function withoutLocate<T extends { locate?: unknown }>(storage: T): T {
  return new Proxy(storage, {
    get: (target, name) => {
      if (name === 'locate') return undefined
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
