import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Storage as GoogleStorage } from '@google-cloud/storage'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { type GcsEmulator, startGcsEmulator } from '../support/emulator.ts'
import { runMirrorFace, spawnMirrorFace, temporaryFolder } from '../support/processes.ts'

const mebibyte = 1024 * 1024

/** Bytes. The emulator takes minutes, and 15 GB of memory, for 5 GB: `npm run test:large` asks for that. */
const largeFile = Number(process.env.LARGE_FILE_BYTES ?? 1_000_000_000)

describe('repositories in a bucket', function () {
  this.timeout(300_000)
  let emulator: GcsEmulator
  let hub: StandInHub
  let bucket: string
  let buckets = 0

  before(async () => {
    emulator = await startGcsEmulator()
  })
  after(async () => {
    await emulator[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    hub = await new StandInHub().start()
    bucket = `bucket-${buckets++}`
    await emulator.makeBucket(bucket)
  })
  afterEach(async () => {
    await hub.stop()
  })

  const environment = () => ({
    MIRRORFACE_GCS_ENDPOINT: emulator.url,
    MIRRORFACE_GCS_BUCKET: bucket,
    MIRRORFACE_UPSTREAM_URL: hub.url,
  })
  const mirrorface = (...args: string[]) => runMirrorFace(args, environment())
  const objects = () => new GoogleStorage({ apiEndpoint: emulator.url, projectId: 'x' }).bucket(bucket)
  const names = async () => (await objects().getFiles())[0].map((file) => file.name)

  it('resumes after SIGKILL at random, 50 times, and uploads nothing twice that was complete (fault 1)', async () => {
    const repository = hub.add({ type: 'model', id: 'org/model' })
    let version = 0
    const commitMore = () => {
      const sizes = [2, 5, 9, 14, 20, 34]
      const shards = sizes.map((size, index) => {
        const content = syntheticContent(size * mebibyte, version * 100 + index)
        return [`shard-${index}.safetensors`, content] as const
      })
      repository.commit({ ...Object.fromEntries(shards), 'config.json': `{"version": ${version++}}` })
    }
    commitMore()
    hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 30 } : undefined)
    const completed = new Map<string, string>()
    let kills = 0
    let longest = 1200
    while (kills < 50) {
      const before = completed.size
      const child = spawnMirrorFace(['mirror', 'org/model', '--concurrency', '2'], environment())
      const closed = once(child, 'close')
      await Promise.race([closed, delay(400 + Math.random() * longest)])
      if (child.exitCode === null && child.kill('SIGKILL')) kills++
      const [code] = (await closed) as [number | null]
      for (const file of (await objects().getFiles())[0]) {
        if (!file.name.startsWith('blobs/')) continue
        // Not the generation: the emulator, unlike the service, makes a new one when metadata is set.
        const created = String(file.metadata.timeCreated)
        expect(completed.get(file.name) ?? created, file.name).to.equal(created)
        completed.set(file.name, created)
      }
      expect((await names()).filter((name) => name.includes('/refs/')).length).to.be.at.most(1)
      if (code === 0) commitMore() // there must be something to interrupt
      // However slow the machine is, some runs must get far enough to complete a blob.
      longest = completed.size > before ? 1200 : Math.min(longest * 1.2, 10_000)
    }
    console.log(`      ${version} commits; ${completed.size} blobs were complete before the last run`)
    expect(completed.size).to.be.greaterThan(3)
    const finished = await mirrorface('mirror', 'org/model')
    expect(finished.code, finished.stderr).to.equal(0)
    const verified = await mirrorface('verify')
    expect(verified.stdout).to.match(/^sound: 1 repositories/)
    // A run that was killed after it had composed a blob, and before it removed its parts, leaves them to `sweep`.
    expect((await mirrorface('sweep', '--grace', '0s', '--yes')).code).to.equal(0)
    expect((await names()).filter((name) => name.startsWith('.unfinished/'))).to.deep.equal([])
  })

  it('lets two runs of one repository both succeed (fault 2)', async () => {
    hub.add({ type: 'model', id: 'org/model' }).commit({
      'a.safetensors': syntheticContent(150 * mebibyte, 5),
      'b.safetensors': syntheticContent(9 * mebibyte, 6),
    })
    const both = await Promise.all([mirrorface('mirror', 'org/model'), mirrorface('mirror', 'org/model')])
    for (const finished of both) expect(finished.code, finished.stderr).to.equal(0)
    expect((await mirrorface('verify')).code).to.equal(0)
  })

  it('keeps a fleet current from a list, and prunes', async () => {
    await using folder = await temporaryFolder()
    const model = hub.add({ type: 'model', id: 'org/model' })
    const old = model.commit({ 'a.txt': 'one' })
    hub.add({ type: 'dataset', id: 'squad' }).commit({ 'train.json': '[]', 'big.parquet': 'x' })
    const list = join(folder.path, 'repositories.yaml')
    await writeFile(
      list,
      'repositories:\n  - org/model\n  - repository: squad\n    type: dataset\n    exclude: ["*.parquet"]\n',
    )
    expect((await mirrorface('mirror', '--from', list)).code).to.equal(0)
    const now = model.commit({ 'a.txt': 'two' })
    const finished = await mirrorface('mirror', '--from', list, '--prune')
    expect(finished.stderr).to.match(new RegExp(`pruned org/model@${old}`))
    expect((await names()).filter((name) => name.includes('commits/') && name.includes('org--model'))).to.deep.equal([
      `repositories/models--org--model/commits/${now}.json`,
    ])
    await writeFile(list, 'repositories:\n  - repositry: x\n')
    const wrong = await mirrorface('mirror', '--from', list)
    expect(wrong.code).to.equal(2)
    expect(wrong.stderr).to.match(/repositories\.yaml: repositories\.0/)
  })

  it('finds everything that can be wrong, and heals it from the Hub (fault 4)', async () => {
    const weights = syntheticContent(3 * mebibyte, 8)
    const other = syntheticContent(2 * mebibyte, 9)
    const third = syntheticContent(1 * mebibyte, 10)
    const commit = hub
      .add({ type: 'model', id: 'org/model' })
      .commit({ 'a.safetensors': weights, 'b.safetensors': other, 'c.safetensors': third })
    const second = hub.add({ type: 'model', id: 'org/second' }).commit({ 'd.txt': 'd' })
    hub.add({ type: 'model', id: 'org/third' }).commit({ 'e.txt': 'e' })
    expect((await mirrorface('mirror', 'org/model', 'org/second', 'org/third')).code).to.equal(0)
    const key = (sha256: string) => `blobs/sha256/${sha256.slice(0, 2)}/${sha256}`
    const [bytes] = await objects().file(key(third.sha256)).download()
    bytes.writeUInt8(bytes.readUInt8(500_000) ^ 1, 500_000)
    await objects().file(key(third.sha256)).save(bytes)
    await objects().file(key(weights.sha256)).delete()
    await objects().file(key(other.sha256)).save('truncated')
    await objects().file(`repositories/models--org--second/commits/${second}.json`).save('{"layout": 2, "half')
    await objects()
      .file('repositories/models--org--third/refs/gone.json')
      .save(JSON.stringify({ commit: 'd'.repeat(40), kind: 'branch', updatedAt: new Date().toISOString() }))
    await objects()
      .file(key('f'.repeat(64)))
      .save('orphan')
    const report = JSON.parse((await mirrorface('verify', '--json')).stdout)
    const kinds = report.problems.map(({ kind }: { kind: string }) => kind).toSorted()
    expect(kinds).to.deep.equal(['damaged manifest', 'dangling ref', 'missing blob', 'wrong content', 'wrong size'])
    expect(report.orphans.keys).to.include(key('f'.repeat(64)))
    expect(report.problems.find(({ kind }: { kind: string }) => kind === 'missing blob')).to.include({
      repository: 'org/model',
      commit,
      path: 'a.safetensors',
    })
    // The service's own checksum finds the flipped bit without reading.
    const quick = JSON.parse((await mirrorface('verify', '--quick', '--json')).stdout)
    expect(quick.problems.map(({ kind }: { kind: string }) => kind).toSorted()).to.deep.equal(kinds)
    const repaired = await mirrorface('verify', '--repair')
    expect(repaired.code, repaired.stdout + repaired.stderr).to.equal(0)
    expect(repaired.stdout.match(/\(healed\)/g)).to.have.length(5)
    const after = await mirrorface('verify')
    expect(after.stdout).to.match(/^1 blobs belong to no manifest/)
    expect(after.code).to.equal(0)
  })

  it('heals from another storage where the Hub is gone (fault 4)', async () => {
    await using folder = await temporaryFolder()
    const weights = syntheticContent(2 * mebibyte, 11)
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.safetensors': weights })
    await mirrorface('mirror', 'org/model')
    await runMirrorFace(['mirror', 'org/model', '--local-directory', folder.path], { MIRRORFACE_UPSTREAM_URL: hub.url })
    await hub.stop()
    await objects()
      .file(`blobs/sha256/${weights.sha256.slice(0, 2)}/${weights.sha256}`)
      .delete()
    const repaired = await mirrorface('verify', '--repair', '--repair-from', folder.path)
    expect(repaired.stdout).to.match(/\(healed\)/)
    expect((await mirrorface('verify')).code).to.equal(0)
  })

  it('compares with the Hub', async () => {
    const model = hub.add({ type: 'model', id: 'org/model' })
    const old = model.commit({ 'a.txt': 'one' })
    await mirrorface('mirror', 'org/model')
    expect((await mirrorface('verify', '--against-hub')).code).to.equal(0)
    expect((await mirrorface('list', '--outdated')).stdout).to.match(/everything is as the Hub has it/)
    const now = model.commit({ 'a.txt': 'two' })
    const moved = await mirrorface('verify', '--against-hub')
    expect(moved.stdout).to.include(`moved: org/model@main: mirrored ${old}, at the Hub ${now}`)
    expect(moved.code).to.equal(0)
    expect((await mirrorface('list', '--outdated')).stdout).to.match(
      new RegExp(`org/model\\s+main\\s+${old.slice(0, 12)}\\s+${now.slice(0, 12)}`),
    )
    hub.repositories.clear()
    const gone = await mirrorface('verify', '--against-hub')
    expect(gone.stdout).to.match(/^gone: org\/model@/m)
    expect(gone.code).to.equal(1)
  })

  it('removes a revision and a repository, and sweeps what they leave', async () => {
    const model = hub.add({ type: 'model', id: 'org/model' })
    const first = model.commit({ 'a.txt': 'one', shared: 'shared' })
    model.tags.set('v1', first)
    await mirrorface('mirror', 'org/model', '--revision', 'v1')
    model.commit({ 'a.txt': 'two', shared: 'shared' })
    await mirrorface('mirror', 'org/model')
    expect((await mirrorface('remove', 'org/model@v1')).stdout).to.match(/removed 1 refs and 1 commits/)
    expect((await mirrorface('sweep')).stdout).to.match(/^would free 0 B in 0 blobs; 1 more are younger than 24h/)
    expect((await mirrorface('sweep', '--grace', '0s')).stdout).to.match(/^would free 3 B in 1 blobs/)
    expect((await mirrorface('sweep', '--grace', '0s', '--yes')).stdout).to.match(/^freed 3 B in 1 blobs/)
    expect((await mirrorface('verify')).stdout).to.match(/^sound: 1 repositories, 1 manifests, 1 refs, 2 blobs/)
    expect((await mirrorface('remove', 'org/model')).code).to.equal(0)
    await mirrorface('sweep', '--grace', '0s', '--yes')
    const kept = (await names()).filter((name) => !name.startsWith('deletions/'))
    expect(kept).to.have.members(['mirrorface.json', 'verification.json'])
    const again = await mirrorface('remove', 'org/model')
    expect(again.code).to.equal(2)
    expect(again.stderr).to.match(/no such repository here: org\/model/)
    expect((await mirrorface('sweep', '--grace', 'soon')).code).to.equal(2)
  })

  it('lists 1,000 repositories in seconds', async () => {
    const manifest = (id: string, commit: string) => ({
      layout: 2,
      repository: { type: 'model', id },
      commit,
      mirroredAt: new Date().toISOString(),
      mirroredFrom: 'test',
      info: {},
      commits: [],
      files: [],
      directories: [],
    })
    const puts = Array.from({ length: 1000 }, (_, index) => {
      const commit = index.toString(16).padStart(40, '0')
      return () =>
        objects()
          .file(`repositories/models--org--m${index}/commits/${commit}.json`)
          .save(JSON.stringify(manifest(`org/m${index}`, commit)), { resumable: false })
    })
    for (let start = 0; start < puts.length; start += 50)
      await Promise.all(puts.slice(start, start + 50).map((put) => put()))
    const started = performance.now()
    const finished = await mirrorface('list', '--json')
    const seconds = (performance.now() - started) / 1000
    console.log(`      ${seconds.toFixed(1)} s`)
    expect(JSON.parse(finished.stdout).repositories).to.have.length(1000)
    expect(seconds).to.be.lessThan(30)
  })

  it(`takes a ${largeFile / 1e9} GB file in under 300 MiB of memory, without a temporary file`, async function () {
    this.timeout(900_000)
    const content = syntheticContent(largeFile, 12)
    hub.add({ type: 'model', id: 'org/huge' }).commit({ 'w.safetensors': content })
    await using folder = await temporaryFolder()
    // The compiled code that Node keeps would be in there as well.
    const isolated = { TMPDIR: folder.path, NODE_DISABLE_COMPILE_CACHE: '1' }
    const child = spawnMirrorFace(['mirror', 'org/huge'], { ...environment(), ...isolated })
    let peak = 0
    const watch = setInterval(() => {
      void readFile(`/proc/${child.pid}/status`, 'utf8').then(
        (status) => {
          peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024)
        },
        () => clearInterval(watch),
      )
    }, 50)
    const started = performance.now()
    let errors = ''
    child.stderr?.on('data', (chunk) => (errors += chunk))
    const [code] = await once(child, 'close')
    clearInterval(watch)
    console.log(
      `      peak ${peak.toFixed(0)} MiB, ${(largeFile / 1e6 / ((performance.now() - started) / 1000)).toFixed(0)} MB/s`,
    )
    expect(code, errors).to.equal(0)
    const { readdir } = await import('node:fs/promises')
    expect(await readdir(folder.path)).to.deep.equal([])
    expect(peak).to.be.within(30, 300)
    const [metadata] = await objects()
      .file(`blobs/sha256/${content.sha256.slice(0, 2)}/${content.sha256}`)
      .getMetadata()
    expect(Number(metadata.size)).to.equal(largeFile)
  })

  for (const [what, extra, message] of [
    [
      'a bucket that does not exist',
      { MIRRORFACE_GCS_BUCKET: 'no-such-bucket' },
      /bucket no-such-bucket does not exist/,
    ],
    [
      'a bad bucket name',
      { MIRRORFACE_GCS_BUCKET: 'Bad_Bucket!' },
      /storage plugin "gcs": bucket: expected name, name\/prefix or gs:\/\/name\/prefix/,
    ],
    [
      'a service that cannot be reached',
      { MIRRORFACE_GCS_ENDPOINT: 'http://127.0.0.1:9' },
      /storage gcs is unavailable/,
    ],
  ] as const) {
    it(`says what is wrong with ${what} (fault 21)`, async () => {
      hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'x' })
      const finished = await runMirrorFace(['mirror', 'org/model'], {
        ...environment(),
        ...extra,
        MIRRORFACE_STORAGE_TIMEOUT: '5000',
      })
      expect(finished.stderr).to.match(message)
      expect(finished.code).to.be.oneOf([1, 2])
    })
  }
})
