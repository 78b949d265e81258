import { expect } from 'chai'
import { type AdoptedFile, adoptBlobs, nameOf } from '../../../src/mirror/adopt.ts'
import { type DeletionEntry, DeletionLog, parseDeletionEntry } from '../../../src/mirror/deletion-log.ts'
import { blobKey, deletionKey } from '../../../src/mirror/layout.ts'
import { assertWritable, writeMarker } from '../../../src/mirror/marker.ts'
import { storedBlob } from '../../../src/mirror/store-file.ts'
import { Conflict } from '../../../src/plugin/index.ts'
import { refused, rejection, type Stage, setStage, withSignals } from './stage.ts'

const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string]

function entryOf(number: number, extra: Partial<DeletionEntry>): DeletionEntry {
  return {
    layout: 3,
    rev: `rev ${number}`,
    writer: 'w',
    number,
    phase: 'candidates',
    by: 'sweep',
    why: 'sweep',
    candidates: [],
    vetoes: [],
    blobs: [],
    ...extra,
  }
}
const put = (stage: Stage, number: number, extra: Partial<DeletionEntry>) =>
  stage.put(deletionKey(number), entryOf(number, extra))
const readsOf = ({ calls }: Stage, number: number) =>
  calls.filter((call) => call === `get ${deletionKey(number)}`).length

describe('the deletion log', () => {
  it('names the entry that condemned a content last, for the name of its next copy', async () => {
    const stage = setStage()
    put(stage, 2, { phase: 'final', blobs: [a] })
    put(stage, 10, { phase: 'done', blobs: [`${a}.2`, b] })
    put(stage, 3, { phase: 'done', blobs: [c] })
    put(stage, 11, { phase: 'abandoned', blobs: [a] })
    put(stage, 12, { phase: 'candidates', candidates: [a], blobs: [a] })
    put(stage, 13, { phase: 'done', blobs: [] })
    const log = new DeletionLog(stage.storage)
    expect((await log.read()).map(({ number }) => number)).to.deep.equal([2, 3, 10, 11, 12, 13])
    expect(log.nameFor(a)).to.equal(`${a}.10`)
    expect(log.nameFor(b)).to.equal(`${b}.10`)
    expect(log.nameFor(c)).to.equal(`${c}.3`)
    expect(log.nameFor('d'.repeat(64))).to.equal('d'.repeat(64))
  })

  it('is in the order of its numbers, whichever way a folder is listed', async () => {
    const stage = setStage()
    for (const number of [1, 2, 3]) put(stage, number, { phase: 'done', blobs: [a] })
    const { storage } = stage
    const list = storage.list.bind(storage)
    storage.list = async function* (prefix: string) {
      yield* (await Array.fromAsync(list(prefix))).toReversed()
    }
    const log = new DeletionLog(storage)
    expect((await log.read()).map(({ number }) => number)).to.deep.equal([1, 2, 3])
    expect(log.nameFor(a)).to.equal(`${a}.3`)
  })

  it('is read again where it may have changed only', async () => {
    const stage = setStage()
    const phases = ['candidates', 'final', 'done', 'abandoned'] as const
    for (const [index, phase] of phases.entries()) put(stage, index + 1, { phase })
    const log = new DeletionLog(stage.storage)
    await log.read()
    await log.read()
    expect([1, 2, 3, 4].map((number) => readsOf(stage, number))).to.deep.equal([2, 1, 1, 1])
    put(stage, 1, { phase: 'final', blobs: [a] })
    put(stage, 5, { phase: 'final', blobs: [b] })
    await log.read()
    expect([log.nameFor(a), log.nameFor(b)]).to.deep.equal([`${a}.1`, `${b}.5`])
  })

  it('is read by one of those who ask at a time, after each of them has asked', async () => {
    const stage = setStage()
    const log = new DeletionLog(stage.storage)
    let finish = (): void => undefined
    const begun = new Promise<void>((begin) => {
      stage.before = async () => {
        begin()
        await new Promise<void>((resolve) => {
          finish = resolve
        })
      }
    })
    const first = log.read()
    await begun
    put(stage, 1, { phase: 'final', blobs: [a] })
    // The reading under way has listed already: what is asked for now begins after it.
    const later = [log.read(), log.read(), log.read()]
    stage.before = () => undefined
    finish()
    await first
    for (const entries of await Promise.all(later)) expect(entries).to.have.length(1)
    expect(
      stage.calls.filter((call) => call.startsWith('list deletions after ') && call.endsWith('after ')),
    ).to.have.length(2)
  })

  it('is read after a reading that has failed', async () => {
    const stage = setStage()
    const log = new DeletionLog(stage.storage)
    stage.before = () => {
      throw refused()
    }
    const [first, second] = [rejection(log.read()), rejection(log.read())]
    expect(await first).to.have.property('code', 'StorageUnavailable')
    expect(await second).to.have.property('code', 'StorageUnavailable')
    stage.before = () => undefined
    put(stage, 1, { phase: 'final', blobs: [a] })
    expect(await log.read()).to.have.length(1)
  })

  it('has no gap while what it has read first is there, and one after that', async () => {
    for (const isReadFirst of [false, true]) {
      const stage = setStage()
      for (const number of [3, 4, 5]) put(stage, number, { phase: 'done' })
      const log = new DeletionLog(stage.storage)
      if (isReadFirst) {
        await log.read()
        expect(log.hasGap).to.equal(false)
        stage.bucket.objects.delete(deletionKey(4)) // not the oldest
        await log.read()
        expect(log.hasGap).to.equal(false)
        stage.bucket.objects.delete(deletionKey(3))
        await log.read()
        expect(log.hasGap).to.equal(true)
        expect(log.entries.map(({ number }) => number)).to.deep.equal([5])
      } else {
        await log.read()
        expect(log.hasGap).to.equal(false)
      }
    }
    const empty = new DeletionLog(setStage().storage)
    expect(empty.hasGap).to.equal(false)
    await empty.read()
    expect(empty.hasGap).to.equal(false)
  })

  it('that was empty has a gap where its first entries were dropped unread', async () => {
    const stage = setStage()
    const log = new DeletionLog(stage.storage)
    await log.read()
    put(stage, 1, { phase: 'done' })
    await log.read()
    expect(log.hasGap).to.equal(false)
    stage.bucket.objects.clear()
    put(stage, 2, { phase: 'done' })
    await log.read()
    expect(log.hasGap).to.equal(true)
  })

  it('is listed again where an entry was dropped between its listing and its reading', async () => {
    const stage = setStage()
    put(stage, 1, { phase: 'done' })
    put(stage, 2, { phase: 'done' })
    stage.before = (operation, key) => {
      if (operation === 'get' && key === deletionKey(1)) {
        stage.bucket.objects.delete(key)
        put(stage, 3, { phase: 'final', blobs: [a] })
      }
    }
    const log = new DeletionLog(stage.storage)
    expect((await log.read()).map(({ number }) => number)).to.deep.equal([2, 3])
    expect(log.nameFor(a)).to.equal(`${a}.3`)
  })

  it('passes over what is no entry of it, and stops at one that is damaged', async () => {
    const stage = setStage()
    put(stage, 1, { phase: 'final', blobs: [a] })
    stage.put('deletions/README', 'x')
    expect(await new DeletionLog(stage.storage).read()).to.have.length(1)
    stage.put(deletionKey(2), '{"cut')
    expect(await rejection(new DeletionLog(stage.storage).read())).to.have.property('code', 'MalformedObject')
    for (const wrong of [{ why: 'x' }, { phase: 'x' }, { number: 0 }, { layout: 2 }])
      expect(
        () => parseDeletionEntry('key', JSON.stringify({ ...entryOf(1, {}), ...wrong })),
        JSON.stringify(wrong),
      ).to.throw('key')
    expect(parseDeletionEntry('key', JSON.stringify({ ...entryOf(1, {}), why: 'evict', new: 1 }))).to.include({
      new: 1,
    })
  })

  it('has candidates vetoed that a run has claimed, once each, and no others', async () => {
    const stage = setStage()
    put(stage, 1, { candidates: [a, b], vetoes: [b] })
    put(stage, 2, { candidates: [c] })
    put(stage, 3, { phase: 'abandoned', candidates: [a] })
    const log = new DeletionLog(stage.storage)
    expect(await log.check('run', new Set([a, b]))).to.deep.equal(new Set())
    expect(stage.get(deletionKey(1))).to.deep.include({ vetoes: [b, a], writer: 'run', phase: 'candidates' })
    expect(stage.calls.filter((call) => call.startsWith('put')).map((call) => call.slice(4))).to.deep.equal([
      deletionKey(1),
    ])
  })

  it('tells which claimed names are condemned, also by an entry that became final before its veto', async () => {
    const stage = setStage()
    put(stage, 1, { phase: 'final', blobs: [a, c] })
    put(stage, 2, { phase: 'done', blobs: [`${b}.1`] })
    put(stage, 3, { candidates: [b] })
    stage.before = (operation, key) => {
      if (operation === 'put' && key === deletionKey(3)) {
        stage.before = () => undefined
        put(stage, 3, { phase: 'final', blobs: [b] })
      }
    }
    const log = new DeletionLog(stage.storage)
    expect(await log.check('run', new Set([a, b, `${b}.1`]))).to.deep.equal(new Set([a, b, `${b}.1`]))
    expect(stage.get(deletionKey(3))).to.deep.include({ phase: 'final', vetoes: [] })
    expect(log.nameFor(b)).to.equal(`${b}.3`)
    expect(log.nameFor(c)).to.equal(`${c}.1`)
  })

  it('is no safe ground once an entry is gone or damaged that was to be vetoed', async () => {
    for (const left of ['', '{"cut']) {
      const stage = setStage()
      put(stage, 1, { candidates: [a] })
      stage.before = (operation, key) => {
        if (operation !== 'load' || key !== deletionKey(1)) return
        if (left === '') stage.bucket.objects.delete(key)
        else stage.put(key, left)
      }
      const error = await rejection(new DeletionLog(stage.storage).check('run', new Set([a])))
      expect(error).to.include({ code: 'DamagedStorage', status: 500 })
      expect(error.message).to.contain(deletionKey(1)).and.to.contain('missing or damaged')
    }
  })

  it('can be interrupted at every request', async () => {
    const stage = setStage()
    put(stage, 1, { candidates: [a] })
    const { signal } = new AbortController()
    const calls: [string, boolean][] = []
    const storage = withSignals(stage.storage, (call, given) => calls.push([call, given === signal]))
    await new DeletionLog(storage).check('run', new Set([a]), { signal })
    expect(calls.length).to.be.greaterThan(3)
    expect(calls.filter(([, isGiven]) => !isGiven)).to.deep.equal([])
  })
})

describe('adopting blobs', () => {
  const fileOf = (blob: string | undefined, isStored: boolean, size = 1): AdoptedFile => ({
    file: { type: 'file', path: `${blob}`, size, oid: 'e'.repeat(40) },
    blob: blob === undefined ? undefined : storedBlob(blob),
    isStored,
  })
  const setUp = async (files: readonly AdoptedFile[]) => {
    const stage = setStage()
    const log = new DeletionLog(stage.storage)
    await log.read()
    const claimed: string[][] = []
    const stored: string[][] = []
    const adoption = {
      storage: stage.storage,
      log,
      run: 'run',
      files,
      claim: {
        claim: async (names: ReadonlySet<string>): Promise<'claimed' | 'superfluous'> => {
          claimed.push([...names])
          return 'claimed'
        },
      },
      store: async (missing: readonly AdoptedFile[]) => {
        stored.push(missing.map(({ blob }) => (blob === undefined ? '' : nameOf(blob))))
        for (const file of missing) {
          file.blob ??= storedBlob(c)
          file.isStored = true
        }
      },
    }
    return { stage, adoption, claimed, stored }
  }

  it('claims every name, and stores what is missing', async () => {
    const { adoption, claimed, stored } = await setUp([fileOf(a, true), fileOf(b, false)])
    expect(await adoptBlobs(adoption)).to.equal('claimed')
    expect({ claimed, stored }).to.deep.equal({ claimed: [[a, b]], stored: [[b]] })
  })

  it('claims a name in another round that shows only when its content is there', async () => {
    const { adoption, claimed, stored } = await setUp([fileOf(a, true), fileOf(undefined, false)])
    expect(await adoptBlobs(adoption)).to.equal('claimed')
    expect({ claimed, stored }).to.deep.equal({ claimed: [[a], [a, c]], stored: [[''], []] })
  })

  it('stores nothing where another run has put there what it would', async () => {
    const { adoption, stored, stage } = await setUp([fileOf(a, false)])
    const calls = stage.calls.length
    const claim = { claim: async () => 'superfluous' as const }
    expect(await adoptBlobs({ ...adoption, claim })).to.equal('superfluous')
    expect(stored).to.deep.equal([])
    expect(stage.calls).to.have.length(calls)
  })

  it('gives up names that are condemned, and no others, and claims new ones before it stores them', async () => {
    const { stage, adoption, claimed, stored } = await setUp([
      fileOf(a, true),
      fileOf(b, true),
      fileOf(undefined, false),
    ])
    put(stage, 1, { phase: 'final', blobs: [a] })
    expect(await adoptBlobs(adoption)).to.equal('claimed')
    expect(claimed).to.deep.equal([
      [a, b],
      [`${a}.1`, b],
      [`${a}.1`, b, c],
    ])
    expect(stored).to.deep.equal([[`${a}.1`, ''], []])
  })

  it('looks at every blob again where entries were dropped unread, and stores what they took', async () => {
    const files = [fileOf(a, true), fileOf(b, true), fileOf(c, false), fileOf('d'.repeat(64), true, 3)]
    const { stage, adoption, stored } = await setUp(files)
    stage.bucket.put(blobKey(a), Buffer.from('x'), new Date())
    stage.bucket.put(blobKey('d'.repeat(64)), Buffer.from('cut'.slice(1)), new Date())
    put(stage, 5, { phase: 'done' })
    await adoptBlobs(adoption)
    expect(stored).to.deep.equal([[b, c, 'd'.repeat(64)]])
    expect(stage.calls.filter((call) => call.startsWith('stat'))).to.have.length(3)
  })

  it('does not look again where nothing was dropped', async () => {
    const { stage, adoption } = await setUp([fileOf(a, true)])
    put(stage, 1, { phase: 'done' })
    await adoptBlobs(adoption)
    expect(stage.calls.filter((call) => call.startsWith('stat'))).to.deep.equal([])
  })

  it('can be interrupted at every request', async () => {
    const { stage, adoption } = await setUp([fileOf(a, true)])
    put(stage, 7, { candidates: [a] })
    const { signal } = new AbortController()
    const calls: [string, boolean][] = []
    const storage = withSignals(stage.storage, (call, given) => calls.push([call, given === signal]))
    const log = new DeletionLog(storage)
    await adoptBlobs({ ...adoption, storage, log, signal })
    expect(calls.map(([call]) => call.replace(/ .*/, ''))).to.include.members(['list', 'read', 'load', 'write'])
    expect(calls.filter(([, isGiven]) => !isGiven)).to.deep.equal([])
  })
})

describe('the marker of a storage', () => {
  it('is written where there is none, raised where it is older, and left where it is', async () => {
    for (const [before, writes] of [
      [undefined, 1],
      [{ layout: 2 }, 1],
      [{ layout: 3 }, 0],
    ] as const) {
      const stage = setStage()
      if (before !== undefined) stage.put('mirrorface.json', before)
      await writeMarker(stage.storage)
      expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3 })
      expect(stage.calls.filter((call) => call.startsWith('put'))).to.have.length(writes)
    }
  })

  it('may be written by another at the same time, and is never written over', async () => {
    for (const before of [undefined, { layout: 2 }]) {
      const stage = setStage()
      if (before !== undefined) stage.put('mirrorface.json', before)
      stage.before = (operation) => {
        if (operation === 'put') stage.put('mirrorface.json', { layout: 3, by: 'another' })
      }
      await writeMarker(stage.storage)
      expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3, by: 'another' })
    }
  })

  it('keeps out a version that does not know the layout, before anything is written', async () => {
    const stage = setStage()
    await assertWritable(stage.storage)
    stage.put('mirrorface.json', { layout: 4 })
    expect(await rejection(assertWritable(stage.storage))).to.have.property('code', 'UnknownLayout')
    expect(await rejection(writeMarker(stage.storage))).to.have.property('code', 'UnknownLayout')
    expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 4 })
    stage.put('mirrorface.json', '{"cut')
    expect(await rejection(assertWritable(stage.storage))).to.have.property('code', 'MalformedObject')
  })

  it('that cannot be written is a failure', async () => {
    const stage = setStage()
    stage.before = (operation) => {
      if (operation === 'put') throw refused()
    }
    const error = await rejection(writeMarker(stage.storage))
    expect(error).to.have.property('code', 'StorageUnavailable')
    expect(error).not.to.be.instanceOf(Conflict)
  })

  it('says of a storage without a writer what to do', async () => {
    const { storage } = setStage()
    const readOnly = { ...withSignals(storage, () => undefined), writer: undefined }
    const { writer: _, ...without } = readOnly
    const error = await rejection(assertWritable(without))
    expect(error).to.include({ code: 'ReadOnlyStorage', status: 400 })
    expect(error.message).to.contain('memory is read-only')
  })
})
