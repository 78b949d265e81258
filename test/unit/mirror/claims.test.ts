import { expect } from 'chai'
import { ClaimLost } from '../../../src/mirror/claim-lost.ts'
import { breakClaim, isEmptyObject } from '../../../src/mirror/claimed-object.ts'
import { JournalClaim } from '../../../src/mirror/journal-claim.ts'
import { parseJournalEntry } from '../../../src/mirror/journal-entry.ts'
import { journalKey, manifestKey, refKey } from '../../../src/mirror/layout.ts'
import { type Manifest, type ManifestFile, parseManifest } from '../../../src/mirror/manifest.ts'
import { ManifestClaim } from '../../../src/mirror/manifest-claim.ts'
import { isEmptyRef, RefClaim } from '../../../src/mirror/ref-claim.ts'
import type { Storage } from '../../../src/plugin/index.ts'
import { leaseOf, rejection, type Stage, setStage, withSignals } from './stage.ts'

const repository = { type: 'model' as const, id: 'org/model' }
const [here, there, elsewhere] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [string, string, string]
const sha256 = 'd'.repeat(64)
const file: ManifestFile = { path: 'f', size: 1, oid: 'e'.repeat(40), blob: null }
const stored: ManifestFile = { ...file, blob: sha256 }
const blank: Manifest = {
  layout: 3,
  repository: { ...repository },
  commit: here,
  mirroredAt: new Date(0).toISOString(),
  mirroredFrom: 'http://hub',
  info: {},
  commits: [],
  files: [file],
  directories: [],
}
const { signal } = new AbortController()

/** Every request that a claim makes can be interrupted. */
async function allInterruptible(stage: Stage, act: (storage: Storage) => Promise<unknown>): Promise<void> {
  const calls: [string, boolean][] = []
  await act(withSignals(stage.storage, (call, given) => calls.push([call, given === signal])))
  expect(calls).not.to.deep.equal([])
  expect(calls.filter(([, isGiven]) => !isGiven)).to.deep.equal([])
}

describe('a claim on a manifest', () => {
  const key = manifestKey(repository, here)
  const setUp = async (extra: { birth?: string } = {}) => {
    const stage = setStage()
    const lease = await leaseOf(stage)
    const options = { storage: stage.storage, lease, kind: 'mirror', key, blank }
    return { stage, lease, options, claim: new ManifestClaim({ ...options, ...extra }) }
  }

  it('makes one that readers do not see, names what it is about to name, and is gone with the commit', async () => {
    const { stage, lease, claim } = await setUp()
    await claim.claim(new Set(['x', 'y']))
    expect(stage.get(key)).to.deep.include({
      pending: true,
      layout: 3,
      writer: lease.id,
      claims: { [lease.id]: { lease: lease.id, kind: 'mirror', blobs: ['x', 'y'] } },
    })
    await claim.claim(new Set(['z']))
    expect(stage.get(key)).to.have.nested.property(`claims.${lease.id}.blobs`).that.deep.equals(['z'])
    const committed = await claim.commit((current) => ({ ...current, files: [stored] }))
    expect(committed.files).to.deep.equal([stored])
    const now = stage.get(key)
    expect(now).to.deep.include({ files: [stored] })
    expect(now).not.to.have.any.keys('pending', 'claims')
  })

  it('leaves what others have claimed and recorded', async () => {
    const { stage, claim } = await setUp()
    const others = { other: { lease: 'l', kind: 'mirror', blobs: ['q'] } }
    stage.put(key, { ...blank, layout: 2, birth: 'b', files: [stored], claims: others })
    await claim.claim(new Set(['x']))
    expect(stage.get(key)).to.deep.include({ files: [stored], layout: 3 })
    expect(stage.get(key)).not.to.have.property('pending')
    await claim.release()
    expect(stage.get(key)).to.deep.include({ files: [stored], claims: others })
  })

  it('that somebody broke can neither be renewed nor committed', async () => {
    for (const act of ['claim', 'commit'] as const)
      for (const left of ['nothing', 'no claims', 'other claims']) {
        const { stage, claim } = await setUp()
        await claim.claim(new Set(['x']))
        if (left === 'nothing') stage.bucket.objects.delete(key)
        else if (left === 'no claims') stage.put(key, blank)
        else stage.put(key, { ...blank, claims: { other: { lease: 'l', kind: 'mirror', blobs: [] } } })
        const before = stage.get(key)
        const done = act === 'claim' ? claim.claim(new Set(['y'])) : claim.commit((current) => current)
        const error = await rejection(done)
        expect(error).to.be.instanceOf(ClaimLost)
        expect(error.message).to.contain(key)
        expect(stage.get(key)).to.deep.equal(before)
      }
  })

  it('is not committed before it is claimed, and can be claimed anew after it was', async () => {
    const { stage, claim } = await setUp()
    expect(await rejection(claim.commit((current) => current))).to.be.instanceOf(ClaimLost)
    await claim.claim(new Set(['x']))
    await claim.commit((current) => current)
    stage.put(key, blank)
    await claim.claim(new Set(['x']))
    await claim.commit((current) => current)
  })

  it('counts for the manifest of its birth only', async () => {
    const { stage, claim } = await setUp({ birth: 'mine' })
    expect(await rejection(claim.claim(new Set(['x'])))).to.be.instanceOf(ClaimLost)
    expect(stage.get(key)).to.equal(undefined)
    stage.put(key, { ...blank, birth: 'other' })
    expect(await rejection(claim.claim(new Set(['x'])))).to.be.instanceOf(ClaimLost)
    stage.put(key, { ...blank, birth: 'mine' })
    await claim.claim(new Set(['x']))
    const claimed = stage.get(key)
    stage.put(key, { ...Object(claimed), birth: 'other' })
    expect(await rejection(claim.commit((current) => current))).to.be.instanceOf(ClaimLost)
    stage.put(key, claimed)
    await claim.commit((current) => current)
  })

  it('is given up without a trace, unless it was committed or never made', async () => {
    const { stage, claim } = await setUp()
    await claim.release()
    expect(stage.calls.filter((call) => call.includes(key))).to.deep.equal([])
    await claim.claim(new Set(['x']))
    await claim.release()
    expect(stage.get(key)).to.equal(undefined)
    await claim.release()
    const again = await setUp()
    await again.claim.claim(new Set(['x']))
    await again.claim.commit((current) => current)
    const calls = again.stage.calls.length
    await again.claim.release()
    expect(again.stage.calls).to.have.length(calls)
  })

  it('can be interrupted at every request', async () => {
    const { stage, options } = await setUp()
    await allInterruptible(stage, async (storage) => {
      const claim = new ManifestClaim({ ...options, storage, signal })
      await claim.claim(new Set(['x']))
      await claim.commit((current) => current)
    })
  })
})

describe("a pull's claim on its journal entry", () => {
  const key = journalKey(repository, here, 'f')
  const setUp = async () => {
    const stage = setStage()
    const options = { storage: stage.storage, lease: 'worker', key, birth: 'mine', file }
    return { stage, options, claim: new JournalClaim(options) }
  }
  const entryOf = (extra: object) => ({ layout: 3, of: 'mine', files: [file], ...extra })

  it('makes one that readers do not see until it is committed', async () => {
    const { stage, claim } = await setUp()
    expect(await claim.claim(new Set(['x']))).to.equal('claimed')
    expect(stage.get(key)).to.deep.include({
      layout: 3,
      of: 'mine',
      files: [file],
      pending: true,
      writer: claim.run,
      claims: { [claim.run]: { lease: 'worker', kind: 'pull', blobs: ['x'] } },
    })
    expect(await claim.commit(stored)).to.deep.equal(stored)
    const entry = parseJournalEntry(key, JSON.stringify(stage.get(key)))
    expect(entry).to.deep.include({ of: 'mine', files: [stored] })
    expect(entry).not.to.have.any.keys('pending', 'claims')
  })

  it('has a name of its own, so that pulls of one worker do not commit by the claim of another', async () => {
    const { stage, options, claim } = await setUp()
    const other = new JournalClaim(options)
    expect(other.run).not.to.equal(claim.run)
    await claim.claim(new Set(['x']))
    expect(await rejection(other.commit(stored))).to.be.instanceOf(ClaimLost)
    await other.claim(new Set(['y']))
    expect(stage.get(key)).to.have.property('claims').that.has.all.keys(claim.run, other.run)
    await other.release()
    expect(stage.get(key)).to.have.property('claims').that.has.all.keys(claim.run)
    await claim.commit(stored)
  })

  it('is superfluous where another has pulled the file, and leaves what that one stored', async () => {
    const { stage, options, claim } = await setUp()
    stage.put(key, entryOf({ files: [stored] }))
    expect(await claim.claim(new Set(['x']))).to.equal('superfluous')
    expect(await claim.commit({ ...file, blob: 'f'.repeat(64) })).to.deep.equal(stored)
    expect(stage.get(key)).to.deep.equal(entryOf({ files: [stored] }))
    const calls = stage.calls.length
    await claim.release()
    expect(stage.calls).to.have.length(calls)
    // Both had claimed: the later commit takes its claim out, and uses what is there.
    stage.bucket.objects.clear()
    const other = new JournalClaim(options)
    await claim.claim(new Set(['x']))
    await other.claim(new Set(['y']))
    await claim.commit(stored)
    expect(await other.commit({ ...file, blob: 'f'.repeat(64) })).to.deep.equal(stored)
    expect(stage.get(key)).to.deep.include({ files: [stored] })
    expect(stage.get(key)).not.to.have.property('claims')
  })

  it('is written over an entry of a manifest that is gone', async () => {
    const { stage, claim } = await setUp()
    stage.put(key, entryOf({ of: 'other', files: [stored], claims: { old: { lease: 'l', kind: 'pull', blobs: [] } } }))
    expect(await claim.claim(new Set(['x']))).to.equal('claimed')
    expect(stage.get(key)).to.deep.include({ of: 'mine', pending: true, files: [file] })
    expect(stage.get(key)).to.have.property('claims').that.has.all.keys(claim.run)
  })

  it('that somebody broke can neither be renewed nor committed', async () => {
    for (const act of ['claim', 'commit'] as const)
      for (const left of [
        undefined,
        entryOf({ pending: true }),
        entryOf({ pending: true, claims: { other: { lease: 'l', kind: 'pull', blobs: [] } } }),
        entryOf({ of: 'other', files: [stored] }),
      ]) {
        const { stage, claim } = await setUp()
        await claim.claim(new Set(['x']))
        if (left === undefined) stage.bucket.objects.delete(key)
        else stage.put(key, left)
        const error = await rejection(act === 'claim' ? claim.claim(new Set(['y'])) : claim.commit(stored))
        expect(error).to.be.instanceOf(ClaimLost)
        expect(error.message).to.contain(key)
        expect(stage.get(key)).to.deep.equal(left)
      }
  })

  it('is given up without a trace, unless it was committed or never made', async () => {
    const { stage, claim } = await setUp()
    await claim.release()
    expect(stage.calls).to.deep.equal([])
    await claim.claim(new Set(['x']))
    await claim.release()
    expect(stage.get(key)).to.equal(undefined)
    const again = await setUp()
    await again.claim.claim(new Set(['x']))
    await again.claim.commit(stored)
    const calls = again.stage.calls.length
    await again.claim.release()
    expect(again.stage.calls).to.have.length(calls)
  })

  it('can be interrupted at every request', async () => {
    const { stage, options } = await setUp()
    await allInterruptible(stage, async (storage) => {
      const claim = new JournalClaim({ ...options, storage, signal })
      await claim.claim(new Set(['x']))
      await claim.commit(stored)
    })
  })
})

describe('breaking a claim', () => {
  const key = manifestKey(repository, here)
  const claimOf = (run: string) => ({ lease: run, kind: 'mirror', blobs: [] })
  const breakOf = (stage: Stage, run: string) =>
    breakClaim({ storage: stage.storage, key, parse: parseManifest, isEmpty: isEmptyObject, run, by: 'judge' })

  it('takes that one out, leaves the others, and tells whether it was there', async () => {
    const stage = setStage()
    expect(await breakOf(stage, 'a')).to.equal(false)
    expect(stage.get(key)).to.equal(undefined)
    stage.put(key, blank)
    expect(await breakOf(stage, 'a')).to.equal(false)
    expect(stage.get(key)).to.deep.equal(blank)
    stage.put(key, { ...blank, pending: true, claims: { a: claimOf('a'), b: claimOf('b') } })
    expect(await breakOf(stage, 'c')).to.equal(false)
    expect(await breakOf(stage, 'a')).to.equal(true)
    expect(stage.get(key)).to.deep.include({ pending: true, claims: { b: claimOf('b') }, writer: 'judge' })
    expect(await breakOf(stage, 'b')).to.equal(true)
    expect(stage.get(key)).to.equal(undefined)
  })

  it('leaves what readers see', async () => {
    const stage = setStage()
    stage.put(key, { ...blank, claims: { a: claimOf('a') } })
    expect(await breakOf(stage, 'a')).to.equal(true)
    expect(stage.get(key)).to.deep.include(blank)
    expect(stage.get(key)).not.to.have.property('claims')
  })
})

describe('a claim on a ref', () => {
  const key = refKey(repository, 'main')
  const time = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000)
  const never = async (): Promise<never> => {
    throw new Error('it need not be asked again')
  }
  const setUp = async (before?: object, extra: { pulled?: boolean; run?: string; commit?: string } = {}) => {
    const stage = setStage()
    if (before !== undefined) stage.put(key, before)
    const lease = await leaseOf(stage)
    const claim = new RefClaim({ storage: stage.storage, lease, key, kind: 'branch', commit: here, ...extra })
    return { stage, lease, claim }
  }

  it('makes a ref that readers do not see, by the name of its lease or its own', async () => {
    for (const run of [undefined, 'own']) {
      const { stage, lease, claim } = await setUp(undefined, run === undefined ? {} : { run })
      await claim.claim()
      const name = run ?? lease.id
      expect(stage.get(key)).to.deep.include({
        commit: null,
        kind: 'branch',
        writer: name,
        claims: { [name]: { lease: lease.id, commit: here } },
      })
      await claim.release()
      expect(stage.get(key)).to.equal(undefined)
    }
  })

  it('leaves where the ref is, and the claims of others', async () => {
    const others = { other: { lease: 'l', commit: there } }
    const before = { commit: there, kind: 'tag', saidAt: time(0).toISOString(), claims: others }
    const { stage, lease, claim } = await setUp(before)
    await claim.claim()
    expect(stage.get(key)).to.deep.include({
      ...before,
      claims: { ...others, [lease.id]: { lease: lease.id, commit: here } },
    })
    await claim.release()
    expect(stage.get(key)).to.deep.include(before)
  })

  it('is lost where somebody broke it', async () => {
    for (const left of [
      undefined,
      { commit: there, kind: 'branch' },
      { commit: there, kind: 'branch', claims: { other: { lease: 'l', commit: there } } },
    ]) {
      const { stage, claim } = await setUp()
      await claim.claim()
      if (left === undefined) stage.bucket.objects.delete(key)
      else stage.put(key, left)
      const error = await rejection(claim.commit({ commit: here, saidAt: time(100) }, never))
      expect(error).to.be.instanceOf(ClaimLost)
      expect(error.message).to.contain(key)
      expect(stage.get(key)).to.deep.equal(left)
    }
  })

  /** Where the ref is before, what is said of it, and where it must be after. */
  const at = (commit: string | null, seconds: number, extra: object = {}) => ({
    commit,
    kind: 'branch',
    saidAt: time(seconds).toISOString(),
    ...extra,
  })
  const pulled = { pulled: true }
  const cases: {
    readonly title: string
    readonly before?: object
    readonly isPull?: boolean
    readonly word: { readonly commit: string; readonly seconds: number }
    readonly after: { readonly commit: string; readonly seconds: number; readonly pulled?: true } | undefined
  }[] = [
    { title: 'a new ref', word: { commit: here, seconds: 0 }, after: { commit: here, seconds: 0 } },
    {
      title: 'a newer word',
      before: at(there, 0),
      word: { commit: here, seconds: 5 },
      after: { commit: here, seconds: 5 },
    },
    {
      title: 'an older word',
      before: at(there, 5),
      word: { commit: here, seconds: 0 },
      after: { commit: there, seconds: 5 },
    },
    {
      title: 'the same commit, said later',
      before: at(here, 0),
      word: { commit: here, seconds: 2 },
      after: { commit: here, seconds: 2 },
    },
    {
      title: 'the same commit, said earlier',
      before: at(here, 2),
      word: { commit: here, seconds: 0 },
      after: { commit: here, seconds: 2 },
    },
    {
      title: 'a ref of an earlier version, whose time no common clock told',
      before: { commit: there, kind: 'branch', updatedAt: time(90).toISOString() },
      word: { commit: here, seconds: 0 },
      after: { commit: here, seconds: 0 },
    },
    {
      title: 'a run beside a later pull: what is mirrored on purpose counts',
      before: at(there, 60, pulled),
      word: { commit: here, seconds: 0 },
      after: { commit: here, seconds: 0 },
    },
    {
      title: 'a pull of a new ref',
      isPull: true,
      word: { commit: here, seconds: 0 },
      after: { commit: here, seconds: 0, pulled: true },
    },
    {
      title: 'a pull of a ref that is pulled',
      before: at(there, 0, pulled),
      isPull: true,
      word: { commit: here, seconds: 60 },
      after: { commit: here, seconds: 60, pulled: true },
    },
    {
      title: 'an older pull of a ref that is pulled',
      before: at(there, 60, pulled),
      isPull: true,
      word: { commit: here, seconds: 0 },
      after: { commit: there, seconds: 60, pulled: true },
    },
    {
      title: 'a pull of a ref that is mirrored on purpose',
      before: at(there, 0),
      isPull: true,
      word: { commit: here, seconds: 60 },
      after: { commit: there, seconds: 0 },
    },
    {
      title: 'a word that names another commit than the one mirrored, of a new ref',
      word: { commit: elsewhere, seconds: 60 },
      after: undefined,
    },
    {
      title: 'a word that names another commit than the one mirrored',
      before: at(there, 0),
      word: { commit: elsewhere, seconds: 60 },
      after: { commit: there, seconds: 0 },
    },
  ]
  for (const { title, before, isPull, word, after } of cases) {
    it(`moves the ref by the latest word: ${title}`, async () => {
      const { stage, claim } = await setUp(before, isPull === true ? { pulled: true } : {})
      await claim.claim()
      await claim.commit({ commit: word.commit, saidAt: time(word.seconds) }, never)
      const found = stage.get(key)
      if (after === undefined) return expect(found).to.equal(undefined)
      expect(found).to.include({ commit: after.commit, saidAt: time(after.seconds).toISOString() })
      expect(found).not.to.have.any.keys('claims', 'updatedAt')
      expect(Object(found).pulled).to.equal(after.pulled)
      return undefined
    })
  }

  it('asks again where words of two commits are less than five seconds apart, either way, and no sooner', async () => {
    for (const [seconds, isAsked] of [
      [-5, false],
      [-4.999, true],
      [0, true],
      [4.999, true],
      [5, false],
    ] as const) {
      const { stage, claim } = await setUp(at(there, 10))
      await claim.claim()
      let asked = 0
      await claim.commit({ commit: here, saidAt: time(10 + seconds) }, async () => {
        asked++
        return { commit: here, saidAt: time(11) }
      })
      expect(asked, `${seconds} s`).to.equal(isAsked ? 1 : 0)
      const isMoved = isAsked || seconds > 0
      expect(stage.get(key)).to.include({ commit: isMoved ? here : there })
    }
  })

  it('believes what it hears when it asks again, though the clock says the same, and stores the later time', async () => {
    const { stage, claim } = await setUp(at(there, 10))
    await claim.claim()
    await claim.commit({ commit: here, saidAt: time(8) }, async () => ({ commit: here, saidAt: time(8) }))
    expect(stage.get(key)).to.include({ commit: here, saidAt: time(10).toISOString() })
    const moved = await setUp(at(there, 10))
    await moved.claim.claim()
    await moved.claim.commit({ commit: here, saidAt: time(8) }, async () => ({ commit: there, saidAt: time(11) }))
    expect(moved.stage.get(key)).to.include({ commit: there, saidAt: time(10).toISOString() })
    expect(moved.stage.get(key)).not.to.have.property('claims')
  })

  it('asks once more where another has moved the ref while it asked', async () => {
    for (const other of [at(elsewhere, 10), at(there, 11)]) {
      const { stage, claim } = await setUp(at(there, 10))
      await claim.claim()
      let asked = 0
      await claim.commit({ commit: here, saidAt: time(10) }, async () => {
        const claims = Object(stage.get(key)).claims
        if (++asked === 1) stage.put(key, { ...other, claims })
        return { commit: here, saidAt: time(10) }
      })
      expect(asked).to.equal(2)
      expect(stage.get(key)).to.include({ commit: here })
    }
  })

  it('can be interrupted at every request', async () => {
    const { stage, lease } = await setUp()
    await allInterruptible(stage, async (storage) => {
      const claim = new RefClaim({ storage, lease, key, kind: 'branch', commit: here, signal })
      await claim.claim()
      await claim.commit({ commit: here, saidAt: time(0) }, never)
    })
  })

  it('leaves nothing that is neither a commit nor claimed', () => {
    const ref = { kind: 'branch' as const }
    expect(isEmptyRef({ ...ref, commit: null })).to.equal(true)
    expect(isEmptyRef({ ...ref, commit: here })).to.equal(false)
    expect(isEmptyRef({ ...ref, commit: null, claims: { a: { lease: 'l', commit: here } } })).to.equal(false)
  })
})
