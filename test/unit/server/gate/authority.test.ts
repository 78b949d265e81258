import { Readable } from 'node:stream'
import { mock } from 'node:test'
import { expect } from 'chai'
import { Failure, formatTarget, HubFailure, type Repository } from '../../../../src/hub/index.ts'
import type { Declined, Rights, UpstreamAnswer } from '../../../../src/plugin/index.ts'
import { Authority, AuthorityLimits, AuthorityUnavailable, listingOf } from '../../../../src/server/gate/authority.ts'
import { json, RecordingUpstream } from './fixture.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const target = formatTarget({ operation: 'info', repository })
const none: Rights = { use: 'none' }

function authorityWith(answer: () => Promise<UpstreamAnswer | Declined> | UpstreamAnswer | Declined) {
  const upstream = new RecordingUpstream({}, answer)
  return { upstream, authority: new Authority(upstream, { via: '1.1 test' }) }
}

async function failureOf(asked: Promise<unknown>): Promise<Failure> {
  const error = await asked.catch((reason: unknown) => reason)
  if (error instanceof Failure) return error
  throw new Error('it did not fail', { cause: error })
}

/** A body that comes piece by piece: so many bytes, in pieces of a mebibyte. */
function* zeros(size: number): Generator<Buffer> {
  const piece = Buffer.alloc(1024 * 1024)
  for (let left = size; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length))
}

describe('questions to the authority', () => {
  it('are its own, with the rights that they are asked with', async () => {
    const { authority, upstream } = authorityWith(() => json(200, { a: 1 }))
    const rights: Rights = { use: 'client', token: 'hf_a' }
    await authority.ask(target, rights)
    const { id, signal, ...asked } = upstream.asked[0] ?? {}
    expect(asked).to.deep.equal({
      method: 'GET',
      target,
      headers: { via: '1.1 test', accept: 'application/json' },
      rights,
      body: undefined,
      purpose: 'mirror',
      publicUrl: '',
    })
    expect(id).to.match(/^[0-9a-f-]{36}$/)
    expect(signal?.aborted).to.equal(false)
  })

  it('are answered with what the gate decides by, in one piece or in many', async () => {
    const headers = [
      ['x-other', 'x'],
      ['x-error-code', 'GatedRepo'],
      ['x-error-message', 'no'],
      ['location', '/there'],
    ] as const
    for (const [status, body, value] of [
      [200, Buffer.from('{"a":"ä"}'), { a: 'ä' }],
      [200, Readable.from([Buffer.from('{"a":'), Buffer.from('1}')]), { a: 1 }],
      [403, Readable.from([]), undefined],
      [499, Buffer.from('<html>'), undefined],
    ] as const) {
      const { authority } = authorityWith(() => ({ kind: 'answered', status, headers, body }))
      expect(await authority.ask(target, none)).to.deep.equal({
        ...{ status, json: value, errorCode: 'GatedRepo', errorMessage: 'no', location: '/there' },
      })
    }
  })

  it('that are not decided are failures, of which a 429 is told apart', async () => {
    const cause = new Error('cut')
    async function* cut() {
      yield Buffer.from('{}')
      throw cause
    }
    const declinedWith = (status: 429 | 502): Declined => ({ kind: 'declined', status, reason: 'the reason', cause })
    for (const [answer, isLimit, why, itsCause] of [
      [() => declinedWith(429), true, 'the reason', cause],
      [() => declinedWith(502), false, 'the reason', cause],
      [() => json(429, {}), true, '429', undefined],
      [() => json(500, {}), false, '500', undefined],
      [() => json(503, {}), false, '503', undefined],
      [() => Promise.reject(cause), false, 'cannot be asked', cause],
      [() => ({ ...json(200, 0), body: Readable.from(cut()) }), false, 'to its end', cause],
    ] as const) {
      const failure = await failureOf(authorityWith(answer).authority.ask(target, none))
      expect(failure).to.be.instanceOf(AuthorityUnavailable)
      expect(failure instanceof AuthorityLimits, why).to.equal(isLimit)
      expect([failure.code, failure.status]).to.deep.equal(['AuthorityUnavailable', 503])
      expect(failure.message).to.include(why)
      expect(failure.cause).to.equal(itsCause)
    }
  })

  it('end after some seconds, and say that it was the time', async () => {
    const limit = mock.method(AbortSignal, 'timeout', () => AbortSignal.abort())
    try {
      const { authority } = authorityWith(() => Promise.reject(new Error('aborted')))
      expect((await failureOf(authority.ask(target, none))).message).to.include('in time')
      expect(limit.mock.calls[0]?.arguments).to.deep.equal([5_000])
    } finally {
      limit.mock.restore()
    }
  })

  it('are not answered by more than 32 MiB', async () => {
    const most = 32 * 1024 * 1024
    for (const [size, isRead] of [
      [most, true],
      [most + 1, false],
    ] as const) {
      const { authority } = authorityWith(() => ({ ...json(200, 0), body: Readable.from(zeros(size)) }))
      const failure = await authority.ask(target, none).catch((error: unknown) => error)
      if (isRead) expect(failure).to.have.property('json', undefined)
      else
        expect(failure).to.be.instanceOf(AuthorityUnavailable).with.nested.property('cause.message').includes(`${most}`)
    }
  })
})

describe('listings of a revision', () => {
  const sha256 = 'a'.repeat(64)
  const files = [
    { rfilename: 'a.safetensors', lfs: { sha256 } },
    { rfilename: 'b', lfs: { sha256 } },
    { rfilename: 'c', lfs: null },
    { rfilename: 'd' },
  ]

  it('are what content is called there', async () => {
    const { authority, upstream } = authorityWith(() => json(200, { siblings: files }))
    const { hasSafetensors, byContent } = await authority.listing(repository, 'dev', none)
    expect(hasSafetensors).to.equal(true)
    expect([...byContent]).to.deep.equal([[sha256, ['a.safetensors', 'b']]])
    expect(upstream.asked[0]?.target).to.deep.equal(
      formatTarget({ operation: 'info', repository, revision: 'dev' }, 'blobs=true'),
    )
    expect(listingOf([['x.SafeTensors', undefined]]).hasSafetensors).to.equal(true)
    expect(listingOf([['safetensors', undefined]])).to.deep.equal({ hasSafetensors: false, byContent: new Map() })
  })

  it('are asked for once by many and kept, for each repository, revision and credential', async () => {
    const { authority, upstream } = authorityWith(() => json(200, { siblings: files }))
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
      await Promise.all(questions.flatMap((one) => [authority.listing(...one), authority.listing(...one)]))
      expect(upstream.asked, `round ${round}`).to.have.length(questions.length)
    }
    await authority.listing({ type: 'model', id: 'ORG/Model' }, 'main', none)
    expect(upstream.asked).to.have.length(questions.length)
  })

  it('are asked for anew after a failure', async () => {
    let isDown = true
    const { authority, upstream } = authorityWith(() => (isDown ? json(500, {}) : json(200, { siblings: [] })))
    expect(await failureOf(authority.listing(repository, 'main', none))).to.be.instanceOf(AuthorityUnavailable)
    isDown = false
    await authority.listing(repository, 'main', none)
    expect(upstream.asked).to.have.length(2)
  })

  it('are refused as the Hub refuses them, and unavailable where it lists none', async () => {
    for (const [status, headers, code, message] of [
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
    ] as const) {
      const failure = await failureOf(
        authorityWith(() => json(status, {}, headers)).authority.listing(repository, 'main', none),
      )
      expect(failure).to.be.instanceOf(HubFailure)
      expect([failure.status, failure.code, failure.message]).to.deep.equal([status, code, message])
    }
    for (const value of [{}, { siblings: [{}] }, { siblings: [{ rfilename: 'a', lfs: {} }] }, 'text']) {
      const failure = await failureOf(authorityWith(() => json(200, value)).authority.listing(repository, 'main', none))
      expect(failure).to.be.instanceOf(AuthorityUnavailable)
      expect(failure.message).to.include('list the files')
      expect(failure.cause).to.be.instanceOf(Error)
    }
  })
})
