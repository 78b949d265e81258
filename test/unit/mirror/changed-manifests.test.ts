import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { openLocalStorage } from '../../../plugins/storage-local/local-storage.ts'
import { gitBlobOid, type Repository, type RevisionListing, type TreeEntry } from '../../../src/hub/index.ts'
import { carryOut, Library, manifestKey, Puller, planMirror, readManifest } from '../../../src/mirror/index.ts'
import type { Storage } from '../../../src/plugin/index.ts'
import { silent } from '../../search/commands.ts'
import { temporaryFolder } from '../../support/processes.ts'
import { seededRandom } from '../../support/seeded-random.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const repository: Repository = { type: 'model', id: 'org/model' }
const commit = 'a'.repeat(40)

const content = async function* () {
  yield Buffer.from('a')
}
const file: TreeEntry = { type: 'file', path: 'a.txt', size: 1, oid: gitBlobOid(Buffer.from('a')) }
const notWanted: TreeEntry = { ...file, path: 'b.txt' }
const refs = [{ name: 'main', kind: 'branch' as const }]

function listingOf(info: Record<string, unknown>, saidAt?: Date): RevisionListing {
  const said = { commit, info: { id: repository.id, sha: commit, ...info }, ...(saidAt !== undefined && { saidAt }) }
  return { ...said, commits: [], files: [file, notWanted], directories: [] }
}

/** A way in which a commit is recorded. */
type Write = (storage: Storage, info: Record<string, unknown>, saidAt?: Date) => Promise<void>

const byRun: Write = async (storage, info, saidAt) => {
  const source = { origin: 'http://hub', describe: async () => listingOf(info, saidAt), open: () => content }
  const request = { repository, revision: commit, include: ['a.txt'], exclude: [] }
  const { signal } = new AbortController()
  const plan = await planMirror(source, storage, request, { signal })
  await carryOut(plan, source, storage, { concurrency: 1, signal, progress: silent })
}

const byPull: Write = async (storage, info, saidAt) => {
  await using puller = new Puller(storage)
  await pullWith(puller)(storage, info, saidAt)
}

/** A server that goes on: it remembers what it has found. */
function pullWith(puller: Puller): Write {
  return async (_storage, info, saidAt) => {
    const listing = listingOf(info, saidAt)
    await puller.pull({ origin: 'http://hub', repository, listing, listedAt: new Date(), refs, file, content })
  }
}

/** A storage of which each question is counted, and may be left without an answer. */
function watched(storage: Storage): { storage: Storage; asked: string[]; silence(): void } {
  const asked: string[] = []
  let isSilent = false
  const seen: Storage = {
    name: storage.name,
    stat: (key, options) => {
      asked.push(`stat ${key}`)
      return isSilent ? new Promise(() => undefined) : storage.stat(key, options)
    },
    read: (key, options) => {
      asked.push(`read ${key}`)
      return storage.read(key, options)
    },
    list: (prefix, options) => storage.list(prefix, options),
    children: (prefix, options) => storage.children(prefix, options),
    ready: (options) => storage.ready(options),
    close: () => storage.close(),
    ...(storage.writer !== undefined && { writer: storage.writer }),
  }
  return {
    storage: seen,
    asked,
    silence: () => {
      isSilent = true
    },
  }
}

const libraryOf = (storage: Storage, refreshAfter: number) =>
  new Library([storage], {
    memory: 1_000_000,
    refreshAfter,
    onStorageFailure: (_storage, error) => {
      throw error
    },
  })

describe(`a commit that is mirrored again (seed ${seed})`, () => {
  it('is shown by the latest word on it, or no more, whatever was said before', async () => {
    const random = seededRandom(seed)
    await using folder = await temporaryFolder()
    const storage = await openLocalStorage({ directory: folder.path, create: true })
    const refreshAfter = 1
    const library = libraryOf(storage, refreshAfter)
    await using server = new Puller(storage)
    const ways = [byRun, byPull, pullWith(server)]
    const write: Write = async (...word) => await ways[Math.floor(random() * ways.length)]?.(...word)
    let expected: Record<string, unknown> | undefined
    for (let round = 0; round < 80; round++) {
      const choice = random()
      // Of another length each time, for the clocks of file systems are coarse.
      const info = { private: random() < 0.5, gated: random() < 0.3 && 'auto', pad: 'x'.repeat(round) }
      if (choice < 0.15) {
        await rm(join(folder.path, manifestKey(repository, commit)), { force: true })
        expected = undefined
      } else if (choice < 0.35 && expected !== undefined) {
        // A run that had asked before, and ends after: its word is the older one.
        await write(storage, info, new Date(0))
      } else {
        await write(storage, info)
        expected = info
      }
      await delay(2 * refreshAfter) // an answer of before counts for no longer
      const found = await library.find(repository, commit)
      if (expected === undefined) expect(found, `round ${round}`).to.equal(undefined)
      else expect(found?.info, `round ${round}`).to.include(expected)
    }
  })

  it('is not found by where its branch was longer ago than refreshAfter, however rarely that is asked for', async () => {
    await using folder = await temporaryFolder()
    const storage = await openLocalStorage({ directory: folder.path, create: true })
    const moveTo = async (to: string) => {
      const source = {
        origin: 'http://hub',
        describe: async () => ({ ...listingOf({}), commit: to, ref: { name: 'main', kind: 'branch' as const } }),
        open: () => content,
      }
      const request = { repository, revision: 'main', include: [], exclude: [] }
      const { signal } = new AbortController()
      const plan = await planMirror(source, storage, request, { signal })
      await carryOut(plan, source, storage, { concurrency: 1, signal, progress: silent })
    }
    const refreshAfter = 20
    const library = libraryOf(storage, refreshAfter)
    for (const digit of ['a', 'b', 'c', 'd']) {
      await moveTo(digit.repeat(40))
      await delay(refreshAfter)
      expect((await library.find(repository, 'main'))?.commit).to.equal(digit.repeat(40))
    }
  })

  it('is not written again for its counts alone', async () => {
    await using folder = await temporaryFolder()
    const storage = await openLocalStorage({ directory: folder.path, create: true })
    const after = async (write: Write, info: Record<string, unknown>) => {
      await write(storage, info)
      return await readManifest(storage, repository, commit)
    }
    for (const write of [byRun, byPull]) {
      const first = await after(write, { private: false, downloads: 1, likes: 1 })
      expect(await after(write, { private: false, downloads: 2, likes: 3 })).to.deep.equal(first)
      const changed = await after(write, { private: true, downloads: 2, likes: 3 })
      expect(changed?.info).to.include({ private: true, likes: 3 })
    }
  })

  it('costs one read while it is fresh, and holds nobody up where its storage is silent', async () => {
    await using folder = await temporaryFolder()
    const local = await openLocalStorage({ directory: folder.path, create: true })
    await byRun(local, {})
    const fresh = watched(local)
    const library = libraryOf(fresh.storage, 60_000)
    // Partial commits are looked at again no sooner than others.
    for (let time = 0; time < 50; time++) await library.find(repository, commit)
    expect(fresh.asked.filter((question) => !question.includes('/pulled/'))).to.have.length(2)
    const silent = watched(local)
    const impatient = libraryOf(silent.storage, 1)
    const kept = await impatient.find(repository, commit)
    silent.silence()
    await delay(5)
    for (let time = 0; time < 3; time++) expect(await impatient.find(repository, commit)).to.equal(kept)
    expect(kept).not.to.equal(undefined)
  })
})
