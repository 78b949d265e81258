import { mock } from 'node:test'
import { expect } from 'chai'
import { type DeletionEntry, parseDeletionEntry } from '../../../src/mirror/deletion-log.ts'
import {
  blobKey,
  deletionKey,
  journalKey,
  leaseKey,
  manifestKey,
  refKey,
  sweepStorage,
} from '../../../src/mirror/index.ts'
import type { Manifest, ManifestFile } from '../../../src/mirror/manifest.ts'
import { refused, rejection, type Stage, setStage, withSignals } from './stage.ts'

const hour = 3_600_000
const day = 24 * hour
const repository = { type: 'model' as const, id: 'org/model' }
const commit = '1'.repeat(40)
const key = manifestKey(repository, commit)
const nameOf = (digit: string) => digit.repeat(64)
const ago = (milliseconds: number) => new Date(Date.now() - milliseconds)

function fileOf(path: string, blob: string | null, extra: Partial<ManifestFile> = {}): ManifestFile {
  return { path, size: 1, oid: 'e'.repeat(40), blob, ...extra }
}

function manifestOf(files: readonly ManifestFile[], extra: Partial<Manifest> = {}): Manifest {
  return {
    layout: 3,
    repository: { ...repository },
    commit,
    mirroredAt: new Date(0).toISOString(),
    mirroredFrom: 'http://hub',
    info: {},
    commits: [],
    files: [...files],
    directories: [],
    ...extra,
  }
}

const lease = (extra: object = {}) => ({
  rev: 'r',
  kind: 'mirror',
  host: 'h',
  startedAt: new Date(0).toISOString(),
  every: 300,
  doing: 'x',
  ...extra,
})

const entryOf = (number: number, extra: Partial<DeletionEntry>): DeletionEntry => ({
  layout: 3,
  rev: 'r',
  writer: 'w',
  number,
  phase: 'candidates',
  by: 'dead',
  why: 'sweep',
  candidates: [],
  vetoes: [],
  blobs: [],
  ...extra,
})

const putBlob = (stage: Stage, name: string, age: number, bytes = 'x') =>
  void stage.bucket.put(blobKey(name), Buffer.from(bytes), ago(age))
const blobsOf = ({ bucket }: Stage) => bucket.keys('blobs').map((one) => one.split('/').at(-1) ?? '')
const sweep = (stage: Stage, extra: Partial<Parameters<typeof sweepStorage>[1]> = {}) =>
  sweepStorage(stage.storage, { dryRun: false, grace: day, ...extra })
const log = ({ bucket }: Stage) =>
  bucket.keys('deletions').map((one) => parseDeletionEntry(one, String(bucket.objects.get(one)?.bytes)))

describe('a sweep', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date', 'setInterval'], now: Date.UTC(2026, 5, 1) }))
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  it('takes what nothing names and is older than the grace period, and says how much', async () => {
    const stage = setStage()
    stage.put(key, manifestOf([fileOf('a', nameOf('a')), fileOf('b', null), fileOf('c', nameOf('c'), { copy: 7 })]))
    putBlob(stage, nameOf('a'), 9 * day)
    putBlob(stage, `${nameOf('c')}.7`, 9 * day)
    putBlob(stage, nameOf('c'), 9 * day, 'xxx') // the copy is named, the condemned name is not
    putBlob(stage, nameOf('d'), day + 1, 'xxxx')
    putBlob(stage, nameOf('e'), day, 'young')
    putBlob(stage, nameOf('f'), 0)
    stage.put('blobs/sha256/README', 'not ours', ago(9 * day))
    const discard = mock.method(stage.storage.writer, 'discardUnfinished', async () => 1000)
    expect(await sweep(stage)).to.deep.equal({ blobs: 2, bytes: 1007, spared: 2 })
    expect(discard.mock.calls[0]?.arguments[0]).to.deep.equal(ago(day))
    expect(blobsOf(stage)).to.deep.equal(['README', nameOf('a'), `${nameOf('c')}.7`, nameOf('e'), nameOf('f')].sort())
    expect(
      log(stage).map(({ number, phase, candidates, vetoes, blobs, why }) => ({
        number,
        phase,
        candidates,
        vetoes,
        blobs,
        why,
      })),
    ).to.deep.equal([
      { number: 1, phase: 'done', candidates: [], vetoes: [], blobs: [nameOf('c'), nameOf('d')], why: 'sweep' },
    ])
    expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3 })
    expect(stage.bucket.keys('leases')).to.deep.equal([])
  })

  it('that is asked what it would do does nothing', async () => {
    const stage = setStage()
    putBlob(stage, nameOf('d'), 2 * day, 'xxxx')
    putBlob(stage, nameOf('e'), 0)
    stage.put(deletionKey(1), entryOf(1, { phase: 'final', blobs: [nameOf('d')] }), ago(90 * day))
    stage.put(deletionKey(2), entryOf(2, {}), ago(90 * day))
    const before = new Map(stage.bucket.objects)
    const discard = mock.method(stage.storage.writer, 'discardUnfinished')
    expect(await sweep(stage, { dryRun: true })).to.deep.equal({ blobs: 1, bytes: 4, spared: 1 })
    expect(stage.bucket.objects).to.deep.equal(before)
    expect(discard.mock.calls[0]?.arguments[1]).to.include({ dryRun: true })
  })

  it('writes no entry where there is nothing to take', async () => {
    const stage = setStage()
    putBlob(stage, nameOf('e'), 0)
    expect(await sweep(stage)).to.deep.equal({ blobs: 0, bytes: 0, spared: 1 })
    expect(log(stage)).to.deep.equal([])
  })

  it('spares what is younger than the oldest run under way', async () => {
    const stage = setStage()
    putBlob(stage, nameOf('a'), 3 * day)
    putBlob(stage, nameOf('b'), 5 * day)
    stage.put(leaseKey('ab'), lease({ began: ago(4 * day).toISOString() }), ago(60_000))
    expect(await sweep(stage)).to.include({ blobs: 1, spared: 1 })
    expect(blobsOf(stage)).to.deep.equal([nameOf('a')])
    // A run that began within the grace period holds up nothing.
    stage.put(leaseKey('ab'), lease({ began: ago(1000).toISOString() }), ago(1000))
    expect(await sweep(stage)).to.include({ blobs: 1, spared: 0 })
  })

  it('spares what living runs have claimed, in manifests and journals, also on what readers do not see', async () => {
    const stage = setStage()
    stage.put(leaseKey('ab'), lease(), ago(1000))
    const claims = (blob: string) => ({ run: { lease: 'ab', kind: 'mirror', blobs: [nameOf(blob)] } })
    stage.put(key, manifestOf([fileOf('x', nameOf('d'))], { pending: true, birth: 'mine', claims: claims('a') }))
    stage.put(journalKey(repository, commit, 'p'), {
      layout: 3,
      of: 'mine',
      files: [fileOf('p', nameOf('e'))],
      pending: true,
      claims: claims('b'),
    })
    stage.put(journalKey(repository, commit, 'q'), { layout: 3, of: 'mine', files: [fileOf('q', nameOf('c'))] })
    for (const digit of ['a', 'b', 'c', 'd', 'e']) putBlob(stage, nameOf(digit), 9 * day)
    await sweep(stage)
    // What a pending object would name is claimed where it is needed.
    expect(blobsOf(stage)).to.deep.equal([nameOf('a'), nameOf('b'), nameOf('c')])
  })

  it('takes out the claims of dead runs, and what consists of nothing else', async () => {
    const stage = setStage()
    stage.put(leaseKey('ab'), lease(), ago(1000))
    stage.put(leaseKey('cd'), lease(), ago(hour))
    const claimOf = (id: string, blob: string) => ({ lease: id, kind: 'mirror', blobs: [nameOf(blob)] })
    stage.put(
      key,
      manifestOf([fileOf('x', nameOf('a'))], { claims: { r1: claimOf('ab', 'b'), r2: claimOf('cd', 'c') } }),
    )
    const other = manifestKey(repository, '2'.repeat(40))
    stage.put(other, manifestOf([], { commit: '2'.repeat(40), pending: true, claims: { r3: claimOf('gone', 'd') } }))
    stage.put(refKey(repository, 'dead'), { commit: null, kind: 'branch', claims: { r: { lease: 'cd', commit } } })
    stage.put(refKey(repository, 'alive'), { commit: null, kind: 'branch', claims: { r: { lease: 'ab', commit } } })
    stage.put(refKey(repository, 'both'), {
      commit,
      kind: 'branch',
      claims: { r: { lease: 'ab', commit }, s: { lease: 'cd', commit } },
    })
    for (const digit of ['a', 'b', 'c', 'd']) putBlob(stage, nameOf(digit), 9 * day)
    await sweep(stage)
    expect(blobsOf(stage)).to.deep.equal([nameOf('a'), nameOf('b')])
    expect(stage.get(key)).to.have.property('claims').that.has.all.keys('r1')
    expect(stage.get(other)).to.equal(undefined)
    expect(stage.get(leaseKey('cd'))).to.equal(undefined)
    expect(stage.get(refKey(repository, 'dead'))).to.equal(undefined)
    expect(stage.get(refKey(repository, 'alive'))).to.have.property('claims')
    expect(stage.get(refKey(repository, 'both')))
      .to.have.property('claims')
      .that.has.all.keys('r')
  })

  it('sees what a run has committed between the reading of its claim and its end', async () => {
    const stage = setStage()
    const claims = { run: { lease: 'gone', kind: 'mirror', blobs: [nameOf('b')] } }
    stage.put(key, manifestOf([fileOf('x', null)], { claims }))
    putBlob(stage, nameOf('b'), 9 * day)
    stage.before = (operation, name) => {
      if (operation === 'load' && name === leaseKey('gone')) stage.put(key, manifestOf([fileOf('x', nameOf('b'))]))
    }
    await sweep(stage)
    expect(blobsOf(stage)).to.deep.equal([nameOf('b')])
  })

  it('removes a ref whose manifest is gone, unless it is about to get one, or has moved on', async () => {
    for (const change of [undefined, 'claimed', 'moved', 'refused'] as const) {
      const stage = setStage()
      const ref = refKey(repository, 'main')
      const dangling = { commit, kind: 'branch' }
      stage.put(leaseKey('ab'), lease(), ago(1000))
      stage.put(ref, change === 'claimed' ? { ...dangling, claims: { r: { lease: 'ab', commit } } } : dangling)
      const moved = { commit: '2'.repeat(40), kind: 'branch' }
      stage.before = (operation, name) => {
        if (operation !== 'delete' || name !== ref) return
        if (change === 'moved') stage.put(ref, moved)
        if (change === 'refused') throw refused()
      }
      const swept = sweep(stage)
      if (change === 'refused') expect(await rejection(swept)).to.have.property('code', 'StorageUnavailable')
      else await swept
      if (change === undefined) expect(stage.get(ref)).to.equal(undefined)
      else if (change === 'moved') expect(stage.get(ref)).to.deep.equal(moved)
      else expect(stage.get(ref)).to.include(dangling)
    }
    const stage = setStage()
    stage.put(key, manifestOf([]))
    stage.put(refKey(repository, 'main'), { commit, kind: 'branch' })
    stage.put('repositories/models--org--model/odd', 'not ours')
    await sweep(stage)
    expect(stage.get(refKey(repository, 'main'))).to.include({ commit })
  })

  it('removes journal entries of manifests that are gone or of another birth, unless a pull has begun them anew', async () => {
    const entry = journalKey(repository, commit, 'p')
    for (const [birth, change, isLeft] of [
      ['mine', undefined, true],
      ['other', undefined, false],
      [undefined, undefined, false],
      ['none', undefined, false],
      ['other', 'anew', true],
      ['other', 'refused', true],
    ] as const) {
      const stage = setStage()
      const files = [fileOf('p', nameOf('a'))]
      if (birth !== 'none') stage.put(key, manifestOf([fileOf('p', null)], birth === undefined ? {} : { birth }))
      stage.put(entry, { layout: 3, of: 'mine', files })
      putBlob(stage, nameOf('a'), 9 * day)
      stage.before = (operation, name) => {
        if (operation !== 'delete' || name !== entry) return
        stage.before = () => undefined
        if (change === 'anew') stage.put(entry, { layout: 3, of: 'other', files })
        if (change === 'refused') throw refused()
      }
      const swept = sweep(stage)
      if (change === 'refused') expect(await rejection(swept)).to.have.property('code', 'StorageUnavailable')
      else await swept
      expect(stage.get(entry) !== undefined, `${birth} ${change}`).to.equal(isLeft)
      expect(blobsOf(stage)).to.deep.equal(isLeft ? [nameOf('a')] : [])
    }
  })

  it('sweeps nothing where one object cannot be read: its blobs would look like orphans', async () => {
    for (const [damaged, text] of [
      [key, '{"cut'],
      [journalKey(repository, commit, 'p'), '{"cut'],
      [refKey(repository, 'main'), '{"cut'],
      [key, JSON.stringify({ layout: 9 })],
    ] as const) {
      const stage = setStage()
      stage.put(damaged, text)
      putBlob(stage, nameOf('a'), 9 * day)
      const error = await rejection(sweep(stage))
      expect(error).to.include({ code: 'DamagedStorage', status: 500 })
      expect(error.message).to.contain(damaged).and.to.contain('verify --repair')
      expect(error.cause).to.be.instanceOf(Error)
      expect(blobsOf(stage)).to.deep.equal([nameOf('a')])
      expect(stage.bucket.keys('leases')).to.deep.equal([])
    }
  })

  it('fails where a manifest or a ref cannot be fetched, and takes nothing', async () => {
    for (const failing of [key, refKey(repository, 'main'), journalKey(repository, commit, 'p')]) {
      const stage = setStage()
      stage.put(key, manifestOf([], { birth: 'mine' }))
      stage.put(journalKey(repository, commit, 'p'), { layout: 3, of: 'mine', files: [fileOf('p', nameOf('b'))] })
      stage.put(refKey(repository, 'main'), { commit, kind: 'branch' })
      putBlob(stage, nameOf('a'), 9 * day)
      stage.before = (operation, name) => {
        if (operation === 'load' && name === failing) throw refused()
      }
      expect(await rejection(sweep(stage))).to.have.property('code', 'StorageUnavailable')
      expect(blobsOf(stage)).to.deep.equal([nameOf('a')])
    }
  })

  it('is not put off by objects that go while it reads', async () => {
    const stage = setStage()
    const entry = journalKey(repository, commit, 'p')
    const ref = refKey(repository, 'main')
    for (const name of [key, entry, ref]) {
      stage.put(key, manifestOf([], { birth: 'mine' }))
      stage.put(entry, { layout: 3, of: 'mine', files: [fileOf('p', nameOf('b'))] })
      stage.put(ref, { commit, kind: 'branch' })
      stage.before = (operation, at) => {
        if (operation === 'load' && at === name) stage.bucket.objects.delete(name)
      }
      await sweep(stage)
    }
  })

  it('reads a manifest again after it has published only where it has changed', async () => {
    const stage = setStage()
    const other = manifestKey(repository, '2'.repeat(40))
    stage.put(key, manifestOf([]))
    stage.put(other, manifestOf([], { commit: '2'.repeat(40) }))
    for (const digit of ['a', 'b']) putBlob(stage, nameOf(digit), 9 * day)
    stage.before = (operation, name) => {
      // Committed without a claim that was seen: named when the manifests are read again.
      if (operation === 'put' && name === deletionKey(1)) {
        stage.before = () => undefined
        stage.put(key, manifestOf([fileOf('x', nameOf('a'))]))
      }
    }
    expect(await sweep(stage)).to.include({ blobs: 1, spared: 1 })
    expect(blobsOf(stage)).to.deep.equal([nameOf('a')])
    const loads = (name: string) => stage.calls.filter((call) => call === `load ${name}`).length
    expect([loads(key), loads(other)]).to.deep.equal([2, 1])
  })

  it('deletes nothing that was vetoed, and nothing by an entry that was abandoned meanwhile', async () => {
    for (const change of [{ vetoes: [nameOf('a')] }, { phase: 'abandoned' as const }, 'gone'] as const) {
      const stage = setStage()
      for (const digit of ['a', 'b']) putBlob(stage, nameOf(digit), 9 * day)
      stage.before = (operation, name) => {
        if (operation !== 'load' || name !== deletionKey(1)) return
        stage.before = () => undefined
        const [entry] = log(stage)
        if (change === 'gone') stage.bucket.objects.delete(name)
        else stage.put(name, { ...entry, ...change })
      }
      const { blobs, spared } = await sweep(stage)
      const isVetoed = Object(change).vetoes !== undefined
      expect({ blobs, spared }).to.deep.equal(isVetoed ? { blobs: 1, spared: 1 } : { blobs: 0, spared: 2 })
      expect(blobsOf(stage)).to.deep.equal(isVetoed ? [nameOf('a')] : [nameOf('a'), nameOf('b')])
    }
  })

  it('publishes ten thousand names an entry, each by a number of its own', async () => {
    const stage = setStage()
    const names = Array.from({ length: 20_001 }, (_, index) => index.toString(16).padStart(64, '0'))
    for (const name of names) putBlob(stage, name, 9 * day)
    // Listing them one by one would take longer than the test.
    mock.method(stage.storage, 'list', async function* (prefix: string) {
      for (const one of stage.bucket.keys(prefix)) {
        const found = stage.bucket.objects.get(one)
        if (found !== undefined) yield { key: one, size: 1, updatedAt: found.updatedAt, generation: found.generation }
      }
    })
    expect(await sweep(stage)).to.include({ blobs: 20_001, spared: 0 })
    expect(log(stage).map(({ number, blobs }) => [number, blobs.length])).to.deep.equal([
      [1, 10_000],
      [2, 10_000],
      [3, 1],
    ])
    expect(blobsOf(stage)).to.deep.equal([])
  })

  it('takes the next number where another sweep was faster, and writes over none', async () => {
    const stage = setStage()
    putBlob(stage, nameOf('a'), 9 * day)
    stage.put(deletionKey(4), entryOf(4, { phase: 'done', by: 'other' }), ago(1000))
    const others = entryOf(5, { by: 'ab', candidates: [nameOf('a')] })
    stage.put(leaseKey('ab'), lease(), ago(1000))
    stage.before = (operation, name) => {
      if (operation === 'put' && name === deletionKey(5)) stage.put(name, others)
    }
    await sweep(stage)
    expect(stage.get(deletionKey(5))).to.deep.equal(others)
    expect(stage.get(deletionKey(6))).to.deep.include({ phase: 'done', blobs: [nameOf('a')] })
  })

  it('fails where its entry cannot be published, and deletes nothing', async () => {
    const stage = setStage()
    putBlob(stage, nameOf('a'), 9 * day)
    stage.before = (operation, name) => {
      if (operation === 'put' && name === deletionKey(1)) throw refused()
    }
    expect(await rejection(sweep(stage))).to.have.property('code', 'StorageUnavailable')
    expect(blobsOf(stage)).to.deep.equal([nameOf('a')])
  })

  it('ends what other sweeps have begun: abandons what dead ones only published, deletes what is final', async () => {
    const stage = setStage()
    stage.put(leaseKey('ab'), lease(), ago(1000))
    const dead = { candidates: [nameOf('a')], vetoes: [nameOf('a')] }
    stage.put(deletionKey(1), entryOf(1, dead), ago(hour))
    stage.put(deletionKey(2), entryOf(2, { ...dead, by: 'ab' }), ago(1000))
    stage.put(deletionKey(3), entryOf(3, { phase: 'final', by: 'ab', blobs: [nameOf('b'), nameOf('c')] }), ago(1000))
    stage.put(deletionKey(4), entryOf(4, { phase: 'done', blobs: [nameOf('d')] }), ago(1000))
    stage.put(deletionKey(5), entryOf(5, { phase: 'abandoned', candidates: [nameOf('d')] }), ago(1000))
    for (const digit of ['a', 'b', 'd']) putBlob(stage, nameOf(digit), 0)
    await sweep(stage)
    expect(blobsOf(stage)).to.deep.equal([nameOf('a'), nameOf('d')])
    expect(log(stage).map(({ phase }) => phase)).to.deep.equal(['abandoned', 'candidates', 'done', 'done', 'abandoned'])
    const [first, second] = log(stage)
    expect(first).to.deep.include({ candidates: [], vetoes: [] })
    expect(second).to.deep.include(dead)
    const writes = stage.calls.filter((call) => call.startsWith('put deletions')).length
    expect(writes).to.equal(2)
  })

  it('leaves an entry that another has brought further meanwhile', async () => {
    for (const [before, meanwhile] of [
      [entryOf(1, { candidates: [nameOf('a')] }), entryOf(1, { phase: 'final', blobs: [nameOf('a')] })],
      [
        entryOf(1, { phase: 'final', blobs: [nameOf('a')] }),
        entryOf(1, { phase: 'done', blobs: [nameOf('a')], rev: 'q' }),
      ],
    ] as const) {
      const stage = setStage()
      stage.put(deletionKey(1), before, ago(hour))
      stage.before = (operation, name) => {
        if (operation === 'load' && name === deletionKey(1)) {
          stage.before = () => undefined
          stage.put(name, meanwhile)
        }
      }
      await sweep(stage)
      expect(stage.get(deletionKey(1))).to.deep.equal(meanwhile)
    }
  })

  it('drops entries that were through thirty days ago, oldest first, and never the newest', async () => {
    const old = ago(30 * day + 1)
    const cases: [string, readonly (readonly [DeletionEntry['phase'], Date])[], readonly number[]][] = [
      [
        'both ways of being through',
        [
          ['done', old],
          ['abandoned', old],
          ['done', old],
        ],
        [3],
      ],
      ['not the newest', [['done', old]], [1]],
      [
        'not a day too early',
        [
          ['done', ago(30 * day)],
          ['done', old],
          ['done', old],
        ],
        [1, 2, 3],
      ],
      [
        'none after one that is young',
        [
          ['done', old],
          ['done', ago(day)],
          ['done', old],
          ['done', old],
        ],
        [2, 3, 4],
      ],
    ]
    for (const [title, entries, left] of cases) {
      const stage = setStage()
      for (const [index, [phase, at]] of entries.entries())
        stage.put(deletionKey(index + 1), entryOf(index + 1, { phase }), at)
      await sweep(stage)
      expect(
        log(stage).map(({ number }) => number),
        title,
      ).to.deep.equal(left)
    }
    const stage = setStage()
    stage.put(leaseKey('ab'), lease(), ago(1000))
    stage.put(deletionKey(1), entryOf(1, { by: 'ab' }), old) // a sweep that lives, however old its entry is
    for (const number of [2, 3]) stage.put(deletionKey(number), entryOf(number, { phase: 'done' }), old)
    await sweep(stage)
    expect(log(stage).map(({ number }) => number)).to.deep.equal([1, 2, 3])
  })

  it('drops entries beside another sweep that does the same, and fails where it cannot', async () => {
    for (const change of ['gone', 'conflict', 'refused'] as const) {
      const stage = setStage()
      for (const number of [1, 2, 3]) stage.put(deletionKey(number), entryOf(number, { phase: 'done' }), ago(40 * day))
      stage.before = (operation, name) => {
        if (name !== deletionKey(1) || (operation !== 'delete' && operation !== 'load')) return
        if (operation === 'load' && change === 'gone') stage.bucket.objects.delete(name)
        if (operation === 'delete' && change === 'conflict') stage.bucket.objects.delete(name)
        if (operation === 'delete' && change === 'refused') throw refused()
      }
      const swept = sweep(stage)
      if (change === 'refused') expect(await rejection(swept)).to.have.property('code', 'StorageUnavailable')
      else await swept
      expect(log(stage).map(({ number }) => number)).to.deep.equal(change === 'refused' ? [1, 2, 3] : [3])
    }
  })

  it('that was stopped for an hour while it deleted reads its entry again before it goes on', async () => {
    for (const phase of ['final', 'done', 'gone'] as const) {
      const stage = setStage()
      const names = Array.from({ length: 40 }, (_, index) => index.toString(16).padStart(64, '0'))
      for (const name of names) putBlob(stage, name, 9 * day)
      let now = 0
      mock.method(performance, 'now', () => now)
      let removed = 0
      stage.before = (operation, name) => {
        if (operation !== 'delete' || !name.startsWith('blobs/') || ++removed !== 1) return
        now += hour
        const [entry] = log(stage)
        if (phase === 'gone') stage.bucket.objects.delete(deletionKey(1))
        else stage.put(deletionKey(1), { ...entry, phase })
      }
      await sweep(stage)
      if (phase === 'final') expect(blobsOf(stage)).to.deep.equal([])
      // Those under way when it was stopped are deleted: they stood in the entry.
      else expect(blobsOf(stage).length).to.be.within(40 - 17, 39)
      expect(log(stage).map((entry) => entry.phase)).to.deep.equal(phase === 'gone' ? [] : ['done'])
      mock.restoreAll()
    }
  })

  it('moves journals into their manifests that have more entries than they may, and only where it does something', async () => {
    const paths = ['p', 'q', 'r']
    for (const [options, isCompacted] of [
      [{ compactAbove: 2 }, true],
      [{ compactAbove: 3 }, false],
      [{}, false],
      [{ compactAbove: 2, dryRun: true }, false],
    ] as const) {
      const stage = setStage()
      stage.put(
        key,
        manifestOf(
          paths.map((path) => fileOf(path, null)),
          { birth: 'mine' },
        ),
      )
      for (const path of paths)
        stage.put(journalKey(repository, commit, path), { layout: 3, of: 'mine', files: [fileOf(path, nameOf('a'))] })
      putBlob(stage, nameOf('a'), 9 * day)
      putBlob(stage, nameOf('b'), 9 * day) // so that the manifests are read twice: what they have is counted once
      await sweep(stage, options)
      expect(stage.bucket.keys('repositories/models--org--model/pulled')).to.have.length(isCompacted ? 0 : 3)
      const files: readonly ManifestFile[] = Object(stage.get(key)).files
      expect(files.filter(({ blob }) => blob !== null)).to.have.length(isCompacted ? 3 : 0)
    }
  })

  it('hands its signal to every request of the sweep itself', async () => {
    const stage = setStage()
    stage.put(
      key,
      manifestOf([fileOf('p', null)], { birth: 'mine', claims: { r: { lease: 'gone', kind: 'x', blobs: [] } } }),
    )
    stage.put(journalKey(repository, commit, 'p'), { layout: 3, of: 'mine', files: [fileOf('p', nameOf('b'))] })
    stage.put(journalKey(repository, commit, 'q'), { layout: 3, of: 'other', files: [fileOf('q', nameOf('b'))] })
    stage.put(refKey(repository, 'main'), { commit, kind: 'branch', claims: { r: { lease: 'gone', commit } } })
    stage.put(refKey(repository, 'gone'), { commit: '2'.repeat(40), kind: 'branch' })
    stage.put(leaseKey('ab'), lease(), ago(1000))
    stage.put(deletionKey(1), entryOf(1, { candidates: [nameOf('c')] }), ago(hour))
    stage.put(deletionKey(2), entryOf(2, { phase: 'final', blobs: [nameOf('d')] }), ago(hour))
    stage.put(deletionKey(3), entryOf(3, { phase: 'done' }), ago(hour))
    putBlob(stage, nameOf('a'), 9 * day)
    const { signal } = new AbortController()
    const without: string[] = []
    const storage = withSignals(stage.storage, (call, given) => {
      if (given !== signal) without.push(call)
    })
    await sweepStorage(storage, { dryRun: false, grace: day, compactAbove: 0, signal })
    expect(stage.bucket.keys('repositories')).to.deep.equal([key, refKey(repository, 'main')])
    // The marker, and the lease, which is to go though the sweep was interrupted.
    const own = (call: string) => / mirrorface\.json$| leases\/[0-9a-f]{32}\.json$/.test(call)
    expect(without.filter((call) => !own(call))).to.deep.equal([])
  })
})
