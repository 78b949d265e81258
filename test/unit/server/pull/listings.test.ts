import { mock } from 'node:test'
import { expect } from 'chai'
import { ListingTooLarge, type RevisionListing, type TreeEntry } from '../../../../src/hub/index.ts'
import type { Rights } from '../../../../src/plugin/index.ts'
import { Listings, type PullSource } from '../../../../src/server/pull/listings.ts'
import { NoTurn } from '../../../../src/sharing/index.ts'

const repository = { type: 'model', id: 'org/big' } as const
const none: Rights = { use: 'none' }
const oid = 'a'.repeat(40)
const { signal } = new AbortController()

/** The commit of a number. */
const commit = (number: number): string => number.toString(16).padStart(40, '0')

function filesOf(count: number): TreeEntry[] {
  return Array.from({ length: count }, (_, index) => ({ type: 'file', path: `data/${index}.parquet`, size: 1, oid }))
}

/** A source that is counted: `refs/pr/N` is at the commit that `at` says. */
function listingsWith(
  at: (number: number) => string,
  list: (commit: string) => Promise<readonly TreeEntry[]> | readonly TreeEntry[],
  refreshAfter = 60_000,
  whenLocated = async () => {},
) {
  const counts = { located: 0, described: [] as string[], atATime: 0, most: 0 }
  const source: PullSource = {
    origin: 'http://hub',
    locate: async (_repository, revision) => {
      counts.located++
      await whenLocated()
      return { commit: at(Number(revision.split('/').at(-1))), ref: { name: revision, kind: 'pull-request' } }
    },
    describe: async (_repository, revision): Promise<RevisionListing> => {
      counts.described.push(revision)
      counts.most = Math.max(counts.most, ++counts.atATime)
      try {
        const files = await list(revision)
        return { commit: revision, info: { id: 'org/big', sha: revision }, commits: [], files, directories: [] }
      } finally {
        counts.atATime--
      }
    },
    refs: async () => undefined,
    open: () => () => expect.fail('nothing is downloaded here'),
  }
  return { counts, listings: new Listings({ sourceFor: () => source, refreshAfter, signal }) }
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `refs/pr/${index}`)

describe('listings for pull-through', () => {
  afterEach(() => mock.timers.reset())

  it('are one for a commit, by whichever name it is asked for, and each name is its own ref', async () => {
    const { counts, listings } = listingsWith(
      () => commit(7),
      () => filesOf(3),
    )
    for (const _ of [1, 2]) {
      const all = await Promise.all(numbered(60).map((name) => listings.find(repository, name, none)))
      expect(all.map((one) => one.listing.ref?.name)).to.deep.equal(numbered(60))
    }
    const found = await listings.find(repository, commit(7), none)
    expect([found.listing.ref, found.listing.files.length]).to.deep.equal([undefined, 3])
    expect([counts.located, counts.described]).to.deep.equal([60, [commit(7)]])
    // Not shared with other credentials.
    for (const token of ['hf_a', 'hf_b']) await listings.find(repository, commit(7), { use: 'client', token })
    expect(counts.described).to.have.length(3)
  })

  it('follow a branch that moves, after a while', async () => {
    let now = 1
    const { counts, listings } = listingsWith(
      () => commit(now),
      () => [],
      20,
    )
    const seen = async () => (await listings.find(repository, 'refs/pr/1', none)).listing.commit
    expect(await seen()).to.equal(commit(1))
    now = 2
    while ((await seen()) !== commit(2)) await new Promise(setImmediate)
    expect(counts.described).to.deep.equal([commit(1), commit(2)])
  })

  it('are two at a time; of the others 256 wait, and those beyond are left to the Hub', async () => {
    const held = Promise.withResolvers<void>()
    const { counts, listings } = listingsWith(commit, async () => {
      await held.promise
      return []
    })
    const all = numbered(300).map((name) => listings.find(repository, name, none))
    for (const one of all.slice(258)) expect(await one.catch((error: unknown) => error)).to.be.instanceOf(NoTurn)
    expect(counts.described).to.have.length(2)
    held.resolve()
    await Promise.all(all.slice(0, 258))
    expect([counts.most, counts.described.length]).to.deep.equal([2, 258])
  })

  it('leave a Hub that says nothing with so many questions and no more, whoever has left meanwhile', async () => {
    // Nobody's patience ends while a busy machine is slow.
    mock.timers.enable({ apis: ['setTimeout'] })
    const held = Promise.withResolvers<void>()
    const { counts, listings } = listingsWith(
      () => commit(7),
      () => [],
      60_000,
      () => held.promise,
    )
    const all = numbered(3_000).map((name) => listings.find(repository, name, none).catch((error: unknown) => error))
    for (const one of all.slice(2_064)) expect(await one).to.be.instanceOf(NoTurn)
    expect(counts.located).to.equal(64)
    held.resolve()
    for (const one of all.slice(0, 2_064)) expect(await one).to.have.nested.property('listing.commit', commit(7))
    expect(counts.located).to.equal(2_064)
  })

  it('take 64 MiB at most, whatever is asked for (fault 38)', async () => {
    const { counts, listings } = listingsWith(commit, () => filesOf(20_000))
    for (const name of numbered(40)) await listings.find(repository, name, none)
    expect(counts.described).to.have.length(40)
    expect(listings.size).to.be.within(48 * 1024 * 1024, 64 * 1024 * 1024)
  })

  it('that would be too large are nobody’s, and are not read again for a while (fault 38)', async () => {
    const tooLarge = () => Promise.reject(new ListingTooLarge(1))
    for (const list of [tooLarge, () => filesOf(300_000)]) {
      const { counts, listings } = listingsWith(() => commit(7), list)
      for (const name of numbered(5))
        expect(await listings.find(repository, name, none).catch((error: unknown) => error)).to.be.instanceOf(
          ListingTooLarge,
        )
      expect(counts.described).to.deep.equal([commit(7)])
      expect(listings.size).to.be.lessThan(1_000)
    }
  })
})
