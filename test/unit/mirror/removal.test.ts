import { expect } from 'chai'
import { ClaimLost } from '../../../src/mirror/claim-lost.ts'
import { compactJournal } from '../../../src/mirror/compact-journal.ts'
import { DeletionLog } from '../../../src/mirror/deletion-log.ts'
import {
  deletionKey,
  journalKey,
  leaseKey,
  manifestKey,
  pruneRepository,
  refKey,
  removeRevision,
} from '../../../src/mirror/index.ts'
import { Lease } from '../../../src/mirror/lease.ts'
import type { Manifest, ManifestFile } from '../../../src/mirror/manifest.ts'
import { leaseOf, refused, rejection, type Stage, setStage, withSignals } from './stage.ts'

const repository = { type: 'model' as const, id: 'org/model' }
const [one, two, three] = ['1', '2', '3'].map((digit) => digit.repeat(40)) as [string, string, string]
const blob = (digit: string) => digit.repeat(64)
const ref = (name: string) => refKey(repository, name)
const manifest = (commit: string) => manifestKey(repository, commit)
const entry = (commit: string, path: string) => journalKey(repository, commit, path)

function fileOf(path: string, name: string | null, extra: Partial<ManifestFile> = {}): ManifestFile {
  return { path, size: 1, oid: 'e'.repeat(40), blob: name, ...extra }
}

function manifestOf(commit: string, extra: Partial<Manifest> = {}): Manifest {
  return {
    layout: 3,
    repository: { ...repository },
    commit,
    mirroredAt: new Date(0).toISOString(),
    mirroredFrom: 'http://hub',
    info: {},
    commits: [],
    files: [],
    directories: [],
    ...extra,
  }
}

const entryOf = (path: string, extra: object = {}) => ({
  layout: 3,
  of: 'mine',
  files: [fileOf(path, blob('a'))],
  ...extra,
})
const refOf = (commit: string | null, extra: object = {}) => ({ commit, kind: 'branch', ...extra })
const claimOf = (lease: string, commit: string) => ({ [lease]: { lease, commit } })

/** Three commits; `main` and `v1` are at the first, `next` at the second, the third is on no ref. */
function setUp(): Stage {
  const stage = setStage()
  for (const commit of [one, two, three]) stage.put(manifest(commit), manifestOf(commit))
  stage.put(ref('main'), refOf(one))
  stage.put(ref('v1'), refOf(one, { kind: 'tag' }))
  stage.put(ref('refs/pr/1'), refOf(two))
  stage.put(manifestKey({ type: 'model', id: 'org/model2' }, one), manifestOf(one))
  return stage
}

const left = ({ bucket }: Stage) =>
  bucket
    .keys('repositories/models--org--model')
    .map((key) => decodeURIComponent(key.replace(/^.*\/(?:refs|commits|pulled)\//, '').replace(/\.json$/, '')))
    .toSorted()

describe('removing a revision', () => {
  for (const [revision, removed, remaining] of [
    [undefined, { refs: ['main', 'refs/pr/1', 'v1'], commits: [one, two, three] }, []],
    ['main', { refs: ['main'], commits: [] }, [one, two, three, 'refs/pr/1', 'v1']],
    ['refs/heads/main', { refs: ['main'], commits: [] }, [one, two, three, 'refs/pr/1', 'v1']],
    ['refs/pr/1', { refs: ['refs/pr/1'], commits: [two] }, [one, three, 'main', 'v1']],
    [one, { refs: ['main', 'v1'], commits: [one] }, [two, three, 'refs/pr/1']],
    [three, { refs: [], commits: [three] }, [one, two, 'main', 'refs/pr/1', 'v1']],
  ] as const) {
    it(`takes what it names, and nothing that another ref names: ${revision ?? 'everything'}`, async () => {
      const stage = setUp()
      const { refs, commits } = await removeRevision(stage.storage, repository, revision)
      expect({ refs: refs.toSorted(), commits: commits.toSorted() }).to.deep.equal(removed)
      expect(left(stage)).to.deep.equal(remaining.toSorted())
      expect(stage.bucket.keys('repositories/models--org--model2')).to.have.length(1)
    })
  }

  it('says of what is not mirrored that it is not, and changes nothing', async () => {
    for (const [id, revision, code, message] of [
      ['org/model', 'absent', 'RevisionNotFound', 'org/model@absent'],
      ['org/model', '4'.repeat(40), 'RevisionNotFound', `org/model@${'4'.repeat(40)}`],
      ['org/none', undefined, 'RepoNotFound', 'org/none'],
      ['org/none', 'main', 'RepoNotFound', 'org/none'],
    ] as const) {
      const stage = setUp()
      const before = new Map(stage.bucket.objects)
      const error = await rejection(removeRevision(stage.storage, { type: 'model', id }, revision))
      expect(error).to.include({ code, status: 404 })
      expect(error.message).to.equal(`${message} is not mirrored here`)
      expect(stage.bucket.objects).to.deep.equal(before)
    }
  })

  it('takes a repository of which refs or commits alone are left', async () => {
    const refsOnly = setStage()
    refsOnly.put(ref('main'), refOf(one))
    expect(await removeRevision(refsOnly.storage, repository, undefined)).to.deep.equal({ refs: ['main'], commits: [] })
    expect(left(refsOnly)).to.deep.equal([])
    const commitsOnly = setStage()
    commitsOnly.put(manifest(one), manifestOf(one))
    expect(await removeRevision(commitsOnly.storage, repository, undefined)).to.deep.equal({ refs: [], commits: [one] })
  })

  it('takes the claims of runs that are about to put the commit on a ref, and leaves other claims', async () => {
    const stage = setUp()
    const claims = { ...claimOf('a', two), ...claimOf('b', one) }
    stage.put(ref('main'), refOf(one, { claims }))
    stage.put(ref('new'), refOf(null, { claims: claimOf('a', two) }))
    const untouched = refOf(one, { claims: claimOf('c', one) })
    stage.put(ref('v1'), untouched)
    await removeRevision(stage.storage, repository, two)
    expect(stage.get(ref('main'))).to.deep.include({ commit: one, claims: claimOf('b', one) })
    expect(stage.get(ref('new'))).to.equal(undefined)
    expect(stage.get(ref('v1'))).to.deep.equal(untouched)
    // A ref that is gone for readers stays as far as a run that goes on has claimed it.
    await removeRevision(stage.storage, repository, 'v1')
    expect(stage.get(ref('v1'))).to.deep.include({ commit: null, claims: claimOf('c', one) })
  })

  it('takes the journal with the manifest, the manifest first', async () => {
    const stage = setUp()
    for (const path of ['a', 'b']) stage.put(entry(two, path), entryOf(path))
    stage.put(entry(one, 'a'), entryOf('a'))
    stage.put('repositories/models--org--model/odd', 'not ours')
    await removeRevision(stage.storage, repository, two)
    const deletes = stage.calls.filter((call) => call.startsWith('delete')).map((call) => call.slice(7))
    expect(deletes[0]).to.equal(ref('refs/pr/1'))
    expect(deletes[1]).to.equal(manifest(two))
    expect(deletes.slice(2).toSorted()).to.deep.equal([entry(two, 'a'), entry(two, 'b')].toSorted())
    expect(stage.get(entry(one, 'a'))).not.to.equal(undefined)
  })

  it('takes the commit off a ref that a run has moved to it after the refs were read', async () => {
    const stage = setUp()
    stage.before = (operation, key) => {
      if (operation !== 'children' || !key.endsWith('/refs')) return
      stage.before = (later) => {
        if (later === 'children') stage.put(ref('v1'), refOf(two))
      }
    }
    await removeRevision(stage.storage, repository, two)
    expect(stage.get(ref('v1'))).to.equal(undefined)
    expect(stage.get(ref('main'))).to.include({ commit: one })
    expect(stage.get(manifest(two))).to.equal(undefined)
  })

  it('takes the manifest before its journal, whichever way a folder is listed', async () => {
    const stage = setUp()
    for (const path of ['a', 'b']) stage.put(entry(two, path), entryOf(path))
    const { storage } = stage
    const list = storage.list.bind(storage)
    storage.list = async function* (prefix: string) {
      yield* (await Array.fromAsync(list(prefix))).toReversed()
    }
    await removeRevision(storage, repository, two)
    const deletes = stage.calls.filter((call) => /^delete .*(?:commits|pulled)/.test(call))
    expect(deletes[0]).to.equal(`delete ${manifest(two)}`)
    expect(deletes).to.have.length(3)
  })

  it('begins anew where a run has changed the commit meanwhile, and takes it unless another ref names it by now', async () => {
    for (const [revision, isNamed] of [
      ['refs/pr/1', false],
      ['refs/pr/1', true],
      [two, false],
      [undefined, false],
    ] as const) {
      const stage = setUp()
      stage.before = (operation, key) => {
        if (operation !== 'delete' || key !== manifest(two)) return
        stage.before = () => undefined
        stage.put(manifest(two), manifestOf(two, { birth: 'changed' }))
        if (isNamed) stage.put(ref('v2'), refOf(two))
      }
      const removed = await removeRevision(stage.storage, repository, revision)
      expect(stage.get(manifest(two)) === undefined).to.equal(!isNamed)
      expect(removed.refs).to.include('refs/pr/1')
      if (!isNamed) expect(removed.commits).to.include(two)
      if (isNamed) expect(stage.get(ref('v2'))).to.include({ commit: two })
      if (revision !== undefined) expect(left(stage)).to.include.members([one, three, 'main', 'v1'])
      else expect(left(stage)).to.deep.equal([])
    }
  })

  it('leaves the journal of a manifest that it could not remove, and begins anew where an entry has changed', async () => {
    const stage = setUp()
    stage.put(entry(two, 'a'), entryOf('a'))
    const seen: boolean[] = []
    let conflicts = 0
    stage.before = (operation, key) => {
      if (operation === 'delete' && key === manifest(two) && conflicts++ === 0) stage.put(key, manifestOf(two))
      if (operation === 'delete' && key === entry(two, 'a')) {
        seen.push(stage.get(manifest(two)) === undefined)
        if (seen.length === 1) stage.put(key, entryOf('a'))
      }
    }
    await removeRevision(stage.storage, repository, two)
    expect(seen).to.deep.equal([true, true])
    expect(stage.get(entry(two, 'a'))).to.equal(undefined)
  })

  it('fails where the storage does, and can be done again', async () => {
    for (const [operation, key] of [
      ['delete', manifest(two)],
      ['delete', ref('refs/pr/1')],
      ['get', ref('main')],
    ] as const) {
      const stage = setUp()
      stage.before = (called, at) => {
        if (called === operation && at === key) throw refused()
      }
      expect(await rejection(removeRevision(stage.storage, repository, two))).to.have.property(
        'code',
        'StorageUnavailable',
      )
      stage.before = () => undefined
      await removeRevision(stage.storage, repository, two)
      expect(left(stage)).not.to.include.members([two])
      expect(left(stage)).not.to.include.members(['refs/pr/1'])
    }
  })

  it('asks for a generation where the listing has none, and passes over what is gone by then', async () => {
    const stage = setUp()
    stage.put(entry(two, 'a'), entryOf('a'))
    stage.put(entry(two, 'b'), entryOf('b'))
    const { storage } = stage
    const list = storage.list.bind(storage)
    storage.list = async function* (prefix: string) {
      for await (const { generation: _, ...found } of list(prefix)) yield found
    }
    stage.before = (operation, key) => {
      if (operation === 'load' && key === entry(two, 'b')) stage.bucket.objects.delete(key)
    }
    await removeRevision(storage, repository, two)
    expect(left(stage)).to.deep.equal([one, three, 'main', 'v1'].toSorted())
  })

  it('hands its signal to every request', async () => {
    const stage = setUp()
    stage.put(entry(two, 'a'), entryOf('a'))
    stage.put(ref('main'), refOf(one, { claims: claimOf('a', two) }))
    const { signal } = new AbortController()
    const without: string[] = []
    const storage = withSignals(stage.storage, (call, given) => given === signal || without.push(call))
    await removeRevision(storage, repository, two, { signal })
    expect(without).to.deep.equal([])
  })
})

describe('pruning a repository', () => {
  it('takes what no ref names and is not to be kept', async () => {
    const stage = setUp()
    const four = '4'.repeat(40)
    stage.put(manifest(four), manifestOf(four))
    expect(await pruneRepository(stage.storage, repository, new Set([four]))).to.deep.equal({
      refs: [],
      commits: [three],
    })
    expect(left(stage)).to.deep.equal([one, two, four, 'main', 'refs/pr/1', 'v1'].toSorted())
    expect(stage.bucket.keys('leases')).to.deep.equal([])
  })

  it('shows whoever looks that it is under way', async () => {
    const stage = setUp()
    let seen: unknown
    stage.before = (operation, key) => {
      if (operation === 'delete' && key === manifest(three)) seen = stage.get(stage.bucket.keys('leases')[0] ?? '')
    }
    await pruneRepository(stage.storage, repository, new Set())
    expect(seen).to.include({ kind: 'prune', doing: 'prune org/model' })
  })

  it('spares what living runs have claimed, on a ref or in the manifest, and not what dead ones have', async () => {
    const stage = setUp()
    await using alive = await Lease.begin(stage.storage, 'mirror', 'x')
    const four = '4'.repeat(40)
    const five = '5'.repeat(40)
    const claims = (lease: string) => ({ r: { lease, kind: 'mirror', blobs: [] } })
    stage.put(ref('main'), refOf(one, { claims: { ...claimOf(alive.id, three), ...claimOf('gone', four) } }))
    stage.put(ref('new'), refOf(null, { claims: claimOf('gone', five) }))
    stage.put(manifest(four), manifestOf(four, { claims: claims('gone') }))
    stage.put(manifest(five), manifestOf(five, { claims: { ...claims('gone'), s: claims(alive.id).r } }))
    expect(await pruneRepository(stage.storage, repository, new Set())).to.deep.equal({ refs: [], commits: [four] })
    expect(left(stage)).to.include.members([three, five])
    expect(stage.get(ref('main')))
      .to.have.property('claims')
      .that.has.all.keys(alive.id)
    expect(stage.get(ref('new'))).to.equal(undefined)
  })

  it('spares a commit whose claim was gone before it could be broken: the run may have put it there', async () => {
    const stage = setUp()
    stage.put(ref('main'), refOf(one, { claims: claimOf('gone', three) }))
    let loads = 0
    stage.before = (operation, key) => {
      // Loaded to be read, then to break the claim.
      if (operation === 'load' && key === ref('main') && ++loads === 2) stage.put(key, refOf(three))
    }
    expect(await pruneRepository(stage.storage, repository, new Set())).to.deep.equal({ refs: [], commits: [] })
    expect(stage.get(manifest(three))).not.to.equal(undefined)
  })

  it('spares a commit that a run has changed since it was read, and fails where the storage does', async () => {
    for (const failure of ['changed', 'refused'] as const) {
      const stage = setUp()
      const changed = manifestOf(three, { birth: 'now' })
      stage.before = (operation, key) => {
        if (operation !== 'delete' || key !== manifest(three)) return
        if (failure === 'refused') throw refused()
        stage.put(key, changed)
      }
      const pruned = pruneRepository(stage.storage, repository, new Set())
      if (failure === 'refused') expect(await rejection(pruned)).to.have.property('code', 'StorageUnavailable')
      else {
        expect(await pruned).to.deep.equal({ refs: [], commits: [] })
        expect(stage.get(manifest(three))).to.deep.equal(changed)
      }
    }
  })

  it('leaves what is damaged to verify, and passes over what is none of its own or gone', async () => {
    const stage = setUp()
    stage.put(manifest(three), '{"cut')
    stage.put('repositories/models--org--model/commits/README', 'x')
    stage.put(ref('gone'), refOf(two))
    stage.put(manifest('6'.repeat(40)), manifestOf('6'.repeat(40)))
    stage.before = (operation, key) => {
      if (operation === 'load' && (key === ref('gone') || key === manifest('6'.repeat(40))))
        stage.bucket.objects.delete(key)
    }
    expect(await pruneRepository(stage.storage, repository, new Set())).to.deep.equal({ refs: [], commits: [] })
    expect(String(stage.bucket.objects.get(manifest(three))?.bytes)).to.equal('{"cut')
    stage.put(ref('main'), '{"cut')
    expect(await rejection(pruneRepository(stage.storage, repository, new Set()))).to.have.property(
      'code',
      'MalformedObject',
    )
  })

  it('hands its signal to every request of its own', async () => {
    const stage = setUp()
    stage.put(ref('main'), refOf(one, { claims: claimOf('gone', two) }))
    stage.put(manifest(three), manifestOf(three, { claims: { r: { lease: 'lost', kind: 'mirror', blobs: [] } } }))
    const { signal } = new AbortController()
    const without: string[] = []
    const storage = withSignals(stage.storage, (call, given) => given === signal || without.push(call))
    await pruneRepository(storage, repository, new Set(), { signal })
    expect(without.filter((call) => !call.includes(' leases/'))).to.deep.equal([])
    expect(stage.calls).to.include(`load ${leaseKey('gone')}`)
  })
})

describe('compacting a journal', () => {
  const files = ['p', 'q', 'r', 's', 't', 'u'].map((path) => fileOf(path, null))
  const base = manifestOf(one, { birth: 'mine', files })
  const compact = async (stage: Stage, above = 0, extra: { signal?: AbortSignal } = {}) => {
    const log = new DeletionLog(stage.storage)
    await log.read()
    await using lease = await leaseOf(stage)
    return await compactJournal(repository, one, { storage: stage.storage, lease, log, above, ...extra })
  }
  const stored = (stage: Stage) => {
    const found = stage.get(manifest(one))
    return Object(found).files?.flatMap(({ path, blob: name }: ManifestFile) => (name === null ? [] : [path]))
  }

  it('moves what was pulled into the manifest, and then removes the entries', async () => {
    const stage = setStage()
    stage.put(manifest(one), base)
    for (const path of ['p', 'q']) stage.put(entry(one, path), entryOf(path))
    expect(await compact(stage)).to.equal(2)
    expect(stored(stage)).to.deep.equal(['p', 'q'])
    expect(stage.get(manifest(one))).to.deep.include({ birth: 'mine' })
    expect(stage.get(manifest(one))).not.to.have.any.keys('claims', 'pending')
    expect(stage.bucket.keys('repositories')).to.deep.equal([manifest(one)])
    const changes = stage.calls.filter((call) => /^(?:put|delete) repositories/.test(call))
    expect(changes.slice(0, 2)).to.deep.equal([`put ${manifest(one)}`, `put ${manifest(one)}`])
  })

  it('claims the names first, so that a sweep sees them', async () => {
    const stage = setStage()
    stage.put(manifest(one), base)
    stage.put(entry(one, 'p'), entryOf('p', { files: [fileOf('p', blob('b'), { copy: 2 })] }))
    const seen: unknown[] = []
    stage.before = (operation, key) => {
      if (operation === 'list' && key.startsWith('deletions'))
        seen.push(Object.values(Object(stage.get(manifest(one))).claims ?? {}))
    }
    await compact(stage)
    expect(seen.at(-1))
      .to.have.nested.property('[0].blobs')
      .that.deep.equals([`${blob('b')}.2`])
    expect(seen.at(-1)).to.have.nested.property('[0].kind', 'compact')
  })

  it('leaves a journal of no more entries than it is told to', async () => {
    const stage = setStage()
    stage.put(manifest(one), base)
    for (const path of ['p', 'q']) stage.put(entry(one, path), entryOf(path))
    expect(await compact(stage, 2)).to.equal(0)
    expect(stage.bucket.keys('repositories')).to.have.length(3)
    expect(await compact(stage, 1)).to.equal(2)
  })

  it('leaves entries that are claimed, only claimed, of another birth, damaged, or gone', async () => {
    const stage = setStage()
    stage.put(manifest(one), base)
    stage.put(entry(one, 'p'), entryOf('p'))
    stage.put(entry(one, 'q'), entryOf('q', { claims: { r: { lease: 'l', kind: 'pull', blobs: [] } } }))
    stage.put(entry(one, 'r'), entryOf('r', { pending: true }))
    stage.put(entry(one, 's'), entryOf('s', { of: 'other' }))
    stage.put(entry(one, 't'), '{"cut')
    stage.put(entry(one, 'u'), entryOf('u'))
    stage.before = (operation, key) => {
      if (operation === 'load' && key === entry(one, 'u')) stage.bucket.objects.delete(key)
    }
    expect(await compact(stage)).to.equal(1)
    expect(stored(stage)).to.deep.equal(['p'])
    for (const path of ['q', 'r', 's', 't']) expect(stage.bucket.objects.has(entry(one, path)), path).to.equal(true)
  })

  it('leaves everything where there is no manifest of a birth that readers see', async () => {
    for (const found of [undefined, { ...base, birth: undefined }, { ...base, pending: true }]) {
      const stage = setStage()
      if (found !== undefined) stage.put(manifest(one), found)
      stage.put(entry(one, 'p'), entryOf('p'))
      expect(await compact(stage)).to.equal(0)
      expect(stage.get(entry(one, 'p'))).not.to.equal(undefined)
      if (found !== undefined) expect(stage.get(manifest(one))).to.deep.equal(JSON.parse(JSON.stringify(found)))
    }
  })

  it('removes entries that the manifest makes superfluous, and does not write it for that', async () => {
    const stage = setStage()
    stage.put(manifest(one), { ...base, files: [fileOf('p', blob('c')), ...files.slice(1)] })
    stage.put(entry(one, 'p'), entryOf('p'))
    stage.put(entry(one, 'x'), entryOf('x')) // a file that the manifest does not have
    expect(await compact(stage)).to.equal(1)
    expect(stage.calls).not.to.include(`put ${manifest(one)}`)
    expect(stage.get(entry(one, 'x'))).not.to.equal(undefined)
    expect(Object(stage.get(manifest(one))).files[0].blob).to.equal(blob('c'))
  })

  it('does not adopt a name that is condemned, and keeps its entry', async () => {
    const stage = setStage()
    stage.put(manifest(one), base)
    stage.put(entry(one, 'p'), entryOf('p'))
    stage.put(entry(one, 'q'), entryOf('q', { files: [fileOf('q', blob('b'))] }))
    stage.put(deletionKey(1), {
      ...{ layout: 3, rev: 'r', writer: 'w', number: 1, phase: 'final', by: 'x', why: 'sweep' },
      ...{ candidates: [], vetoes: [], blobs: [blob('a')] },
    })
    expect(await compact(stage)).to.equal(1)
    expect(stored(stage)).to.deep.equal(['q'])
    expect(stage.get(entry(one, 'p'))).not.to.equal(undefined)
  })

  it('leaves an entry that has changed since it was read, and fails where one cannot be removed', async () => {
    for (const failure of ['changed', 'refused'] as const) {
      const stage = setStage()
      stage.put(manifest(one), base)
      for (const path of ['p', 'q']) stage.put(entry(one, path), entryOf(path))
      stage.before = (operation, key) => {
        if (operation !== 'delete' || key !== entry(one, 'p')) return
        if (failure === 'refused') throw refused()
        stage.put(key, entryOf('p', { rev: 'new' }))
      }
      const compacted = compact(stage)
      if (failure === 'refused') expect(await rejection(compacted)).to.have.property('code', 'StorageUnavailable')
      else expect(await compacted).to.equal(1)
      expect(stored(stage)).to.deep.equal(['p', 'q'])
      expect(stage.get(entry(one, 'p'))).not.to.equal(undefined)
    }
  })

  it('is given up without a word where the revision was removed meanwhile, and leaves no claim where it fails', async () => {
    for (const failure of ['removed', 'refused'] as const) {
      const stage = setStage()
      stage.put(manifest(one), base)
      stage.put(entry(one, 'p'), entryOf('p'))
      let puts = 0
      stage.before = (operation, key) => {
        if (operation !== 'put' || key !== manifest(one) || ++puts !== 2) return
        if (failure === 'refused') throw refused()
        stage.bucket.objects.delete(key)
      }
      const compacted = compact(stage)
      if (failure === 'removed') expect(await compacted).to.equal(0)
      else {
        const error = await rejection(compacted)
        expect(error).to.have.property('code', 'StorageUnavailable')
        expect(error).not.to.be.instanceOf(ClaimLost)
        expect(stage.get(manifest(one))).not.to.have.property('claims')
      }
      expect(stage.get(entry(one, 'p'))).not.to.equal(undefined)
    }
  })

  it('hands its signal to every request', async () => {
    const stage = setStage()
    stage.put(manifest(one), base)
    for (const path of ['p', 'q']) stage.put(entry(one, path), entryOf(path))
    const { signal } = new AbortController()
    const without: string[] = []
    const storage = withSignals(stage.storage, (call, given) => given === signal || without.push(call))
    const log = new DeletionLog(stage.storage)
    await using lease = await leaseOf(stage)
    const told = new DeletionLog(storage)
    await log.read()
    await compactJournal(repository, one, { storage, lease, log: told, above: 0, signal })
    expect(without).to.deep.equal([])
  })
})
