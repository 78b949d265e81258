import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { openLocalStorage } from '../../../plugins/storage-local/local-storage.ts'
import { Failure, gitBlobOid, type Repository, type RevisionListing, type TreeEntry } from '../../../src/hub/index.ts'
import {
  BlobHasher,
  blobKey,
  compareCommits,
  findOutdated,
  type HubView,
  isForeign,
  journalKey,
  type Manifest,
  type ManifestFile,
  manifestKey,
  noteVerification,
  type Problem,
  type RepositorySource,
  readCatalog,
  readVerification,
  refKey,
  repairStorage,
  repositoryOfProblem,
  verifyStorage,
} from '../../../src/mirror/index.ts'
import type { Storage } from '../../../src/plugin/index.ts'
import { silent } from '../../search/commands.ts'
import { temporaryFolder } from '../../support/processes.ts'
import { refused, rejection, type Stage, setStage, withSignals } from './stage.ts'

const model: Repository = { type: 'model', id: 'org/model' }
const dataset: Repository = { type: 'dataset', id: 'org/data' }
const [one, two] = ['1', '2'].map((digit) => digit.repeat(40)) as [string, string]
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
const content: Readonly<Record<string, string>> = { a: 'first', b: 'second content', 'weird [x] {*}.txt': 'third' }
const sizeOf = (path: string) => content[path]?.length ?? 0
const bytesOf = (path: string) => Buffer.from(content[path] ?? '')

function entryOf(path: string): TreeEntry {
  return { type: 'file', path, size: sizeOf(path), oid: gitBlobOid(bytesOf(path)) }
}
function fileOf(path: string, extra: Partial<ManifestFile> = {}): ManifestFile {
  return { path, size: sizeOf(path), oid: gitBlobOid(bytesOf(path)), blob: sha256(bytesOf(path)), ...extra }
}
function manifestOf(files: readonly ManifestFile[], extra: Partial<Manifest> = {}): Manifest {
  return {
    ...{ layout: 3 as const, repository: { ...model }, commit: one, mirroredAt: new Date(0).toISOString() },
    ...{ mirroredFrom: 'http://hub', info: { id: 'org/model' }, commits: [], directories: [] },
    files: [...files],
    ...extra,
  }
}
const putBlob = (stage: Stage, path: string, bytes: string = content[path] ?? '') =>
  stage.put(blobKey(sha256(bytesOf(path))), bytes)

/** A model with two files and a branch, a dataset that shares one of them. */
function setUp(): Stage {
  const stage = setStage()
  stage.put('mirrorface.json', { layout: 3 })
  stage.put(manifestKey(model, one), manifestOf([fileOf('a'), fileOf('b'), fileOf('left out', { blob: null })]))
  stage.put(refKey(model, 'main'), { commit: one, kind: 'branch' })
  stage.put(manifestKey(dataset, two), manifestOf([fileOf('a')], { repository: { ...dataset }, commit: two }))
  for (const path of ['a', 'b']) putBlob(stage, path)
  return stage
}

const verify = (stage: Stage, extra: Partial<Parameters<typeof verifyStorage>[1]> = {}) =>
  verifyStorage(stage.storage, { progress: silent, ...extra })
const about = { repository: 'org/model', commit: one }
const keyOf = (path: string) => blobKey(sha256(bytesOf(path)))
const bytesOfBoth = sizeOf('a') + sizeOf('b')

describe('verification', () => {
  it('counts what is whole, once where it is shared, and what nothing names', async () => {
    const stage = setUp()
    stage.put(blobKey('f'.repeat(64)), 'orphan')
    stage.put(blobKey('e'.repeat(64)), 'xx')
    const told: unknown[] = []
    const progress = {
      planned: (blobs: number, bytes: number) => void told.push(['planned', blobs, bytes]),
      bytesChecked: (bytes: number) => void told.push(bytes),
      blobChecked: () => void told.push('checked'),
    }
    expect(await verify(stage, { progress })).to.deep.equal({
      ...{ repositories: 2, manifests: 2, refs: 1, blobs: 2, bytes: bytesOfBoth, problems: [] },
      orphans: { blobs: 2, bytes: 8, keys: [blobKey('e'.repeat(64)), blobKey('f'.repeat(64))] },
    })
    expect(told[0]).to.deep.equal(['planned', 2, bytesOfBoth])
    expect(told.filter((one) => one === 'checked')).to.have.length(2)
    expect(told.filter(Number.isInteger).toSorted()).to.deep.equal([sizeOf('a'), sizeOf('b')].toSorted())
  })

  it('looks at the repositories that it is asked for, and at no orphans then', async () => {
    const stage = setUp()
    stage.put(blobKey('f'.repeat(64)), 'orphan')
    stage.put(manifestKey(model, two), '{"cut')
    const report = await verify(stage, { repositories: [dataset] })
    expect(report).to.deep.equal({ repositories: 1, manifests: 1, refs: 0, blobs: 1, bytes: sizeOf('a'), problems: [] })
    stage.bucket.objects.delete(keyOf('a'))
    expect((await verify(stage, { repositories: [dataset] })).problems).to.deep.equal([
      {
        kind: 'missing blob',
        key: keyOf('a'),
        repository: 'datasets/org/data',
        commit: two,
        path: 'a',
        expected: '5 bytes',
      },
    ])
  })

  const damages: readonly (readonly [string, (stage: Stage) => void, readonly Problem[]])[] = [
    [
      'a blob that is missing',
      (stage) => void stage.bucket.objects.delete(keyOf('b')),
      [{ kind: 'missing blob', key: keyOf('b'), ...about, path: 'b', expected: '14 bytes' }],
    ],
    [
      'a blob that is cut short',
      (stage) => putBlob(stage, 'b', 'sec'),
      [{ kind: 'wrong size', key: keyOf('b'), ...about, path: 'b', expected: '14 bytes', found: '3 bytes' }],
    ],
    [
      'a ref whose manifest is gone',
      (stage) => stage.put(refKey(model, 'v1'), { commit: two, kind: 'tag' }),
      [
        {
          ...{ kind: 'dangling ref', key: refKey(model, 'v1'), repository: 'org/model', path: 'v1' },
          ...{ expected: `a manifest of ${two}`, found: 'none' },
        },
      ],
    ],
    [
      'a manifest that stands in for another commit',
      (stage) => stage.put(manifestKey(model, two), manifestOf([])),
      [
        {
          ...{ kind: 'damaged manifest', key: manifestKey(model, two), repository: 'org/model', commit: two },
          ...{ expected: `org/model@${two}`, found: `org/model@${one}` },
        },
      ],
    ],
    [
      'what is none of this layout',
      (stage) => {
        stage.put('repositories/models--org--model/odd', 'x')
        stage.put('blobs/sha256/odd', 'x')
      },
      [
        { kind: 'unknown object', key: 'blobs/sha256/odd' },
        { kind: 'unknown object', key: 'repositories/models--org--model/odd' },
      ],
    ],
  ]
  for (const [title, damage, problems] of damages)
    it(`finds ${title}`, async () => {
      const stage = setUp()
      damage(stage)
      const found: Problem[] = []
      expect((await verify(stage, { found })).problems).to.deep.equal(problems)
      expect(found).to.have.deep.members([...problems]) // as they are found, for a run that is interrupted
    })

  for (const [what, key, kind, rest] of [
    ['manifest', manifestKey(model, two), 'damaged manifest', { repository: 'org/model', commit: two }],
    ['ref', refKey(model, 'v1'), 'damaged ref', { repository: 'org/model', path: 'v1' }],
    ['journal entry', journalKey(model, one, 'a'), 'damaged journal entry', { repository: 'org/model', commit: one }],
    ['marker', 'mirrorface.json', 'damaged marker', {}],
  ] as const)
    it(`finds a ${what} that is damaged, and says how`, async () => {
      const stage = setUp()
      stage.put(key, '{"cut')
      const { problems } = await verify(stage)
      expect(problems).to.have.length(1)
      expect(problems[0]).to.include({ kind, key, ...rest })
      expect(problems[0]?.found).to.contain(key).and.to.contain('not valid JSON')
      if (what === 'marker') return
      stage.put(key, { layout: 9 })
      const [unknown] = (await verify(stage)).problems
      expect(unknown).to.include({ kind: 'unknown layout', key, ...rest })
      expect(unknown?.found).to.contain('upgrade')
    })

  it('judges nothing in a storage of a layout to come', async () => {
    const stage = setUp()
    stage.put('mirrorface.json', { layout: 4 })
    expect(await rejection(verify(stage))).to.have.property('code', 'UnknownLayout')
    stage.bucket.objects.delete('mirrorface.json')
    expect((await verify(stage)).problems).to.deep.equal([])
  })

  it('reports a damaged manifest once, and not again for each ref', async () => {
    const stage = setUp()
    stage.put(manifestKey(model, one), '{"cut')
    const { problems, repositories, manifests, refs } = await verify(stage)
    expect(problems.map(({ kind }) => kind)).to.deep.equal(['damaged manifest'])
    expect({ repositories, manifests, refs }).to.deep.equal({ repositories: 2, manifests: 1, refs: 1 })
  })

  it('takes what is only claimed for absent, and what goes while it looks', async () => {
    const stage = setUp()
    stage.put(manifestKey(model, two), manifestOf([fileOf('x')], { commit: two, pending: true }))
    stage.put(refKey(model, 'new'), { commit: null, kind: 'branch' })
    stage.put(journalKey(model, one, 'q'), { layout: 3, of: 'x', files: [fileOf('x')], pending: true })
    expect((await verify(stage)).problems).to.deep.equal([])
    const gone = [manifestKey(model, '3'.repeat(40)), refKey(model, 'gone'), journalKey(model, one, 'gone')]
    stage.put(gone[0] ?? '', manifestOf([fileOf('x')], { commit: '3'.repeat(40) }))
    stage.put(gone[1] ?? '', { commit: one, kind: 'branch' })
    stage.put(gone[2] ?? '', { layout: 3, of: 'x', files: [fileOf('x')] })
    stage.before = (operation, key) => {
      if (operation === 'get' && gone.includes(key)) stage.bucket.objects.delete(key)
    }
    expect((await verify(stage)).problems).to.deep.equal([])
  })

  it('looks for what was pulled through, as far as it belongs to the manifest', async () => {
    const stage = setUp()
    const [key, left] = [manifestKey(model, one), { ...fileOf('b'), blob: null }]
    stage.put(key, manifestOf([fileOf('a'), left], { birth: 'mine' }))
    stage.bucket.objects.delete(keyOf('b'))
    expect((await verify(stage)).problems).to.deep.equal([])
    stage.put(journalKey(model, one, 'b'), { layout: 3, of: 'other', files: [fileOf('b')] })
    expect((await verify(stage)).problems).to.deep.equal([])
    stage.put(journalKey(model, one, 'b'), { layout: 3, of: 'mine', files: [fileOf('b')] })
    expect((await verify(stage)).problems.map(({ kind, path }) => [kind, path])).to.deep.equal([['missing blob', 'b']])
  })

  it('compares checksums where both have one, and reads nothing for that', async () => {
    const stage = setUp()
    const withSums = (recorded: string | undefined, found: string | undefined) => {
      stage.put(manifestKey(model, one), manifestOf([fileOf('a', recorded === undefined ? {} : { crc32c: recorded })]))
      stage.bucket.objects.delete(manifestKey(dataset, two))
      const { storage } = stage
      const list = Object.getPrototypeOf(storage).list.bind(storage)
      storage.list = async function* (prefix: string) {
        for await (const one of list(prefix)) yield found === undefined ? one : { ...one, crc32c: found }
      }
      return verify(stage)
    }
    for (const [recorded, found] of [
      ['x', 'x'],
      ['x', undefined],
      [undefined, 'x'],
    ] as const)
      expect((await withSums(recorded, found)).problems).to.deep.equal([])
    expect((await withSums('x', 'y')).problems).to.deep.equal([
      { kind: 'wrong content', key: keyOf('a'), ...about, path: 'a', expected: 'CRC-32C x', found: 'CRC-32C y' },
    ])
    expect(stage.calls.filter((call) => call.startsWith('get blobs'))).to.deep.equal([])
  })

  it('reads and hashes content where it is to, from a service and from files', async () => {
    await using folder = await temporaryFolder()
    const local = await openLocalStorage({ directory: folder.path, create: true })
    const stage = setUp()
    for (const [key, { bytes }] of stage.bucket.objects)
      await local.writer?.write(
        key,
        async function* () {
          yield bytes
        },
        { size: bytes.length },
      )
    await using hasher = new BlobHasher(2)
    expect(hasher.concurrency).to.equal(2)
    for (const storage of [stage.storage, local]) {
      const checked: number[] = []
      const progress = { planned() {}, blobChecked() {}, bytesChecked: (bytes: number) => void checked.push(bytes) }
      expect((await verifyStorage(storage, { progress, hasher })).problems).to.deep.equal([])
      expect(checked.reduce((sum, bytes) => sum + bytes, 0)).to.equal(bytesOfBoth)
    }
    putBlob(stage, 'b', 'second CONTENT')
    writeFileSync(join(folder.path, keyOf('b')), 'second CONTENT')
    const expected = { kind: 'wrong content', key: keyOf('b'), ...about, path: 'b' }
    const hashes = { expected: `SHA-256 ${sha256(bytesOf('b'))}`, found: `SHA-256 ${sha256('second CONTENT')}` }
    for (const storage of [stage.storage, local])
      expect((await verifyStorage(storage, { progress: silent, hasher })).problems).to.deep.equal([
        { ...expected, ...hashes },
      ])
    const absent = { key: keyOf('c'), size: 5, updatedAt: new Date() }
    const base = withSignals(stage.storage, () => undefined)
    const file = { kind: 'file' as const, path: join(folder.path, 'absent') }
    const lying: Storage = { ...base, locates: 'file', locate: async () => file }
    expect((await rejection(hasher.sha256(lying, absent))).message).to.contain('ENOENT')
    putBlob(stage, 'b')
    // Addresses are for clients: content is read through the storage.
    const url = { kind: 'url' as const, url: 'http://x', expires: new Date() }
    const remote: Storage = { ...base, locates: 'url', locate: async () => url }
    const found = { key: keyOf('b'), size: 14, updatedAt: new Date() }
    expect(await hasher.sha256(remote, found)).to.equal(sha256(bytesOf('b')))
    await local.close()
  })

  it('fails where the storage does', async () => {
    for (const failing of [
      manifestKey(model, one),
      refKey(model, 'main'),
      journalKey(model, one, 'b'),
      'mirrorface.json',
    ]) {
      const stage = setUp()
      stage.put(journalKey(model, one, 'b'), { layout: 3, of: 'mine', files: [fileOf('b')] })
      stage.before = (operation, key) => {
        if (operation === 'get' && key === failing) throw refused()
      }
      expect(await rejection(verify(stage)), failing).to.have.property('code', 'StorageUnavailable')
    }
  })

  it('hands its signal to every request', async () => {
    const stage = setUp()
    stage.put(journalKey(model, one, 'b'), { layout: 3, of: 'mine', files: [fileOf('b')] })
    const { signal } = new AbortController()
    const without: string[] = []
    const storage = withSignals(stage.storage, (call, given) => given === signal || without.push(call))
    await verifyStorage(storage, { progress: silent, signal })
    await verifyStorage(storage, { progress: silent, signal, repositories: [model] })
    expect(without).to.deep.equal([])
  })

  it('is noted where the storage can be written to, for who looks later', async () => {
    const stage = setUp()
    expect(await readVerification(stage.storage)).to.equal(undefined)
    stage.bucket.objects.delete(keyOf('a'))
    await noteVerification(stage.storage, await verify(stage), true)
    const noted = await readVerification(stage.storage)
    expect(noted).to.include({ content: true, blobs: 2, problems: 1 })
    expect(Math.abs(Date.parse(noted?.at ?? '') - Date.now())).to.be.lessThan(60_000)
    stage.put('verification.json', '{"cut')
    expect(await readVerification(stage.storage)).to.equal(undefined)
    const { writer: _, ...readOnly } = withSignals(stage.storage, () => undefined)
    await noteVerification(readOnly, await verify(stage), true)
    expect(await readVerification(stage.storage)).to.equal(undefined)
  })
})

describe('repairing', () => {
  const listing = (commit: string): RevisionListing => ({
    ...{ commit, ref: { name: 'main', kind: 'branch' }, saidAt: new Date(), info: { id: 'org/model', sha: commit } },
    ...{ commits: [], directories: [], files: ['a', 'b', 'weird [x] {*}.txt'].map(entryOf) },
  })
  const gone = () => new Failure('RevisionNotFound', 404, 'no such revision')
  function sourceOf(extra: Partial<RepositorySource> = {}): RepositorySource & { readonly asked: string[] } {
    const asked: string[] = []
    return {
      asked,
      origin: 'http://hub',
      describe: async (_repository, revision) => {
        asked.push(revision)
        const isCommit = /^\d{40}$/.test(revision)
        const { ref, ...found } = listing(isCommit ? revision : one)
        return isCommit ? found : { ...found, ref: { name: revision, kind: ref?.kind ?? 'branch' } }
      },
      open: (_repository, _commit, file) =>
        async function* (start) {
          yield bytesOf(file.path).subarray(start)
        },
      ...extra,
    }
  }
  const { signal } = new AbortController()
  const repair = async (stage: Stage, source: RepositorySource, problems?: readonly Problem[], stop = signal) =>
    await repairStorage(stage.storage, source, problems ?? (await verify(stage)).problems, {
      ...{ concurrency: 1, progress: silent, signal: stop },
    })
  const failures = async (stage: Stage, source: RepositorySource = sourceOf()) =>
    (await repair(stage, source)).map(({ failure }) => failure)

  for (const [title, damage] of [
    ['a blob that is missing', (stage: Stage) => void stage.bucket.objects.delete(keyOf('b'))],
    ['a blob that is broken', (stage: Stage) => putBlob(stage, 'b', 'sec')],
    ['a manifest', (stage: Stage) => stage.put(manifestKey(model, one), '{"cut')],
    ['a ref', (stage: Stage) => stage.put(refKey(model, 'main'), '{"cut')],
    ['a ref without a manifest', (stage: Stage) => stage.put(refKey(model, 'main'), { commit: two, kind: 'branch' })],
    ['the marker', (stage: Stage) => stage.put('mirrorface.json', '{"cut')],
    ['a journal entry', (stage: Stage) => stage.put(journalKey(model, one, 'b'), '{"cut')],
  ] as const)
    it(`heals ${title}`, async () => {
      const stage = setUp()
      damage(stage)
      const outcomes = await repair(stage, sourceOf())
      expect(outcomes.map(({ failure, problem }) => [failure, problem.kind !== undefined])).to.deep.equal([
        [undefined, true],
      ])
      expect((await verify(stage)).problems).to.deep.equal([])
      expect(stage.bucket.objects.get(keyOf('b'))?.bytes).to.deep.equal(bytesOf('b'))
      expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3 })
      if (title === 'a journal entry') expect(stage.get(journalKey(model, one, 'b'))).to.equal(undefined)
    })

  it('never removes a broken blob first, and tells of its progress', async () => {
    const stage = setUp()
    putBlob(stage, 'b', 'sec')
    const told: string[] = []
    const progress = {
      ...silent,
      fileStarted: ({ path }: TreeEntry) => void told.push(`started ${path}`),
      fileFinished: ({ path }: TreeEntry) => void told.push(`finished ${path}`),
    }
    await repairStorage(stage.storage, sourceOf(), (await verify(stage)).problems, { concurrency: 1, progress, signal })
    expect(told).to.deep.equal(['started b', 'finished b'])
    expect(stage.calls.filter((call) => call.startsWith('delete blobs'))).to.deep.equal([])
  })

  it('heals a blob of the right size whose bytes are wrong', async () => {
    const stage = setUp()
    putBlob(stage, 'b', 'second CONTENT')
    await using hasher = new BlobHasher(1)
    const { problems } = await verify(stage, { hasher })
    expect(problems.map(({ kind }) => kind)).to.deep.equal(['wrong content'])
    expect((await repair(stage, sourceOf(), problems)).map(({ failure }) => failure)).to.deep.equal([undefined])
    expect((await verify(stage, { hasher })).problems).to.deep.equal([])
  })

  it('writes over no marker that another has repaired meanwhile', async () => {
    for (const before of [undefined, '{"cut']) {
      const stage = setUp()
      if (before === undefined) stage.bucket.objects.delete('mirrorface.json')
      else stage.put('mirrorface.json', before)
      stage.before = (operation, key) => {
        if (operation === 'put' && key === 'mirrorface.json') stage.put(key, { layout: 3, by: 'another' })
      }
      await repair(stage, sourceOf(), [{ kind: 'damaged marker', key: 'mirrorface.json' }])
      expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3, by: 'another' })
    }
  })

  it('removes no journal entry that a pull has begun anew meanwhile', async () => {
    const stage = setUp()
    const key = journalKey(model, one, 'b')
    stage.put(key, '{"cut')
    const anew = { layout: 3, of: 'mine', files: [fileOf('b')] }
    stage.before = (operation, at) => {
      if (operation === 'delete' && at === key) stage.put(key, anew)
    }
    expect((await failures(stage))[0]).to.be.a('string')
    expect(stage.get(key)).to.deep.equal(anew)
  })

  it('heals the name that is broken, which may be that of a copy', async () => {
    const stage = setUp()
    stage.put(manifestKey(model, one), manifestOf([fileOf('b', { copy: 4 })]))
    expect(await failures(stage)).to.deep.equal([undefined])
    expect(stage.bucket.objects.get(blobKey(`${sha256(bytesOf('b'))}.4`))?.bytes).to.deep.equal(bytesOf('b'))
  })

  it('takes nothing for healed that the source has not, or has otherwise', async () => {
    const stage = setUp()
    const problem = { kind: 'missing blob' as const, ...about }
    const blobs = () => stage.bucket.keys('blobs').length
    const before = blobs()
    const outcomes = await repair(
      stage,
      sourceOf({ describe: async () => ({ ...listing(one), absent: new Set(['b']) }) }),
      [
        { ...problem, key: keyOf('b'), path: 'b' },
        { ...problem, key: keyOf('b'), path: 'absent' },
        { ...problem, key: blobKey('f'.repeat(64)), path: 'a' },
      ],
    )
    expect(outcomes.map(({ failure }) => failure)).to.deep.equal([
      'http://hub has no content of b either',
      'http://hub has no content of absent either',
      outcomes[2]?.failure,
    ])
    expect(outcomes[2]?.failure).to.contain(`expected SHA-256 ${'f'.repeat(64)}, found ${sha256(bytesOf('a'))}`)
    expect(blobs()).to.equal(before)
  })

  it('leaves what is not of this layout, and says whose it is', async () => {
    const stage = setUp()
    stage.put('repositories/odd', 'x')
    stage.put(manifestKey(model, two), { layout: 9 })
    for (const failure of await failures(stage)) expect(failure).to.contain('is not of this layout')
    expect(stage.get(manifestKey(model, two))).to.deep.equal({ layout: 9 })
    expect(stage.bucket.objects.has('repositories/odd')).to.equal(true)
  })

  it('removes a ref that the source does not know either, and no commit for that', async () => {
    for (const damaged of ['{"cut', JSON.stringify({ commit: two, kind: 'branch' })]) {
      const stage = setUp()
      const source = sourceOf({ describe: () => Promise.reject(gone()) })
      stage.put(refKey(model, 'old'), damaged)
      expect(await failures(stage, source)).to.deep.equal([undefined])
      expect(stage.get(refKey(model, 'old'))).to.equal(undefined)
      stage.put(manifestKey(model, two), '{"cut')
      const [failure] = await failures(stage, source)
      expect(failure).to.contain(`org/model@${two}`).and.to.contain('no such revision')
      expect(stage.bucket.objects.has(manifestKey(model, two))).to.equal(true)
    }
  })

  it('removes no ref that has changed since, nor where the source merely fails', async () => {
    const stage = setUp()
    const ref = refKey(model, 'old')
    stage.put(ref, '{"cut')
    const changing = sourceOf({
      describe: async () => {
        stage.put(ref, { commit: one, kind: 'branch' })
        throw gone()
      },
    })
    expect((await failures(stage, changing))[0]).to.be.a('string')
    expect(stage.get(ref)).to.include({ commit: one })
    stage.put(ref, '{"cut')
    const failing = sourceOf({ describe: () => Promise.reject(refused()) })
    expect((await failures(stage, failing))[0])
      .to.contain('org/model@old')
      .and.to.contain('refused')
    expect(stage.bucket.objects.has(ref)).to.equal(true)
    putBlob(stage, 'a', 'cut')
    stage.put(ref, { commit: one, kind: 'branch' })
    expect((await failures(stage, failing))[0])
      .to.contain(one)
      .and.to.contain('refused')
  })

  it('goes on after a failure, and ends where it is interrupted', async () => {
    const stage = setUp()
    for (const path of ['a', 'b']) putBlob(stage, path, 'cut')
    const failing = sourceOf({
      open: (_repository, _commit, file) =>
        async function* () {
          if (file.path === 'b') throw new Error('the CDN is away')
          yield bytesOf(file.path)
        },
    })
    const outcomes = await repair(stage, failing)
    expect(outcomes.map(({ problem, failure }) => [problem.path, failure]).toSorted()).to.deep.equal([
      ['a', undefined],
      ['b', 'the CDN is away'],
    ])
    const stop = new AbortController()
    const stopping = sourceOf({
      open: () =>
        async function* () {
          stop.abort(new Error('interrupted'))
          yield Buffer.from('wrong')
        },
    })
    const error = await rejection(repair(stage, stopping, undefined, stop.signal))
    expect(error.message).to.equal('interrupted')
  })

  it('writes a marker where there is none', async () => {
    const stage = setUp()
    stage.bucket.objects.delete('mirrorface.json')
    await repair(stage, sourceOf(), [{ kind: 'damaged marker', key: 'mirrorface.json' }])
    expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3 })
  })

  it('knows of each problem which repository it is of, and whose it is', () => {
    const of = (repository?: string) =>
      repositoryOfProblem({ kind: 'missing blob', key: 'k', ...(repository !== undefined && { repository }) })
    expect(of()).to.equal(undefined)
    expect(of('org/model')).to.deep.equal(model)
    expect(of('gpt2')).to.deep.equal({ type: 'model', id: 'gpt2' })
    expect(of('datasets/org/data')).to.deep.equal(dataset)
    expect(of('spaces/org/space')).to.deep.equal({ type: 'space', id: 'org/space' })
    const foreign = ['unknown object', 'unknown layout'] as const
    for (const kind of foreign) expect(isForeign({ kind, key: 'k' })).to.equal(true)
    for (const kind of ['missing blob', 'damaged manifest', 'damaged marker'] as const)
      expect(isForeign({ kind, key: 'k' })).to.equal(false)
  })
})

describe('a comparison with the Hub', () => {
  const { signal } = new AbortController()
  const gone = (code: string) => () => Promise.reject(new Failure(code, 404, 'gone'))
  const hubOf = (extra: Partial<HubView>): HubView => ({
    describe: () => Promise.reject(new Error('not asked')),
    refs: () => Promise.reject(new Error('not asked')),
    commitOf: () => Promise.reject(new Error('not asked')),
    ...extra,
  })
  const catalogOf = async (stage: Stage) => await readCatalog(stage.storage)
  const refs = (branches: Record<string, string>, tags: Record<string, string> = {}, extra: object = {}) => {
    const list = (named: Record<string, string>) =>
      Object.entries(named).map(([name, targetCommit]) => ({ name, ref: name, targetCommit }))
    return async () => ({ branches: list(branches), tags: list(tags), converts: [], ...extra })
  }

  it('finds refs that have moved, or are gone, and none that are where they were', async () => {
    const stage = setUp()
    stage.put(refKey(model, 'v1'), { commit: one, kind: 'tag' })
    stage.put(refKey(model, 'refs/pr/1'), { commit: one, kind: 'pull-request' })
    const catalog = await catalogOf(stage)
    expect(await findOutdated(catalog, hubOf({ refs: refs({ main: one }, { v1: one }) }), signal)).to.deep.equal([])
    const moved = { repository: 'org/model', mirrored: one }
    expect(await findOutdated(catalog, hubOf({ refs: refs({ main: two }) }), signal)).to.have.deep.members([
      { kind: 'moved', ...moved, revision: 'main', hub: two },
      { kind: 'gone', ...moved, revision: 'v1', hub: 'none' },
    ])
    const pullRequests = [{ name: 'refs/pr/1', ref: 'refs/pr/1', targetCommit: two }]
    const listed = refs({ main: one }, { v1: one }, { pullRequests })
    expect(await findOutdated(catalog, hubOf({ refs: listed }), signal)).to.deep.equal([
      { kind: 'moved', ...moved, revision: 'refs/pr/1', hub: two },
    ])
    const converts = [{ name: 'v1', ref: 'x', targetCommit: one }]
    expect(await findOutdated(catalog, hubOf({ refs: refs({ main: one }, {}, { converts }) }), signal)).to.deep.equal(
      [],
    )
  })

  it('takes every ref of a repository for gone that the Hub no longer has, and asks nothing of one without refs', async () => {
    const catalog = await catalogOf(setUp())
    const found = await findOutdated(catalog, hubOf({ refs: gone('RepoNotFound') }), signal)
    expect(found.map(({ kind, repository }) => [kind, repository])).to.deep.equal([['gone', 'org/model']])
  })

  it('asks for each ref where the Hub lists none', async () => {
    const stage = setUp()
    stage.put(refKey(model, 'v1'), { commit: one, kind: 'tag' })
    const asked: string[] = []
    const commitOf = async (_repository: Repository, name: string) => {
      asked.push(name)
      if (name === 'v1') throw new Failure('RevisionNotFound', 404, 'gone')
      return one
    }
    const found = await findOutdated(await catalogOf(stage), hubOf({ refs: async () => undefined, commitOf }), signal)
    expect(asked.toSorted()).to.deep.equal(['main', 'v1'])
    expect(found.map(({ kind, revision }) => [kind, revision])).to.deep.equal([['gone', 'v1']])
  })

  it('finds files that differ, and commits that are gone', async () => {
    const stage = setUp()
    const lfs = { sha256: sha256(bytesOf('b')), pointerSize: 130 }
    stage.put(manifestKey(model, one), manifestOf([fileOf('a'), fileOf('b', { lfs })]))
    const catalog = await catalogOf(stage)
    const theirs = (files: readonly TreeEntry[]): HubView =>
      hubOf({
        describe: async ({ type }, revision) => {
          if (type === 'dataset') return await gone('RevisionNotFound')()
          return { commit: revision, info: { id: 'x', sha: revision }, commits: [], directories: [], files }
        },
      })
    const large = { ...entryOf('b'), lfs: { oid: lfs.sha256, size: 14, pointerSize: 130 } }
    const goneOne = { kind: 'gone', repository: 'datasets/org/data', revision: two, mirrored: '1 files', hub: 'none' }
    expect(await compareCommits(catalog, theirs([entryOf('a'), large]), signal)).to.deep.equal([goneOne])
    const differing = await compareCommits(catalog, theirs([{ ...entryOf('a'), size: 9 }]), signal)
    const ours = `5 bytes, ${gitBlobOid(bytesOf('a'))}`
    expect(differing).to.have.deep.members([
      goneOne,
      {
        ...{ kind: 'differs', repository: 'org/model', revision: `${one}/a`, mirrored: ours },
        hub: ours.replace('5', '9'),
      },
      {
        ...{ kind: 'differs', repository: 'org/model', revision: `${one}/b` },
        ...{ mirrored: `14 bytes, ${lfs.sha256}`, hub: 'none' },
      },
    ])
  })

  it('fails where the Hub cannot be asked', async () => {
    const catalog = await catalogOf(setUp())
    const away = () => Promise.reject(new Failure('HubUnreachable', 502, 'away'))
    for (const asked of [
      findOutdated(catalog, hubOf({ refs: away }), signal),
      findOutdated(catalog, hubOf({ refs: async () => undefined, commitOf: away }), signal),
      findOutdated(
        catalog,
        hubOf({ refs: () => Promise.reject(Object.assign(new Error('x'), { code: 'ECONNRESET' })) }),
        signal,
      ),
      compareCommits(catalog, hubOf({ describe: away }), signal),
    ])
      expect(await rejection(asked)).to.have.property('code')
  })
})
