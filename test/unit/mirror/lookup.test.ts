import { mock } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Repository } from '../../../src/hub/index.ts'
import {
  blobKey,
  deletionKey,
  heardAt,
  isComplete,
  isDamage,
  journalKey,
  Library,
  limitCatalog,
  type Manifest,
  type ManifestFile,
  ManifestSnapshot,
  manifestKey,
  parseBlobKey,
  parseDeletionKey,
  parseLeaseKey,
  parseManifest,
  parseMarker,
  parseRef,
  parseRepositoryKey,
  readCatalog,
  readManifest,
  readRef,
  readRefs,
  refKey,
} from '../../../src/mirror/index.ts'
import { readEntries, withPulled } from '../../../src/mirror/journal.ts'
import { parseLegacyManifest } from '../../../src/mirror/legacy.ts'
import { contentOf, listObjects, readText, stampOf } from '../../../src/mirror/objects.ts'
import type { Storage } from '../../../src/plugin/index.ts'
import { refused, rejection, type Stage, setStage, withSignals } from './stage.ts'

const model: Repository = { type: 'model', id: 'org/model' }
const other: Repository = { type: 'dataset', id: 'org/model' }
const [one, two] = ['1', '2'].map((digit) => digit.repeat(40)) as [string, string]
const blob = (digit: string) => digit.repeat(64)

function fileOf(path: string, name: string | null = blob('a'), extra: Partial<ManifestFile> = {}): ManifestFile {
  return { path, size: 1, oid: 'e'.repeat(40), blob: name, ...extra }
}
function manifestOf(extra: Partial<Manifest> = {}): Manifest {
  return {
    ...{ layout: 3 as const, repository: { ...model }, commit: one, mirroredAt: new Date(0).toISOString() },
    ...{ mirroredFrom: 'http://hub', info: { id: 'org/model' }, commits: [{ id: one }] },
    directories: [{ path: 'd', oid: two }],
    files: [fileOf('b'), fileOf('a')],
    ...extra,
  }
}
const entryOf = (path: string, extra: object = {}) => ({ layout: 3, of: 'mine', files: [fileOf(path)], ...extra })

describe('keys of the layout', () => {
  it('are read as they are made, and no others are', () => {
    const sha256 = `ab${'0'.repeat(62)}`
    expect(blobKey(sha256)).to.equal(`blobs/sha256/ab/${sha256}`)
    for (const name of [sha256, `${sha256}.1`, `${sha256}.120`]) expect(parseBlobKey(blobKey(name))).to.equal(name)
    for (const key of [
      `blobs/sha256/ac/${sha256}`,
      `blobs/sha256/ab/${sha256}.0`,
      `blobs/sha256/ab/${sha256}.`,
      `blobs/sha256/ab/${sha256}0`,
      `blobs/sha256/ab/${sha256.toUpperCase()}`,
      `xblobs/sha256/ab/${sha256}`,
      `blobs/sha256/ab/${sha256}.1x`,
      `blobs/sha256/ab/${sha256.slice(1)}`,
    ])
      expect(parseBlobKey(key), key).to.equal(undefined)
    for (const number of [1, 12, 123_456_789, 1_234_567_890])
      expect(parseDeletionKey(deletionKey(number))).to.equal(number)
    expect(deletionKey(12)).to.equal('deletions/000000012.json')
    for (const key of [
      'deletions/12.json',
      'xdeletions/000000012.json',
      'deletions/000000012.jsonx',
      'deletions/00000001a.json',
    ])
      expect(parseDeletionKey(key), key).to.equal(undefined)
    expect(parseLeaseKey('leases/0af.json')).to.equal('0af')
    for (const key of ['leases/0ag.json', 'xleases/0af.json', 'leases/0af.jsonx', 'leases/.json'])
      expect(parseLeaseKey(key), key).to.equal(undefined)
  })

  it('below a repository say what they hold', () => {
    for (const repository of [model, other, { type: 'space' as const, id: 'gpt2' }]) {
      expect(parseRepositoryKey(manifestKey(repository, one))).to.deep.equal({
        kind: 'manifest',
        repository,
        commit: one,
      })
      expect(parseRepositoryKey(journalKey(repository, one, 'any path'))).to.deep.equal({
        ...{ kind: 'pulled', repository, commit: one },
      })
      for (const ref of ['main', 'refs/pr/1', "odd!'()*%é", 'v1.0.json', '..'])
        expect(parseRepositoryKey(refKey(repository, ref))).to.deep.equal({ kind: 'ref', repository, ref })
    }
    const folder = 'repositories/models--org--model'
    for (const key of [
      `${folder}/commits/${one}x.json`,
      `${folder}/commits/x${one}.json`,
      `${folder}/commits/${one}`,
      `${folder}/commits/${one}.jsonx`,
      `${folder}/xcommits/${one}.json`,
      `${folder}/commits/more/${one}.json`,
      `${folder}/pulled/${one}/${blob('a')}x.json`,
      `${folder}/pulled/${one}/x${blob('a')}.json`,
      `${folder}/pulled/x${one}/${blob('a')}.json`,
      `${folder}/xpulled/${one}/${blob('a')}.json`,
      `${folder}/refs/a/b.json`,
      `${folder}/xrefs/main.json`,
      `${folder}/refs/%.json`,
      `${folder}/refs/a%2fb.json`,
      `${folder}/refs/(.json`,
      `${folder}/refs/.json`,
      `${folder}/main.json`,
      `x${folder}/refs/main.json`,
      'repositories/odd/refs/main.json',
      'repositories/refs/main.json',
    ])
      expect(parseRepositoryKey(key), key).to.equal(undefined)
  })
})

describe('objects of a storage', () => {
  const parse = (value: object) => parseManifest('the key', JSON.stringify(value))

  it('are read with fields that a later version adds, and without those that an earlier one lacks', () => {
    expect(parse({ ...manifestOf(), new: 1 })).to.deep.include({ new: 1 })
    expect(parse({ ...manifestOf({ layout: 2 }) }).layout).to.equal(2)
    const everything = manifestOf({
      ...{ rev: 'r', writer: 'w', saidAt: new Date(0).toISOString(), birth: 'b', pulled: true, pending: true },
      claims: { r: { lease: 'l', kind: 'k', blobs: ['x'] } },
      files: [
        fileOf('f', blob('a'), { copy: 1, crc32c: 'c', pulled: true, lfs: { sha256: blob('a'), pointerSize: 130 } }),
      ],
    })
    expect(parse(everything)).to.deep.equal(everything)
    const claims = { r: { lease: 'l', commit: one } }
    const ref = {
      commit: one,
      kind: 'convert',
      saidAt: new Date(0).toISOString(),
      pulled: true,
      claims,
      rev: 'r',
      writer: 'w',
    }
    expect(parseRef('k', JSON.stringify(ref))).to.deep.equal(ref)
    expect(parseRef('k', JSON.stringify({ commit: null, kind: 'pull-request' })).commit).to.equal(null)
    expect(parseMarker('k', '{"layout": 3, "new": 1}')).to.equal(3)
  })

  it('that are damaged are told from those of a layout to come, by key and place', () => {
    const file = fileOf('f')
    for (const [wrong, place] of [
      [{ commit: 'x' }, 'commit'],
      [{ commit: `${one}0` }, 'commit'],
      [{ commit: `x${one}` }, 'commit'],
      [{ mirroredAt: 'yesterday' }, 'mirroredAt'],
      [{ saidAt: 'yesterday' }, 'saidAt'],
      [{ repository: { type: 'model', id: '../up' } }, 'repository.id'],
      [{ repository: { type: 'other', id: 'org/model' } }, 'repository.type'],
      [{ files: [{ ...file, path: '../up' }] }, 'files.0.path'],
      [{ files: [{ ...file, size: -1 }] }, 'files.0.size'],
      [{ files: [{ ...file, oid: 'x' }] }, 'files.0.oid'],
      [{ files: [{ ...file, blob: 'x' }] }, 'files.0.blob'],
      [{ files: [{ ...file, blob: `${blob('a')}0` }] }, 'files.0.blob'],
      [{ files: [{ ...file, blob: `x${blob('a')}` }] }, 'files.0.blob'],
      [{ files: [{ ...file, copy: 0 }] }, 'files.0.copy'],
      [{ files: [{ ...file, lfs: {} }] }, 'files.0.lfs'],
      [{ files: [file, file] }, 'a path stands in it twice'],
      [
        { files: [{ ...file, lfs: { sha256: blob('b'), pointerSize: 1 } }] },
        "f: the blob is not the large file's SHA-256",
      ],
      [{ directories: [{ path: '/up', oid: one }] }, 'directories.0.path'],
      [{ claims: { r: {} } }, 'claims.r'],
      [{ pending: false }, 'pending'],
      [{ layout: undefined }, 'layout'],
    ] as const) {
      const read = () => parse({ ...manifestOf(), ...wrong })
      expect(read, JSON.stringify(wrong)).to.throw('the key').with.property('code', 'MalformedObject')
      expect(read).to.throw(place)
    }
    const unchosen = { ...file, blob: null, lfs: { sha256: blob('b'), pointerSize: 1 } }
    expect(parse({ ...manifestOf(), files: [unchosen] }).files).to.have.length(1)
    for (const ref of [
      {},
      { commit: 'x', kind: 'branch' },
      { commit: one, kind: 'x' },
      { commit: one, kind: 'tag', claims: { r: {} } },
    ])
      expect(() => parseRef('k', JSON.stringify(ref)))
        .to.throw()
        .with.property('code', 'MalformedObject')
    for (const text of ['{"cut', '', 'null', '[]', '3'])
      expect(() => parseManifest('k', text))
        .to.throw()
        .with.property('code', 'MalformedObject')
    for (const layout of [1, 4, '3']) {
      const read = () => parse({ ...manifestOf(), layout } as object)
      expect(read).to.throw(`layout ${layout}`).with.property('code', 'UnknownLayout')
      expect(read).to.throw('layouts up to 3')
    }
    const errors = [() => parse({}), () => parse({ layout: 9 })].map((read) => {
      try {
        return read()
      } catch (error) {
        return error
      }
    })
    for (const error of errors) expect(isDamage(error)).to.equal(true)
    expect(isDamage(new Error('x'))).to.equal(false)
  })

  it('know when they were heard of, and whether they are complete', () => {
    const times = { saidAt: new Date(5).toISOString(), updatedAt: new Date(7).toISOString() }
    const ref = { commit: one, kind: 'branch' as const }
    expect(heardAt({ ...ref, ...times })).to.equal(times.saidAt)
    expect(heardAt({ ...ref, updatedAt: times.updatedAt })).to.equal(times.updatedAt)
    expect(heardAt(ref)).to.equal(new Date(0).toISOString())
    expect(isComplete(manifestOf())).to.equal(true)
    expect(isComplete(manifestOf({ files: [fileOf('a'), fileOf('b', null)] }))).to.equal(false)
  })

  it('are read whole, listed whole or not at all, and told apart by their versions', async () => {
    const stage = setStage()
    expect(await readText(stage.storage, 'k')).to.equal(undefined)
    stage.put('k', 'a text of several bytes: é')
    expect(await readText(stage.storage, 'k')).to.equal('a text of several bytes: é')
    stage.before = () => {
      throw refused()
    }
    expect(await rejection(readText(stage.storage, 'k'))).to.have.property('code', 'StorageUnavailable')
    expect(await rejection(listObjects(stage.storage, ''))).to.have.property('code', 'StorageUnavailable')
    const stat = { key: 'k', size: 3, updatedAt: new Date(5), generation: '7' }
    expect(stampOf(undefined)).to.equal('')
    const stamps = [stat, { ...stat, size: 4 }, { ...stat, updatedAt: new Date(6) }, { ...stat, generation: '8' }].map(
      stampOf,
    )
    expect(new Set(stamps).size).to.equal(4)
    expect(stampOf({ key: 'k', size: 3, updatedAt: new Date(5) })).not.to.equal('')
    expect(Buffer.concat(await Array.fromAsync(contentOf(Buffer.from('abc'))(1)))).to.deep.equal(Buffer.from('bc'))
  })

  it('that are larger than any manifest are refused before memory is full', async () => {
    const stage = setStage()
    const piece = Buffer.alloc(1 << 24)
    let given = 0
    const base = withSignals(stage.storage, () => undefined)
    const { Readable } = await import('node:stream')
    const huge: Storage = {
      ...base,
      read: async () =>
        Readable.from(
          (function* () {
            for (; given < 100; given++) yield piece
          })(),
        ),
    }
    const error = await rejection(readText(huge, 'k'))
    expect(error).to.include({ code: 'ObjectTooLarge', status: 500 })
    expect(error.message).to.contain('k is larger than')
    expect(given).to.be.lessThan(20)
  })
})

describe('a manifest as readers see it', () => {
  it('has the files that were pulled for it', async () => {
    const stage = setStage()
    const files = ['a', 'b', 'c', 'd', 'e'].map((path) => fileOf(path, null))
    stage.put(manifestKey(model, one), manifestOf({ birth: 'mine', files: [...files, fileOf('named', blob('b'))] }))
    stage.put(journalKey(model, one, 'a'), entryOf('a', { files: [fileOf('a', blob('c'), { copy: 2, crc32c: 'x' })] }))
    stage.put(journalKey(model, one, 'b'), entryOf('b', { pending: true }))
    stage.put(journalKey(model, one, 'c'), entryOf('c', { of: 'other' }))
    stage.put(journalKey(model, one, 'd'), '{"cut')
    stage.put(journalKey(model, one, 'e'), entryOf('e', { files: [fileOf('e', blob('a'), { oid: one })] })) // of other content
    stage.put(journalKey(model, one, 'named'), entryOf('named'))
    const found = await readManifest(stage.storage, model, one)
    const stored = found?.files.filter(({ blob: name }) => name !== null)
    expect(stored).to.deep.equal([
      fileOf('a', blob('c'), { copy: 2, crc32c: 'x', pulled: true }),
      fileOf('named', blob('b')),
    ])
  })

  it('is whole where an entry goes while it is read, and fails where one cannot be', async () => {
    const stage = setStage()
    stage.put(manifestKey(model, one), manifestOf({ birth: 'mine', files: [fileOf('a', null)] }))
    stage.put(journalKey(model, one, 'a'), entryOf('a'))
    stage.before = (operation, key) => {
      if (operation === 'get' && key === journalKey(model, one, 'a')) {
        stage.bucket.objects.delete(key)
        stage.put(manifestKey(model, one), manifestOf({ birth: 'mine', files: [fileOf('a')] }))
      }
    }
    expect((await readManifest(stage.storage, model, one))?.files[0]?.blob).to.equal(blob('a'))
    stage.put(journalKey(model, one, 'a'), entryOf('a'))
    stage.before = () => {
      throw refused()
    }
    const name = journalKey(model, one, 'a').split('/').at(-1) ?? ''
    expect(await rejection(readEntries(stage.storage, model, one, [name]))).to.have.property(
      'code',
      'StorageUnavailable',
    )
  })

  it('is absent where it is only claimed, and so is a ref', async () => {
    const stage = setStage()
    expect(await readManifest(stage.storage, model, one)).to.equal(undefined)
    stage.put(manifestKey(model, one), manifestOf({ pending: true }))
    expect(await readManifest(stage.storage, model, one)).to.equal(undefined)
    expect(await readRef(stage.storage, model, 'main')).to.equal(undefined)
    stage.put(refKey(model, 'main'), { commit: null, kind: 'branch' })
    stage.put(refKey(model, 'refs/pr/1'), { commit: two, kind: 'pull-request' })
    stage.put(refKey(model, 'a.json.json'), { commit: one, kind: 'branch' })
    expect(await readRef(stage.storage, model, 'main')).to.equal(undefined)
    expect(await readRefs(stage.storage, model)).to.deep.equal(
      new Map([
        ['a.json.json', { commit: one, kind: 'branch' }],
        ['refs/pr/1', { commit: two, kind: 'pull-request' }],
      ]),
    )
  })

  it('keeps its own content where both name it', () => {
    const own = fileOf('a', blob('b'))
    expect(withPulled(own, fileOf('a'))).to.equal(own)
    const missing = fileOf('a', null)
    expect(withPulled(missing, undefined)).to.equal(missing)
    expect(withPulled(missing, fileOf('a'))).to.deep.equal({ ...fileOf('a'), pulled: true })
  })
})

describe('a snapshot', () => {
  it('has its files in order, with what clients are told of them', () => {
    const { storage } = setStage()
    const lfs = { sha256: blob('f'), pointerSize: 130 }
    const files = [fileOf('b/c', blob('c'), { copy: 3 }), fileOf('b', blob('f'), { lfs }), fileOf('a', null)]
    const snapshot = new ManifestSnapshot(storage, manifestOf({ files }), 1000)
    expect([...snapshot.files.keys()]).to.deep.equal(['a', 'b', 'b/c'])
    expect(snapshot.files.get('b')).to.deep.equal({
      ...{ path: 'b', size: 1, oid: 'e'.repeat(40), etag: blob('f'), lfs, key: blobKey(blob('f')) },
    })
    expect(snapshot.files.get('b/c')).to.deep.include({ etag: 'e'.repeat(40), key: blobKey(`${blob('c')}.3`) })
    expect(snapshot.files.get('a')).to.include({ key: undefined })
    expect(snapshot).to.deep.include({ commit: one, repository: model, mirroredAt: new Date(0), complete: false })
    expect(snapshot.commits).to.deep.equal([{ id: one }])
    expect(snapshot.directories).to.deep.equal(new Map([['d', two]]))
    expect(snapshot.weight).to.be.at.least(1000)
    // What is pulled for it completes it; nothing else changes it.
    for (const wrong of [fileOf('x'), fileOf('b'), fileOf('a', blob('a'), { oid: two }), fileOf('a', null)])
      snapshot.add(wrong)
    expect(snapshot.complete).to.equal(false)
    snapshot.add(fileOf('a', blob('a'), { copy: 2 }))
    expect(snapshot.files.get('a')?.key).to.equal(blobKey(`${blob('a')}.2`))
    expect(snapshot.complete).to.equal(true)
    snapshot.add(fileOf('a', blob('b')))
    expect(snapshot.files.get('a')?.key).to.equal(blobKey(`${blob('a')}.2`))
    expect(new ManifestSnapshot(storage, manifestOf(), 1).complete).to.equal(true)
  })
})

describe('the library', () => {
  let now = 0
  beforeEach(() => {
    now = 1e6
    mock.method(performance, 'now', () => now)
  })
  afterEach(() => mock.restoreAll())

  const failuresOf = () => {
    const failed: [Storage, unknown][] = []
    return { failed, onStorageFailure: (storage: Storage, error: unknown) => void failed.push([storage, error]) }
  }
  const libraryOf = (stages: readonly Stage[], refreshAfter = 1000) => {
    const { failed, onStorageFailure } = failuresOf()
    const storages = stages.map(({ storage }) => storage)
    return { failed, library: new Library(storages, { memory: 1e6, refreshAfter, onStorageFailure }) }
  }
  const setUp = (): Stage => {
    const stage = setStage()
    stage.put(manifestKey(model, one), manifestOf())
    stage.put(refKey(model, 'main'), { commit: one, kind: 'branch', saidAt: new Date(5).toISOString() })
    return stage
  }
  const settle = async () => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  it('finds a commit by branch, by its id and by the beginning of it, and nothing by others', async () => {
    const stage = setUp()
    const { library } = libraryOf([stage])
    for (const revision of ['main', 'refs/heads/main', one, one.slice(0, 7)])
      expect((await library.find(model, revision))?.commit, revision).to.equal(one)
    for (const revision of ['other', two, '2222222'])
      expect(await library.find(model, revision), revision).to.equal(undefined)
    expect(await library.find(other, 'main')).to.equal(undefined)
    const ambiguous = `${one.slice(0, 39)}0`
    stage.put(manifestKey(model, ambiguous), manifestOf({ commit: ambiguous }))
    expect(await libraryOf([stage]).library.find(model, one.slice(0, 7))).to.equal(undefined)
  })

  it('asks the storages in order, and goes on where one has half of a commit, or fails', async () => {
    const [first, second, third] = [setUp(), setUp(), setUp()]
    first.put(manifestKey(model, one), manifestOf({ files: [fileOf('a', null)] }))
    const { library, failed } = libraryOf([first, second, third])
    expect((await library.find(model, 'main'))?.storage).to.equal(second.storage)
    expect(third.calls).to.deep.equal([])
    const half = libraryOf([first])
    expect((await half.library.find(model, 'main'))?.storage).to.equal(first.storage)
    expect(failed).to.deep.equal([])
    const broken = setUp()
    broken.before = () => {
      throw refused()
    }
    const beside = libraryOf([broken, first, broken])
    expect((await beside.library.find(model, 'main'))?.storage).to.equal(first.storage)
    expect(beside.failed.map(([storage]) => storage)).to.deep.equal([broken.storage, broken.storage])
  })

  it('says whether any revision is there, in any storage', async () => {
    const broken = setUp()
    broken.before = () => {
      throw refused()
    }
    const { library, failed } = libraryOf([setStage(), broken, setUp()])
    expect(await library.has(model)).to.equal(true)
    expect(failed).to.have.length(1)
    expect(await library.has(other)).to.equal(false)
    const legacy = setStage()
    legacy.put('manifest/org--model__main.json', { manifest: { manifest_type: 'redirect', revision_hash: one } })
    expect(await libraryOf([legacy]).library.has(model)).to.equal(true)
  })

  it('lists refs, those of an earlier storage first, and pulled ones where they are asked for', async () => {
    const [first, second, broken] = [setUp(), setUp(), setUp()]
    first.put(refKey(model, 'pulled'), { commit: one, kind: 'branch', pulled: true })
    first.put(refKey(model, 'claimed'), { commit: null, kind: 'branch' })
    second.put(refKey(model, 'main'), { commit: two, kind: 'branch' })
    second.put(refKey(model, 'refs/pr/1'), { commit: two, kind: 'pull-request' })
    broken.before = () => {
      throw refused()
    }
    const { library, failed } = libraryOf([first, broken, second])
    const names = async (look: object) => (await library.refs(model, look)).map(({ name, commit }) => [name, commit])
    expect(await names({})).to.have.deep.members([
      ['main', one],
      ['refs/pr/1', two],
    ])
    expect(await names({ pulled: true })).to.have.deep.members([
      ['main', one],
      ['pulled', one],
      ['refs/pr/1', two],
    ])
    expect(failed).to.have.length(2)
  })

  it('finds a commit by a branch that was only pulled where it is asked to', async () => {
    const stage = setUp()
    stage.put(refKey(model, 'main'), { commit: one, kind: 'branch', pulled: true })
    const { library } = libraryOf([stage])
    expect(await library.find(model, 'main')).to.equal(undefined)
    expect((await library.find(model, 'main', { pulled: true }))?.commit).to.equal(one)
    expect((await library.find(model, one))?.commit).to.equal(one)
  })

  it('knows the refs that clients asked for last', async () => {
    const stage = setUp()
    stage.put(refKey(model, 'v1'), { commit: one, kind: 'tag', updatedAt: new Date(7).toISOString() })
    const { library } = libraryOf([stage])
    for (const revision of ['main', one, one.slice(0, 7), 'absent', 'v1']) await library.find(model, revision)
    const v1 = { repository: model, name: 'v1', updatedAt: new Date(7).toISOString() }
    expect(library.refsInUse(9)).to.deep.equal([
      v1,
      { repository: model, name: 'main', updatedAt: new Date(5).toISOString() },
    ])
    expect(library.refsInUse(1)).to.deep.equal([v1])
    expect(library.refsInUse(0)).to.deep.equal([])
  })

  it('asks nothing while an answer is young, asks beside the request when it is half as old as it may be, and before it later', async () => {
    const stage = setUp()
    const { library } = libraryOf([stage], 1000)
    await library.find(model, 'main')
    stage.calls.length = 0
    now += 499
    await library.find(model, 'main')
    expect(stage.calls).to.deep.equal([])
    now += 1
    stage.put(refKey(model, 'main'), { commit: two, kind: 'branch' })
    stage.put(manifestKey(model, two), manifestOf({ commit: two }))
    expect((await library.find(model, 'main'))?.commit).to.equal(one)
    await settle()
    expect((await library.find(model, 'main'))?.commit).to.equal(two)
    now += 1000
    stage.put(refKey(model, 'main'), { commit: one, kind: 'branch' })
    expect((await library.find(model, 'main'))?.commit).to.equal(one)
  })

  it('finds within that time that a commit is gone, mirrored again, or there at last', async () => {
    const stage = setUp()
    const { library } = libraryOf([stage], 1000)
    await library.find(model, one)
    now += 1000
    const info = { id: 'org/model', private: true }
    stage.put(manifestKey(model, one), manifestOf({ info }))
    expect((await library.find(model, one))?.info).to.deep.equal(info)
    now += 1000
    stage.bucket.objects.delete(manifestKey(model, one))
    expect(await library.find(model, one)).to.equal(undefined)
    stage.put(manifestKey(model, one), manifestOf())
    mock.restoreAll()
    const quick = libraryOf([stage], 20).library
    stage.bucket.objects.delete(manifestKey(model, one))
    expect(await quick.find(model, one)).to.equal(undefined)
    stage.put(manifestKey(model, one), manifestOf())
    await delay(40)
    expect((await quick.find(model, one))?.commit).to.equal(one)
  })

  it('believes for a while that a branch or commit is absent', async () => {
    const stage = setStage()
    const { library } = libraryOf([stage], 1000)
    await library.find(model, 'main')
    await library.find(model, one)
    stage.calls.length = 0
    now += 10
    await library.find(model, 'main')
    await library.find(model, one)
    expect(stage.calls).to.deep.equal([])
    now += 1000
    stage.put(refKey(model, 'main'), { commit: one, kind: 'branch' })
    stage.put(manifestKey(model, one), manifestOf())
    await library.find(model, 'main')
    expect(stage.calls.length).to.be.greaterThan(0)
  })

  it('is asked once by all who want to know at a time', async () => {
    const stage = setUp()
    const { library } = libraryOf([stage], 1000)
    const reads = () => stage.calls.filter((call) => call === `get ${manifestKey(model, one)}`).length
    const found = await Promise.all(Array.from({ length: 5 }, () => library.find(model, 'main')))
    expect(new Set(found).size).to.equal(1)
    expect(reads()).to.equal(1)
    now += 1000
    stage.put(manifestKey(model, one), manifestOf({ mirroredFrom: 'again' }))
    await Promise.all(Array.from({ length: 5 }, () => library.find(model, 'main')))
    expect(reads()).to.equal(2)
  })

  it('keeps what it has where the storage does not answer, says so, and asks again no sooner than after a while', async () => {
    const stage = setUp()
    const { library, failed } = libraryOf([stage], 1000)
    const kept = await library.find(model, 'main')
    stage.before = () => {
      throw refused()
    }
    now += 1000
    expect(await library.find(model, 'main')).to.equal(kept)
    const calls = stage.calls.length
    const failures = failed.length
    expect(failures).to.equal(2) // where the branch is, and what the commit has
    expect(await library.find(model, 'main')).to.equal(kept)
    expect(stage.calls).to.have.length(calls)
    expect(failed).to.have.length(failures)
    expect(await library.find(model, two)).to.equal(undefined)
    expect(failed.length).to.equal(failures + 1)
    expect(await library.find(model, 'other')).to.equal(undefined)
    expect(failed.length).to.equal(failures + 2)
  })

  it('shows at once what this process has pulled, and later what others have', async () => {
    const stage = setUp()
    const files = ['a', 'b', 'c'].map((path) => fileOf(path, null))
    stage.put(manifestKey(model, one), manifestOf({ birth: 'mine', files }))
    const { library } = libraryOf([stage], 1000)
    const stored = async () =>
      [...((await library.find(model, 'main'))?.files.values() ?? [])].flatMap(({ path, key }) =>
        key === undefined ? [] : [path],
      )
    expect(await stored()).to.deep.equal([])
    const put = (path: string, extra: object = {}) => stage.put(journalKey(model, one, path), entryOf(path, extra))
    put('a')
    library.notePulled(stage.storage, model, one, { of: 'mine', file: fileOf('a') })
    expect(await stored()).to.deep.equal(['a'])
    put('b', { pending: true })
    put('c', { of: 'other' })
    now += 1000
    expect(await stored()).to.deep.equal(['a'])
    put('b')
    now += 1000
    expect(await stored()).to.deep.equal(['a', 'b'])
    stage.calls.length = 0
    now += 1000
    await stored()
    // Of the journal only what is new is read: here the one of another birth.
    expect(stage.calls.filter((call) => call.startsWith('get'))).to.deep.equal([
      `get ${refKey(model, 'main')}`,
      `get ${journalKey(model, one, 'c')}`,
    ])
    stage.bucket.objects.delete(journalKey(model, one, 'a')) // taken down, or compacted
    now += 1000
    expect(await stored()).to.deep.equal(['b'])
    put('a')
    put('c')
    now += 1000
    expect(await stored()).to.deep.equal(['a', 'b', 'c'])
    stage.calls.length = 0
    now += 1000
    await stored() // complete: nothing can be added
    expect(stage.calls.filter((call) => call.includes('/pulled'))).to.deep.equal([])
  })

  it('looks at the storage again where what was pulled is of a manifest that it does not have', async () => {
    const stage = setUp()
    stage.put(manifestKey(model, one), manifestOf({ birth: 'mine', files: [fileOf('a', null)] }))
    const { library } = libraryOf([stage, setStage()], 1e6)
    const keyOf = async () => (await library.find(model, 'main'))?.files.get('a')?.key
    await library.find(other, 'main')
    expect(await keyOf()).to.equal(undefined)
    stage.put(manifestKey(model, one), manifestOf({ birth: 'new', files: [fileOf('a', null)] }))
    stage.put(journalKey(model, one, 'a'), entryOf('a', { of: 'new' }))
    expect(await keyOf()).to.equal(undefined)
    library.notePulled(stage.storage, model, one, { of: 'new', file: fileOf('a') })
    stage.calls.length = 0
    expect(await keyOf()).to.equal(blobKey(blob('a')))
    // Of other repositories nothing is forgotten.
    const calls = stage.calls.length
    await library.find(other, 'main')
    expect(stage.calls).to.have.length(calls)
  })

  it('has nothing of a commit that is removed or only claimed while it is read', async () => {
    for (const change of [undefined, manifestOf({ pending: true })]) {
      const stage = setUp()
      stage.before = (operation, key) => {
        if (operation !== 'get' || key !== manifestKey(model, one)) return
        if (change === undefined) stage.bucket.objects.delete(key)
        else stage.put(key, change)
      }
      const { library, failed } = libraryOf([stage])
      expect(await library.find(model, one)).to.equal(undefined)
      expect(failed).to.deep.equal([])
    }
  })
})

describe("the Python tool's layout, in memory", () => {
  const sha512 = 'b'.repeat(128)
  const legacy = (): Stage => {
    const stage = setStage()
    const files = { 'z/config.json': sha512, a: 'c'.repeat(128) }
    const full = { manifest: { manifest_type: 'full', revision_hash: one, files } }
    stage.put(`manifest/org--model__${one}.json`, full)
    stage.put('manifest/org--model__main.json', { manifest: { manifest_type: 'redirect', revision_hash: one } })
    stage.put('manifest/org--model__refs%2Fpr%2F1.json', full)
    stage.put(`blob/${sha512}`, 'content')
    return stage
  }
  const libraryOf = (stage: Stage, refreshAfter = 1) =>
    new Library([stage.storage], {
      ...{ memory: 1e6, refreshAfter },
      onStorageFailure: (_storage, error) => {
        throw error
      },
    })

  it('is read as it is: a commit by its id and its branches, files by what is there', async () => {
    const stage = legacy()
    const library = libraryOf(stage)
    for (const revision of [one, 'main', 'refs/pr/1']) {
      const found = await library.find(model, revision)
      expect(found, revision).to.deep.include({
        commit: one,
        repository: model,
        complete: false,
        mirroredAt: new Date(0),
      })
      expect([...(found?.files.values() ?? [])]).to.deep.equal([
        { path: 'a', size: 0, oid: 'c'.repeat(40), etag: 'c'.repeat(128), key: undefined },
        { path: 'z/config.json', size: 7, oid: 'b'.repeat(40), etag: sha512, key: `blob/${sha512}` },
      ])
      expect(found?.directories).to.deep.equal(new Map([['z', one]]))
      expect(found?.info).to.include({
        id: 'org/model',
        modelId: 'org/model',
        sha: one,
        private: false,
        gated: false,
        disabled: false,
      })
      expect(found?.weight).to.be.greaterThan(0)
      expect(found?.commits).to.deep.equal([])
    }
    stage.put(`blob/${'c'.repeat(128)}`, 'x')
    await delay(5)
    expect((await library.find(model, one))?.complete).to.equal(true)
    expect(await library.find(model, two)).to.equal(undefined)
    stage.put('manifest/org--model__dangling.json', { manifest: { manifest_type: 'redirect', revision_hash: two } })
    stage.put(`manifest/org--model__${two}.json`, { manifest: { manifest_type: 'redirect', revision_hash: one } })
    expect(await library.find(model, 'dangling')).to.equal(undefined)
    expect(await library.find(other, 'main')).to.equal(undefined)
  })

  it('that is damaged is no layout of it', () => {
    const full = (extra: object) =>
      JSON.stringify({ manifest: { manifest_type: 'full', revision_hash: one, files: {}, ...extra } })
    expect(parseLegacyManifest('k', full({}))).to.include({ manifest_type: 'full' })
    for (const text of [
      '{"cut',
      full({ revision_hash: 'x' }),
      full({ files: { '../up': sha512 } }),
      full({ files: { a: 'x' } }),
      full({ files: { a: `${sha512}0` } }),
      full({ files: { a: `x${sha512}` } }),
      full({ manifest_type: 'other' }),
      JSON.stringify({ manifest: { manifest_type: 'redirect', revision_hash: 'x' } }),
    ])
      expect(() => parseLegacyManifest('k', text), text).to.throw(
        'k is damaged: not a manifest of the Python MirrorFace',
      )
  })
})

describe('the catalog', () => {
  const setUp = (): Stage => {
    const stage = setStage()
    stage.put(
      manifestKey(model, one),
      manifestOf({
        files: [
          fileOf('a', blob('a'), { size: 10 }),
          fileOf('b', blob('a'), { size: 10 }),
          fileOf('c', null, { size: 99 }),
        ],
      }),
    )
    stage.put(
      manifestKey(model, two),
      manifestOf({ commit: two, mirroredAt: new Date(9).toISOString(), files: [fileOf('d', blob('d'), { size: 5 })] }),
    )
    stage.put(refKey(model, 'v1'), { commit: one, kind: 'tag' })
    stage.put(refKey(model, 'main'), { commit: one, kind: 'branch' })
    stage.put(
      manifestKey(other, one),
      manifestOf({ repository: { ...other }, files: [fileOf('a', blob('a'), { size: 10 })] }),
    )
    return stage
  }

  it('has every repository with its revisions, latest first, and counts a blob once wherever it is shared', async () => {
    const { repositories, bytes } = await readCatalog(setUp().storage)
    expect(bytes).to.equal(15)
    expect(repositories.map(({ type, id, bytes: size, problems }) => ({ type, id, size, problems }))).to.deep.equal([
      { type: 'dataset', id: 'org/model', size: 10, problems: [] },
      { type: 'model', id: 'org/model', size: 15, problems: [] },
    ])
    const told = { mirroredFrom: 'http://hub' }
    expect(repositories[1]?.revisions).to.deep.equal([
      { ...told, commit: two, refs: [], files: 1, leftOut: 0, bytes: 5, mirroredAt: new Date(9).toISOString() },
      {
        ...told,
        commit: one,
        refs: ['main', 'v1'],
        files: 2,
        leftOut: 1,
        bytes: 10,
        mirroredAt: new Date(0).toISOString(),
      },
    ])
    expect(repositories[1]?.manifests).to.have.length(2)
  })

  it('shows what was pulled, and no commit of which nothing is stored yet', async () => {
    const stage = setUp()
    const pulled: Repository = { type: 'model', id: 'org/pulled' }
    const shell = manifestOf({
      repository: { ...pulled },
      birth: 'mine',
      pulled: true,
      files: [fileOf('a', null), fileOf('b', null)],
    })
    stage.put(manifestKey(pulled, one), shell)
    stage.put(refKey(pulled, 'main'), { commit: one, kind: 'branch', pulled: true })
    const ids = async () => (await readCatalog(stage.storage)).repositories.map(({ id }) => id)
    expect(await ids()).not.to.include('org/pulled')
    stage.put(journalKey(pulled, one, 'a'), entryOf('a'))
    stage.calls.length = 0
    const found = (await readCatalog(stage.storage)).repositories.find(({ id }) => id === 'org/pulled')
    expect(found?.revisions[0]).to.include({ files: 1, leftOut: 1 })
    expect(stage.calls.filter((call) => call.startsWith('children'))).to.deep.equal([])
    // One without any file is whole, and one that a run made is mirrored though its filter chose nothing.
    stage.bucket.objects.delete(journalKey(pulled, one, 'a'))
    for (const mirrored of [
      { ...shell, files: [] },
      { ...shell, pulled: undefined },
    ]) {
      stage.put(manifestKey(pulled, one), mirrored)
      expect(await ids()).to.include('org/pulled')
    }
  })

  it('shows no repository that is only claimed, one of which a ref is left, and what cannot be read', async () => {
    const stage = setStage()
    const [claimed, dangling, damaged] = ['claimed', 'dangling', 'damaged'].map(
      (id): Repository => ({ type: 'model', id }),
    )
    if (claimed === undefined || dangling === undefined || damaged === undefined) return
    stage.put(manifestKey(claimed, one), manifestOf({ repository: { ...claimed }, pending: true }))
    stage.put(refKey(claimed, 'main'), { commit: null, kind: 'branch' })
    stage.put(refKey(dangling, 'main'), { commit: one, kind: 'branch' })
    stage.put(manifestKey(damaged, one), '{"cut')
    stage.put('repositories/odd', 'x')
    const { repositories } = await readCatalog(stage.storage)
    expect(repositories.map(({ id, problems }) => [id, problems.length])).to.deep.equal([
      ['damaged', 1],
      ['dangling', 0],
    ])
    expect(repositories[0]?.problems[0]).to.contain(manifestKey(damaged, one))
    stage.before = (operation) => {
      if (operation === 'get') throw refused()
    }
    expect(await rejection(readCatalog(stage.storage))).to.have.property('code', 'StorageUnavailable')
  })

  it('tells neither the name nor the size of what is not shown', async () => {
    const catalog = await readCatalog(setUp().storage)
    const limited = async (shows: (repository: Repository, commit?: string) => boolean) =>
      await limitCatalog(catalog, async (repository, commit) => shows(repository, commit))
    expect(await limited(() => true)).to.deep.equal(catalog)
    expect(await limited(() => false)).to.deep.equal({ repositories: [], bytes: 0 })
    const models = await limited(({ type }, commit) => type === 'model' && commit !== one)
    expect(models.bytes).to.equal(5)
    expect(models.repositories.map(({ id, bytes }) => [id, bytes])).to.deep.equal([['org/model', 5]])
    expect(models.repositories[0]?.revisions.map(({ commit }) => commit)).to.deep.equal([two])
    expect(models.repositories[0]?.manifests.map(({ commit }) => commit)).to.deep.equal([two])
  })

  it('hands its signal to every request', async () => {
    const stage = setUp()
    stage.put(journalKey(model, one, 'c'), entryOf('c'))
    const { signal } = new AbortController()
    const without: string[] = []
    const storage = withSignals(stage.storage, (call, given) => given === signal || without.push(call))
    await readCatalog(storage, { signal })
    await readManifest(storage, model, one, { signal })
    await readRefs(storage, model, { signal })
    expect(without).to.deep.equal([])
  })
})
