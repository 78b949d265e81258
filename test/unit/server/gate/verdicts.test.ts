import { mock } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import fc from 'fast-check'
import type { Repository } from '../../../../src/hub/index.ts'
import { AuthorityLimits } from '../../../../src/server/gate/authority.ts'
import type { Client } from '../../../../src/server/gate/client.ts'
import type { Verdict } from '../../../../src/server/gate/hub-access.ts'
import { Verdicts } from '../../../../src/server/gate/verdicts.ts'
import { runs } from '../../../support/runs.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const hub = (token: string): Client => ({ kind: 'hub', token, address: '10.0.0.1' })
const yes: Verdict = { readable: true, id: 'id' }
const no: Verdict = { readable: false, id: undefined }

/** A Hub that answers when it is told to. */
class ManualHub {
  asked = 0
  reply: () => Promise<Verdict> = async () => yes
  readonly ask = async (): Promise<Verdict> => {
    this.asked++
    return await this.reply()
  }
}

const never = () => new Promise<Verdict>(() => undefined)
const limits = async () => await Promise.reject(new AuthorityLimits('the Hub answered 429'))
const down = async () => await Promise.reject(new Error('down'))

describe("the Hub's verdicts", () => {
  it('are asked for once by many at a time, and believed for a while', async () => {
    const manual = new ManualHub()
    const verdicts = new Verdicts(manual.ask, { cacheFor: 60_000, grace: 60_000 })
    const answers = await Promise.all(Array.from({ length: 50 }, () => verdicts.mayRead(repository, hub('hf_a'), 'id')))
    expect(answers.every(Boolean)).to.equal(true)
    expect(manual.asked).to.equal(1)
    await verdicts.mayRead({ type: 'model', id: 'Org/Model' }, hub('hf_a'), 'id')
    expect(manual.asked).to.equal(1)
    await verdicts.mayRead(repository, hub('hf_b'), 'id')
    await verdicts.mayRead({ type: 'dataset', id: 'org/model' }, hub('hf_a'), 'id')
    expect(manual.asked).to.equal(3)
  })

  it('hold for the id that was stored only, and for a new name by its id alone', async () => {
    const manual = new ManualHub()
    const verdicts = new Verdicts(manual.ask, { cacheFor: 60_000, grace: 60_000 })
    expect(await verdicts.mayRead(repository, hub('hf_a'), 'other id')).to.equal(false)
    expect(await verdicts.mayRead(repository, hub('hf_a'), undefined)).to.equal(true)
    manual.reply = async () => ({ readable: true, id: 'id', isRenamed: true })
    const renamed: Repository = { type: 'model', id: 'org/renamed' }
    expect(await verdicts.mayRead(renamed, hub('hf_a'), undefined)).to.equal(false)
    expect(await verdicts.mayRead(renamed, hub('hf_a'), 'id')).to.equal(true)
  })

  it('that were yes are kept for the grace while the Hub is down; that were no, or none, are no', async () => {
    const manual = new ManualHub()
    const verdicts = new Verdicts(manual.ask, { cacheFor: 0, grace: 60_000 })
    expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
    manual.reply = async () => no
    expect(await verdicts.mayRead(repository, hub('hf_b'), 'id')).to.equal(false)
    manual.reply = down
    expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
    expect(await verdicts.mayRead(repository, hub('hf_b'), 'id')).to.equal(false)
    expect(await verdicts.mayRead(repository, hub('hf_c'), 'id')).to.equal(false)
    const strict = new Verdicts(manual.ask, { cacheFor: 0, grace: 0 })
    manual.reply = async () => yes
    expect(await strict.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
    manual.reply = down
    expect(await strict.mayRead(repository, hub('hf_a'), 'id')).to.equal(false)
  })

  it('that were yes hold for the grace while the Hub is silent, and for a short time while it answers 429', async () => {
    const minutes = (count: number) => count * 60_000
    const step = fc.record({
      wait: fc.integer({ min: 0, max: minutes(4) }),
      trouble: fc.constantFrom('silent' as const, 'limits' as const),
    })
    mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 12 }),
          fc.constantFrom(0, 1_000, minutes(1), minutes(3), minutes(10)),
          fc.constantFrom(0, minutes(2), minutes(20), minutes(24 * 60)),
          async (steps, cacheFor, grace) => {
            const manual = new ManualHub()
            const verdicts = new Verdicts(manual.ask, { cacheFor, grace })
            expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
            let age = 0
            let last: 'silent' | 'limits' | undefined
            for (const { wait, trouble } of steps) {
              age += wait
              mock.timers.setTime(Date.now() + wait)
              manual.reply = trouble === 'silent' ? down : limits
              const before = manual.asked
              const found = await verdicts.mayRead(repository, hub('hf_a'), 'id')
              await nextTurn() // what is asked in the background is answered
              const isFresh = age < cacheFor
              // A Hub that was silent a moment ago is not waited for.
              const counts = last === 'silent' && age < grace ? 'silent' : trouble
              const bound = counts === 'silent' ? grace : Math.min(2 * cacheFor, minutes(5), grace)
              expect(found).to.equal(isFresh || age < bound)
              expect(manual.asked - before).to.equal(isFresh ? 0 : 1)
              if (!isFresh) last = trouble
            }
          },
        ),
        { numRuns: runs(200), seed: 20261125 },
      )
    } finally {
      mock.timers.reset()
    }
  })

  it('of a silent Hub are waited for once, and then not for each file', async () => {
    const manual = new ManualHub()
    const verdicts = new Verdicts(manual.ask, { cacheFor: 0, grace: 60_000, patience: 100 })
    for (const token of ['hf_a', 'hf_b']) await verdicts.mayRead(repository, hub(token), 'id')
    manual.reply = never
    const began = performance.now()
    expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
    const first = performance.now() - began
    expect(first).to.be.within(90, 1_000)
    for (let file = 0; file < 1_000; file++) await verdicts.mayRead(repository, hub('hf_a'), 'id')
    expect(await verdicts.mayRead(repository, hub('hf_b'), 'id')).to.equal(true)
    expect(performance.now() - began - first).to.be.lessThan(90)
    expect(manual.asked).to.equal(4) // one for each token before, one for each while silent
  })

  it('are taken back as soon as the Hub answers again', async () => {
    const manual = new ManualHub()
    const verdicts = new Verdicts(manual.ask, { cacheFor: 0, grace: 60_000, patience: 10 })
    await verdicts.mayRead(repository, hub('hf_a'), 'id')
    const late = Promise.withResolvers<Verdict>()
    manual.reply = () => late.promise
    expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(true)
    manual.reply = async () => no
    late.resolve(no)
    await late.promise
    await new Promise(setImmediate)
    expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(false)
    manual.reply = down
    expect(await verdicts.mayRead(repository, hub('hf_a'), 'id')).to.equal(false)
  })

  it('that were yes are not pushed out by made-up tokens, of which one address may try so many', async () => {
    const manual = new ManualHub()
    const verdicts = new Verdicts(manual.ask, { cacheFor: 60_000, grace: 60_000 })
    await verdicts.mayRead(repository, hub('hf_good'), 'id')
    manual.reply = async () => no
    for (let index = 0; index < runs(20_000); index++) {
      expect(await verdicts.mayRead(repository, hub(`hf_junk_${index}`), 'id')).to.equal(false)
    }
    expect(manual.asked).to.be.lessThan(1_000)
    expect(await verdicts.mayRead(repository, hub('hf_good'), 'id')).to.equal(true)
    // Another address is not held responsible.
    manual.reply = async () => yes
    const elsewhere: Client = { kind: 'hub', token: 'hf_new', address: '10.0.0.2' }
    expect(await verdicts.mayRead(repository, elsewhere, 'id')).to.equal(true)
  })
})
