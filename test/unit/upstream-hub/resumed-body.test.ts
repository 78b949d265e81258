import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import {
  NotResumable,
  ResumedBody,
  type ResumedBodyOptions,
} from '../../../plugins/upstream-hub/follow/resumed-body.ts'
import { withoutPauses } from './stage.ts'

const content = Buffer.from('0123456789')

/** Gives the bytes from `offset` on, and breaks off after `count` of them. */
function broken(offset: number, count: number): Readable {
  async function* bytes() {
    if (count > 0) yield content.subarray(offset, offset + count)
    throw new Error('cut')
  }
  return Readable.from(bytes())
}

interface Attempts {
  readonly asked: number[]
  readonly told: [number, string][]
  readonly body: ResumedBody
}

/** A body whose attempts are these in turn, each made for the offset that is asked for. */
function resumedBy(
  attempts: readonly ((offset: number) => Readable | Promise<Readable>)[],
  { start = 0, end = 9 }: Partial<Pick<ResumedBodyOptions, 'start' | 'end'>> = {},
): Attempts {
  const asked: number[] = []
  const told: [number, string][] = []
  const attempt = (offset: number) => {
    const next = attempts[Math.min(asked.length, attempts.length - 1)]
    if (next === undefined) throw new Error('no attempt')
    return next(offset)
  }
  const first = attempt(start)
  if (!(first instanceof Readable)) throw new Error('the first attempt is there')
  asked.push(start)
  const body = new ResumedBody({
    ...{ first, start, end },
    reopen: async (offset) => {
      const next = attempt(offset)
      asked.push(offset)
      return await next
    },
    onResume: (offset, error) => told.push([offset, error instanceof Error ? error.message : String(error)]),
  })
  return { asked, told, body }
}

const rest = (offset: number) => Readable.from([content.subarray(offset)])
const failureOf = async (body: Readable) =>
  await buffer(body).then(
    () => undefined,
    (error: Error) => error,
  )

describe('a body that is asked for again', () => {
  it('goes on where it broke off or ended, and says so', async () => {
    using _ = withoutPauses()
    for (const [attempts, range, asked, told] of [
      [[rest], {}, [0], []],
      [[(at: number) => broken(at, 3), rest], {}, [0, 3], [[3, 'cut']]],
      [[() => Readable.from([content.subarray(0, 4)]), rest], {}, [0, 4], [[4, 'the body ended 6 bytes early']]],
      [[() => Readable.from([]), rest], {}, [0, 0], [[0, 'the body ended 10 bytes early']]],
      [
        [(at: number) => broken(at, 1), (at: number) => broken(at, 1), rest],
        { start: 2, end: 6 },
        [2, 3, 4],
        [
          [3, 'cut'],
          [4, 'cut'],
        ],
      ],
      [[() => Readable.from([content.subarray(0, 9)]), rest], {}, [0, 9], [[9, 'the body ended 1 bytes early']]],
    ] as const) {
      const made = resumedBy(attempts, range)
      const { start = 0, end = 9 } = { ...range } as { start?: number; end?: number }
      expect((await buffer(made.body)).toString()).to.equal(content.subarray(start, end + 1).toString())
      expect(made.asked).to.deep.equal(asked)
      expect(made.told).to.deep.equal(told)
    }
  })

  it('has never a byte more than was announced, and does not wait for the end of what has more', async () => {
    const endless = new PassThrough()
    endless.write(content)
    const { body, asked } = resumedBy([() => endless], { start: 0, end: 3 })
    expect((await buffer(body)).toString()).to.equal('0123')
    expect(asked).to.deep.equal([0])
    expect(endless.destroyed).to.equal(true)
  })

  it('fails after six attempts in a row without a byte, and not before', async () => {
    using _ = withoutPauses()
    const none = (at: number) => broken(at, 0)
    const refused = () => Promise.reject(new Error('refused'))
    for (const [fruitless, why] of [
      [none, 'cut'],
      [refused, 'refused'],
    ] as const) {
      for (const count of [4, 5, 6, 7]) {
        const { body, told } = resumedBy([none, ...Array.from({ length: count - 1 }, () => fruitless), rest])
        const failure = await failureOf(body)
        expect(failure?.message, `${why} ${count}`).to.equal(count < 6 ? undefined : why)
        expect(told).to.have.length(Math.min(count, 5))
      }
    }
    // Each byte gives it six more.
    const one = (at: number) => broken(at, 1)
    const steps = Array.from({ length: 10 }, () => [one, none, none, none]).flat()
    expect(await failureOf(resumedBy([one, ...steps]).body)).to.equal(undefined)
  })

  it('waits before it asks once more in vain, each time for longer', async () => {
    const waits: number[] = []
    const { body } = resumedBy([(at) => broken(at, 1), (at) => broken(at, 0), (at) => broken(at, 0), rest])
    let last = performance.now()
    body.on('data', () => waits.push(performance.now() - last))
    const began = performance.now()
    last = began
    await new Promise((resolve) => body.once('close', resolve))
    // 0, then 50 to 150 and 100 to 300 ms: no more than a bound below can be told of it.
    expect(waits.reduce((sum, one) => Math.max(sum, one), 0)).to.be.greaterThan(100)
  })

  it('fails at once where what is there now is something else (fault 30)', async () => {
    const { body, asked } = resumedBy([(at) => broken(at, 3), () => Promise.reject(new NotResumable('other content'))])
    expect(await failureOf(body))
      .to.be.instanceOf(NotResumable)
      .with.property('message', 'other content')
    expect(asked).to.deep.equal([0, 3])
  })

  it('ends what is under way when nobody reads it', async () => {
    const current = new PassThrough()
    const { body } = resumedBy([() => current])
    body.read()
    body.destroy()
    await new Promise((resolve) => body.once('close', resolve))
    expect(current.destroyed).to.equal(true)
  })

  it('tells its next attempt when and why it ends, and goes on with none', async () => {
    const signals: AbortSignal[] = []
    const asked = Promise.withResolvers<void>()
    const body = new ResumedBody({
      ...{ first: broken(0, 3), start: 0, end: 9 },
      reopen: (_offset, signal) => {
        signals.push(signal)
        asked.resolve()
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
      onResume: () => undefined,
    })
    const failed = new Promise((resolve) => body.once('error', resolve))
    body.resume()
    await asked.promise
    const reason = new Error('left')
    body.destroy(reason)
    expect(await failed).to.equal(reason)
    expect(signals.map((signal) => signal.reason)).to.deep.equal([reason])
  })

  it('says that nobody reads it where no reason was given', async () => {
    const asked = Promise.withResolvers<AbortSignal>()
    const body = new ResumedBody({
      ...{ first: broken(0, 3), start: 0, end: 9 },
      reopen: (_offset, signal) => {
        asked.resolve(signal)
        return new Promise(() => undefined)
      },
      onResume: () => undefined,
    })
    body.resume()
    const signal = await asked.promise
    body.destroy()
    expect(signal.reason).to.be.instanceOf(Error).with.property('message', 'nobody reads it')
  })

  it('reads no more than is wanted', async () => {
    let given = 0
    function* chunks() {
      for (; given < 100; given++) yield Buffer.alloc(64 * 1024)
    }
    const body = new ResumedBody({
      ...{ first: Readable.from(chunks()), start: 0, end: 100 * 64 * 1024 - 1 },
      reopen: () => Promise.reject(new Error('not asked')),
      onResume: () => undefined,
    })
    body.once('readable', () => undefined)
    await new Promise((resolve) => body.once('readable', resolve))
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(given).to.be.lessThan(40)
    expect((await buffer(body)).length).to.equal(100 * 64 * 1024)
  })
})
