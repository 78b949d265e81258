import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { gitBlobOid, type Repository, type RevisionListing } from '../../../src/hub/index.ts'
import { Library, removeRevision, repairStorage, verifyStorage } from '../../../src/mirror/index.ts'
import { silent } from '../../search/commands.ts'
import { bytesOf, commitId } from '../../search/hub.ts'
import { MemoryBucket } from '../../search/memory-bucket.ts'
import { MemoryStorage } from '../../search/memory-storage.ts'
import { repositories, type Scenario } from '../../search/scenarios.ts'
import { blobKeyOf, fillBucket } from '../../search/start-state.ts'

const repository: Repository = repositories[0] ?? { type: 'model', id: 'org/r0' }
const odd = 'we[i]rd {*}.txt'

function setUp() {
  const scenario: Scenario = {
    name: '',
    commits: [{ [odd]: { content: 3, regular: true } }],
    words: [0],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [],
  }
  const bucket = new MemoryBucket()
  fillBucket(bucket, scenario, new Date(0))
  return { bucket, storage: new MemoryStorage(bucket, async (_operation, _key, act) => act()) }
}

describe('a mirrored revision', () => {
  it('stops being served within refreshAfter of its removal (fault 36)', async () => {
    const { storage } = setUp()
    const library = new Library([storage], { memory: 1e6, refreshAfter: 50, onStorageFailure: () => undefined })
    expect(await library.find(repository, commitId(0))).not.to.equal(undefined)
    await removeRevision(storage, repository, undefined)
    await delay(60)
    expect(await library.find(repository, commitId(0))).to.equal(undefined)
    expect(await library.find(repository, 'main')).to.equal(undefined)
  })

  it('is repaired whatever its files are called', async () => {
    const { bucket, storage } = setUp()
    bucket.objects.set(blobKeyOf(3), { bytes: Buffer.from('cut'), generation: 'x', updatedAt: new Date() })
    const { problems } = await verifyStorage(storage, { progress: silent })
    expect(problems.map(({ kind }) => kind)).to.deep.equal(['wrong size'])
    const bytes = bytesOf(3)
    const source = {
      origin: 'test',
      describe: async (): Promise<RevisionListing> => ({
        commit: commitId(0),
        info: { id: repository.id, sha: commitId(0) },
        commits: [],
        files: [{ type: 'file', path: odd, size: bytes.length, oid: gitBlobOid(bytes) }],
        directories: [],
      }),
      open: () =>
        async function* () {
          yield bytes
        },
    }
    const { signal } = new AbortController()
    const outcomes = await repairStorage(storage, source, problems, { concurrency: 1, signal, progress: silent })
    expect(outcomes.map(({ failure }) => failure)).to.deep.equal([undefined])
    expect(bucket.objects.get(blobKeyOf(3))?.bytes.equals(bytes)).to.equal(true)
  })
})
