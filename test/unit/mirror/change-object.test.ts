import { expect } from 'chai'
import { z } from 'zod'
import { type ChangeOptions, changeObject } from '../../../src/mirror/change-object.ts'
import { parseObject } from '../../../src/mirror/manifest.ts'
import { Conflict, type Storage } from '../../../src/plugin/index.ts'
import { MemoryBucket } from '../../search/memory-bucket.ts'
import { MemoryStorage, type Request } from '../../search/memory-storage.ts'
import { refused, rejection, setStage, withSignals } from './stage.ts'

const schema = z.looseObject({ rev: z.string().optional(), writer: z.string().optional(), count: z.int() })
type Counter = z.infer<typeof schema>
const parse = (key: string, text: string) => parseObject(schema, key, text)
const direct: Request = async (_operation, _key, act) => act()

describe('a change of an object', () => {
  const increment = (storage: MemoryStorage, decided: () => void = () => undefined) =>
    changeObject<z.infer<typeof schema>>({
      storage,
      run: 'run',
      key: 'counter.json',
      parse,
      decide: (current) => {
        decided()
        return { write: { count: (current?.count ?? 0) + 1 } }
      },
    })

  it('loses no change of another writer', async () => {
    const storage = new MemoryStorage(new MemoryBucket(), direct)
    await Promise.all(Array.from({ length: 20 }, () => increment(storage)))
    expect(parse('', String((await storage.writer.load('counter.json'))?.bytes)).count).to.equal(20)
  })

  it('knows its own write whose response came as a conflict', async () => {
    let echoes = 1
    const echoing: Request = async (operation, key, act) => {
      const result = act()
      if (operation === 'put' && echoes-- > 0) throw new Conflict('memory', key)
      return result
    }
    let decisions = 0
    const storage = new MemoryStorage(new MemoryBucket(), echoing)
    const changed = await increment(storage, () => {
      decisions++
    })
    expect(changed).to.include({ count: 1, writer: 'run' })
    expect(decisions).to.equal(1)
  })

  it('writes a sound object over a damaged one', async () => {
    const bucket = new MemoryBucket()
    bucket.put('counter.json', Buffer.from('{"cou'), new Date())
    const storage = new MemoryStorage(bucket, direct)
    expect(await increment(storage)).to.include({ count: 1 })
  })

  it('ends with what the decision throws, and changes nothing', async () => {
    const bucket = new MemoryBucket()
    const refused = changeObject<z.infer<typeof schema>>({
      storage: new MemoryStorage(bucket, direct),
      run: 'run',
      key: 'counter.json',
      parse,
      decide: () => {
        throw new Error('no')
      },
    })
    expect(await refused.catch((error: Error) => error.message)).to.equal('no')
    expect(bucket.objects.size).to.equal(0)
  })

  const change = (storage: Storage, extra: Partial<ChangeOptions<Counter>>) =>
    changeObject<Counter>({
      storage,
      run: 'run',
      key: 'counter.json',
      parse,
      decide: (current) => ({ write: { count: (current?.count ?? 0) + 1 } }),
      ...extra,
    })

  it('has another revision each time, of 128 random bits', async () => {
    const stage = setStage()
    const revs = new Set<unknown>()
    for (let time = 0; time < 3; time++) revs.add((await change(stage.storage, {}))?.rev)
    expect(revs.size).to.equal(3)
    for (const rev of revs) expect(rev).to.match(/^[0-9a-f]{32}$/)
    expect(stage.get('counter.json')).to.include({ count: 3, writer: 'run' })
  })

  it('that is to keep the object, or to remove none, asks for nothing', async () => {
    const stage = setStage()
    expect(await change(stage.storage, { decide: () => 'remove' })).to.equal(undefined)
    expect(await change(stage.storage, { decide: () => 'keep' })).to.equal(undefined)
    stage.put('counter.json', { count: 7 })
    expect(await change(stage.storage, { decide: () => 'keep' })).to.deep.equal({ count: 7 })
    expect(stage.calls.filter((call) => !call.startsWith('load'))).to.deep.equal([])
  })

  it('removes what it has decided on, and nothing that came after', async () => {
    const stage = setStage()
    stage.put('counter.json', { count: 1 })
    let changes = 0
    stage.before = (operation) => {
      if (operation === 'delete' && ++changes === 1) stage.put('counter.json', { count: 2 })
    }
    const decide = (current: Counter | undefined) => (current?.count === 1 ? 'remove' : 'keep')
    expect(await change(stage.storage, { decide })).to.include({ count: 2 })
    expect(await change(stage.storage, { decide: () => 'remove' })).to.equal(undefined)
    expect(stage.get('counter.json')).to.equal(undefined)
  })

  it('ends with a failure of the storage, whichever call fails', async () => {
    for (const failing of ['load', 'put', 'delete']) {
      const stage = setStage()
      stage.put('counter.json', { count: 1 })
      stage.before = (operation) => {
        if (operation === failing) throw refused()
      }
      const decide = () => (failing === 'delete' ? ('remove' as const) : { write: { count: 2 } })
      expect(await rejection(change(stage.storage, { decide }))).to.have.property('code', 'StorageUnavailable')
      expect(stage.get('counter.json')).to.deep.equal({ count: 1 })
    }
  })

  it('ends with a fault of the parser that is none of the object', async () => {
    const stage = setStage()
    stage.put('counter.json', { count: 1 })
    const fault = () => {
      throw new TypeError('a fault')
    }
    expect(await rejection(change(stage.storage, { parse: fault }))).to.be.instanceOf(TypeError)
  })

  it('is given up after a thousand conflicts', async () => {
    const stage = setStage()
    stage.before = (operation, key) => {
      if (operation === 'put') throw new Conflict('memory', key)
    }
    expect(await rejection(change(stage.storage, {}))).to.be.instanceOf(Conflict)
    expect(stage.calls.filter((call) => call.startsWith('put'))).to.have.length(1001)
  })

  it('pauses after a conflict where the storage asks for it, and can be interrupted there', async () => {
    const stage = setStage()
    const stop = new AbortController()
    stage.before = (operation, key) => {
      if (operation === 'put') throw new Conflict('memory', key, { retryAfter: 1e8 })
    }
    const changed = rejection(change(stage.storage, { signal: stop.signal }))
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(stage.calls).to.deep.equal(['load counter.json', 'put counter.json'])
    stop.abort()
    expect(await changed).to.have.property('name', 'AbortError')
  })

  it('hands its signal to every call', async () => {
    const { signal } = new AbortController()
    const calls: [string, boolean][] = []
    const stage = setStage()
    const storage = withSignals(stage.storage, (call, given) => calls.push([call.replace(/ .*/, ''), given === signal]))
    await change(storage, { signal })
    await change(storage, { signal, decide: () => 'remove' })
    expect(calls).to.deep.equal([
      ['load', true],
      ['write', true],
      ['load', true],
      ['remove', true],
    ])
    calls.length = 0
    await change(storage, {})
    expect(calls).to.deep.equal([
      ['load', false],
      ['write', false],
    ])
  })
})
