import { Readable } from 'node:stream'
import { mock } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import { MetadataCache } from '../../../plugins/upstream-hub/cache/metadata-cache.ts'
import type { QuestionKey } from '../../../plugins/upstream-hub/cache/question.ts'
import { NobodyWaits } from '../../../plugins/upstream-hub/cache/shared-question.ts'
import { noCredentials } from '../../../plugins/upstream-hub/credentials.ts'
import type { WireAnswer } from '../../../plugins/upstream-hub/transport/answer.ts'
import { bodyOf } from '../../conformance/index.ts'

const key: QuestionKey = {
  ...{ method: 'GET', target: '/api/models/o/n', path: '/api/models/o/n', credentials: noCredentials },
  ...{ form: 'original', headers: { accept: '*/*', 'accept-encoding': 'identity' } },
}

/** One question to the upstream, which the test answers. */
interface Asked {
  readonly signal: AbortSignal
  readonly validator: string | undefined
  answer(text: string, given?: { status?: number; headers?: Record<string, string> }): Readable
  fail(error: Error): void
}

function cacheWith(options: { freshFor?: number; staleIfError?: number } = {}) {
  const asked: Asked[] = []
  const cache = new MetadataCache(
    (_key, validator, signal) => {
      const reply = Promise.withResolvers<WireAnswer>()
      signal.addEventListener('abort', () => reply.reject(signal.reason))
      asked.push({
        ...{ signal, validator },
        answer: (text, { status = 200, headers = {} } = {}) => {
          const body = Readable.from([Buffer.from(text)])
          reply.resolve({ status, headers: Object.entries(headers), body })
          return body
        },
        fail: reply.reject,
      })
      return reply.promise
    },
    {
      ...{ size: 1_000_000, freshFor: 0, staleIfError: 3_600_000, leadsAway: () => false, ...options },
      prepare: (answer) => answer,
    },
  )
  const ask = async (
    { mayBeStale = true, repository = 'model o/n' }: { mayBeStale?: boolean; repository?: string | null } = {},
    signal = new AbortController().signal,
  ) => {
    const { answer } = await cache.answer({ key, mayBeStale, repository: repository ?? undefined }, signal)
    return { ...answer, text: answer.body instanceof Uint8Array ? String(Buffer.from(answer.body)) : undefined }
  }
  /** What is asked, as soon as it is. */
  const nth = async (index: number): Promise<Asked> => {
    for (let turn = 0; turn < 100; turn++) {
      const one = asked[index]
      if (one !== undefined) return one
      await nextTurn()
    }
    throw new Error(`question ${index} was not put`)
  }
  /** Something to be kept. */
  const keep = async (text: string, headers: Record<string, string> = {}) => {
    const given = ask()
    const question = await nth(asked.length)
    question.answer(text, { headers })
    await given
  }
  return { cache, asked, ask, nth, keep }
}

const outcomeOf = async (asked: Promise<unknown>) =>
  await asked.then(
    () => 'answered',
    (error: unknown) => error,
  )
const tooLarge = { headers: { 'content-length': '1000000000' } }

/** Without time passing but by `pass`. */
async function atRest(test: (pass: (milliseconds: number) => Promise<void>) => Promise<void>): Promise<void> {
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_000_000 })
  try {
    await test(async (milliseconds) => {
      mock.timers.tick(milliseconds)
      await nextTurn()
    })
  } finally {
    mock.timers.reset()
  }
}

describe('an old answer', () => {
  it('is given when the upstream says nothing for a while, whose answer is kept for others all the same', async () => {
    await atRest(async (pass) => {
      const at = cacheWith()
      await at.keep('old', { etag: '"e"' })
      await pass(5_000)
      const life = new AbortController()
      const given = at.ask({}, life.signal)
      const question = await at.nth(1)
      expect(question.validator).to.equal('"e"')
      await pass(1_499)
      await pass(1)
      expect(await given).to.include({ text: 'old', staleFor: 6 })
      life.abort(new Error('it has its answer'))
      await nextTurn()
      expect(question.signal.aborted).to.equal(false)
      const next = at.ask()
      await nextTurn()
      expect(at.asked).to.have.length(2) // it waits for the same
      question.answer('new')
      expect(await next)
        .to.include({ text: 'new' })
        .and.not.have.property('staleFor')
    })
  })

  it('is given at once where the upstream fails, or answers a failure that nobody reads', async () => {
    for (const fail of [
      (question: Asked) => question.fail(new Error('down')),
      (question: Asked) => void question.answer('busy', { status: 429 }),
      (question: Asked) => void question.answer('broken', { status: 500 }),
    ])
      await atRest(async (pass) => {
        const at = cacheWith()
        await at.keep('old')
        await pass(1_000)
        const given = at.ask()
        fail(await at.nth(1))
        expect(await given).to.include({ text: 'old', staleFor: 1 })
      })
    await atRest(async (pass) => {
      const at = cacheWith()
      await at.keep('old')
      await pass(1_000)
      const given = at.ask()
      const body = (await at.nth(1)).answer('large', { status: 500, ...tooLarge })
      expect(await given).to.include({ text: 'old' })
      await nextTurn()
      expect(body.destroyed).to.equal(true)
    })
  })

  it('is given for its time, to who may have it', async () => {
    for (const [after, mayBeStale, isGiven] of [
      [59_999, true, true],
      [60_000, true, false],
      [0, false, false],
    ] as const)
      await atRest(async (pass) => {
        const at = cacheWith({ staleIfError: 60_000 })
        await at.keep('old')
        await pass(after)
        const given = outcomeOf(at.ask({ mayBeStale }))
        const down = new Error('down')
        ;(await at.nth(1)).fail(down)
        expect(await given).to.equal(isGiven ? 'answered' : down)
      })
  })

  it('is not given to who has left, whose question ends with the last one', async () => {
    await atRest(async (pass) => {
      const at = cacheWith()
      await at.keep('old')
      await pass(1)
      const life = new AbortController()
      const left = outcomeOf(at.ask({}, life.signal))
      const question = await at.nth(1)
      const reason = new Error('left')
      life.abort(reason)
      expect(await left).to.equal(reason)
      expect(question.signal.reason).to.be.instanceOf(NobodyWaits)
      // Who comes now asks anew.
      const next = at.ask()
      ;(await at.nth(2)).answer('new')
      expect(await next).to.include({ text: 'new' })
    })
  })
})

describe('an answer that is too large to be kept', () => {
  it('is let go of where the one that asked has left, whether or not others wait', async () => {
    for (const hasKept of [false, true])
      for (const othersWait of [false, true]) {
        const at = cacheWith()
        if (hasKept) await at.keep('old')
        const before = at.asked.length
        const life = new AbortController()
        const left = outcomeOf(at.ask({ mayBeStale: hasKept }, life.signal))
        const question = await at.nth(before)
        const others = othersWait ? at.ask() : undefined
        await nextTurn()
        life.abort(new Error('left'))
        await left
        const body = question.answer('large', tooLarge)
        if (others !== undefined) {
          // The stream was of the one that left: they ask for one of their own.
          const own = await at.nth(before + 1)
          own.answer('large', tooLarge)
          expect(String(await bodyOf(await others))).to.equal('large')
        }
        for (let turn = 0; turn < 3; turn++) await nextTurn()
        if (othersWait) expect(body.destroyed, `${hasKept}`).to.equal(true)
        else expect(question.signal.aborted).to.equal(true)
      }
  })

  it('is not given up because one that waited for it has left', async () => {
    const at = cacheWith()
    const first = at.ask()
    const question = await at.nth(0)
    const life = new AbortController()
    const left = outcomeOf(at.ask({}, life.signal))
    await nextTurn()
    life.abort(new Error('left'))
    await left
    question.answer('large', tooLarge)
    expect(String(await bodyOf(await first))).to.equal('large')
    expect(at.asked).to.have.length(1)
  })

  it('takes the place of one that was kept, and a failure does not', async () => {
    for (const [given, isKept] of [
      [{ headers: { 'cache-control': 'no-store' } }, false],
      [{ status: 404, headers: {} }, false],
      [{ status: 429 }, true],
      [{ status: 503 }, true],
      [{ status: 431 }, true],
    ] as const) {
      const at = cacheWith()
      await at.keep('old', { etag: '"old"' })
      const second = at.ask()
      ;(await at.nth(1)).answer('x', given)
      await second
      void outcomeOf(at.ask())
      expect((await at.nth(2)).validator, JSON.stringify(given)).to.equal(isKept ? '"old"' : undefined)
    }
  })
})

describe('an answer that is validated', () => {
  it('is kept on, unless what validates it is one client’s own', async () => {
    for (const [headers, isKept] of [
      [{ etag: '"e"' }, true],
      [{ etag: 'W/"e"', 'x-round': '2' }, true],
      [{}, true],
      [{ etag: '"e"', 'set-cookie': 'session=1' }, false],
    ] as const) {
      const at = cacheWith()
      await at.keep('old', { etag: '"e"' })
      const second = at.ask()
      const question = await at.nth(1)
      const joined = at.ask()
      await nextTurn()
      question.answer('', { status: 304, headers })
      const given = await second
      expect(given).to.include({ status: 200, text: 'old' })
      expect(given.headers.map(([name]) => name)).not.to.include('set-cookie')
      if (!isKept) (await at.nth(2)).answer('of its own')
      expect(await joined, JSON.stringify(headers)).to.include({ text: isKept ? 'old' : 'of its own' })
      expect(at.asked[2]?.validator).to.equal(undefined)
    }
  })
})

describe('what is kept of a repository that was written to', () => {
  it('is validated once more, and what was asked before is not believed', async () => {
    for (const [written, asked, isBelieved] of [
      ['model o/n', 'model o/n', false],
      ['model o/other', 'model o/n', true],
      ['model o/n', null, true],
      [undefined, 'model o/n', false],
      [undefined, null, false],
    ] as const)
      await atRest(async (pass) => {
        const at = cacheWith({ freshFor: 60_000 })
        await pass(1)
        const early = at.ask({ repository: asked })
        const question = await at.nth(0)
        at.cache.distrust(written)
        await pass(1)
        const late = at.ask({ repository: asked })
        await nextTurn()
        expect(at.asked.length, `${written} ${asked}`).to.equal(isBelieved ? 1 : 2)
        question.answer('early')
        expect(await early).to.include({ text: 'early' })
        const joined = at.ask({ repository: asked })
        await nextTurn()
        expect(at.asked.length).to.equal(isBelieved ? 1 : 2)
        at.asked[1]?.answer('late')
        for (const one of [late, joined]) expect(await one).to.include({ text: isBelieved ? 'early' : 'late' })
        // The later one is believed from then on.
        expect(await at.ask({ repository: asked })).to.include({ text: isBelieved ? 'early' : 'late' })
        at.cache.distrust(written)
        await pass(1)
        void outcomeOf(at.ask({ repository: asked }))
        await nextTurn()
        expect(at.asked.length).to.equal(isBelieved ? 1 : 3)
      })
  })

  it('is not asked for twice in the millisecond of the write, but not believed either', async () => {
    await atRest(async (pass) => {
      const at = cacheWith({ freshFor: 60_000 })
      await pass(1)
      at.cache.distrust('model o/n')
      await at.keep('same millisecond')
      await pass(1)
      const next = at.ask()
      ;(await at.nth(1)).answer('new')
      expect(await next).to.include({ text: 'new' })
    })
  })
})
