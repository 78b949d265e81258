import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { ContentSource, Storage, StorageWriter } from 'mirrorface/plugin'

/** A storage to examine. For one that is read-only, `put` places objects by another way. */
export interface StorageFixture {
  readonly storage: Storage
  put(key: string, content: Buffer): Promise<void>
  dispose(): Promise<void>
}

/** Hands out the same memory for every piece, as the contract allows: who keeps a piece too long finds other bytes in it. */
const content = (bytes: Buffer): ContentSource =>
  async function* (start) {
    const piece = Buffer.alloc(70_000)
    for (let offset = start; offset < bytes.length; offset += piece.length) {
      yield piece.subarray(0, bytes.copy(piece, 0, offset))
      piece.fill('?')
    }
  }
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

/**
 * What every storage plugin must do, as mocha tests. A plugin's own test is a few lines: it makes a
 * fixture, and calls this.
 */
export function describeStorage(name: string, open: () => Promise<StorageFixture>): void {
  describe(`storage conformance: ${name}`, () => {
    let fixture: StorageFixture | undefined
    let storage: Storage

    beforeEach(async () => {
      fixture = await open()
      storage = fixture.storage
    })
    const put = async (key: string, bytes: Buffer) => await fixture?.put(key, bytes)
    afterEach(async () => {
      await fixture?.dispose()
    })

    describe('reading', () => {
      it('has no object that nobody wrote', async () => {
        assert.equal(await storage.stat('nothing/here'), undefined)
        await assert.rejects(storage.read('nothing/here'), code('ObjectNotFound'))
      })

      it('gives an object back as it was', async () => {
        const bytes = randomBytes(300_000)
        await put('a/b/c.json', bytes)
        const stat = await storage.stat('a/b/c.json')
        assert.equal(stat?.size, bytes.length)
        assert.equal(stat?.key, 'a/b/c.json')
        assert.ok(stat?.updatedAt instanceof Date)
        assert.deepEqual(await buffer(await storage.read('a/b/c.json')), bytes)
      })

      it('holds empty objects', async () => {
        await put('empty', Buffer.alloc(0))
        assert.equal((await storage.stat('empty'))?.size, 0)
        assert.deepEqual(await buffer(await storage.read('empty')), Buffer.alloc(0))
      })

      it('does not take a folder for an object', async () => {
        await put('folder/object', Buffer.from('x'))
        assert.equal(await storage.stat('folder'), undefined)
        await assert.rejects(storage.read('folder'), code('ObjectNotFound'))
        assert.equal(await storage.stat('folder/object/below'), undefined)
      })

      for (const [start, end] of [
        [0, 0],
        [0, 9],
        [5, 5],
        [99_999, 99_999],
        [65_535, 65_536],
        [10, 99_999],
      ] as const) {
        it(`reads bytes ${start} to ${end}, both included`, async () => {
          const bytes = randomBytes(100_000)
          await put('ranged', bytes)
          const read = await buffer(await storage.read('ranged', { range: { start, end } }))
          assert.deepEqual(read, bytes.subarray(start, end + 1))
        })
      }

      it('serves readers at the same time', async () => {
        const bytes = randomBytes(1_000_000)
        await put('shared', bytes)
        const reads = await Promise.all(Array.from({ length: 16 }, async () => buffer(await storage.read('shared'))))
        for (const read of reads) assert.deepEqual(read, bytes)
      })

      it('stops reading when told to', async () => {
        await put('long', randomBytes(8_000_000))
        const stop = new AbortController()
        const body = await storage.read('long', { signal: stop.signal })
        body.once('data', () => stop.abort())
        await assert.rejects(buffer(body))
        assert.ok(body.destroyed)
      })

      it('takes keys with the characters that the layout uses', async () => {
        for (const key of [
          'repositories/models--org--na.me_1/refs/refs%2Fpr%2F1.json',
          'x/!@+=,~',
          `long/${'a'.repeat(200)}`,
        ]) {
          await put(key, Buffer.from(key))
          assert.equal((await buffer(await storage.read(key))).toString(), key)
        }
      })
    })

    describe('listing', () => {
      it('lists everything below a prefix, and nothing beside it', async () => {
        const keys = ['p/one', 'p/two/three', 'p/two/four', 'pq/beside', 'r']
        for (const key of keys) await put(key, Buffer.from(key))
        const list = async (prefix: string) =>
          (await Array.fromAsync(storage.list(prefix))).map(({ key }) => key).sort()
        assert.deepEqual(await list('p'), ['p/one', 'p/two/four', 'p/two/three'])
        assert.deepEqual(await list('p/two'), ['p/two/four', 'p/two/three'])
        assert.deepEqual(await list('absent'), [])
        assert.deepEqual(await list(''), [...keys].sort())
      })

      it('gives sizes in lists', async () => {
        await put('s/object', randomBytes(1234))
        const [stat] = await Array.fromAsync(storage.list('s'))
        assert.equal(stat?.size, 1234)
      })

      it('names the children of a folder once each', async () => {
        for (const key of ['c/x/1', 'c/x/2', 'c/y/1', 'c/z']) await put(key, Buffer.from(key))
        assert.deepEqual((await storage.children('c')).toSorted(), ['x', 'y', 'z'])
        assert.deepEqual(await storage.children('absent'), [])
      })

      it('lists more than a page', async function () {
        this.timeout(60_000)
        const keys = Array.from({ length: 1200 }, (_, index) => `many/${String(index).padStart(5, '0')}`)
        for (let start = 0; start < keys.length; start += 50) {
          await Promise.all(keys.slice(start, start + 50).map((key) => put(key, Buffer.from('x'))))
        }
        assert.deepEqual((await Array.fromAsync(storage.list('many'))).map(({ key }) => key).sort(), keys)
        assert.equal((await storage.children('many')).length, 1200)
      })
    })

    it('is ready', async () => {
      await storage.ready()
    })

    it('locates only what is there', async () => {
      await put('located', Buffer.from('here'))
      const location = await storage.locate?.('located', {})
      if (location?.kind === 'file') assert.ok(location.path.endsWith('located'))
      if (location?.kind === 'url') assert.ok(location.expires.getTime() > Date.now())
    })

    describe('writing', () => {
      let writer: StorageWriter

      beforeEach(function () {
        if (storage.writer === undefined) this.skip()
        else writer = storage.writer
      })

      it('writes what it is given', async () => {
        const bytes = randomBytes(3_000_000)
        const stat = await writer.write('w/blob', content(bytes), { size: bytes.length, sha256: sha256(bytes) })
        assert.equal(stat.size, bytes.length)
        assert.deepEqual(await buffer(await storage.read('w/blob')), bytes)
      })

      it('writes an empty object', async () => {
        await writer.write('w/empty', content(Buffer.alloc(0)), { size: 0, sha256: sha256(Buffer.alloc(0)) })
        assert.equal((await storage.stat('w/empty'))?.size, 0)
      })

      it('replaces an object', async () => {
        await writer.write('w/ref', content(Buffer.from('one')), {})
        await writer.write('w/ref', content(Buffer.from('second')), {})
        assert.equal((await buffer(await storage.read('w/ref'))).toString(), 'second')
      })

      it('leaves an object that is there alone, with ifAbsent', async () => {
        const bytes = Buffer.from('first')
        await writer.write('w/once', content(bytes), { size: 5, sha256: sha256(bytes) })
        let asked = false
        const never: ContentSource = async function* () {
          asked = true
          yield bytes
        }
        await writer.write('w/once', never, { size: 5, sha256: sha256(bytes), ifAbsent: true })
        assert.equal(asked, false)
      })

      it('heals an object of the wrong size, with ifAbsent', async () => {
        const bytes = Buffer.from('whole')
        await put('w/broken', Buffer.from('wh'))
        await writer.write('w/broken', content(bytes), { size: 5, sha256: sha256(bytes), ifAbsent: true })
        assert.equal((await buffer(await storage.read('w/broken'))).toString(), 'whole')
      })

      it('keeps nothing of content with another hash', async () => {
        const bytes = randomBytes(100_000)
        const write = writer.write('w/bad', content(bytes), {
          size: bytes.length,
          sha256: sha256(Buffer.from('other')),
        })
        await assert.rejects(write, code('ContentMismatch'))
        assert.equal(await storage.stat('w/bad'), undefined)
        assert.deepEqual(await Array.fromAsync(storage.list('w')), [])
      })

      for (const [what, size] of [
        ['short', 100_001],
        ['long', 99_999],
      ] as const) {
        it(`keeps nothing of content that is too ${what}`, async () => {
          const bytes = randomBytes(100_000)
          await assert.rejects(writer.write('w/bad', content(bytes), { size }), code('ContentMismatch'))
          assert.equal(await storage.stat('w/bad'), undefined)
        })
      }

      it('keeps what was there when a write fails', async () => {
        await put('w/kept', Buffer.from('old'))
        const failing: ContentSource = async function* () {
          yield Buffer.from('ne')
          throw new Error('the source broke off')
        }
        await assert.rejects(writer.write('w/kept', failing, { size: 3 }), /the source broke off/)
        assert.equal((await buffer(await storage.read('w/kept'))).toString(), 'old')
      })

      it('finishes a write that broke off, when it is made again', async () => {
        const bytes = randomBytes(3_000_000)
        const expect = { size: bytes.length, sha256: sha256(bytes), ifAbsent: true }
        const breaking: ContentSource = async function* (start) {
          yield bytes.subarray(start, 2_000_000)
          throw new Error('the source broke off')
        }
        await assert.rejects(writer.write('w/resumed', breaking, expect), /the source broke off/)
        assert.equal(await storage.stat('w/resumed'), undefined)
        await writer.write('w/resumed', content(bytes), expect)
        assert.deepEqual(await buffer(await storage.read('w/resumed')), bytes)
      })

      it('lets writers of the same object all succeed', async () => {
        const bytes = randomBytes(500_000)
        const expect = { size: bytes.length, sha256: sha256(bytes), ifAbsent: true }
        await Promise.all(Array.from({ length: 8 }, () => writer.write('w/same', content(bytes), expect)))
        assert.deepEqual(await buffer(await storage.read('w/same')), bytes)
      })

      it('removes, also what is not there', async () => {
        await put('w/gone', Buffer.from('x'))
        await writer.remove('w/gone')
        assert.equal(await storage.stat('w/gone'), undefined)
        await writer.remove('w/gone')
      })

      it('touches, and tells what is not there', async () => {
        await put('w/touched', Buffer.from('x'))
        const before = await storage.stat('w/touched')
        await delay(20)
        assert.equal(await writer.touch('w/touched'), true)
        const after = await storage.stat('w/touched')
        assert.ok(after !== undefined && before !== undefined && after.updatedAt > before.updatedAt)
        assert.equal(after.size, 1)
        assert.equal(await writer.touch('w/never-there'), false)
      })

      it('forgets unfinished writes of long ago', async () => {
        const bytes = randomBytes(2_000_000)
        const breaking: ContentSource = async function* () {
          yield bytes.subarray(0, 1_000_000)
          throw new Error('the source broke off')
        }
        await assert.rejects(writer.write('w/left', breaking, { size: bytes.length, sha256: sha256(bytes) }))
        await writer.discardUnfinished(new Date(Date.now() + 60_000))
        assert.equal(await writer.discardUnfinished(new Date(Date.now() + 60_000), { dryRun: true }), 0)
      })
    })
  })
}
