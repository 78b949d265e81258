import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../../hub/index.ts'
import { runMirrorFace, spawnMirrorFace, startMirrorFace, temporaryFolder } from '../../support/processes.ts'

interface Entry {
  readonly path: string
  readonly blob: string | null
}

describe('mirrorface mirror, of many and beside others', () => {
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const settings = () => ({ MIRRORFACE_UPSTREAM_URL: hub.url, MIRRORFACE_LOCAL_DIRECTORY: join(folder.path, 'mirror') })
  const mirrorface = (...args: string[]) => runMirrorFace(args, settings())

  /** Which files of a repository's only commit are stored. */
  async function stored(directory: string): Promise<Record<string, boolean>> {
    const commits = join(directory, 'repositories/models--org--model/commits')
    const [name = ''] = await readdir(commits)
    const { files } = JSON.parse(await readFile(join(commits, name), 'utf8')) as { files: Entry[] }
    return Object.fromEntries(files.map(({ path, blob }) => [path, blob !== null]))
  }

  beforeEach(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.json': '{}', 'b.txt': 'b', 'c.txt': 'c' })
  })
  afterEach(async () => {
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  it('goes on with the others where one repository fails, prunes nothing of it, and exits with 3', async () => {
    const gone = hub.add({ type: 'model', id: 'org/gone' })
    gone.commit({ 'a.txt': 'one' })
    const list = join(folder.path, 'list.yaml')
    await writeFile(list, 'repositories: [org/gone, org/model]\n')
    expect((await mirrorface('mirror', 'org/gone')).code).to.equal(0)
    gone.commit({ 'a.txt': 'two' })
    expect((await mirrorface('mirror', 'org/gone')).code).to.equal(0)
    hub.repositories.delete('models/org/gone')
    const finished = await mirrorface('mirror', '--from', list, '--prune', '--json')
    expect(finished.code, finished.stderr).to.equal(3)
    expect(finished.stderr).to.match(/^mirrorface: org\/gone@main: .*does not exist/m)
    expect(finished.stderr).to.match(/^mirrorface: 1 repositories could not be mirrored; the others were$/m)
    const [failure, result] = JSON.parse(finished.stdout)
    expect(failure.error.code).to.equal('RepoNotFound')
    expect(result.repository.id).to.equal('org/model')
    const listed = JSON.parse((await mirrorface('list', '--json')).stdout)
    const revisions = listed.repositories.map((one: { id: string; revisions: unknown[] }) => [
      one.id,
      one.revisions.length,
    ])
    expect(revisions).to.deep.equal([
      ['org/gone', 2],
      ['org/model', 1],
    ])
  })

  it('ends at once where no repository can be mirrored', async () => {
    hub.add({ type: 'model', id: 'org/second' }).commit({ 'a.txt': 'x' })
    const finished = await mirrorface('mirror', 'org/model', 'org/second', '--token', 'hf_wrong')
    expect(finished.code).to.equal(1)
    expect(finished.stderr.match(/does not accept the token/g)).to.have.length(1)
  })

  it('keeps what a run at the same time, which chose other files, has stored (fault 2)', async () => {
    hub.faults = ({ url }) => (url.includes('a.json') ? { kind: 'delay', milliseconds: 8000 } : undefined)
    const slow = spawnMirrorFace(['mirror', 'org/model', '--include', 'a.json'], settings())
    const ended = once(slow, 'close')
    await delay(500)
    expect((await mirrorface('mirror', 'org/model', '--include', 'b.txt')).code).to.equal(0)
    expect(await stored(join(folder.path, 'mirror'))).to.deep.equal({ 'a.json': false, 'b.txt': true, 'c.txt': false })
    expect((await ended)[0]).to.equal(0)
    expect(await stored(join(folder.path, 'mirror'))).to.deep.equal({ 'a.json': true, 'b.txt': true, 'c.txt': false })
  })

  it('leaves a branch where a run at the same time, which asked the Hub later, has moved it (fault 2)', async () => {
    hub.faults = ({ url }) => (url.includes('a.json') ? { kind: 'delay', milliseconds: 8000 } : undefined)
    const slow = spawnMirrorFace(['mirror', 'org/model', '--include', 'a.json'], settings())
    const ended = once(slow, 'close')
    await delay(500)
    const later = hub.repositories.get('models/org/model')?.commit({ 'b.txt': 'later' })
    expect((await mirrorface('mirror', 'org/model')).code).to.equal(0)
    expect((await ended)[0]).to.equal(0)
    const listed = JSON.parse((await mirrorface('list', '--json')).stdout)
    const branch = listed.repositories[0].revisions.find(({ refs }: { refs: string[] }) => refs.includes('main'))
    expect(branch.commit).to.equal(later)
  })

  it('keeps an orphan that it is about to use from a sweep meanwhile (fault 2)', async () => {
    const shared = syntheticContent(100_000, 4)
    hub.add({ type: 'model', id: 'org/old' }).commit({ 'w.safetensors': shared })
    hub.add({ type: 'model', id: 'org/new' }).commit({ 'w.safetensors': shared, 'slow.json': '{}' })
    expect((await mirrorface('mirror', 'org/old')).code).to.equal(0)
    expect((await mirrorface('remove', 'org/old')).code).to.equal(0)
    const directory = settings().MIRRORFACE_LOCAL_DIRECTORY
    const blob = join(directory, 'blobs/sha256', shared.sha256.slice(0, 2), shared.sha256)
    const longAgo = new Date(Date.now() - 48 * 3_600_000)
    await utimes(blob, longAgo, longAgo)
    expect((await mirrorface('sweep')).stdout).to.match(/^would free .* in 1 blobs/)
    hub.faults = ({ url }) => (url.includes('slow.json') ? { kind: 'delay', milliseconds: 8000 } : undefined)
    const run = spawnMirrorFace(['mirror', 'org/new'], settings())
    const ended = once(run, 'close')
    const claimed = join(directory, 'repositories/models--org--new/commits')
    // The folder alone is made before the claim is written.
    while (!existsSync(claimed) || (await readdir(claimed)).length === 0) await delay(20)
    expect((await mirrorface('sweep', '--yes')).stdout).to.match(/^freed 0 B in 0 blobs/)
    expect((await ended)[0]).to.equal(0)
    expect((await mirrorface('verify')).stdout).to.match(/^sound: 1 repositories/)
  })

  it('copies a revision that lacks files as one that lacks them, so that the Hub is asked for the rest', async () => {
    const copy = join(folder.path, 'copy')
    expect((await mirrorface('mirror', 'org/model', '--exclude', '*.txt')).code).to.equal(0)
    const source = settings().MIRRORFACE_LOCAL_DIRECTORY
    const copied = await runMirrorFace(['mirror', 'org/model', '--source', source, '--local-directory', copy], {})
    expect(copied.code, copied.stderr).to.equal(0)
    expect(await stored(copy)).to.deep.equal({ 'a.json': true, 'b.txt': false, 'c.txt': false })
    const server = await startMirrorFace(['--local-directory', copy, '--upstream-url', hub.url])
    const answer = await fetch(`${server.endpoint}/org/model/resolve/main/b.txt`)
    expect(await answer.text()).to.equal('b')
    await server.stop()
  })

  it('takes nothing away from a whole revision by copying or repairing it from one that lacks files', async () => {
    const partial = join(folder.path, 'partial')
    expect((await mirrorface('mirror', 'org/model')).code).to.equal(0)
    const whole = settings().MIRRORFACE_LOCAL_DIRECTORY
    const include = ['--include', 'b.txt', '--local-directory', partial]
    expect((await mirrorface('mirror', 'org/model', ...include)).code).to.equal(0)
    expect((await mirrorface('mirror', 'org/model', '--source', partial)).code).to.equal(0)
    expect(await stored(whole)).to.deep.equal({ 'a.json': true, 'b.txt': true, 'c.txt': true })
    const blobs = await readdir(join(whole, 'blobs'), { recursive: true, withFileTypes: true })
    for (const blob of blobs.filter((entry) => entry.isFile())) await writeFile(join(blob.parentPath, blob.name), '')
    const repaired = await mirrorface('verify', '--repair', '--repair-from', partial)
    expect(repaired.code).to.equal(1)
    expect(repaired.stdout).to.match(/b\.txt .*\(healed\)/)
    expect(repaired.stdout).to.match(/a\.json .*\(not healed: .*has no content of a\.json either\)/)
    expect(await stored(whole)).to.deep.equal({ 'a.json': true, 'b.txt': true, 'c.txt': true })
  })
})
