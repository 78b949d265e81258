import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { openLocalStorage } from '../../../plugins/storage-local/local-storage.ts'
import { gitBlobOid, type Repository, type RevisionListing, type TreeEntry } from '../../../src/hub/index.ts'
import {
  journalPrefix,
  Library,
  Puller,
  readCatalog,
  readManifest,
  readRef,
  removeRevision,
  repairStorage,
  sweepStorage,
  verifyStorage,
} from '../../../src/mirror/index.ts'
import { ContentMismatch, type Storage } from '../../../src/plugin/index.ts'
import { silent } from '../../search/commands.ts'
import { temporaryFolder } from '../../support/processes.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const commit = '1'.repeat(40)
const bytesOf = ({ path }: { readonly path: string }) => Buffer.from(`content of ${path}`)

function listingOf(count: number): RevisionListing {
  const files = Array.from({ length: count }, (_, index): TreeEntry => {
    const path = `folder/${index}.txt`
    const bytes = bytesOf({ path })
    return { type: 'file', path, size: bytes.length, oid: gitBlobOid(bytes) }
  })
  return { commit, info: { id: repository.id, sha: commit }, commits: [], files, directories: [] }
}

describe('the journal of pulled files', function () {
  this.timeout(60_000)

  const setUp = async (workers: number) => {
    const folder = await temporaryFolder()
    const open = () => openLocalStorage({ directory: folder.path, create: true })
    const storages = await Promise.all(Array.from({ length: workers }, open))
    const pullers = storages.map((storage) => new Puller(storage))
    return {
      path: folder.path,
      storages,
      pullers,
      [Symbol.asyncDispose]: async () => {
        for (const puller of pullers) await puller[Symbol.asyncDispose]()
        for (const storage of storages) await storage.close()
        await folder[Symbol.asyncDispose]()
      },
    }
  }
  const pull = (puller: Puller | undefined, listing: RevisionListing, file: TreeEntry) => {
    const content = async function* () {
      yield bytesOf(file)
    }
    const refs = [{ name: 'main', kind: 'branch' as const }]
    return puller?.pull({ origin: 'test', repository, listing, listedAt: new Date(), refs, file, content })
  }
  const storedIn = async (storage: Storage | undefined) => {
    const manifest = storage && (await readManifest(storage, repository, commit))
    return manifest?.files.filter(({ blob }) => blob !== null).length
  }

  it('has every file that four workers pull at once', async () => {
    await using stage = await setUp(4)
    const listing = listingOf(400)
    await Promise.all(listing.files.map((file, index) => pull(stage.pullers[index % 4], listing, file)))
    const [storage] = stage.storages
    expect(await storedIn(storage)).to.equal(400)
    expect(await storage?.children('leases')).to.have.lengthOf(4)
    const catalog = storage && (await readCatalog(storage))
    expect(catalog?.repositories[0]?.revisions[0]).to.include({ files: 400, leftOut: 0 })
    expect(catalog?.repositories[0]?.revisions[0]?.refs).to.deep.equal(['main'])
  })

  it('is compacted by a sweep where it has grown long, and nothing is lost', async () => {
    await using stage = await setUp(1)
    const [storage] = stage.storages
    if (storage === undefined) return
    const listing = listingOf(30)
    for (const file of listing.files.slice(0, 20)) await pull(stage.pullers[0], listing, file)
    await sweepStorage(storage, { dryRun: false, grace: 0, compactAbove: 20 })
    expect(await storage.children(journalPrefix(repository, commit))).to.have.lengthOf(20)
    await sweepStorage(storage, { dryRun: false, grace: 0, compactAbove: 19 })
    expect(await storage.children(journalPrefix(repository, commit))).to.have.lengthOf(0)
    expect(await storedIn(storage)).to.equal(20)
    for (const file of listing.files.slice(20)) await pull(stage.pullers[0], listing, file)
    expect(await storedIn(storage)).to.equal(30)
    expect((await verifyStorage(storage, { progress: silent })).problems).to.deep.equal([])
  })

  it('shows a server what another has pulled within refreshAfter, and its own at once', async () => {
    await using stage = await setUp(2)
    const [storage] = stage.storages
    if (storage === undefined) return
    const listing = listingOf(3)
    const [first, second, third] = listing.files
    if (first === undefined || second === undefined || third === undefined) return
    const library = new Library([storage], { memory: 1e6, refreshAfter: 400, onStorageFailure: () => undefined })
    const isStored = async ({ path }: TreeEntry) =>
      (await library.find(repository, commit))?.files.get(path)?.key !== undefined
    await pull(stage.pullers[0], listing, first)
    expect(await isStored(first)).to.equal(true)
    const pulled = await pull(stage.pullers[0], listing, second)
    expect(await isStored(second)).to.equal(false)
    if (pulled !== undefined) library.notePulled(storage, repository, commit, pulled)
    expect(await isStored(second)).to.equal(true)
    await pull(stage.pullers[1], listing, third)
    await delay(450)
    expect(await isStored(third)).to.equal(true)
    expect((await library.find(repository, commit))?.complete).to.equal(true)
  })

  it('goes with the revision that is removed, and begins anew after that', async () => {
    await using stage = await setUp(1)
    const [storage] = stage.storages
    const listing = listingOf(2)
    const [first, second] = listing.files
    if (storage === undefined || first === undefined || second === undefined) return
    await pull(stage.pullers[0], listing, first)
    await removeRevision(storage, repository, 'main')
    expect(await Array.fromAsync(storage.list('repositories'))).to.deep.equal([])
    await pull(stage.pullers[0], listing, second)
    expect(await storedIn(storage)).to.equal(1)
  })

  it('notes where a branch is by the latest word on it, also when it goes back to a commit that is known', async () => {
    await using stage = await setUp(1)
    const [storage] = stage.storages
    const listing = listingOf(3)
    if (storage === undefined) return
    const start = Date.now()
    const at = (minute: number) => new Date(start + minute * 60_000)
    // The files of a commit are asked for once, and where the branch is each time.
    const listedAt = { '1': at(0), '2': at(1) }
    for (const [minute, digit] of (['1', '2', '1', '2', '1'] as const).entries()) {
      const saidAt = listedAt[digit]
      const commit = digit.repeat(40)
      const listed = { ...listing, commit, info: { ...listing.info, sha: commit }, saidAt }
      const refs = [{ name: 'main', kind: 'branch' as const, saidAt: at(minute) }]
      for (const file of listing.files) {
        const content = async function* () {
          yield bytesOf(file)
        }
        const request = { origin: 'test', repository, listing: listed, listedAt: saidAt, refs, file, content }
        await stage.pullers[0]?.pull(request)
      }
      expect((await readRef(storage, repository, 'main'))?.commit, `minute ${minute}`).to.equal(commit)
    }
  })

  it('is no mirrored revision as long as every pull has failed', async () => {
    await using stage = await setUp(1)
    const [storage] = stage.storages
    const listing = listingOf(1)
    const [file] = listing.files
    if (storage === undefined || file === undefined) return
    const wrong = async function* () {
      yield Buffer.from('something else')
    }
    const refs = [{ name: 'main', kind: 'branch' as const }]
    const failed = stage.pullers[0]?.pull({
      origin: 'test',
      repository,
      listing,
      listedAt: new Date(),
      refs,
      file,
      content: wrong,
    })
    expect(await failed?.catch((error: unknown) => error)).to.be.instanceOf(ContentMismatch)
    expect((await readCatalog(storage)).repositories).to.deep.equal([])
    expect(await storage.children(journalPrefix(repository, commit))).to.deep.equal([])
  })

  it('is checked, and repaired by removing an entry that is damaged', async () => {
    await using stage = await setUp(1)
    const [storage] = stage.storages
    const listing = listingOf(2)
    if (storage === undefined) return
    for (const file of listing.files) await pull(stage.pullers[0], listing, file)
    const prefix = journalPrefix(repository, commit)
    const [damaged] = await storage.children(prefix)
    await writeFile(join(stage.path, prefix, damaged ?? ''), '{"layout": 3, "of')
    const { problems } = await verifyStorage(storage, { progress: silent })
    expect(problems.map(({ kind }) => kind)).to.deep.equal(['damaged journal entry'])
    const source = {
      origin: 'test',
      describe: async () => listing,
      open: () =>
        async function* () {
          yield Buffer.alloc(0)
        },
    }
    const { signal } = new AbortController()
    await repairStorage(storage, source, problems, { concurrency: 1, signal, progress: silent })
    expect((await verifyStorage(storage, { progress: silent })).problems).to.deep.equal([])
    expect(await storedIn(storage)).to.equal(1)
  })
})
