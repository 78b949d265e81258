import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { Storage } from 'mirrorface/plugin'
import { describeConditions } from './conditions.ts'
import { code, content } from './content.ts'
import type { StorageFixture } from './fixture.ts'
import { describeWriting } from './writing.ts'

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

      it('shows what is there throughout, while other objects come and go', async function () {
        if (storage.writer === undefined) this.skip()
        const { writer } = storage
        const keys = Array.from({ length: 300 }, (_, index) => `steady/${index}`)
        await Promise.all(keys.map((key) => put(key, Buffer.from('x'))))
        const others = Array.from({ length: 60 }, (_, index) => `steady/${index}-other`)
        const change = async () => {
          for (const key of others) {
            await writer.write(key, content(Buffer.from(key)), { size: key.length })
            await writer.remove(key)
          }
        }
        const [listed] = await Promise.all([Array.fromAsync(storage.list('steady')), change()])
        const found = new Set(listed.map(({ key }) => key))
        assert.deepEqual(
          keys.filter((key) => !found.has(key)),
          [],
        )
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

    describeWriting(() => fixture)
    describeConditions(() => fixture)
  })
}
