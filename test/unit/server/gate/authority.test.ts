import { Readable } from 'node:stream'
import { mock } from 'node:test'
import { expect } from 'chai'
import { Failure, formatTarget, type Repository } from '../../../../src/hub/index.ts'
import type { Declined, Rights, UpstreamAnswer } from '../../../../src/plugin/index.ts'
import {
  Authority,
  AuthorityLimits,
  AuthorityUnavailable,
  mostQuestions,
} from '../../../../src/server/gate/authority.ts'
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

  it('are so many at a time: beyond, the Hub counts as unwilling and not as silent, for clients can bring that about', async () => {
    const held = Promise.withResolvers<UpstreamAnswer>()
    const { authority, upstream } = authorityWith(() => held.promise)
    const all = Array.from({ length: mostQuestions }, () => authority.ask(target, none))
    expect(await failureOf(authority.ask(target, none))).to.be.instanceOf(AuthorityLimits)
    expect(upstream.asked).to.have.length(mostQuestions)
    held.resolve(json(200, {}))
    await Promise.all(all)
    for (const fail of [json(500, {}), json(429, {})]) {
      upstream.answer = () => fail
      await failureOf(authority.ask(target, none))
    }
    upstream.answer = () => held.promise
    await Promise.all(Array.from({ length: mostQuestions }, () => authority.ask(target, none)))
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

  it('are answered with 96 MiB at a time, all of them together', async () => {
    const held = Promise.withResolvers<void>()
    const full = Promise.withResolvers<void>()
    let isHolding = 0
    async function* slow() {
      yield* zeros(31 * 1024 * 1024)
      isHolding++
      if (isHolding === 3) full.resolve()
      await held.promise
    }
    const { authority } = authorityWith(() => ({ ...json(200, 0), body: Readable.from(slow()) }))
    const first = Promise.all([1, 2, 3].map(() => authority.ask(target, none)))
    await full.promise
    expect(await failureOf(authority.ask(target, none)))
      .to.have.nested.property('cause.message')
      .includes('too many')
    held.resolve()
    expect((await first).map(({ status }) => status)).to.deep.equal([200, 200, 200])
    expect((await Promise.all([1, 2, 3].map(() => authority.ask(target, none)))).length).to.equal(3)
  })
})
