import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { ContentHasher, type ContentSource } from 'mirrorface/plugin'
import { openLocalStorage } from './local-storage.ts'
import { receiveContent } from './receive-content.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

const whole = (bytes: Buffer): ContentSource =>
  async function* (start) {
    yield bytes.subarray(start)
  }

describe('unfinished writes of a local storage', () => {
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mirrorface-unfinished-'))
  })
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true })
  })

  const expectation = (bytes: Buffer) => ({ size: bytes.length, sha256: sha256(bytes), keepExisting: true })
  const unfinished = async () => await readdir(join(directory, '.unfinished'))

  it('are never shared, though their writers have one host name and one process id', async () => {
    const bytes = randomBytes(12_000_000)
    const first = await openLocalStorage({ directory, create: true })
    const second = await openLocalStorage({ directory, create: true })
    const both = Promise.withResolvers<void>()
    let begun = 0
    const slow: ContentSource = async function* (start) {
      if (++begun === 2) both.resolve()
      for (let offset = start; offset < bytes.length; offset += 1_000_000) {
        await both.promise
        yield bytes.subarray(offset, offset + 1_000_000)
      }
    }
    await Promise.all([first, second].map(({ writer }) => writer?.write('blob', slow, expectation(bytes))))
    expect((await readFile(join(directory, 'blob'))).equals(bytes)).to.equal(true)
    await Promise.all([first.close(), second.close()])
    expect(await unfinished()).to.deep.equal([])
  })

  it('are continued after their process was killed, and not while it is stopped', async () => {
    const bytes = Buffer.alloc(8_000_000, 'x')
    const script = `
      import { openLocalStorage } from ${JSON.stringify(new URL('./local-storage.ts', import.meta.url).href)}
      const storage = await openLocalStorage({ directory: ${JSON.stringify(directory)}, create: true })
      await storage.writer.write('blob', async function* () {
        yield Buffer.alloc(5_000_000, 'x')
        console.log('written')
        await new Promise((resolve) => setTimeout(resolve, 60_000))
      }, ${JSON.stringify(expectation(bytes))})`
    const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGSTOP')
    const storage = await openLocalStorage({ directory, create: true })
    const asked: number[] = []
    const rest: ContentSource = async function* (start) {
      asked.push(start)
      yield bytes.subarray(start)
    }
    expect(await storage.writer?.discardUnfinished(new Date(Date.now() + 60_000))).to.equal(0)
    await storage.writer?.write('other', rest, { size: bytes.length })
    await storage.writer?.write('blob', rest, expectation(bytes))
    await storage.writer?.remove('blob')
    child.kill('SIGKILL')
    await once(child, 'exit')
    await storage.writer?.write('blob', rest, expectation(bytes))
    expect(asked).to.deep.equal([0, 0, 5_000_000])
    expect((await readFile(join(directory, 'blob'))).equals(bytes)).to.equal(true)
    // The dead one's lock file goes, the living one's stays.
    expect(await storage.writer?.discardUnfinished(new Date(Date.now() + 60_000))).to.equal(0)
    expect((await unfinished()).filter((name) => name.endsWith('.owner'))).to.have.length(1)
    await storage.close()
    expect(await unfinished()).to.deep.equal([])
  })

  it('are judged by what is in the file, whatever was received', async () => {
    const bytes = randomBytes(3_000_000)
    await using file = await open(join(directory, 'file'), 'wx+')
    const corrupting = new Proxy(file, {
      get: (target, name) => {
        if (name === 'write')
          return async (chunk: Buffer, from: number, length: number, position: number) =>
            await target.write(Buffer.alloc(chunk.length, '?'), from, length, position)
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    using hash = new ContentHasher().start(bytes.length)
    const received = receiveContent(corrupting, hash, 'key', whole(bytes), expectation(bytes), {})
    expect(await received.catch((error: Error) => error)).to.have.property('code', 'ContentMismatch')
  })

  it('are judged by their size on disk, whatever was received', async () => {
    const bytes = randomBytes(3_000_000)
    await using file = await open(join(directory, 'file'), 'wx+')
    const growing: ContentSource = async function* () {
      yield bytes
      await file.write(bytes, 0, bytes.length, bytes.length) // another writer of the same file
    }
    using hash = new ContentHasher().start(bytes.length)
    const received = receiveContent(file, hash, 'key', growing, expectation(bytes), {})
    expect(await received.catch((error: Error) => error)).to.have.property('code', 'ContentMismatch')
  })

  it('fail when the disk reported an error that the last sync would not see again', async () => {
    const bytes = Buffer.alloc(70 * 1024 * 1024)
    await using file = await open(join(directory, 'file'), 'wx+')
    const failing = new Proxy(file, {
      get: (target, name) => {
        if (name === 'datasync') return async () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    using hash = new ContentHasher().start(0)
    const received = receiveContent(failing, hash, 'key', whole(bytes), { size: bytes.length }, {})
    expect(await received.catch((error: Error) => error)).to.have.property('code', 'EIO')
  })
})
