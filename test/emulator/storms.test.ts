import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Storage as GoogleStorage } from '@google-cloud/storage'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { withConditionalRemovals } from '../support/conditional-removals.ts'
import { type GcsEmulator, startGcsEmulator } from '../support/emulator.ts'
import { runMirrorFace, temporaryFolder } from '../support/processes.ts'
import { startStormyService } from '../support/stormy-service.ts'

const seed = Number(process.env.SEED ?? 20261201)

/** Small files, and bytes of the large one. The emulator is slow: `npm run test:storms` asks for 10,000 and 3 GB. */
const smallFiles = Number(process.env.STORM_FILES ?? 300)
const largeFile = Number(process.env.STORM_BYTES ?? 64 * 1024 * 1024)

/** Milliseconds. To compose a gigabyte takes the emulator many seconds, in which it says nothing. */
const stallTimeout = largeFile > 1_000_000_000 ? 30_000 : 2000

describe('a bucket in a storm', function () {
  this.timeout(6 * 3_600_000)
  let emulator: GcsEmulator
  let buckets = 0

  beforeEach(async () => {
    emulator = await startGcsEmulator()
  })
  afterEach(async () => {
    await emulator[Symbol.asyncDispose]()
  })

  /** A repository mirrored into a bucket of which a share of the calls fails. */
  const mirrorIn = async (rate: number, files: Parameters<ReturnType<StandInHub['add']>['commit']>[0]) => {
    await using folder = await temporaryFolder()
    await using service = await withConditionalRemovals(emulator.url)
    await using storm = await startStormyService(service.url, seed)
    const bucket = `bucket-${buckets++}`
    await emulator.makeBucket(bucket)
    const hub = await new StandInHub().start()
    hub.add({ type: 'model', id: 'org/model' }).commit(files)
    const config = join(folder.path, 'config.yaml')
    const storage = `{ plugin: gcs, bucket: ${bucket}, endpoint: "${storm.url}", stallTimeout: ${stallTimeout} }`
    await writeFile(config, `storages: [${storage}]\n`)
    const mirrorface = (...args: string[]) =>
      runMirrorFace([...args, '--config', config], { MIRRORFACE_UPSTREAM_URL: hub.url })
    try {
      storm.rate = rate
      const begun = Date.now()
      const mirrored = await mirrorface('mirror', 'org/model', '--concurrency', '16')
      const failed = [...storm.failed.values()].reduce((sum, count) => sum + count, 0)
      console.log(
        `      ${((Date.now() - begun) / 1000).toFixed(0)} s, ${storm.calls} calls, of which ${failed} failed`,
      )
      expect(mirrored.code, mirrored.stderr).to.equal(0)
      const verified = await mirrorface('verify')
      expect(verified.stdout, verified.stderr).to.match(/^sound: 1 repositories/)
      const swept = await mirrorface('sweep', '--yes', '--grace', '0s')
      expect(swept.code, swept.stderr).to.equal(0)
      const objects = new GoogleStorage({ apiEndpoint: emulator.url, projectId: 'x' }).bucket(bucket)
      const names = (await objects.getFiles())[0].map(({ name }) => name)
      expect(names.filter((name) => /^(?:\.unfinished|leases)\//.test(name))).to.deep.equal([])
      expect(names.filter((name) => name.startsWith('blobs/'))).to.have.length(Object.keys(files).length)
    } finally {
      await hub.stop()
    }
  }

  for (const percent of [1, 20]) {
    it(`mirrors ${smallFiles} small files while ${percent} % of the calls fail (fault 34)`, async () => {
      const files = Array.from({ length: smallFiles }, (_, index) => [
        `folder-${index % 100}/${index}.txt`,
        `${index}\n`,
      ])
      await mirrorIn(percent / 100, Object.fromEntries(files))
    })

    it(`mirrors a large file while ${percent} % of the calls fail (fault 34)`, async () => {
      await mirrorIn(percent / 100, { 'model.safetensors': syntheticContent(largeFile, percent) })
    })
  }

  it('gives up on a bucket of which every call fails, with one sentence (fault 34)', async () => {
    await using folder = await temporaryFolder()
    await using storm = await startStormyService(emulator.url, seed)
    storm.rate = 1
    const hub = await new StandInHub().start()
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{}' })
    const config = join(folder.path, 'config.yaml')
    await writeFile(config, `storages: [{ plugin: gcs, bucket: gone, endpoint: "${storm.url}", stallTimeout: 500 }]\n`)
    const args = ['mirror', 'org/model', '--config', config]
    const { code, stderr } = await runMirrorFace(args, { MIRRORFACE_UPSTREAM_URL: hub.url })
    await hub.stop()
    expect(code, stderr).to.equal(1)
    expect(stderr.match(/^mirrorface: /gm), stderr).to.have.length(1)
    expect(stderr).not.to.match(/^ +at /m)
    expect(storm.calls).to.be.within(2, 60)
  })
})
