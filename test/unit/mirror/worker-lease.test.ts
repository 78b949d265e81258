import { mock } from 'node:test'
import { expect } from 'chai'
import { ClaimLost } from '../../../src/mirror/claim-lost.ts'
import { WorkerLease } from '../../../src/mirror/worker-lease.ts'
import { refused, rejection, type Stage, setStage } from './stage.ts'

const minute = 60_000
const leasesOf = ({ bucket }: Stage) => bucket.keys('leases')
const settled = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('the lease of a worker that pulls', () => {
  let now = 0
  const pass = async (milliseconds: number) => {
    // A minute at a time, so that each renewal has ended before the next one.
    for (let left = milliseconds; left > 0; left -= minute) {
      now += Math.min(left, minute)
      mock.timers.tick(Math.min(left, minute))
      await settled()
    }
  }
  beforeEach(() => {
    now = 1_000
    mock.timers.enable({ apis: ['Date', 'setInterval', 'setTimeout'] })
    mock.method(performance, 'now', () => now)
  })
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  it('is one for all pulls under way, and is kept a minute for the next', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    expect(leasesOf(stage)).to.deep.equal([])
    const [first, second] = await Promise.all([worker.use(), worker.use()])
    expect(first.lease).to.equal(second.lease)
    expect(leasesOf(stage)).to.have.length(1)
    expect(stage.get(leasesOf(stage)[0] ?? '')).to.include({ kind: 'pull' })
    await first[Symbol.asyncDispose]()
    await pass(2 * minute)
    expect(leasesOf(stage)).to.have.length(1) // the other pull goes on
    await second[Symbol.asyncDispose]()
    await pass(minute - 1)
    const third = await worker.use()
    expect(third.lease).to.equal(first.lease)
    await pass(2 * minute)
    const fourth = await worker.use()
    expect(fourth.lease).to.equal(first.lease)
    expect(leasesOf(stage)).to.have.length(1)
    await fourth[Symbol.asyncDispose]()
    await third[Symbol.asyncDispose]()
    await pass(minute)
    expect(leasesOf(stage)).to.deep.equal([])
    const later = await worker.use()
    expect(later.lease).not.to.equal(first.lease)
    expect(leasesOf(stage)).to.have.length(1)
    await later[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
  })

  it('is given up after an hour, so that sweeps are not held up by a busy server', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    const busy = await worker.use()
    await pass(60 * minute - 1)
    const last = await worker.use()
    expect(last.lease).to.equal(busy.lease)
    await pass(1)
    const next = await worker.use()
    expect(next.lease).not.to.equal(busy.lease)
    expect(leasesOf(stage)).to.have.length(2) // those who began with the former keep it
    await busy[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.have.length(2)
    await last[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.deep.equal([`leases/${next.lease.id}.json`])
    await next[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.deep.equal([])
  })

  it('is kept where the one before it is lost', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    const former = await worker.use()
    await pass(60 * minute)
    const next = await worker.use()
    stage.bucket.objects.delete(`leases/${former.lease.id}.json`)
    await pass(5 * minute)
    expect(former.lease.signal.aborted).to.equal(true)
    const later = await worker.use()
    expect(later.lease).to.equal(next.lease)
    for (const use of [former, next, later]) await use[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
  })

  it('is ended at once where it is old and nobody uses it', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    const first = await worker.use()
    await first[Symbol.asyncDispose]()
    now += 61 * minute // the machine slept, and its timers with it
    const second = await worker.use()
    await settled()
    expect(leasesOf(stage)).to.deep.equal([`leases/${second.lease.id}.json`])
    await second[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
  })

  it('ends with the worker, once nobody uses it, and not before', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    await worker[Symbol.asyncDispose]()
    const use = await worker.use()
    await worker[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.have.length(1)
    await use[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.deep.equal([])
    const idle = await worker.use()
    await idle[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.deep.equal([])
  })

  it('is begun anew for the next pull where it was lost', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    const first = await worker.use()
    stage.bucket.objects.clear()
    await pass(5 * minute)
    expect(first.lease.signal.reason).to.be.instanceOf(ClaimLost)
    const second = await worker.use()
    expect(second.lease).not.to.equal(first.lease)
    await first[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.deep.equal([`leases/${second.lease.id}.json`])
    await pass(2 * minute)
    expect(leasesOf(stage)).to.have.length(1)
    await second[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
  })

  it('that could not be begun fails those who wait for it, and no others', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    stage.before = () => {
      throw refused()
    }
    const failed = await Promise.all([rejection(worker.use()), rejection(worker.use())])
    for (const error of failed) expect(error).to.have.property('code', 'StorageUnavailable')
    stage.before = () => undefined
    const use = await worker.use()
    expect(leasesOf(stage)).to.have.length(1)
    await use[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
    expect(leasesOf(stage)).to.deep.equal([])
  })

  it('ends without complaint where the storage is gone', async () => {
    const stage = setStage()
    const worker = new WorkerLease(stage.storage)
    const use = await worker.use()
    stage.before = () => {
      throw refused()
    }
    await use[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
  })
})
