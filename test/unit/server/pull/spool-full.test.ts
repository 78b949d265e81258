import { mock } from 'node:test'
import { expect } from 'chai'
import { ContentUnavailable } from '../../../../src/server/delivery/content-unavailable.ts'
import { joinDownload } from '../../../../src/server/pull/answer-by-pulling.ts'
import type { GrowingFile } from '../../../../src/server/pull/growing-file.ts'
import { mostDownloads, Spool, SpoolFull } from '../../../../src/server/pull/spool.ts'
import { createLogger } from '../../../../src/telemetry/logger.ts'
import { Redactor } from '../../../../src/telemetry/redact.ts'
import { temporaryFolder } from '../../../support/processes.ts'
import { seededRandom } from '../../../support/seeded-random.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const { signal } = new AbortController()
const oid = 'a'.repeat(40)

async function failureOf(join: () => Promise<never>): Promise<unknown> {
  return await joinDownload({ join }, 'a-request', signal).catch((error: unknown) => error)
}

describe(`downloads for which there is no room any more (seed ${seed})`, () => {
  afterEach(() => mock.timers.reset())

  it('are left to the Hub, and are no failure of a storage, in whatever order room is promised and taken', async () => {
    await using folder = await temporaryFolder()
    mock.timers.enable({ apis: ['setTimeout'] })
    const random = seededRandom(seed)
    const logger = createLogger('error', 'json', { write: () => undefined }, new Redactor([]))
    let late = 0
    for (let round = 0; round < 20; round++) {
      const spool = new Spool({ directory: folder.path, limit: 100, logger })
      const promised: string[] = []
      const opened: GrowingFile[] = []
      for (let file = 0; file < 4; file++) {
        if (await spool.reserve(`${file}`, 60)) promised.push(`${file}`)
        if (random() < 0.7) mock.timers.tick(500) // the promise is over
      }
      for (const key of promised.sort(() => random() - 0.5)) {
        const join = () => spool.create(key, oid, 60)
        const outcome = await joinDownload({ join }, 'a-request', signal).catch((error: Error) => error)
        if (!(outcome instanceof Error)) {
          opened.push(outcome)
          continue
        }
        expect(outcome).to.be.instanceOf(ContentUnavailable)
        expect(outcome).to.deep.include({ storage: undefined })
        expect(outcome.cause).to.be.instanceOf(SpoolFull)
        late++
      }
      for (const growing of opened) await growing.release()
    }
    expect(late).to.be.greaterThan(0)
  })

  it('are so many at a time and no more, for each holds files and a connection, and goes on when its client has left', async () => {
    await using folder = await temporaryFolder()
    const logger = createLogger('error', 'json', { write: () => undefined }, new Redactor([]))
    const spool = new Spool({ directory: folder.path, limit: Number.MAX_SAFE_INTEGER, logger })
    const opened: GrowingFile[] = []
    try {
      // What is only promised is not counted: a client that looks at a thousand files downloads a few.
      for (let file = 0; file < 2 * mostDownloads; file++) expect(await spool.reserve(`${file}`, 1)).to.equal(true)
      for (let file = 0; file < mostDownloads; file++) opened.push(await spool.create(`${file}`, oid, 1))
      const beyond = await spool.create(`${mostDownloads}`, oid, 1).catch((error: unknown) => error)
      expect(beyond).to.be.instanceOf(SpoolFull)
      expect(await spool.reserve('another', 1)).to.equal(false)
      await opened.pop()?.release()
      expect(await spool.reserve('another', 1)).to.equal(true)
      opened.push(await spool.create('another', oid, 1))
      expect(await spool.reserve('one more', 1)).to.equal(false)
    } finally {
      for (const growing of opened) await growing.release()
    }
  })

  it('are told from a disk that fails, and from mistakes of our own', async () => {
    expect(await failureOf(() => Promise.reject(new SpoolFull(1)))).to.deep.include({ storage: undefined })
    const broken = Object.assign(new Error('I/O'), { code: 'EIO' })
    expect(await failureOf(() => Promise.reject(broken))).to.deep.include({ storage: 'spool', cause: broken })
    const mistake = new RangeError('ours')
    expect(await failureOf(() => Promise.reject(mistake))).to.equal(mistake)
  })
})
