import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { default as files } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { mock } from 'node:test'
import { expect } from 'chai'
import type { Storage } from 'mirrorface/plugin'
import { describeStorage } from '../../test/conformance/index.ts'
import { systemError, watchDisk } from '../../test/support/failing-disk.ts'
import { openGcsMount } from './gcs-mount.ts'
import plugin, { gcsMountOptions } from './index.ts'

function put(directory: string, key: string, content: string | Buffer): void {
  mkdirSync(dirname(join(directory, key)), { recursive: true })
  writeFileSync(join(directory, key), content)
}

/** A directory in place of a mount: what gcsfuse itself does is tried in `test/emulator`. */
describeStorage('gcs-mount, on a directory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mirrorface-mount-'))
  const storage = await openGcsMount(gcsMountOptions.parse({ directory, requireFuse: false }))
  return {
    storage,
    put: async (key, content) => put(directory, key, content),
    dispose: async () => rmSync(directory, { recursive: true, force: true }),
  }
})

describe('storage-gcs-mount', () => {
  let parent: string
  let directory: string
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'mirrorface-mount-'))
    directory = join(parent, 'mount')
    mkdirSync(directory)
  })
  afterEach(() => rmSync(parent, { recursive: true, force: true }))

  const blob = `blobs/sha256/aa/${'a'.repeat(64)}`
  const legacyBlob = `blob/${'b'.repeat(128)}`
  const open = (extra: object = {}) => openGcsMount(gcsMountOptions.parse({ directory, requireFuse: false, ...extra }))
  const code = async (promise: Promise<unknown>): Promise<unknown> => await promise.catch((error) => error.code)
  /** Has statfs(2) tell what a mount would. */
  const withType = async (type: number | Error, act: () => Promise<unknown>): Promise<void> => {
    const told = mock.method(files, 'statfs', async () => {
      if (type instanceof Error) throw type
      return { type }
    })
    syncBuiltinESMExports()
    try {
      await act()
    } finally {
      told.mock.restore()
      syncBuiltinESMExports()
    }
  }
  const fuse = 0x65735546

  const reads: readonly (readonly [string, (storage: Storage) => Promise<unknown>])[] = [
    ['stat', (storage) => storage.stat('absent')],
    ['read', (storage) => storage.read('absent')],
    ['children', (storage) => storage.children('absent')],
    ['list', (storage) => Array.fromAsync(storage.list(''))],
    ['locate', async (storage) => await storage.locate?.('absent', {})],
    ['ready', (storage) => storage.ready()],
  ]

  it('takes an unmounted directory for no empty mirror, whatever is asked of it', async () => {
    const storage = await open({ requireFuse: true })
    for (const [title, read] of reads) {
      await withType(0xef53, async () => {
        const error = await read(storage).catch((caught: unknown) => caught)
        expect(error, title).to.have.property('code', 'StorageUnavailable')
        expect(Object(error).message, title).to.contain(`${directory} is not a mount: is gcsfuse running?`)
      })
      await withType(fuse, async () => {
        const outcome = await read(storage).catch((caught: unknown) => caught)
        if (title === 'read') expect(outcome).to.have.property('code', 'ObjectNotFound')
        else expect(outcome, title).not.to.be.instanceOf(Error)
      })
    }
    await withType(systemError('ENOTCONN'), async () => {
      const error = await storage.ready().catch((caught: unknown) => caught)
      expect(Object(error).message).to.contain('has lost its connection')
    })
    rmSync(directory, { recursive: true })
    for (const [title, read] of reads) expect(await code(read(storage)), title).to.equal('StorageUnavailable')
  })

  it('does not ask what it is mounted on where it finds what it was asked for', async () => {
    put(directory, blob, 'content')
    const storage = await open({ requireFuse: true })
    await withType(0, async () => {
      expect((await storage.stat(blob))?.size).to.equal(7)
      expect(String(await buffer(await storage.read(blob)))).to.equal('content')
      expect(await storage.children('blobs')).to.deep.equal(['sha256'])
      expect(await Array.fromAsync(storage.list('blobs'))).to.have.length(1)
    })
  })

  it('finds a mount that comes later, or elsewhere, without a restart', async () => {
    rmSync(directory, { recursive: true })
    const storage = await open()
    expect(await code(storage.ready())).to.equal('StorageUnavailable')
    mkdirSync(join(parent, 'first'))
    put(join(parent, 'first'), 'key', 'one')
    symlinkSync(join(parent, 'first'), directory)
    await storage.ready()
    expect((await storage.stat('key'))?.size).to.equal(3)
    mkdirSync(join(parent, 'second'))
    put(join(parent, 'second'), 'key', 'second')
    rmSync(directory)
    symlinkSync(join(parent, 'second'), directory)
    await storage.ready()
    expect((await storage.stat('key'))?.size).to.equal(6)
    expect(await storage.locate?.('key', {})).to.deep.equal({ kind: 'file', path: join(parent, 'second', 'key') })
  })

  it('asks once of what never changes, and each time of what does', async () => {
    for (const [key, isKept] of [
      [blob, true],
      [legacyBlob, true],
      ['repositories/x.json', false],
      ['other/blobs/sha256/aa/x', false],
      ['blobs/sha512/aa/x', false],
      ['blobber/x', false],
    ] as const) {
      put(directory, key, 'content')
      const storage = await open()
      await storage.stat(key)
      let asked = 0
      using _ = watchDisk(directory, () => {
        asked++
      })
      expect((await storage.stat(key))?.size, key).to.equal(7)
      expect(asked === 0, key).to.equal(isKept)
    }
  })

  it('keeps nothing of what is missing, and no more than it may', async () => {
    const storage = await open({ cachedStats: 1 })
    expect(await storage.stat(blob)).to.equal(undefined)
    put(directory, blob, 'content')
    put(directory, legacyBlob, 'content')
    expect((await storage.stat(blob))?.size).to.equal(7)
    await storage.stat(legacyBlob)
    rmSync(join(directory, blob))
    expect(await storage.stat(blob)).to.equal(undefined)
  })

  it('believes nothing of before once the mount was gone', async () => {
    for (const [title, read] of reads) {
      put(directory, blob, 'content')
      const storage = await open()
      await storage.stat(blob)
      renameSync(directory, `${directory}-away`)
      expect(await code(read(storage)), title).to.equal('StorageUnavailable')
      renameSync(`${directory}-away`, directory)
      put(directory, blob, 'longer content')
      expect((await storage.stat(blob))?.size, title).to.equal(14)
    }
    const storage = await open()
    await storage.stat(blob)
    {
      using _ = watchDisk(directory, (operation) => {
        if (operation === 'readdir') throw systemError('EIO')
      })
      expect(await code(Array.fromAsync(storage.list('')))).to.equal('StorageUnavailable')
    }
    put(directory, blob, 'again another content')
    expect((await storage.stat(blob))?.size).to.equal(21)
  })

  it('keeps what it knows where an object merely is not there', async () => {
    put(directory, blob, 'content')
    const storage = await open()
    await storage.stat(blob)
    expect(await code(storage.read('absent'))).to.equal('ObjectNotFound')
    rmSync(join(directory, blob))
    expect((await storage.stat(blob))?.size).to.equal(7)
  })

  it('is the plugin, read-only, on a FUSE mount unless it is told otherwise', async () => {
    expect(plugin).to.include({ kind: 'storage', name: 'gcs-mount' })
    expect(gcsMountOptions.parse({ directory })).to.deep.equal({ directory, requireFuse: true, cachedStats: 100_000 })
    for (const wrong of [{}, { directory: '' }, { directory, cachedStats: 0 }, { directory, other: 1 }])
      expect(gcsMountOptions.safeParse(wrong).success, JSON.stringify(wrong)).to.equal(false)
    const context = { logger: { debug() {}, info() {}, warn() {}, error() {} } }
    const storage = await plugin.create(gcsMountOptions.parse({ directory }), context)
    expect(storage).to.include({ name: 'gcs-mount', locates: 'file' })
    expect(storage.writer).to.equal(undefined)
    await storage.close()
  })
})
