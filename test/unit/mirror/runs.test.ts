import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { expect } from 'chai'
import { gitBlobOid, type Repository, type RevisionListing, type TreeEntry } from '../../../src/hub/index.ts'
import { ClaimLost } from '../../../src/mirror/claim-lost.ts'
import {
  blankManifest,
  infoMark,
  manifestFile,
  withBlobs,
  withLatestInfo,
} from '../../../src/mirror/compose-manifest.ts'
import { saidAt } from '../../../src/mirror/dated-listing.ts'
import {
  blobKey,
  carryOut,
  chooser,
  deletionKey,
  journalKey,
  type Manifest,
  type MirrorProgress,
  manifestKey,
  planMirror,
  type RepositorySource,
  readManifest,
  refKey,
  StorageSource,
} from '../../../src/mirror/index.ts'
import { storedBlob, storeFile } from '../../../src/mirror/store-file.ts'
import type { ContentSource } from '../../../src/plugin/index.ts'
import { temporaryFolder } from '../../support/processes.ts'
import { refused, rejection, type Stage, setStage, withSignals } from './stage.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const [one, two] = ['1', '2'].map((digit) => digit.repeat(40)) as [string, string]
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000)

const contents: Readonly<Record<string, Buffer>> = {
  'config.json': Buffer.from('{}'),
  'a/weights.bin': Buffer.alloc(2000, 'weights'),
  'README.md': Buffer.from('read me, please'),
}
const contentOf = (path: string) => contents[path] ?? Buffer.from(path)

function fileOf(path: string): TreeEntry {
  const bytes = contentOf(path)
  const file = { type: 'file' as const, path, size: bytes.length, oid: gitBlobOid(bytes) }
  return path.endsWith('.bin') ? { ...file, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } } : file
}

function listingOf(extra: Partial<RevisionListing> = {}): RevisionListing {
  return {
    commit: one,
    ref: { name: 'main', kind: 'branch' },
    saidAt: at(0),
    info: { id: repository.id, sha: one, private: false, downloads: 1, siblings: [1], spaces: [2], xetEnabled: true },
    commits: [{ id: one, title: 'first' }],
    files: Object.keys(contents).map(fileOf),
    directories: [{ path: 'a', oid: two }],
    ...extra,
  }
}

interface Source extends RepositorySource {
  listing: RevisionListing
  readonly opened: string[]
  content(path: string): ContentSource
}

function sourceOf(listing: RevisionListing = listingOf()): Source {
  const source: Source = {
    origin: 'https://hub.test',
    listing,
    opened: [],
    content: (path) =>
      async function* (start) {
        yield contentOf(path).subarray(start)
      },
    describe: async () => source.listing,
    open: (_repository, _commit, file, { onReceived }) => {
      source.opened.push(file.path)
      return async function* (start) {
        for await (const bytes of source.content(file.path)(start)) {
          onReceived?.(bytes.length)
          yield bytes
        }
      }
    },
  }
  return source
}

function progressOf(): MirrorProgress & { readonly told: string[] } {
  const told: string[] = []
  return {
    told,
    planned: ({ missing }) => void told.push(`planned ${missing.length}`),
    fileStarted: ({ path }) => void told.push(`started ${path}`),
    bytesResumed: ({ path }, bytes) => void told.push(`resumed ${path} ${bytes}`),
    bytesReceived: ({ path }, bytes) => void told.push(`received ${path} ${bytes}`),
    fileFinished: ({ path }) => void told.push(`finished ${path}`),
  }
}

const { signal } = new AbortController()

interface Asked {
  readonly revision?: string
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  readonly progress?: MirrorProgress
  readonly signal?: AbortSignal
  readonly concurrency?: number
}

async function mirror(stage: Stage, source: RepositorySource, asked: Asked = {}) {
  const { revision = 'main', include = [], exclude = [], progress = progressOf(), concurrency = 2 } = asked
  const options = { signal: asked.signal ?? signal }
  const plan = await planMirror(source, stage.storage, { repository, revision, include, exclude }, options)
  return await carryOut(plan, source, stage.storage, { ...options, concurrency, progress })
}
const planOf = async (stage: Stage, source: RepositorySource, extra: { include?: string[]; exclude?: string[] } = {}) =>
  await planMirror(
    source,
    stage.storage,
    { repository, revision: 'main', include: [], exclude: [], ...extra },
    { signal },
  )
const storedPaths = (manifest: Manifest | undefined) =>
  manifest?.files
    .filter(({ blob }) => blob !== null)
    .map(({ path }) => path)
    .toSorted()
const everything = Object.keys(contents).toSorted()
const bytesOfAll = Object.values(contents).reduce((sum, { length }) => sum + length, 0)
const ref = refKey(repository, 'main')

describe('a mirror run', () => {
  it('stores every file, its manifest and its ref, and says what it did', async () => {
    const stage = setStage()
    const progress = progressOf()
    const result = await mirror(stage, sourceOf(), { progress })
    expect(result).to.deep.equal({
      commit: one,
      files: 3,
      downloadedFiles: 3,
      downloadedBytes: bytesOfAll,
      bytes: bytesOfAll,
    })
    const manifest = await readManifest(stage.storage, repository, one)
    expect(storedPaths(manifest)).to.deep.equal(everything)
    expect(manifest).to.deep.include({
      layout: 3,
      repository,
      commit: one,
      mirroredFrom: 'https://hub.test',
      saidAt: at(0).toISOString(),
      info: { id: repository.id, sha: one, private: false, downloads: 1 },
      commits: [{ id: one, title: 'first' }],
      directories: [{ path: 'a', oid: two }],
    })
    expect(manifest).not.to.have.any.keys('claims', 'pending', 'pulled')
    const weights = manifest?.files.find(({ path }) => path === 'a/weights.bin')
    expect(weights?.lfs).to.deep.equal({ sha256: sha256(contentOf('a/weights.bin')), pointerSize: 130 })
    for (const file of manifest?.files ?? [])
      expect(stage.bucket.objects.get(blobKey(file.blob ?? ''))?.bytes.equals(contentOf(file.path))).to.equal(true)
    expect(stage.get(ref)).to.include({ commit: one, kind: 'branch', saidAt: at(0).toISOString() })
    expect(stage.get(ref)).not.to.have.property('claims')
    expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3 })
    expect(stage.bucket.keys('leases')).to.deep.equal([])
    expect(progress.told[0]).to.equal('planned 3')
    for (const path of everything) {
      const ofFile = progress.told.filter((one) => one.split(' ')[1] === path)
      expect(ofFile).to.deep.equal([
        `started ${path}`,
        `received ${path} ${contentOf(path).length}`,
        `finished ${path}`,
      ])
    }
  })

  it('fetches the largest files first, no more at a time than it may', async () => {
    for (const concurrency of [1, 2]) {
      const stage = setStage()
      const source = sourceOf()
      let open = 0
      let most = 0
      source.content = (path) =>
        async function* () {
          most = Math.max(most, ++open)
          await new Promise((resolve) => setImmediate(resolve))
          yield contentOf(path)
          open--
        }
      await mirror(stage, source, { concurrency })
      expect(most).to.equal(concurrency)
      expect(source.opened[0]).to.equal('a/weights.bin')
      expect(source.opened[2]).to.equal('config.json')
    }
  })

  it('shows whoever looks what it is about', async () => {
    const stage = setStage()
    let seen: unknown
    let claimed: unknown
    stage.before = (operation, key) => {
      if (operation !== 'put' || !key.startsWith('blobs')) return
      seen ??= stage.get(stage.bucket.keys('leases')[0] ?? '')
      claimed ??= stage.get(ref)
    }
    await mirror(stage, sourceOf())
    expect(seen).to.include({ kind: 'mirror', doing: 'mirror org/model@main' })
    expect(claimed).to.have.property('claims')
    expect(claimed).to.include({ commit: null, kind: 'branch' })
  })

  it('fetches nothing a second time, and writes nothing', async () => {
    const stage = setStage()
    const source = sourceOf()
    await mirror(stage, source)
    const before = new Map(stage.bucket.objects)
    source.opened.length = 0
    const result = await mirror(stage, source)
    expect(result).to.include({ files: 3, downloadedFiles: 0, downloadedBytes: 0, bytes: bytesOfAll })
    expect(source.opened).to.deep.equal([])
    expect(stage.bucket.objects).to.deep.equal(before)
  })

  it('stores a later word on the same commit, and no earlier one', async () => {
    const stage = setStage()
    for (const [said, stored] of [
      [10, 10],
      [20, 20],
      [5, 20],
    ] as const) {
      await mirror(stage, sourceOf(listingOf({ saidAt: at(said) })))
      expect(stage.get(ref)).to.include({ commit: one, saidAt: at(stored).toISOString() })
    }
    // A ref of an earlier version has no word by a common clock.
    stage.put(ref, { commit: one, kind: 'branch', updatedAt: at(900).toISOString() })
    await mirror(stage, sourceOf(listingOf({ saidAt: at(6) })))
    expect(stage.get(ref)).to.include({ commit: one, saidAt: at(6).toISOString() })
    expect(stage.get(ref)).not.to.have.property('updatedAt')
  })

  it('brings a ref back that is gone, elsewhere, or only pulled, though every file is there', async () => {
    for (const found of [
      undefined,
      { commit: two, kind: 'branch', saidAt: at(-100).toISOString() },
      { commit: one, kind: 'branch', saidAt: at(0).toISOString(), pulled: true },
    ]) {
      const stage = setStage()
      await mirror(stage, sourceOf())
      if (found === undefined) stage.bucket.objects.delete(ref)
      else stage.put(ref, found)
      const result = await mirror(stage, sourceOf())
      expect(result.downloadedFiles).to.equal(0)
      expect(stage.get(ref)).to.include({ commit: one })
      expect(stage.get(ref)).not.to.have.property('pulled')
    }
  })

  it('writes no ref where a commit was asked for', async () => {
    const stage = setStage()
    const { ref: _, ...withoutRef } = listingOf()
    await mirror(stage, sourceOf(withoutRef), { revision: one })
    expect(stage.bucket.keys('repositories').filter((key) => key.includes('/refs/'))).to.deep.equal([])
    const calls = stage.calls.length
    await mirror(stage, sourceOf(withoutRef), { revision: one })
    expect(stage.calls.slice(calls).filter((call) => /^(?:put|delete)/.test(call))).to.deep.equal([])
  })

  it('writes what is said of the repository anew, though every file is there', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf())
    const info = { ...listingOf().info, private: true }
    await mirror(stage, sourceOf(listingOf({ info, saidAt: at(100) })))
    const manifest = await readManifest(stage.storage, repository, one)
    expect(manifest?.info).to.include({ private: true })
    expect(manifest?.saidAt).to.equal(at(100).toISOString())
    await mirror(stage, sourceOf(listingOf({ saidAt: at(50) })))
    expect((await readManifest(stage.storage, repository, one))?.info).to.include({ private: true })
  })

  it('leaves out what the globs leave out, and what the source lacks, and adds it later', async () => {
    const stage = setStage()
    const source = sourceOf(listingOf({ absent: new Set(['README.md']) }))
    const plan = await planOf(stage, source, { exclude: ['*.bin'] })
    expect(plan.missing.map(({ path }) => path)).to.deep.equal(['config.json'])
    expect(plan.leftOut.map(({ path }) => path)).to.deep.equal(['a/weights.bin', 'README.md'])
    expect(await mirror(stage, source, { exclude: ['*.bin'] })).to.include({ files: 1, downloadedFiles: 1, bytes: 2 })
    expect(storedPaths(await readManifest(stage.storage, repository, one))).to.deep.equal(['config.json'])
    // Asked for again with other filters, what was recorded stays recorded.
    source.opened.length = 0
    expect(await mirror(stage, sourceOf(), { include: ['*.bin'] })).to.include({ files: 2, downloadedFiles: 1 })
    const again = sourceOf()
    await mirror(stage, again)
    expect(again.opened).to.deep.equal(['README.md'])
    expect(storedPaths(await readManifest(stage.storage, repository, one))).to.deep.equal(everything)
  })

  it('knows regular files of the commit at which the ref was, and large ones of any', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf(), { exclude: ['README.md'] })
    const next = sourceOf(listingOf({ commit: two, saidAt: at(100) }))
    const plan = await planOf(stage, next)
    expect(plan.present.map(({ path }) => path)).to.deep.equal(['config.json', 'a/weights.bin'])
    await mirror(stage, next)
    expect(next.opened).to.deep.equal(['README.md'])
    stage.bucket.objects.delete(ref)
    const unknown = await planOf(stage, sourceOf(listingOf({ commit: '3'.repeat(40) })))
    expect(unknown.present.map(({ path }) => path)).to.deep.equal(['a/weights.bin'])
  })

  it('fetches again what is lost or cut short', async () => {
    for (const left of [undefined, 'cut']) {
      const stage = setStage()
      await mirror(stage, sourceOf())
      const key = blobKey(sha256(contentOf('config.json')))
      if (left === undefined) stage.bucket.objects.delete(key)
      else stage.put(key, left)
      const source = sourceOf()
      expect(await mirror(stage, source)).to.include({ downloadedFiles: 1, downloadedBytes: 2 })
      expect(source.opened).to.deep.equal(['config.json'])
      expect(String(stage.bucket.objects.get(key)?.bytes)).to.equal('{}')
    }
  })

  it('writes sound objects over damaged ones', async () => {
    const stage = setStage()
    stage.put(manifestKey(repository, one), '{"cut')
    stage.put(ref, '{"cut')
    expect(await mirror(stage, sourceOf())).to.include({ files: 3 })
    expect(stage.get(ref)).to.include({ commit: one })
    stage.put(ref, { commit: two, kind: 'branch', saidAt: at(-1000).toISOString() })
    stage.put(manifestKey(repository, two), '{"cut')
    expect(await mirror(stage, sourceOf())).to.include({ files: 3 })
  })

  it('stores content under the name of its next copy where the former was condemned', async () => {
    const stage = setStage()
    const names = ['config.json', 'a/weights.bin'].map((path) => sha256(contentOf(path)))
    stage.put(deletionKey(4), {
      ...{ layout: 3, rev: 'r', writer: 'w', number: 4, phase: 'done', by: 'x', why: 'sweep' },
      ...{ candidates: [], vetoes: [], blobs: names },
    })
    await mirror(stage, sourceOf())
    expect(stage.bucket.keys('blobs').map((key) => key.slice(16))).to.include.members(names.map((name) => `${name}.4`))
    const manifest = await readManifest(stage.storage, repository, one)
    expect(manifest?.files.filter(({ copy }) => copy === 4)).to.have.length(2)
    const again = sourceOf(listingOf({ commit: two, saidAt: at(100) }))
    await mirror(stage, again)
    expect(again.opened).to.deep.equal([])
    expect((await readManifest(stage.storage, repository, two))?.files.filter(({ copy }) => copy === 4)).to.have.length(
      2,
    )
  })

  it('goes on where an earlier attempt has stopped, and says so', async () => {
    const stage = setStage()
    const progress = progressOf()
    const { writer } = stage.storage
    const write = writer.write.bind(writer)
    writer.write = (key, content, expected, options) =>
      write(key, key.startsWith('blobs') ? () => content(0) : content, expected, options)
    await mirror(stage, sourceOf(), { progress })
    expect(progress.told.some((line) => line.startsWith('resumed'))).to.equal(false)
    const later = setStage()
    const resumed = later.storage.writer
    const original = resumed.write.bind(resumed)
    resumed.write = (key, content, expected, options) => {
      if (!key.includes(sha256(contentOf('a/weights.bin')))) return original(key, content, expected, options)
      return original(
        key,
        async function* () {
          yield contentOf('a/weights.bin').subarray(0, 500)
          yield* content(500)
        },
        expected,
        options,
      )
    }
    await mirror(later, sourceOf(), { progress })
    expect(progress.told).to.include('resumed a/weights.bin 500').and.to.include('received a/weights.bin 1500')
  })

  it('that fails leaves neither claims nor a lease nor what readers could see, and what it has stored', async () => {
    for (const failure of ['content', 'wrong', 'manifest', 'ref']) {
      const stage = setStage()
      const source = sourceOf()
      let puts = 0
      if (failure === 'content' || failure === 'wrong')
        source.content = (path) =>
          async function* () {
            if (path === 'config.json' && failure === 'content') throw refused()
            yield path === 'config.json' ? Buffer.from('[]') : contentOf(path)
          }
      stage.before = (operation, key) => {
        if (operation !== 'put') return
        if (failure === 'manifest' && key === manifestKey(repository, one) && ++puts === 1) throw refused()
        if (failure === 'ref' && key === ref) throw refused()
      }
      const error = await rejection(mirror(stage, source, { concurrency: 1 }))
      expect(error, failure).to.have.property('code', failure === 'wrong' ? 'ContentMismatch' : 'StorageUnavailable')
      expect(stage.bucket.keys('repositories'), failure).to.deep.equal([])
      expect(stage.bucket.keys('leases')).to.deep.equal([])
      if (failure === 'content') expect(stage.bucket.keys('blobs').length).to.be.greaterThan(0)
    }
  })

  it('stops the other downloads where one has failed', async () => {
    const stage = setStage()
    const source = sourceOf()
    const signals: AbortSignal[] = []
    const open = source.open.bind(source)
    source.open = (of, commit, file, options) => {
      signals.push(options.signal)
      return open(of, commit, file, options)
    }
    source.content = (path) =>
      async function* () {
        if (path === 'a/weights.bin') throw refused()
        yield contentOf(path)
      }
    const error = await rejection(mirror(stage, source, { concurrency: 1 }))
    expect(error).to.have.property('code', 'StorageUnavailable')
    expect(signals.every((one) => one.aborted && one.reason === error)).to.equal(true)
    expect(source.opened).to.deep.equal(['a/weights.bin'])
  })

  it('fails as itself where it has no ref', async () => {
    const { ref: _, ...withoutRef } = listingOf()
    const source = sourceOf(withoutRef)
    source.content = () =>
      async function* (): AsyncGenerator<Buffer> {
        yield Buffer.from('wrong')
      }
    expect(await rejection(mirror(setStage(), source, { revision: one }))).to.have.property('code', 'ContentMismatch')
  })

  it('records what is there by another repository, though nothing is to be fetched', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf(), { exclude: ['*.bin'] })
    const weights = contentOf('a/weights.bin')
    stage.bucket.put(blobKey(sha256(weights)), weights, new Date())
    expect(await mirror(stage, sourceOf())).to.include({ files: 3, downloadedFiles: 0 })
    expect(storedPaths(await readManifest(stage.storage, repository, one))).to.deep.equal(everything)
  })

  it('knows the regular files of main where a commit is asked for', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf())
    const { ref: _, ...byCommit } = listingOf({ commit: two })
    const source = sourceOf(byCommit)
    await mirror(stage, source, { revision: two })
    expect(source.opened).to.deep.equal([])
  })

  it('says that its claim was lost where the revision was removed meanwhile', async () => {
    const stage = setStage()
    stage.before = (operation, key) => {
      if (operation !== 'put' || !key.startsWith('blobs')) return
      for (const one of stage.bucket.keys('repositories')) stage.bucket.objects.delete(one)
    }
    expect(await rejection(mirror(stage, sourceOf()))).to.be.instanceOf(ClaimLost)
    expect(stage.bucket.keys('repositories')).to.deep.equal([])
  })

  it('can be interrupted at every request, and by its signal fetches no more', async () => {
    const stage = setStage()
    const own = new AbortController()
    const without: string[] = []
    const storage = withSignals(stage.storage, (call, given) => {
      if (given === undefined) without.push(call)
    })
    const plan = await planMirror(sourceOf(), storage, { repository, revision: 'main', include: [], exclude: [] }, own)
    stage.put(journalKey(repository, one, 'README.md'), {
      layout: 3,
      of: 'other',
      files: [{ ...manifestFile(fileOf('README.md'), undefined) }],
    })
    const options = { signal: own.signal, concurrency: 1, progress: progressOf() }
    await carryOut(plan, sourceOf(), storage, options)
    expect([...new Set(without.filter((call) => !call.includes(' leases/')))].toSorted()).to.deep.equal(
      // Small reads before anything is begun.
      [
        'children repositories/models--org--model/pulled/1111111111111111111111111111111111111111',
        'load mirrorface.json',
        `read ${manifestKey(repository, one)}`,
        'read mirrorface.json',
        `read ${ref}`,
        'write mirrorface.json',
      ].toSorted(),
    )
    const stopped = sourceOf()
    const stop = new AbortController()
    stopped.content = (path) =>
      async function* () {
        stop.abort(new Error('stopped'))
        yield contentOf(path)
      }
    const error = await rejection(mirror(setStage(), stopped, { signal: stop.signal, concurrency: 1 }))
    expect(error.message).to.equal('stopped')
    expect(stopped.opened).to.have.length(1)
  })

  it('asks again where the ref was moved less than five seconds before its word, and believes that', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf(listingOf({ commit: two, saidAt: at(0) })))
    const source = sourceOf(listingOf({ saidAt: at(2) }))
    const revisions: string[] = []
    const describe = source.describe.bind(source)
    source.describe = async (of, revision, options) => {
      revisions.push(revision)
      return await describe(of, revision, options)
    }
    await mirror(stage, source)
    expect(revisions).to.deep.equal(['main', 'main'])
    expect(stage.get(ref)).to.include({ commit: one })
  })

  it('takes what was pulled before into the manifest, and its journal away', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf(), { include: ['config.json'] })
    const key = manifestKey(repository, one)
    stage.put(key, { ...Object(stage.get(key)), birth: 'mine' })
    const bytes = contentOf('README.md')
    stage.bucket.put(blobKey(sha256(bytes)), bytes, new Date())
    const pulled = manifestFile(fileOf('README.md'), { sha256: sha256(bytes) })
    stage.put(journalKey(repository, one, 'README.md'), { layout: 3, of: 'mine', files: [pulled] })
    const source = sourceOf()
    await mirror(stage, source)
    expect(source.opened).to.deep.equal(['a/weights.bin'])
    expect(stage.bucket.keys('repositories').filter((one) => one.includes('/pulled/'))).to.deep.equal([])
    expect(storedPaths(Object(stage.get(key)))).to.deep.equal(everything)
  })
})

describe('which files are chosen', () => {
  for (const [include, exclude, chosen] of [
    [[], [], ['a/b.json', 'c.json', '.hidden/d.bin', 'e.txt']],
    [['*.json'], [], ['a/b.json', 'c.json']],
    [[], ['*.json'], ['.hidden/d.bin', 'e.txt']],
    [['*.json', '*.bin'], ['a/*'], ['c.json', '.hidden/d.bin']],
    [['*'], ['*.txt', '*.bin'], ['a/b.json', 'c.json']],
    [['a/b.json'], [], ['a/b.json']],
  ] as const) {
    it(`are those of [${include}] without [${exclude}]`, () => {
      const isChosen = chooser({ include, exclude })
      expect(['a/b.json', 'c.json', '.hidden/d.bin', 'e.txt'].filter(isChosen)).to.deep.equal(chosen)
    })
  }
})

describe('a manifest', () => {
  const listedAt = at(50)
  const blankOf = (extra: Partial<RevisionListing> = {}) =>
    blankManifest('http://hub', repository, { listing: listingOf(extra), listedAt })
  const info = (extra: object) => ({ ...listingOf().info, ...extra })

  it('has the time of the word by the clock of the source, or else when it was asked', () => {
    expect(saidAt({ listing: listingOf(), listedAt })).to.deep.equal(at(0))
    const { saidAt: _, ...listing } = listingOf()
    expect(saidAt({ listing, listedAt })).to.deep.equal(listedAt)
    expect(blankManifest('http://hub', repository, { listing, listedAt }).saidAt).to.equal(listedAt.toISOString())
  })

  it('keeps nothing of what changes by the hour or depends on who asks', () => {
    const volatile = ['siblings', 'spaces', 'trendingScore', 'inference', 'inferenceProviderMapping', 'xetEnabled']
    const said = info(Object.fromEntries(volatile.map((name) => [name, 1])))
    expect(blankOf({ info: said }).info).to.deep.equal({ id: repository.id, sha: one, private: false, downloads: 1 })
    expect(infoMark(said)).to.equal(infoMark(info({ downloads: 9, downloadsAllTime: 9, likes: 9 })))
    expect(infoMark(said)).not.to.equal(infoMark(info({ private: true })))
    for (const name of volatile) expect(infoMark(info({ [name]: 7 }))).to.equal(infoMark(said))
  })

  it('is the same one where nothing is said anew but counts, and where the word is older', () => {
    const current = { ...blankOf({ info: info({ likes: 1 }) }), saidAt: at(0).toISOString() }
    const said = (extra: object, seconds: number) => blankOf({ info: info(extra), saidAt: at(seconds) })
    for (const name of ['downloads', 'downloadsAllTime', 'likes'])
      expect(withLatestInfo(current, said({ likes: 1, [name]: 7 }, 10))).to.equal(current)
    expect(withLatestInfo(current, said({ private: true }, -1))).to.equal(current)
    for (const seconds of [0, 10])
      expect(withLatestInfo(current, said({ private: true }, seconds))).to.deep.include({
        info: blankOf({ info: info({ private: true }) }).info,
        saidAt: at(seconds).toISOString(),
      })
  })

  it('of an earlier version is as old as it was written, unless that is a time to come', () => {
    const before = { ...blankOf(), saidAt: undefined }
    const word = (date: Date) => blankOf({ info: info({ private: true }), saidAt: date })
    const written = { ...before, mirroredAt: at(0).toISOString() }
    expect(withLatestInfo(written, word(at(-1)))).to.equal(written)
    expect(withLatestInfo(written, word(at(0))).info).to.include({ private: true })
    const fromTheFuture = { ...before, mirroredAt: new Date(Date.now() + 1e9).toISOString() }
    expect(withLatestInfo(fromTheFuture, word(at(-1))).info).to.include({ private: true })
  })

  it('has new content, and keeps what others recorded', () => {
    const blank = blankOf()
    const recorded = {
      ...manifestFile(fileOf('README.md'), { sha256: 'f'.repeat(64), copy: 3, crc32c: 'c' }),
      pulled: true as const,
    }
    const current: Manifest = { ...blank, pulled: true, files: [...blank.files.slice(0, 2), recorded], birth: 'b' }
    const next = withBlobs(current, blank, listingOf(), new Map([['config.json', { sha256: 'e'.repeat(64) }]]))
    expect(next).to.include({ birth: 'b', pulled: undefined })
    expect(next.files.map(({ path, blob, copy, pulled }) => [path, blob, copy, pulled])).to.deep.equal([
      ['config.json', 'e'.repeat(64), undefined, undefined],
      ['a/weights.bin', null, undefined, undefined],
      ['README.md', 'f'.repeat(64), 3, true],
    ])
    expect(next.files[2]?.crc32c).to.equal('c')
    const same: Manifest = { ...current, pulled: undefined }
    expect(withBlobs(same, blank, listingOf(), new Map())).to.equal(same)
    expect(withBlobs(current, blank, listingOf(), new Map())).not.to.equal(current)
    // An older word adds files, and takes nothing back of what was said later.
    const later = { ...same, info: { private: true }, saidAt: at(99).toISOString() }
    const added = withBlobs(later, blank, listingOf(), new Map([['config.json', { sha256: 'e'.repeat(64) }]]))
    expect(added).to.deep.include({ info: { private: true }, saidAt: at(99).toISOString() })
  })

  it('takes a pointer of no known size for one of none', () => {
    const lfs = { oid: 'a'.repeat(64), size: 1 }
    expect(manifestFile({ ...fileOf('x'), lfs }, undefined).lfs).to.deep.equal({ sha256: lfs.oid, pointerSize: 0 })
  })
})

describe('storing a file', () => {
  const stored = (stage: Stage) => stage.bucket.keys('blobs').map((key) => key.slice('blobs/sha256/xx/'.length))

  it('names it by its content, or as it is told, and reads the name back', () => {
    const name = 'a'.repeat(64)
    expect(storedBlob(name)).to.deep.equal({ sha256: name })
    expect(storedBlob(`${name}.12`, { crc32c: 'x' })).to.deep.equal({ sha256: name, copy: 12, crc32c: 'x' })
  })

  it('keeps nothing that is not what the Hub has said', async () => {
    for (const path of ['config.json', 'a/weights.bin']) {
      const stage = setStage()
      const wrong = async function* () {
        yield Buffer.alloc(contentOf(path).length, '?')
      }
      const error = await rejection(storeFile(stage.storage, fileOf(path), wrong))
      expect(error).to.have.property('code', 'ContentMismatch')
      expect(stored(stage)).to.deep.equal([])
    }
  })

  it('replaces what is there only where it is told that it is broken', async () => {
    const bytes = contentOf('config.json')
    const content: ContentSource = async function* () {
      yield bytes
    }
    const broken = Buffer.from('[]')
    const stage = setStage()
    const key = blobKey(sha256(bytes))
    stage.bucket.put(key, broken, new Date())
    await storeFile(stage.storage, fileOf('config.json'), content)
    expect(stage.bucket.objects.get(key)?.bytes).to.deep.equal(broken)
    await storeFile(stage.storage, fileOf('config.json'), content, { overwrite: true })
    expect(stage.bucket.objects.get(key)?.bytes).to.deep.equal(bytes)
    const copy = await storeFile(stage.storage, fileOf('config.json'), content, { nameFor: (name) => `${name}.2` })
    expect(copy).to.deep.equal({ sha256: sha256(bytes), copy: 2 })
    expect(stored(stage)).to.include(`${sha256(bytes)}.2`)
  })

  it('that is too large for memory waits on disk until its hashes are known, and leaves nothing there', async () => {
    const bytes = Buffer.alloc(16 * 1024 * 1024 + 1, 'large')
    const file: TreeEntry = { type: 'file', path: 'x', size: bytes.length, oid: gitBlobOid(bytes) }
    await using folder = await temporaryFolder()
    const temporary = process.env.TMPDIR
    process.env.TMPDIR = folder.path
    using _ = {
      [Symbol.dispose]: () => {
        if (temporary === undefined) delete process.env.TMPDIR
        else process.env.TMPDIR = temporary
      },
    }
    const content = (given: Buffer): ContentSource =>
      async function* () {
        for (let offset = 0; offset < given.length; offset += 1 << 22) yield given.subarray(offset, offset + (1 << 22))
      }
    const stage = setStage()
    expect(await storeFile(stage.storage, file, content(bytes))).to.deep.equal({ sha256: sha256(bytes) })
    expect(stage.bucket.objects.get(blobKey(sha256(bytes)))?.bytes.equals(bytes)).to.equal(true)
    const other = Buffer.from(bytes)
    other[5_000_000] = 1
    const error = await rejection(storeFile(setStage().storage, file, content(other)))
    expect(error).to.have.property('code', 'ContentMismatch')
    expect(error.message).to.contain(file.oid)
    const stop = new AbortController()
    const stopping: ContentSource = async function* () {
      yield bytes
      stop.abort(new Error('stopped'))
      yield bytes
    }
    const stopped = await rejection(storeFile(setStage().storage, file, stopping, { signal: stop.signal }))
    expect(stopped.message).to.equal('stopped')
    expect(readdirSync(folder.path)).to.deep.equal([])
  })
})

describe('another storage as the source', () => {
  it('gives what it has, by branch or commit, and says what it lacks', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf(), { exclude: ['README.md'] })
    const source = new StorageSource(stage.storage, 'file:///models')
    const listing = await source.describe(repository, 'refs/heads/main')
    expect(listing).to.deep.include({
      commit: one,
      ref: { name: 'main', kind: 'branch' },
      saidAt: at(0),
      absent: new Set(['README.md']),
      commits: [{ id: one, title: 'first' }],
      directories: [{ path: 'a', oid: two }],
    })
    expect(listing.files.toSorted((a, b) => a.path.localeCompare(b.path))).to.deep.equal(
      listingOf().files.toSorted((a, b) => a.path.localeCompare(b.path)),
    )
    expect(listing.info).to.include({ id: repository.id, sha: one, private: false })
    const byCommit = await source.describe(repository, one)
    expect(byCommit).not.to.have.property('ref')
    expect(byCommit.saidAt).to.deep.equal(at(0))
    for (const revision of ['absent', two]) {
      const error = await rejection(source.describe(repository, revision))
      expect(error).to.include({ code: 'RevisionNotFound', status: 404 })
      expect(error.message).to.equal(`org/model@${revision} is not mirrored in file:///models`)
    }
  })

  it('tells the time of a word as far as it knows it', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf())
    const source = new StorageSource(stage.storage, 'x')
    stage.put(ref, { commit: one, kind: 'tag' })
    expect(await source.describe(repository, 'main')).not.to.have.property('saidAt')
    const key = manifestKey(repository, one)
    stage.put(key, { ...Object(stage.get(key)), saidAt: undefined, mirroredAt: at(7).toISOString() })
    expect((await source.describe(repository, one)).saidAt).to.deep.equal(at(7))
  })

  it('is copied from, whole, and goes on from an offset', async () => {
    const stage = setStage()
    await mirror(stage, sourceOf(), { exclude: ['README.md'] })
    const source = new StorageSource(stage.storage, 'file:///models')
    const target = setStage()
    const progress = progressOf()
    expect(await mirror(target, source, { progress })).to.include({ files: 2, downloadedFiles: 2 })
    expect(progress.told).to.include('received a/weights.bin 2000')
    const file = fileOf('a/weights.bin')
    for (const start of [0, 1, 1999]) {
      const received: number[] = []
      const onReceived = (bytes: number) => void received.push(bytes)
      const content = source.open(repository, one, file, { signal, onReceived })
      const bytes = Buffer.concat(await Array.fromAsync(content(start)))
      expect(bytes.equals(contentOf(file.path).subarray(start))).to.equal(true)
      expect(received).to.deep.equal([2000 - start])
    }
    for (const path of ['README.md', 'absent']) {
      const content = source.open(repository, one, { ...file, path }, { signal })
      const error = await rejection(Array.fromAsync(content(0)))
      expect(error).to.include({ code: 'EntryNotFound', status: 404 })
      expect(error.message).to.equal(`${path} is not mirrored in file:///models`)
    }
  })
})
