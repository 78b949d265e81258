import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ContentSource, StorageWriter } from 'mirrorface/plugin'
import type { StorageFixture } from './fixture.ts'
import { increment } from './increment.ts'

const text = (value: string): ContentSource =>
  async function* (start) {
    yield Buffer.from(value).subarray(start)
  }

const isConflict = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'Conflict'

/** What conditional writes and removals must do; for fixtures whose storage has a writer. */
export function describeConditions(fixtureOf: () => StorageFixture | undefined): void {
  describe('conditions', () => {
    let fixture: StorageFixture
    let writer: StorageWriter

    beforeEach(function () {
      const opened = fixtureOf()
      if (opened?.storage.writer === undefined) return this.skip()
      fixture = opened
      writer = opened.storage.writer
    })

    const write = async (key: string, value: string, condition: Parameters<StorageWriter['write']>[3] = {}) =>
      await writer.write(key, text(value), { size: Buffer.byteLength(value) }, condition)
    const read = async (key: string) => (await writer.load(key))?.bytes.toString()

    it('loads bytes with the generation that they have', async () => {
      assert.equal(await writer.load('k/absent'), undefined)
      const written = await write('k/a', 'one')
      const loaded = await writer.load('k/a')
      assert.equal(loaded?.bytes.toString(), 'one')
      assert.equal(loaded?.size, 3)
      assert.equal(loaded?.key, 'k/a')
      assert.equal(loaded?.generation, written.generation)
      const stat = await fixture.storage.stat('k/a')
      assert.equal(stat?.generation ?? loaded?.generation, loaded?.generation)
    })

    it('gives every version another generation', async () => {
      const generations = new Set<string>()
      for (const value of ['one', 'two', 'three', 'four']) {
        await write('k/versions', value)
        generations.add((await writer.load('k/versions'))?.generation ?? '')
      }
      assert.equal(generations.size, 4)
    })

    it('writes if absent, once', async () => {
      await write('k/once', 'first', { ifAbsent: true })
      await assert.rejects(write('k/once', 'second', { ifAbsent: true }), isConflict)
      assert.equal(await read('k/once'), 'first')
    })

    it('writes over the generation that is there, and no other', async () => {
      const { generation = '' } = await write('k/cas', 'one')
      const second = await write('k/cas', 'two', { ifGeneration: generation })
      await assert.rejects(write('k/cas', 'late', { ifGeneration: generation }), isConflict)
      assert.equal(await read('k/cas'), 'two')
      await write('k/cas', 'three', { ifGeneration: second.generation ?? '' })
      assert.equal(await read('k/cas'), 'three')
    })

    it('does not write over a generation of what is gone', async () => {
      const { generation = '' } = await write('k/gone', 'one')
      await writer.remove('k/gone')
      await assert.rejects(write('k/gone', 'two', { ifGeneration: generation }), isConflict)
      assert.equal(await read('k/gone'), undefined)
    })

    it('removes the generation that is there, and no other', async () => {
      const { generation: first = '' } = await write('k/removed', 'one')
      const { generation: second = '' } = await write('k/removed', 'two')
      await assert.rejects(writer.remove('k/removed', { ifGeneration: first }), isConflict)
      assert.equal(await read('k/removed'), 'two')
      await writer.remove('k/removed', { ifGeneration: second })
      assert.equal(await read('k/removed'), undefined)
      await assert.rejects(writer.remove('k/removed', { ifGeneration: second }), isConflict)
    })

    it('lets one of many succeed that write if absent', async () => {
      const values = Array.from({ length: 8 }, (_, index) => `writer ${index}`)
      const outcomes = await Promise.allSettled(values.map((value) => write('k/race', value, { ifAbsent: true })))
      const winners = values.filter((_, index) => outcomes[index]?.status === 'fulfilled')
      assert.equal(winners.length, 1)
      assert.equal(await read('k/race'), winners[0])
      for (const outcome of outcomes) if (outcome.status === 'rejected') assert.ok(isConflict(outcome.reason))
    })

    it('lets a write or a removal win, not both', async () => {
      const { generation = '' } = await write('k/either', 'one')
      const outcomes = await Promise.allSettled([
        write('k/either', 'two', { ifGeneration: generation }),
        writer.remove('k/either', { ifGeneration: generation }),
      ])
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
      assert.equal(await read('k/either'), outcomes[0].status === 'fulfilled' ? 'two' : undefined)
    })

    it('loses no increment of concurrent writers', async () => {
      await Promise.all(Array.from({ length: 4 }, () => increment(writer, 'k/number', 5)))
      assert.equal(await read('k/number'), '20')
    })

    it('loses no increment of several processes', async function () {
      this.timeout(60_000)
      const { plugin } = fixture
      if (plugin === undefined) return this.skip()
      const extension = import.meta.filename.slice(import.meta.filename.lastIndexOf('.'))
      const script = fileURLToPath(new URL(`./increment-process${extension}`, import.meta.url))
      const args = [...process.execArgv, script, plugin.url, JSON.stringify(plugin.options), 'k/shared', '25']
      const codes = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
          return (await once(child, 'exit'))[0]
        }),
      )
      assert.deepEqual(codes, [0, 0, 0, 0])
      assert.equal(await read('k/shared'), '100')
    })
  })
}
