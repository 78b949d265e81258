import { mock } from 'node:test'
import { expect } from 'chai'
import { ClaimLost } from '../../../src/mirror/claim-lost.ts'
import { Judge } from '../../../src/mirror/judge.ts'
import { Lease, parseLease } from '../../../src/mirror/lease.ts'
import { ownIdentity } from '../../../src/mirror/process-identity.ts'
import { Conflict } from '../../../src/plugin/index.ts'
import { refused, rejection, setStage } from './stage.ts'

const minute = 60_000
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** Lets time pass, timers and all. */
async function pass(milliseconds: number): Promise<void> {
  mock.timers.tick(milliseconds)
  for (let turn = 0; turn < 5; turn++) await settled()
}

describe('a lease', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date', 'setInterval'], now: Date.UTC(2026, 0, 10) }))
  afterEach(() => mock.timers.reset())

  it('says who runs what, since when, and goes at the end', async () => {
    const stage = setStage()
    const lease = await Lease.begin(stage.storage, 'mirror', 'mirror org/model@main')
    const [key = ''] = stage.bucket.objects.keys()
    expect(key)
      .to.match(/^leases\/[0-9a-f]{32}\.json$/)
      .and.to.contain(lease.id)
    const stored = parseLease(key, JSON.stringify(stage.get(key)))
    expect(stored).to.include({ kind: 'mirror', doing: 'mirror org/model@main', every: 300 })
    expect(stored.startedAt).to.equal(new Date().toISOString())
    expect(stored.process).to.deep.equal(ownIdentity())
    expect(stored.host).not.to.equal('')
    expect(lease.renewedAt).to.deep.equal(stage.bucket.objects.get(key)?.updatedAt)
    await lease[Symbol.asyncDispose]()
    expect([...stage.bucket.objects.keys()]).to.deep.equal([])
  })

  it('is renewed every five minutes, knows when it began, and is not renewed once it has ended', async () => {
    const stage = setStage()
    const lease = await Lease.begin(stage.storage, 'mirror', 'x')
    const key = `leases/${lease.id}.json`
    const began = lease.renewedAt.toISOString()
    const revs = new Set<unknown>()
    for (let renewal = 1; renewal <= 3; renewal++) {
      await pass(5 * minute - 1)
      expect(lease.renewedAt.getTime()).to.equal(Date.parse(began) + (renewal - 1) * 5 * minute)
      await pass(1)
      expect(lease.renewedAt.getTime()).to.equal(Date.parse(began) + renewal * 5 * minute)
      const stored = parseLease(key, JSON.stringify(stage.get(key)))
      expect(stored).to.include({ began, startedAt: began, kind: 'mirror' })
      revs.add(stored.rev)
    }
    expect(revs.size).to.equal(3)
    await lease[Symbol.asyncDispose]()
    const calls = stage.calls.length
    await pass(20 * minute)
    expect([...stage.bucket.objects.keys()]).to.deep.equal([])
    expect(stage.calls).to.have.length(calls)
  })

  it('that somebody took away ends its run, and is not taken from its successor', async () => {
    const stage = setStage()
    const lease = await Lease.begin(stage.storage, 'mirror', 'x')
    const key = `leases/${lease.id}.json`
    stage.bucket.objects.delete(key)
    expect(lease.signal.aborted).to.equal(false)
    await pass(5 * minute)
    expect(lease.signal.reason).to.be.instanceOf(ClaimLost)
    expect(lease.signal.reason.message).to.contain(key).and.to.contain('run it again')
    expect(lease.signal.reason).to.include({ code: 'ClaimLost', status: 409 })
    expect(lease.signal.reason.cause).to.be.instanceOf(Conflict)
    stage.put(key, { another: true })
    await lease[Symbol.asyncDispose]()
    expect(stage.get(key)).to.deep.equal({ another: true })
  })

  it('survives a renewal that fails, and an end that fails', async () => {
    const stage = setStage()
    const lease = await Lease.begin(stage.storage, 'mirror', 'x')
    stage.before = () => {
      throw refused()
    }
    await pass(5 * minute)
    expect(lease.signal.aborted).to.equal(false)
    stage.before = () => undefined
    await pass(5 * minute)
    expect(lease.signal.aborted).to.equal(false)
    expect(lease.renewedAt).to.deep.equal(new Date())
    stage.before = () => {
      throw refused()
    }
    await lease[Symbol.asyncDispose]()
  })

  it('survives a renewal that was carried out, though its response was lost or came late', async () => {
    const stage = setStage()
    const lease = await Lease.begin(stage.storage, 'mirror', 'x')
    const key = `leases/${lease.id}.json`
    for (const loss of ['lost', 'echoed', 'late'] as const) {
      const write = stage.storage.writer.write.bind(stage.storage.writer)
      const late: (() => void)[] = []
      const failing = mock.method(stage.storage.writer, 'write', async (...args: Parameters<typeof write>) => {
        const written = await write(...args)
        if (loss === 'lost') throw refused()
        if (loss === 'echoed') throw new Conflict('memory', key)
        await new Promise<void>((resolve) => late.push(resolve))
        return written
      })
      await pass(5 * minute)
      failing.mock.restore()
      await pass(5 * minute)
      for (const arrive of late) arrive()
      await pass(5 * minute)
      expect(lease.signal.aborted, loss).to.equal(false)
      expect(Date.now() - lease.renewedAt.getTime(), loss).to.be.at.most(5 * minute)
      expect(await new Judge(stage.storage, await Lease.begin(stage.storage, 'sweep', 'y')).isDead(lease.id)).to.equal(
        false,
      )
    }
    await pass(5 * minute)
    expect(lease.renewedAt).to.deep.equal(new Date())
    stage.bucket.objects.delete(key)
    await pass(5 * minute)
    expect(lease.signal.aborted).to.equal(true)
  })
})

describe('whether a run is dead', () => {
  const stored = (extra: object = {}) => ({
    rev: 'r',
    kind: 'mirror',
    host: 'h',
    startedAt: new Date(0).toISOString(),
    every: 300,
    doing: 'x',
    ...extra,
  })
  const key = 'leases/ab.json'
  const setUp = async () => {
    const stage = setStage()
    const lease = await Lease.begin(stage.storage, 'sweep', 'sweep')
    return {
      stage,
      lease,
      judge: new Judge(stage.storage, lease),
      ago: (ms: number) => new Date(+lease.renewedAt - ms),
    }
  }

  it('is told by its lease: half an hour without a renewal, by the clock of the storage, and no sooner', async () => {
    for (const [age, isDead] of [
      [0, false],
      [-60 * minute, false],
      [30 * minute, false],
      [30 * minute + 1, true],
      [24 * 60 * minute, true],
    ] as const) {
      const { stage, judge, ago } = await setUp()
      stage.put(key, stored(), ago(age))
      expect(await judge.isDead('ab'), `${age} ms`).to.equal(isDead)
      // Who is judged dead loses its lease, so that it learns of it.
      expect(stage.get(key) === undefined).to.equal(isDead)
    }
  })

  it('is so where it has no lease, and never of the judge itself', async () => {
    const { stage, judge, lease } = await setUp()
    expect(await judge.isDead('cd')).to.equal(true)
    stage.bucket.objects.clear()
    expect(await judge.isDead(lease.id)).to.equal(false)
  })

  it('is so at once where its process has ended on this machine', async () => {
    const { stage, judge, ago } = await setUp()
    stage.put(key, stored({ process: { ...ownIdentity(), startedAt: '1' } }), ago(0))
    expect(await judge.isDead('ab')).to.equal(true)
    expect(stage.get(key)).to.equal(undefined)
    stage.put('leases/cd.json', stored({ process: { ...ownIdentity() } }), ago(0))
    expect(await judge.isDead('cd')).to.equal(false)
  })

  it('is told by age alone where the lease is damaged', async () => {
    const { stage, judge, ago } = await setUp()
    stage.put(key, '{"cut', ago(minute))
    stage.put('leases/cd.json', '{"cut', ago(31 * minute))
    expect(await judge.isDead('ab')).to.equal(false)
    expect(await judge.isDead('cd')).to.equal(true)
  })

  it('is not so where it has just renewed its lease, and so where another judge was faster', async () => {
    for (const isRenewed of [true, false]) {
      const { stage, judge, ago } = await setUp()
      stage.put(key, stored(), ago(60 * minute))
      stage.before = (operation) => {
        if (operation !== 'delete') return
        if (isRenewed) stage.put(key, stored(), new Date())
        else stage.bucket.objects.delete(key)
      }
      expect(await judge.isDead('ab')).to.equal(!isRenewed)
    }
  })

  it('is asked once of each, by all who want to know', async () => {
    const { stage, judge, ago } = await setUp()
    stage.put(key, stored(), ago(0))
    expect(await Promise.all([judge.isDead('ab'), judge.isDead('ab')])).to.deep.equal([false, false])
    stage.bucket.objects.delete(key) // it ended well meanwhile: what it left is judged by one verdict
    expect(await judge.isDead('ab')).to.equal(false)
    expect(stage.calls.filter((call) => call === `load ${key}`)).to.have.length(1)
  })

  it('is not guessed where the storage does not answer', async () => {
    const { stage, judge, ago } = await setUp()
    stage.put(key, stored(), ago(60 * minute))
    stage.before = (operation) => {
      if (operation === 'delete') throw refused()
    }
    expect(await rejection(judge.isDead('ab'))).to.have.property('code', 'StorageUnavailable')
    expect(stage.get(key)).not.to.equal(undefined)
  })

  it('decides since when the oldest living run is under way, by when the storage took its lease first', async () => {
    const { stage, judge, ago, lease } = await setUp()
    expect(await judge.oldestBeginning()).to.deep.equal(lease.renewedAt)
    stage.put('leases/a1.json', stored(), ago(10 * minute)) // in its first version
    expect(await judge.oldestBeginning()).to.deep.equal(ago(10 * minute))
    stage.put('leases/a2.json', stored({ began: ago(90 * minute).toISOString() }), ago(5 * minute))
    expect(await judge.oldestBeginning()).to.deep.equal(ago(90 * minute))
    stage.put('leases/a3.json', stored({ began: ago(20 * minute).toISOString() }), ago(minute))
    stage.put('leases/a4.json', '{"cut', ago(12 * minute)) // by its age, where it can't be read
    stage.put('leases/a5.json', stored({ began: ago(900 * minute).toISOString() }), ago(31 * minute)) // dead
    stage.put('leases/not one', stored(), ago(900 * minute))
    expect(await judge.oldestBeginning()).to.deep.equal(ago(90 * minute))
    expect(stage.get('leases/a5.json')).to.equal(undefined)
    expect(stage.get('leases/not one')).not.to.equal(undefined)
  })

  it('takes a lease that is gone before it is read for one of its last renewal', async () => {
    const { stage, judge, ago } = await setUp()
    stage.put(key, stored({ began: ago(90 * minute).toISOString() }), ago(5 * minute))
    let loads = 0
    stage.before = (operation, name) => {
      if (operation === 'load' && name === key && ++loads === 2) stage.bucket.objects.delete(key)
    }
    expect(await judge.oldestBeginning()).to.deep.equal(ago(5 * minute))
  })
})
