import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { DirectoryLock } from './directory-lock.ts'
import plugin from './index.ts'
import { KernelLock } from './kernel-lock.ts'
import { openLocalStorage } from './local-storage.ts'
import { type UnfinishedFile, UnfinishedFiles } from './unfinished-files.ts'

const hour = 3_600_000
const settled = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('locks of a local storage', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mirrorface-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  describe('that the kernel holds', () => {
    it('are held by one at a time, until they are released or disposed of', () => {
      const path = join(directory, 'lock')
      const [first, second] = [new KernelLock(path), new KernelLock(path)]
      expect(first.tryAcquire()).to.equal(true)
      expect(second.tryAcquire()).to.equal(false)
      first.release()
      expect(second.tryAcquire()).to.equal(true)
      expect(first.tryAcquire()).to.equal(false)
      second[Symbol.dispose]()
      expect(first.tryAcquire()).to.equal(true)
      first[Symbol.dispose]()
      first[Symbol.dispose]()
      second.release()
    })

    it('are taken on the file that others lock, though the one that was open is deleted', () => {
      const path = join(directory, 'lock')
      const [first, second] = [new KernelLock(path), new KernelLock(path)]
      first.tryAcquire()
      first.release()
      rmSync(path)
      expect(second.tryAcquire()).to.equal(true)
      expect(first.tryAcquire()).to.equal(false)
      second.release()
      expect(first.tryAcquire()).to.equal(true)
      first[Symbol.dispose]()
      second[Symbol.dispose]()
    })

    it('are taken where the file is gone', () => {
      const path = join(directory, 'lock')
      const lock = new KernelLock(path)
      lock.tryAcquire()
      lock.release()
      rmSync(path)
      expect(lock.tryAcquire()).to.equal(true)
      expect(new KernelLock(path).tryAcquire()).to.equal(false)
      lock[Symbol.dispose]()
    })

    it('say why they cannot be taken, and can be once that has passed', () => {
      const path = join(directory, 'folder', 'lock')
      const lock = new KernelLock(path)
      expect(() => lock.tryAcquire()).to.throw()
      mkdirSync(join(directory, 'folder'))
      expect(lock.tryAcquire()).to.equal(true)
      lock[Symbol.dispose]()
      writeFileSync(path, 'this is no database, and long enough for its header to be looked at by SQLite'.repeat(20))
      const damaged = new KernelLock(path)
      expect(() => damaged.tryAcquire()).to.throw(/not a database/)
      rmSync(path)
      expect(damaged.tryAcquire()).to.equal(true)
      damaged[Symbol.dispose]()
    })
  })

  describe('of a directory', () => {
    it('let one change happen at a time, whoever fails', async () => {
      const path = join(directory, 'lock')
      const locks = [new DirectoryLock(path), new DirectoryLock(path)]
      let inside = 0
      let most = 0
      const act = async (index: number) => {
        most = Math.max(most, ++inside)
        await settled()
        inside--
        if (index % 3 === 0) throw new Error(`failed ${index}`)
        return index
      }
      const held = Array.from({ length: 12 }, (_, index) => locks[index % 2]?.hold(() => act(index), {}))
      const outcomes = await Promise.allSettled(held)
      expect(most).to.equal(1)
      expect(outcomes.map(({ status }) => status)).to.deep.equal(
        Array.from({ length: 12 }, (_, index) => (index % 3 === 0 ? 'rejected' : 'fulfilled')),
      )
      expect(outcomes[1]).to.have.property('value', 1)
      for (const lock of locks) lock[Symbol.dispose]()
    })

    it('are not waited for by who is interrupted, nor taken by them', async () => {
      const path = join(directory, 'lock')
      const other = new KernelLock(path)
      other.tryAcquire()
      const lock = new DirectoryLock(path)
      const stop = new AbortController()
      let isRun = false
      const act = async () => {
        isRun = true
      }
      const waiting = lock.hold(act, { signal: stop.signal }).catch((error: Error) => error)
      await settled()
      stop.abort()
      expect(await waiting).to.have.property('name', 'AbortError')
      other.release()
      expect(await lock.hold(act, { signal: stop.signal }).catch((error: Error) => error)).to.have.property(
        'name',
        'AbortError',
      )
      expect(isRun).to.equal(false)
      expect(other.tryAcquire()).to.equal(true)
      other[Symbol.dispose]()
      lock[Symbol.dispose]()
    })

    it('are free once disposed of', async () => {
      const path = join(directory, 'lock')
      const lock = new DirectoryLock(path)
      let release = (): void => undefined
      const held = lock.hold(
        () =>
          new Promise<void>((resolve) => {
            release = resolve
          }),
        {},
      )
      await settled()
      const other = new KernelLock(path)
      expect(other.tryAcquire()).to.equal(false)
      lock[Symbol.dispose]()
      expect(other.tryAcquire()).to.equal(true)
      other[Symbol.dispose]()
      release()
      await held
    })
  })

  describe('of unfinished files', () => {
    const folder = () => join(directory, '.unfinished')
    const names = () => readdirSync(folder()).filter((name) => !name.includes('.owner'))
    const owners = () => readdirSync(folder()).filter((name) => name.endsWith('.owner'))
    const leave = async (files: UnfinishedFiles, key: string, text: string) =>
      await files.use(key, true, async (file) => {
        await file.handle.writeFile(text)
        await files.leave(key, file)
      })
    const sizeOf = async (file: UnfinishedFile) => (await file.handle.stat()).size
    /** Older than any that is being written. */
    const age = (name: string, milliseconds: number) => {
      const at = new Date(Date.now() - milliseconds)
      utimesSync(join(folder(), name), at, at)
    }
    const soon = () => new Date(Date.now() + 60_000)
    const dead = '0123456789abcdef'
    const hash = 'a'.repeat(40)

    it('are gone on with by the next write of the same key: the longest first, and none that is shared', async () => {
      using files = new UnfinishedFiles(directory)
      // Two attempts at a time, and both have left something.
      await files.use('k', true, async (one) => {
        await one.handle.writeFile('abc')
        await leave(files, 'k', 'abcdef')
        await leave(files, 'other', 'abcdefghi')
        await files.leave('k', one)
      })
      expect(names()).to.have.length(3)
      await files.use('k', false, async (file) => {
        expect(await sizeOf(file)).to.equal(0)
        rmSync(file.path)
      })
      await files.use('k', true, async (longest) => {
        expect(await sizeOf(longest)).to.equal(6)
        await files.use('k', true, async (shorter) => {
          expect(await sizeOf(shorter)).to.equal(3)
          await files.use('k', true, async (none) => expect(await sizeOf(none)).to.equal(0))
        })
      })
    })

    it('of an owner that is dead are gone on with, and of one that lives are not', async () => {
      const living = new UnfinishedFiles(directory)
      using files = new UnfinishedFiles(directory)
      const written = Promise.withResolvers<void>()
      const end = Promise.withResolvers<void>()
      const writing = living.use('k', true, async ({ handle }) => {
        await handle.writeFile('living')
        written.resolve()
        await end.promise
      })
      await written.promise
      await files.use('k', true, async (file) => {
        expect(await sizeOf(file)).to.equal(0)
        rmSync(file.path)
      })
      const [name = ''] = names()
      end.resolve()
      await writing
      // Its lock file is there, and nobody holds it: the process has ended.
      writeFileSync(join(folder(), `${name.split('.')[0]}.${dead}-12`), 'left by a dead one')
      await files.use('k', true, async (file) => {
        expect(await sizeOf(file)).to.equal(18)
        rmSync(file.path)
      })
      living[Symbol.dispose]()
      await files.use('k', true, async (file) => expect(await sizeOf(file)).to.equal(6))
    })

    it('that only look like one of an owner are not taken over', async () => {
      using files = new UnfinishedFiles(directory)
      await leave(files, 'k', 'x')
      const [key = ''] = (names()[0] ?? '').split('.')
      rmSync(join(folder(), names()[0] ?? ''))
      for (const rest of [`x${dead}-1`, `${dead}-1x`, `${dead}-`, 'notfree-1', ''])
        writeFileSync(join(folder(), `${key}.${rest}`), 'xyz')
      await files.use('k', true, async (file) => expect(await sizeOf(file)).to.equal(0))
    })

    it('are discarded where nobody goes on with them, and counted', async () => {
      using files = new UnfinishedFiles(directory)
      expect(await files.discard(soon(), false)).to.equal(0)
      await leave(files, 'k', '12345')
      writeFileSync(join(folder(), `${hash}.${dead}-12`), '123')
      expect(await files.discard(new Date(Date.now() - hour), false)).to.equal(0)
      expect(await files.discard(soon(), true)).to.equal(8)
      expect(names()).to.have.length(2)
      expect(await files.discard(soon(), false)).to.equal(8)
      expect(names()).to.deep.equal([])
    })

    it('are not discarded at the very time that counts as young', async () => {
      using files = new UnfinishedFiles(directory)
      await leave(files, 'k', '12345')
      const [name = ''] = names()
      expect(await files.discard(statSync(join(folder(), name)).mtime, false)).to.equal(0)
      expect(names()).to.have.length(1)
    })

    it('are never discarded while they are written, however old they are', async () => {
      const living = new UnfinishedFiles(directory)
      using files = new UnfinishedFiles(directory)
      const [begun, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const writing = living.use('k', true, async ({ path }) => {
        age(path.split('/').at(-1) ?? '', 100 * hour)
        begun.resolve()
        await end.promise
        expect(existsSync(path)).to.equal(true)
      })
      await begun.promise
      for (const name of owners()) age(name, 100 * hour)
      expect(await files.discard(soon(), false)).to.equal(0)
      expect(await living.discard(soon(), false)).to.equal(0)
      expect(owners()).to.have.length(1)
      end.resolve()
      await writing
      living[Symbol.dispose]()
    })

    it('of which nothing tells the owner are discarded after a day, and lock files of the dead', async () => {
      using files = new UnfinishedFiles(directory)
      mkdirSync(folder(), { recursive: true })
      for (const [name, size] of [
        ['an earlier version', 1],
        [`${dead}.owner`, 0],
        [`x${hash}.${dead}-1`, 4],
        [`${hash}.${dead}-1x`, 8],
        [`${hash.slice(1)}.${dead}-1`, 16],
      ] as const)
        writeFileSync(join(folder(), name), 'x'.repeat(size))
      const all = readdirSync(folder())
      const young = await files.discard(soon(), true)
      for (const name of all) age(name, 23 * hour)
      expect(await files.discard(new Date(), true)).to.equal(young)
      for (const name of all) age(name, 25 * hour)
      expect(await files.discard(new Date(), true)).to.equal(29)
      expect(young).to.equal(4 + 16)
      await files.discard(new Date(), false)
      expect(readdirSync(folder()).filter((name) => !name.endsWith('-journal'))).to.deep.equal([])
    })

    it('whose owner cannot be told are left', async () => {
      if (process.getuid?.() !== 0) chmodSync(directory, 0o700)
      using files = new UnfinishedFiles(directory)
      mkdirSync(join(folder(), `${dead}.owner`), { recursive: true }) // SQLite can't open a folder
      writeFileSync(join(folder(), `${hash}.${dead}-1`), 'x')
      expect(await files.discard(soon(), false)).to.equal(0)
      expect(names()).to.have.length(1)
    })

    it('leave no lock file once their owner is disposed of, unless a write is under way', async () => {
      const files = new UnfinishedFiles(directory)
      files[Symbol.dispose]()
      await files.use('k', true, async (file) => {
        expect(owners()).to.have.length(1)
        files[Symbol.dispose]()
        expect(owners()).to.have.length(1)
        await files.use('other', true, async (other) => expect(other.path).not.to.equal(file.path))
        files[Symbol.dispose]()
        expect(owners()).to.have.length(1)
      })
      files[Symbol.dispose]()
      expect(owners()).to.deep.equal([])
      files[Symbol.dispose]()
      await files.use('k', true, async () => expect(owners()).to.have.length(1))
      rmSync(join(folder(), owners()[0] ?? ''))
      files[Symbol.dispose]()
    })

    it('can be discarded by who has never written', async () => {
      writeFileSync(join(directory, '.unfinished'), 'no folder')
      using files = new UnfinishedFiles(directory)
      expect(await files.discard(soon(), false).catch((error: Error) => error)).to.have.property('code', 'ENOTDIR')
    })
  })

  describe('in all', () => {
    it('are told by the storage where they cannot be had', async () => {
      const storage = await openLocalStorage({ directory, create: true })
      mkdirSync(join(directory, '.mirrorface-lock.db'))
      const content = async function* () {
        yield Buffer.from('x')
      }
      const failed = await storage.writer?.write('k', content, { size: 1 }).catch((error: Error) => error)
      expect(failed).to.have.property('code', 'StorageUnavailable')
      expect(failed).to.have.property('message').that.contains('cannot be locked')
      await storage.close()
    })

    it('and every write of its own are out of sight', async () => {
      const storage = await openLocalStorage({ directory, create: true })
      const content = async function* () {
        yield Buffer.from('x')
      }
      await storage.writer?.write('k', content, { size: 1 })
      await storage.writer?.write('folder/.dotted', content, { size: 1 })
      expect((await Array.fromAsync(storage.list(''))).map(({ key }) => key).toSorted()).to.deep.equal([
        'folder/.dotted',
        'k',
      ])
      expect((await storage.children('')).toSorted()).to.deep.equal(['folder', 'k'])
      expect(await storage.children('folder/')).to.deep.equal(['.dotted'])
      expect(await storage.locate?.('k', {})).to.deep.equal({ kind: 'file', path: join(directory, 'k') })
      expect(await storage.locate?.('absent', {})).to.equal(undefined)
      expect(storage).to.include({ locates: 'file', name: 'local' })
      await storage.close()
    })

    it('are those of the plugin, which makes its directory unless it is told not to', async () => {
      expect(plugin).to.include({ kind: 'storage', name: 'local' })
      const context = { logger: { debug() {}, info() {}, warn() {}, error() {} } }
      const made = join(directory, 'made')
      const storage = await plugin.create(plugin.options.parse({ directory: made }), context)
      expect(existsSync(made)).to.equal(true)
      await storage.close()
      const absent = plugin.options.parse({ directory: join(directory, 'x'), create: false })
      expect(await plugin.create(absent, context).catch((error: Error) => error)).to.have.property(
        'code',
        'StorageUnavailable',
      )
      for (const wrong of [{}, { directory: '' }, { directory: made, other: 1 }])
        expect(plugin.options.safeParse(wrong).success, JSON.stringify(wrong)).to.equal(false)
    })
  })
})
