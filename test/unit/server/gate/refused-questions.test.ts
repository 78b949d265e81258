import { mock } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import type { Repository } from '../../../../src/hub/index.ts'
import { AuthorityLimits } from '../../../../src/server/gate/authority.ts'
import type { Client } from '../../../../src/server/gate/client.ts'
import type { Verdict } from '../../../../src/server/gate/hub-access.ts'
import { Verdicts } from '../../../../src/server/gate/verdicts.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const yes: Verdict = { readable: true, id: 'id' }
const no: Verdict = { readable: false, id: undefined }
const hub = (token: string, address = '10.0.0.1'): Client => ({ kind: 'hub', token, address })
const nobody: Client = { kind: 'none', address: '10.0.0.1' }

/** Verdicts of a Hub whose reply can be set, and how often it was asked. */
function asking(options: ConstructorParameters<typeof Verdicts>[1]) {
  const state = { asked: 0, reply: async (): Promise<Verdict> => yes }
  const verdicts = new Verdicts(async () => {
    state.asked++
    return await state.reply()
  }, options)
  return { state, verdicts }
}

describe('questions that one address may have refused', () => {
  it('are 600 in a minute, of tokens of the Hub', async () => {
    const { state, verdicts } = asking({ cacheFor: 60_000, grace: 60_000 })
    state.reply = async () => no
    for (let index = 0; index < 700; index++)
      expect(await verdicts.mayRead(repository, hub(`hf_${index}`), 'id')).to.equal(false)
    expect(state.asked).to.equal(600)
    state.reply = async () => yes
    expect(await verdicts.mayRead(repository, hub('hf_new'), 'id')).to.equal(false)
    expect(await verdicts.mayRead(repository, hub('hf_new', '10.0.0.2'), 'id')).to.equal(true)
    // Who sends no token is asked about in any case: it is one question for each repository.
    expect(await verdicts.mayRead(repository, nobody, 'id')).to.equal(true)
  })

  it('are counted from the moment they are asked, and no more where they are accepted or not answered', async () => {
    for (const end of ['refused', 'accepted', 'unanswered'] as const) {
      const { state, verdicts } = asking({ cacheFor: 60_000, grace: 60_000 })
      const held = Promise.withResolvers<void>()
      state.reply = async () => {
        await held.promise
        if (end === 'unanswered') throw new Error('down')
        return end === 'accepted' ? yes : no
      }
      const ask = async (first: number) =>
        await Promise.all(
          Array.from({ length: 1_000 }, (_, index) => verdicts.mayRead(repository, hub(`hf_${first + index}`), 'id')),
        )
      const answers = ask(0)
      const same = verdicts.mayRead(repository, hub('hf_0'), 'id')
      expect(await verdicts.mayRead(repository, hub('hf_late'), 'id')).to.equal(false)
      expect(state.asked, end).to.equal(600)
      held.resolve()
      expect((await answers).filter((one) => one)).to.have.length(end === 'accepted' ? 600 : 0)
      expect(await same, 'one answer for all who asked the same').to.equal(end === 'accepted')
      await ask(1_000)
      expect(state.asked, end).to.equal(end === 'refused' ? 600 : 1_200)
    }
  })

  it('are not counted where they are accepted, or come without a token', async () => {
    const { state, verdicts } = asking({ cacheFor: 60_000, grace: 60_000 })
    for (let index = 0; index < 700; index++) await verdicts.mayRead(repository, hub(`hf_${index}`), 'id')
    state.reply = async () => no
    for (let index = 0; index < 700; index++)
      await verdicts.mayRead({ type: 'model', id: `org/${index}` }, nobody, 'id')
    expect(state.asked).to.equal(1_400)
    state.reply = async () => yes
    expect(await verdicts.mayRead(repository, hub('hf_new'), 'id')).to.equal(true)
  })
})

describe('questions that were refused', () => {
  it('are forgotten a minute after the first of them, however late the last was', async () => {
    const { state, verdicts } = asking({ cacheFor: 60_000, grace: 60_000 })
    let now = 1_000_000
    const clock = mock.method(performance, 'now', () => now)
    mock.timers.enable({ apis: ['setTimeout'] })
    const pass = (milliseconds: number) => {
      now += milliseconds
      mock.timers.tick(milliseconds)
    }
    try {
      state.reply = async () => no
      for (let index = 0; index < 600; index++) {
        await verdicts.mayRead(repository, hub(`hf_${index}`), 'id')
        pass(99)
      }
      state.reply = async () => yes
      expect(await verdicts.mayRead(repository, hub('hf_new'), 'id')).to.equal(false)
      pass(1_000)
      expect(await verdicts.mayRead(repository, hub('hf_new'), 'id')).to.equal(true)
    } finally {
      mock.timers.reset()
      clock.mock.restore()
    }
  })
})

describe('verdicts that are asked for anew', () => {
  it('wait for the Hub where the last one was no, however silent it was meanwhile', async () => {
    const { state, verdicts } = asking({ cacheFor: 0, grace: 60_000 })
    for (const [reply, isAccepted] of [
      [async () => no, false],
      [() => Promise.reject(new Error('down')), false],
      [async () => yes, true],
    ] as const) {
      state.reply = reply
      expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(isAccepted)
    }
  })

  it('hold at once where the Hub answers', async () => {
    const { state, verdicts } = asking({ cacheFor: 0, grace: 60_000 })
    for (const reply of [yes, no, yes, no]) {
      state.reply = async () => reply
      expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(reply.readable)
    }
  })

  it('are 32 at a time while the Hub is silent', async () => {
    const { state, verdicts } = asking({ cacheFor: 0, grace: 60_000, patience: 1 })
    const tokens = Array.from({ length: 50 }, (_, index) => `hf_${index}`)
    for (const token of tokens) await verdicts.mayRead(repository, hub(token), 'id')
    state.reply = () => new Promise(() => undefined)
    for (const round of [1, 2]) {
      for (const token of tokens)
        expect(await verdicts.mayRead(repository, hub(token), 'id'), `round ${round}`).to.equal(true)
      expect(state.asked).to.equal(50 + 32)
    }
  })

  it('have the whole grace again once the Hub answered after a 429', async () => {
    const minute = 60_000
    mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
    try {
      const down = () => Promise.reject(new Error('down'))
      for (const [isAnswered, isAccepted, afterwards] of [
        [true, true, down],
        [true, true, () => new Promise<never>(() => undefined)],
        [false, false, down],
      ] as const) {
        const { state, verdicts } = asking({ cacheFor: minute, grace: 60 * minute, patience: 1 })
        const ask = async () => await verdicts.mayRead(repository, hub('hf_a'), 'id')
        await ask()
        mock.timers.tick(minute)
        state.reply = () => Promise.reject(new AuthorityLimits('429'))
        expect(await ask()).to.equal(true)
        if (isAnswered) {
          state.reply = async () => yes
          await ask()
          state.reply = afterwards
        }
        mock.timers.tick(10 * minute)
        expect(await ask()).to.equal(isAccepted)
        await nextTurn()
      }
    } finally {
      mock.timers.reset()
    }
  })

  it('hold until the very end of their time, and not longer', async () => {
    mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
    try {
      for (const [cacheFor, grace] of [
        [10, 100],
        [100, 100],
        [100, 10],
      ] as const) {
        const { state, verdicts } = asking({ cacheFor, grace })
        await verdicts.mayRead(repository, hub('hf_a'), 'id')
        state.reply = () => Promise.reject(new Error('down'))
        const begun = Date.now()
        const last = Math.max(cacheFor, grace)
        mock.timers.setTime(begun + cacheFor - 1)
        expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
        expect(state.asked).to.equal(1)
        mock.timers.setTime(begun + last - 1)
        expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
        mock.timers.setTime(begun + last)
        expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(false)
      }
    } finally {
      mock.timers.reset()
    }
  })
})
