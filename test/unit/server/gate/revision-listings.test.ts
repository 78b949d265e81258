import { expect } from 'chai'
import { Failure, formatTarget, HubFailure, type Repository } from '../../../../src/hub/index.ts'
import type { Declined, Rights, UpstreamAnswer, UpstreamRequest } from '../../../../src/plugin/index.ts'
import { Authority, AuthorityUnavailable } from '../../../../src/server/gate/authority.ts'
import { listingOf, sizeOfListing } from '../../../../src/server/gate/listing.ts'
import { RevisionListings } from '../../../../src/server/gate/revision-listings.ts'
import { json, RecordingUpstream } from './fixture.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const none: Rights = { use: 'none' }
const sha256 = 'a'.repeat(64)
const files = [
  { rfilename: 'a.safetensors', lfs: { sha256 } },
  { rfilename: 'b', lfs: { sha256 } },
  { rfilename: 'c.bin', lfs: { sha256: 'c'.repeat(64) } },
  { rfilename: 'd', lfs: null },
  { rfilename: 'e' },
]
const isListing = ({ target }: UpstreamRequest): boolean => target.query.includes('blobs')
/** The commit of a number. */
const commit = (number: number): string => number.toString(16).padStart(40, '0')

type Answer = UpstreamAnswer | Declined

/** An authority that says where revisions are, and lists files. */
function listingsWith(
  list: () => Promise<Answer> | Answer,
  locate: (revision: string) => Answer = () => json(400, {}),
) {
  const upstream: RecordingUpstream = new RecordingUpstream({}, () => {
    const asked = upstream.asked.at(-1)
    if (asked === undefined || isListing(asked)) return list()
    return locate(decodeURIComponent(asked.target.segments.at(-1) ?? ''))
  })
  return {
    listings: new RevisionListings(new Authority(upstream, {})),
    /** How often files were listed. */
    listed: () => upstream.asked.filter(isListing),
    asked: upstream.asked,
  }
}

const numbered = (revision: string): Answer =>
  json(200, { id: 'org/model', sha: commit(Number(revision.split('/').at(-1))) })

async function failureOf(asked: Promise<unknown>): Promise<Failure> {
  const error = await asked.catch((reason: unknown) => reason)
  if (error instanceof Failure) return error
  throw new Error('it did not fail', { cause: error })
}

describe('listings of a revision', () => {
  it('are what content is called there, as far as it decides', async () => {
    const { listings, listed } = listingsWith(() => json(200, { siblings: files }))
    const { hasSafetensors, contents } = await listings.find(repository, 'dev', none)
    expect(hasSafetensors).to.equal(true)
    expect([...contents]).to.deep.equal([
      [sha256, undefined],
      ['c'.repeat(64), 'c.bin'],
    ])
    expect(listed()[0]?.target).to.deep.equal(
      formatTarget({ operation: 'info', repository, revision: 'dev' }, 'blobs=true'),
    )
    expect(listingOf([['x.SafeTensors', undefined]]).hasSafetensors).to.equal(true)
    expect(listingOf([['safetensors', undefined]])).to.deep.equal({ hasSafetensors: false, contents: new Map() })
    const twice = (...paths: string[]) => [...listingOf(paths.map((path) => [path, sha256] as const)).contents]
    for (const paths of [
      ['a.bin', 'b'],
      ['b', 'a.bin', 'c.pkl'],
    ])
      expect(twice(...paths)).to.deep.equal([[sha256, 'a.bin']])
  })

  it('are asked for once by many and kept, for each repository, revision and credential', async () => {
    const { listings, listed } = listingsWith(() => json(200, { siblings: files }))
    const client = (token: string): Rights => ({ use: 'client', token })
    const service = (otherwise?: string): Rights => ({ use: 'service', ...(otherwise !== undefined && { otherwise }) })
    const questions: readonly (readonly [Repository, string, Rights])[] = [
      ...[none, service(), service('hf_a'), service('hf_b'), client('hf_a'), client('hf_b')].map(
        (rights) => [repository, 'main', rights] as const,
      ),
      [repository, 'dev', none] as const,
      [{ type: 'dataset', id: 'org/model' } satisfies Repository, 'main', none] as const,
      [{ type: 'model', id: 'org/other' } satisfies Repository, 'main', none] as const,
    ]
    for (const round of [1, 2, 3]) {
      await Promise.all(questions.flatMap((one) => [listings.find(...one), listings.find(...one)]))
      expect(listed(), `round ${round}`).to.have.length(questions.length)
    }
    await listings.find({ type: 'model', id: 'ORG/Model' }, 'main', none)
    expect(listed()).to.have.length(questions.length)
  })

  it('are one for a commit, by whichever name it is asked for', async () => {
    const { listings, listed, asked } = listingsWith(
      () => json(200, { siblings: files }),
      () => json(200, { sha: commit(7) }),
    )
    const names = Array.from({ length: 60 }, (_, index) => `refs/pr/${index}`)
    for (const _ of [1, 2])
      await Promise.all([commit(7), ...names].map((name) => listings.find(repository, name, none)))
    expect(listed().map(({ target }) => target.segments.at(-1))).to.deep.equal([commit(7)])
    expect(asked).to.have.length(61)
  })

  it('are two at a time; of the others 256 wait, and those beyond are told to come again', async () => {
    const held = Promise.withResolvers<void>()
    let atATime = 0
    let most = 0
    const { listings, listed } = listingsWith(async () => {
      most = Math.max(most, ++atATime)
      await held.promise
      atATime--
      return json(200, { siblings: files })
    }, numbered)
    const all = Array.from({ length: 300 }, (_, index) => listings.find(repository, `refs/pr/${index}`, none))
    const refused = all.slice(258)
    for (const one of refused) {
      const failure = await failureOf(one)
      expect([failure instanceof AuthorityUnavailable, failure.status]).to.deep.equal([true, 503])
    }
    expect(listed()).to.have.length(2)
    held.resolve()
    await Promise.all(all.slice(0, 258))
    expect([most, listed().length]).to.deep.equal([2, 258])
    await listings.find(repository, 'refs/pr/299', none)
  })

  it('take 32 MiB at most, and less than the answers from which they come', async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => ({
      rfilename: `${index}.bin`,
      size: 1,
      blobId: commit(index),
      lfs: { sha256: commit(index).padStart(64, 'f'), size: 1, pointerSize: 130 },
    }))
    const { listings } = listingsWith(() => json(200, { siblings: many }), numbered)
    const { contents } = await listings.find(repository, 'refs/pr/0', none)
    expect(contents.size).to.equal(many.length)
    expect(sizeOfListing({ hasSafetensors: false, contents })).to.be.lessThan(JSON.stringify(many).length)
    for (let index = 1; index < 20; index++) await listings.find(repository, `refs/pr/${index}`, none)
    expect(listings.size).to.be.within(24 * 1024 * 1024, 32 * 1024 * 1024)
  })

  it('are asked for anew after a failure', async () => {
    let isDown = true
    const { listings, listed } = listingsWith(() => (isDown ? json(500, {}) : json(200, { siblings: [] })))
    expect(await failureOf(listings.find(repository, 'main', none))).to.be.instanceOf(AuthorityUnavailable)
    isDown = false
    await listings.find(repository, 'main', none)
    expect(listed()).to.have.length(2)
  })

  it('are refused as the Hub refuses them, and unavailable where it lists none', async () => {
    const refusals = [
      [400, [['x-error-code', 'Odd']], 'Odd', 'The Hub answered 400.'],
      [
        404,
        [
          ['x-error-code', 'RevisionNotFound'],
          ['x-error-message', 'no such'],
        ],
        'RevisionNotFound',
        'no such',
      ],
      [401, [], 'RepoNotFound', 'The Hub answered 401.'],
    ] as const
    for (const [status, headers, code, message] of refusals) {
      const refuse = () => json(status, {}, headers)
      for (const { listings } of [listingsWith(refuse, refuse), listingsWith(refuse)]) {
        const failure = await failureOf(listings.find(repository, 'main', none))
        expect(failure).to.be.instanceOf(HubFailure)
        expect([failure.status, failure.code, failure.message]).to.deep.equal([status, code, message])
      }
    }
    for (const value of [{}, { siblings: [{}] }, { siblings: [{ rfilename: 'a', lfs: {} }] }, 'text']) {
      const failure = await failureOf(listingsWith(() => json(200, value)).listings.find(repository, 'main', none))
      expect(failure).to.be.instanceOf(AuthorityUnavailable)
      expect(failure.message).to.include('list the files')
      expect(failure.cause).to.be.instanceOf(Error)
    }
  })
})
