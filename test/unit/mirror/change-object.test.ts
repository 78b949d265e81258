import { expect } from 'chai'
import { z } from 'zod'
import { changeObject } from '../../../src/mirror/change-object.ts'
import { parseObject } from '../../../src/mirror/manifest.ts'
import { Conflict } from '../../../src/plugin/index.ts'
import { MemoryBucket } from '../../search/memory-bucket.ts'
import { MemoryStorage, type Request } from '../../search/memory-storage.ts'

const schema = z.looseObject({ rev: z.string().optional(), writer: z.string().optional(), count: z.int() })
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
})
