import { Readable } from 'node:stream'
import { expect } from 'chai'
import { GgufReader } from '../../../src/gguf/index.ts'
import { parseTarget } from '../../../src/hub/index.ts'
import type { Snapshot } from '../../../src/mirror/index.ts'
import {
  BodyReader,
  ObjectNotFound,
  type Storage,
  StorageUnavailable,
  type Upstream,
} from '../../../src/plugin/index.ts'
import { Renderings } from '../../../src/server/answers/renderings.ts'
import { BufferPool } from '../../../src/server/delivery/buffer-pool.ts'
import { FileDelivery } from '../../../src/server/delivery/file-delivery.ts'
import type { Admission } from '../../../src/server/gate/index.ts'
import { WhoAnswers } from '../../../src/server/who-answers.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'

const oid = '1'.repeat(40)
const commit = '2'.repeat(40)

interface Outcome {
  /** Who answered, or what was thrown. */
  readonly result: unknown
  readonly upstreamAsked: number
  readonly storageFailures: string
}

/** Asks for a mirrored file of ten bytes whose storage does this when it is read. */
async function ask(read: (leave: () => void) => Promise<Readable>, size = 10): Promise<Outcome> {
  const leaving = new AbortController()
  const gone = new Error('the client has gone')
  const storage: Partial<Storage> = {
    name: 'fake',
    stat: async (key) => ({ key, size, updatedAt: new Date(0) }),
    read: () => read(() => leaving.abort(gone)),
  }
  const snapshot: Partial<Snapshot> = {
    storage: storage as Storage,
    commit,
    files: new Map([['a.bin', { path: 'a.bin', size: 10, oid, etag: oid, key: 'blobs/a' }]]),
  }
  let upstreamAsked = 0
  const upstream: Partial<Upstream> = {
    traits: {
      name: 'hub',
      hasServiceToken: false,
      serviceWrites: false,
      clientTokens: undefined,
      clientTokenPattern: /^hf_/,
      authority: undefined,
    },
    ask: async () => {
      upstreamAsked++
      return { kind: 'answered', status: 200, headers: [], body: Buffer.from('from the hub') }
    },
  }
  const metrics = new Metrics('test')
  const whoAnswers = new WhoAnswers({
    renderings: new Renderings(1000),
    ggufs: new GgufReader(),
    metrics,
    settings: { ownTokens: false },
    upstreams: [upstream as Upstream],
    logger: createLogger('fatal', 'json', { write: () => undefined }),
    delivery: new FileDelivery(new BufferPool(0), { mode: 'stream', accelPrefix: '/x' }),
    bodies: new BodyReader(),
    pseudonym: 'mirrorface-1',
    sealFor: () => undefined,
  })
  const { target } = parseTarget('/org/model/resolve/main/a.bin', '')
  const admission: Admission = {
    kind: 'read',
    library: { find: async () => snapshot as Snapshot, refs: async () => [], has: async () => true },
    body: undefined,
    rightsAt: () => ({ use: 'none' }),
    pullRightsFor: async () => undefined,
    isPublic: true,
    capability: undefined,
    allowedOrigin: '*',
  }
  const request = {
    id: 'id-1',
    method: 'GET' as const,
    target,
    client: { kind: 'none' as const, address: '' },
    headers: {},
    body: undefined,
    mirror: { url: 'http://mirror', path: '' },
    signal: leaving.signal,
  }
  const result = await whoAnswers.answer(request, admission).then(
    ({ source }) => source,
    (error: unknown) => (error === gone ? 'gone' : error),
  )
  const text = await metrics.registry.getSingleMetricAsString('mirrorface_storage_failures_total')
  return { result, upstreamAsked, storageFailures: /code="(\w+)"\} 1/.exec(text)?.[1] ?? '' }
}

const errno = (code: string) => Object.assign(new Error(`${code}: it failed`), { code })

describe('a storage that fails before the head is written', () => {
  for (const [name, error, code] of [
    ['is unavailable', new StorageUnavailable('fake', 'not mounted'), 'StorageUnavailable'],
    ['has lost the object', new ObjectNotFound('fake', 'blobs/a'), 'ObjectNotFound'],
    ['has an I/O error', errno('EIO'), 'EIO'],
    ['fails in a way of its own', new Error('something else'), 'unknown'],
    ['cannot reach its service', new TypeError('fetch failed', { cause: errno('ECONNRESET') }), 'unknown'],
  ] as const) {
    it(`${name}: the upstream answers, and the storage's failure is counted`, async () => {
      const outcome = await ask(async () => {
        throw error
      })
      expect(outcome).to.deep.equal({ result: 'hub', upstreamAsked: 1, storageFailures: code })
    })
  }

  it('has another size than the manifest says: the same', async () => {
    const outcome = await ask(async () => Readable.from([Buffer.alloc(11)]), 11)
    expect(outcome).to.deep.equal({ result: 'hub', upstreamAsked: 1, storageFailures: 'StoredSizeDiffers' })
  })

  it('is not to blame for a mistake of our own, and nobody else is asked', async () => {
    for (const mistake of [new TypeError('x is not a function'), new ReferenceError('x is not defined')]) {
      const outcome = await ask(async () => {
        throw mistake
      })
      expect(outcome).to.deep.equal({ result: mistake, upstreamAsked: 0, storageFailures: '' })
    }
  })

  it('is not to blame for a client that has gone, and nobody else is asked', async () => {
    for (const error of [new DOMException('aborted', 'AbortError'), new StorageUnavailable('fake', 'aborted')]) {
      const outcome = await ask(async (leave) => {
        leave()
        throw error
      })
      expect(outcome).to.deep.equal({ result: 'gone', upstreamAsked: 0, storageFailures: '' })
    }
  })
})
