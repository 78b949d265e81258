import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import {
  Conflict,
  ContentHasher,
  type ContentSource,
  type Expectation,
  Failure,
  type Storage,
  StorageFull,
  StorageUnavailable,
  type StorageWriter,
  type WriteOptions,
} from 'mirrorface/plugin'
import { systemError, watchDisk } from '../../test/support/failing-disk.ts'
import { openLocalStorage } from './local-storage.ts'
import { receiveContent } from './receive-content.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const of = (bytes: Buffer): ContentSource =>
  async function* (start) {
    // In pieces, so that a failure may come between them.
    for (let offset = start; offset < bytes.length; offset += 40)
      yield bytes.subarray(offset, Math.min(offset + 40, bytes.length))
  }
const old = Buffer.from('what was there before')
const content = Buffer.alloc(100, 'new ')
const known: Expectation = { size: content.length, sha256: sha256(content), keepExisting: true }
const key = 'folder/of/object'

describe('a directory on a disk that fails', () => {
  let directory: string
  let storage: Storage
  let writer: StorageWriter
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mirrorface-'))
    storage = await openLocalStorage({ directory, create: true })
    if (storage.writer === undefined) throw new Error('it is read-only')
    writer = storage.writer
  })
  afterEach(async () => {
    await storage.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const now = () => {
    try {
      return readFileSync(join(directory, key))
    } catch {
      return undefined
    }
  }
  const unfinished = () => {
    const folder = join(directory, '.unfinished')
    return existsSync(folder) ? readdirSync(folder).filter((name) => !name.includes('.owner')) : []
  }
  const generation = async () => (await writer.load(key))?.generation ?? ''
  const write = (options: WriteOptions = {}, expected: Expectation = { size: content.length }) =>
    writer.write(key, of(content), expected, options)

  /** Changes of an object, from what there is before to what there must be after. */
  const changes: readonly (readonly [string, () => Promise<unknown>, Buffer | undefined, Buffer | undefined])[] = [
    ['a blob that is added', () => write({}, known), undefined, content],
    ['an object that is written if absent', () => write({ ifAbsent: true }), undefined, content],
    ['an object that is written over', async () => write({ ifGeneration: await generation() }), old, content],
    ['an object that is removed', async () => writer.remove(key, { ifGeneration: await generation() }), old, undefined],
  ]

  for (const code of ['EIO', 'ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EPERM', 'ESTALE', 'EMFILE', 'ENFILE'])
    for (const [title, change, before, after] of changes)
      it(`keeps all of the old or all of the new, whichever operation fails with ${code}: ${title}`, async () => {
        for (let failing = 0; ; failing++) {
          if (before === undefined) await writer.remove(key)
          else await writer.write(key, of(before), { size: before.length })
          let count = 0
          let failed = ''
          let isMoved = false
          let error: unknown
          {
            using _ = watchDisk(directory, (operation, path) => {
              if (count++ !== failing) {
                if (['rename', 'rm'].includes(operation) && path === join(directory, key)) isMoved = true
                return
              }
              failed = `${operation} ${path}`
              throw systemError(code)
            })
            error = await change().then(
              () => undefined,
              (caught: unknown) => caught,
            )
          }
          if (failed === '') return expect(failing, 'nothing failed').to.be.greaterThan(3)
          // What cleans up after another failure may fail without a word; the change itself says what is wrong.
          expect(error, failed).to.be.instanceOf(Failure)
          const isFull = code === 'ENOSPC' || code === 'EDQUOT'
          if (!failed.includes('realpath') && !failed.startsWith('stat ') && !failed.startsWith('readFile'))
            expect(error, failed).to.be.instanceOf(isFull ? StorageFull : StorageUnavailable)
          expect(Object(error).cause, failed).to.have.property('code', code)
          expect(now(), failed).to.deep.equal(isMoved ? after : before)
          // Half a write is left where the next one can go on with it, and never by a full or failing disk.
          if (isFull || code === 'EIO') expect(unfinished(), failed).to.deep.equal([])
          for (const name of unfinished()) expect(name, failed).to.match(/\.free-/)
        }
      })

  it('has content on the disk before its name, and its name before it says so', async () => {
    for (const [title, change, before] of changes) {
      if (before !== undefined) await writer.write(key, of(before), { size: before.length })
      else await writer.remove(key)
      const operations: string[] = []
      {
        using _ = watchDisk(directory, (operation, path) => {
          if (['write', 'sync', 'rename', 'rm'].includes(operation)) operations.push(`${operation} ${path}`)
        })
        await change()
      }
      const place = join(directory, key)
      const folder = `sync ${dirname(place)}`
      const isRemoval = title.includes('removed')
      const moved = operations.indexOf(isRemoval ? `rm ${place}` : `rename ${place}`)
      expect(moved, title).to.be.greaterThan(-1)
      expect(operations.lastIndexOf(folder), title).to.be.greaterThan(moved)
      if (isRemoval) continue
      const written = operations.findLastIndex((one) => one.startsWith('write'))
      const synced = operations.findIndex(
        (one, index) => index > written && one.startsWith('sync') && one.includes('.unfinished'),
      )
      expect(synced, title).to.be.within(written + 1, moved - 1)
    }
  })

  it('makes new folders last, from the first that is new to the last', async () => {
    const synced: string[] = []
    {
      using _ = watchDisk(directory, (operation, path) => {
        if (operation === 'sync' && !path.includes('.unfinished')) synced.push(path)
      })
      await writer.write('a/b/c/object', of(content), known)
    }
    for (const folder of ['', 'a', 'a/b', 'a/b/c']) expect(synced).to.include(join(directory, folder))
    expect(synced.some((path) => !path.startsWith(directory))).to.equal(false)
    synced.length = 0
    {
      using _ = watchDisk(directory, (operation, path) => {
        if (operation === 'sync' && !path.includes('.unfinished')) synced.push(path)
      })
      await writer.write('a/b/c/another', of(content), known)
    }
    expect(synced).to.deep.equal([join(directory, 'a/b/c')])
  })

  it('goes on where a write has failed, with what is proven to be on the disk only', async () => {
    for (const [code, resumedAt] of [
      ['ECONNRESET', 80],
      ['EACCES', 80],
      ['EIO', 0],
      ['ENOSPC', 0],
    ] as const) {
      await writer.remove(key)
      const broken: ContentSource = async function* (start) {
        yield* of(content.subarray(0, 80))(start)
        throw systemError(code)
      }
      await writer.write(key, broken, known).catch(() => undefined)
      const asked: number[] = []
      const rest: ContentSource = (start) => {
        asked.push(start)
        return of(content)(start)
      }
      await writer.write(key, rest, known)
      expect(asked, code).to.deep.equal([resumedAt])
      expect(now()).to.deep.equal(content)
    }
  })

  it('keeps nothing of a write whose content is not known beforehand, or was wrong', async () => {
    const broken: ContentSource = async function* () {
      yield content.subarray(0, 40)
      throw systemError('ECONNRESET')
    }
    await writer.write(key, broken, { size: content.length }).catch(() => undefined)
    expect(unfinished()).to.deep.equal([])
    for (const wrong of [Buffer.alloc(100, 'wrong'), content.subarray(1), Buffer.concat([content, content])]) {
      const error = await writer.write(key, of(wrong), known).catch((caught: unknown) => caught)
      expect(error).to.have.property('code', 'ContentMismatch')
      expect(unfinished()).to.deep.equal([])
    }
    expect(now()).to.equal(undefined)
  })

  it('says what was wrong with content', async () => {
    const messageOf = async (bytes: Buffer, expected: Expectation) =>
      (await writer.write(key, of(bytes), expected).catch((error: Error) => error)) as Error
    expect((await messageOf(Buffer.concat([content, content]), known)).message).to.contain(
      `${key}: expected 100 bytes, found more`,
    )
    expect((await messageOf(content.subarray(1), known)).message).to.contain(`${key}: expected 100 bytes, found 99`)
    const wrong = Buffer.alloc(100, 'x')
    expect((await messageOf(wrong, known)).message).to.contain(
      `expected SHA-256 ${sha256(content)}, found ${sha256(wrong)}`,
    )
  })

  it('stops asking for content as soon as there is too much of it', async () => {
    let given = 0
    const endless: ContentSource = async function* () {
      for (; given < 1000; given++) yield content
    }
    expect(await writer.write(key, endless, known).catch((error: unknown) => error)).to.have.property(
      'code',
      'ContentMismatch',
    )
    expect(given).to.be.lessThan(3)
  })

  it('begins anew where what was left is longer than the content', async () => {
    await writer.write('other', of(content), {})
    const broken: ContentSource = async function* () {
      yield content.subarray(0, 80)
      throw systemError('ECONNRESET')
    }
    const longer = { size: 1000, sha256: 'f'.repeat(64) }
    await writer.write(key, broken, longer).catch(() => undefined)
    const short = Buffer.from('short')
    const asked: number[] = []
    const source: ContentSource = (start) => {
      asked.push(start)
      return of(short)(start)
    }
    await writer.write(key, source, { size: short.length, sha256: sha256(short) })
    expect(asked).to.deep.equal([0])
    expect(now()).to.deep.equal(short)
  })

  it('asks for nothing more where all of it was left, and asks for an empty one', async () => {
    const late: ContentSource = async function* (start) {
      yield* of(content)(start)
      throw systemError('ECONNRESET')
    }
    await writer.write(key, late, known).catch(() => undefined)
    expect(unfinished()).to.have.length(1)
    const never: ContentSource = () => {
      throw new Error('nothing is missing')
    }
    await writer.write(key, never, known)
    expect(now()).to.deep.equal(content)
    let asked = 0
    const empty: ContentSource = async function* (start) {
      asked++
      yield* of(Buffer.alloc(0))(start)
    }
    await writer.write('empty', empty, { size: 0, sha256: sha256(Buffer.alloc(0)) })
    expect(asked).to.equal(1)
  })

  it('does not hold a reader for a conflict: it says when to come back', async () => {
    await writer.write(key, of(old), { size: old.length })
    for (const condition of [{ ifAbsent: true as const }, { ifGeneration: 'other' }]) {
      const error = await write(condition).catch((caught: unknown) => caught)
      expect(error).to.be.instanceOf(Conflict)
      expect(Object(error).retryAfter).to.be.greaterThan(0)
    }
    expect(now()).to.deep.equal(old)
  })

  it('tells of a conflict before anything is fetched, and again at the end', async () => {
    await writer.write(key, of(old), { size: old.length })
    const never: ContentSource = () => {
      throw new Error('it need not be fetched')
    }
    expect(await writer.write(key, never, {}, { ifAbsent: true }).catch((error: unknown) => error)).to.be.instanceOf(
      Conflict,
    )
    const before = await generation()
    const meanwhile: ContentSource = async function* () {
      writeFileSync(join(directory, key), 'another')
      yield content
    }
    const late = writer.write(key, meanwhile, {}, { ifGeneration: before })
    expect(await late.catch((error: unknown) => error)).to.be.instanceOf(Conflict)
    expect(String(now())).to.equal('another')
    expect(unfinished()).to.deep.equal([])
  })

  it('tells a reader which faults may pass', async () => {
    await writer.write(key, of(content), known)
    const reads: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['stat', () => storage.stat(key)],
      ['read', async () => buffer(await storage.read(key))],
      ['load', () => writer.load(key)],
      ['list', () => Array.fromAsync(storage.list(''))],
      ['children', () => storage.children('folder')],
      ['ready', () => storage.ready()],
    ]
    for (const [code, isTransient, word] of [
      ...(['EIO', 'ESTALE', 'EAGAIN', 'ETIMEDOUT', 'EMFILE', 'ENFILE'] as const).map(
        (one) => [one, true, one] as const,
      ),
      ['EACCES', false, 'no permission for'],
      ['EPERM', false, 'no permission for'],
      ['ENOTCONN', false, 'has lost its connection'],
      ['EROFS', false, 'EROFS'],
    ] as const)
      for (const [title, act] of reads)
        for (let failing = 0; ; failing++) {
          let count = 0
          using _ = watchDisk(directory, (operation) => {
            // A stream that has begun fails with what the system says.
            if (title === 'read' && operation === 'read') return
            if (count++ === failing) throw systemError(code)
          })
          const error: unknown = await act().then(
            () => undefined,
            (caught: unknown) => caught,
          )
          if (count <= failing) {
            expect(failing, title).to.be.greaterThan(0)
            break
          }
          expect(error, `${title} ${code} ${failing}`).to.be.instanceOf(StorageUnavailable)
          expect(error).to.have.property('transient', isTransient)
          expect(Object(error).message).to.contain(word).and.to.contain('local')
          expect(Object(error).cause).to.have.property('code', code)
        }
  })

  it('takes what is gone while it reads for what was never there', async () => {
    for (const code of ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']) {
      await writer.write(key, of(content), known)
      const fail = (operation: string) =>
        watchDisk(directory, (called, path) => {
          if (called === operation && path.endsWith('object')) throw systemError(code)
        })
      for (const operation of ['realpath', 'stat']) {
        using _ = fail(operation)
        expect(await storage.stat(key), code).to.equal(undefined)
        expect(await writer.load(key), code).to.equal(undefined)
      }
      {
        using _ = fail('open')
        const error = await storage.read(key).catch((caught: unknown) => caught)
        expect(error, code).to.have.property('code', 'ObjectNotFound')
      }
      using _ = fail('lstat')
      expect(await Array.fromAsync(storage.list('')), code).to.deep.equal([])
    }
    using _ = watchDisk(directory, (called, path) => {
      if (called === 'readFile' && path.endsWith('object')) throw systemError('ENOENT')
    })
    expect(await writer.load(key)).to.equal(undefined)
  })

  it('says of a path that it is no directory, or not there', async () => {
    writeFileSync(join(directory, 'file'), '')
    for (const [path, message] of [
      [join(directory, 'file', 'below'), 'is not a directory'],
      [join(directory, 'absent'), 'does not exist'],
    ] as const) {
      const error = await openLocalStorage({ directory: path, create: false }).catch((caught: unknown) => caught)
      expect(error).to.be.instanceOf(StorageUnavailable)
      expect(Object(error).message).to.contain(`${path} ${message}`)
    }
    const made = await openLocalStorage({ directory: join(directory, 'file', 'below'), create: true }).catch(
      (e: unknown) => e,
    )
    expect(Object(made).message).to.contain('is not a directory')
    expect(statSync(join(directory, 'file')).isFile()).to.equal(true)
  })

  it('writes all of it where the disk takes less at a time than it is given', async () => {
    await using file = await open(join(directory, 'short'), 'wx+')
    const write = file.write.bind(file)
    // A nearly full disk takes a part of a write, and the rest when it is asked again.
    const less = async (bytes: Buffer, from: number, length: number, position: number) =>
      await write(bytes, from, Math.min(length, 7), position)
    Object.defineProperty(file, 'write', { value: less })
    using hash = new ContentHasher().start(content.length)
    await receiveContent(file, hash, key, of(content), known, {})
    expect(readFileSync(join(directory, 'short'))).to.deep.equal(content)
  })

  it('fails where another cuts what was written', async () => {
    await using file = await open(join(directory, 'cut'), 'wx+')
    const read = file.read.bind(file)
    const cut = async (...args: Parameters<typeof read>) => {
      await file.truncate(0)
      return await read(...args)
    }
    Object.defineProperty(file, 'read', { value: cut })
    using hash = new ContentHasher().start(content.length)
    const received = receiveContent(file, hash, key, of(content), known, {})
    expect(await received.catch((error: Error) => error))
      .to.have.property('message')
      .that.contains('truncated by someone else')
  })

  it('goes on with another half, or none, where one is taken by a writer that was faster', async () => {
    const broken = (length: number): ContentSource =>
      async function* (start) {
        yield content.subarray(start, length)
        throw systemError('ECONNRESET')
      }
    const nested: ContentSource = async function* () {
      yield content.subarray(0, 80)
      await writer.write(key, broken(40), known).catch(() => undefined)
      throw systemError('ECONNRESET')
    }
    for (const [faster, resumedAt] of [
      [1, 40],
      [2, 0],
    ] as const) {
      await writer.remove(key)
      rmSync(join(directory, '.unfinished'), { recursive: true, force: true })
      await writer.write(key, nested, known).catch(() => undefined)
      expect(unfinished()).to.have.length(2)
      let renames = 0
      const asked: number[] = []
      using _ = watchDisk(directory, (operation, path) => {
        if (operation === 'rename' && path.includes('.unfinished') && renames++ < faster) throw systemError('ENOENT')
      })
      await writer.write(
        key,
        (start) => {
          asked.push(start)
          return of(content)(start)
        },
        known,
      )
      expect(asked).to.deep.equal([resumedAt])
      expect(now()).to.deep.equal(content)
    }
  })

  it('discards what it can where files go meanwhile', async () => {
    const broken: ContentSource = async function* () {
      yield content.subarray(0, 80)
      throw systemError('ECONNRESET')
    }
    for (const going of ['stat', 'rm']) {
      await writer.write(key, broken, known).catch(() => undefined)
      using _ = watchDisk(directory, (operation, path) => {
        if (operation === going && path.includes('.free-')) rmSync(path)
      })
      await writer.discardUnfinished(new Date(Date.now() + 60_000))
      expect(unfinished()).to.deep.equal([])
    }
  })

  it('leaves half a write to the next one where it cannot even be opened', async () => {
    const broken: ContentSource = async function* () {
      yield content.subarray(0, 80)
      throw systemError('ECONNRESET')
    }
    await writer.write(key, broken, known).catch(() => undefined)
    {
      using _ = watchDisk(directory, (operation, path) => {
        if (operation === 'open' && path.includes('.unfinished')) throw systemError('EMFILE')
      })
      const error = await write({}, known).catch((caught: unknown) => caught)
      expect(error).to.be.instanceOf(StorageUnavailable)
      expect(error).to.have.property('transient', true)
    }
    const asked: number[] = []
    await writer.write(
      key,
      (start) => {
        asked.push(start)
        return of(content)(start)
      },
      known,
    )
    expect(asked).to.deep.equal([80])
  })
})
