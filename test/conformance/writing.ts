import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { ContentSource, Storage, StorageWriter } from 'mirrorface/plugin'
import { code, content, sha256 } from './content.ts'
import type { StorageFixture } from './fixture.ts'

/** What unconditional writes must do; for fixtures whose storage has a writer. */
export function describeWriting(fixtureOf: () => StorageFixture | undefined): void {
  describe('writing', () => {
    let storage: Storage
    let writer: StorageWriter
    let put: StorageFixture['put']

    beforeEach(function () {
      const fixture = fixtureOf()
      if (fixture?.storage.writer === undefined) return this.skip()
      storage = fixture.storage
      writer = fixture.storage.writer
      put = (key, bytes) => fixture.put(key, bytes)
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

    it('leaves an object that is there alone, with keepExisting', async () => {
      const bytes = Buffer.from('first')
      await writer.write('w/once', content(bytes), { size: 5, sha256: sha256(bytes) })
      let asked = false
      const never: ContentSource = async function* () {
        asked = true
        yield bytes
      }
      await writer.write('w/once', never, { size: 5, sha256: sha256(bytes), keepExisting: true })
      assert.equal(asked, false)
    })

    it('heals an object of the wrong size, with keepExisting', async () => {
      const bytes = Buffer.from('whole')
      await put('w/broken', Buffer.from('wh'))
      await writer.write('w/broken', content(bytes), { size: 5, sha256: sha256(bytes), keepExisting: true })
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

    it('ends with the reason when it is told to stop, and keeps nothing', async () => {
      const stop = new AbortController()
      const reason = new Error('told to stop')
      const bytes = randomBytes(300_000)
      const stopping: ContentSource = async function* (start) {
        yield bytes.subarray(start, 100_000)
        stop.abort(reason)
        yield bytes.subarray(100_000)
      }
      const expect = { size: bytes.length, sha256: sha256(bytes) }
      const stopped = await writer.write('w/stopped', stopping, expect, { signal: stop.signal }).catch((error) => error)
      assert.equal(stopped, reason)
      assert.equal(await storage.stat('w/stopped'), undefined)
    })

    it('finishes a write that broke off, when it is made again', async () => {
      const bytes = randomBytes(3_000_000)
      const expect = { size: bytes.length, sha256: sha256(bytes), keepExisting: true }
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
      const expect = { size: bytes.length, sha256: sha256(bytes), keepExisting: true }
      await Promise.all(Array.from({ length: 8 }, () => writer.write('w/same', content(bytes), expect)))
      assert.deepEqual(await buffer(await storage.read('w/same')), bytes)
    })

    it('removes, also what is not there', async () => {
      await put('w/gone', Buffer.from('x'))
      await writer.remove('w/gone')
      assert.equal(await storage.stat('w/gone'), undefined)
      await writer.remove('w/gone')
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
}
