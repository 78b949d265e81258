import { expect } from 'chai'
import { z } from 'zod'
import { openLocalStorage } from '../../../plugins/storage-local/local-storage.ts'
import { changeObject } from '../../../src/mirror/change-object.ts'
import { parseObject } from '../../../src/mirror/manifest.ts'
import { temporaryFolder } from '../../support/processes.ts'

const schema = z.looseObject({ rev: z.string().optional(), writer: z.string().optional(), names: z.array(z.int()) })
const parse = (key: string, text: string) => parseObject(schema, key, text)

describe('many writers of one object in a directory', () => {
  it('all succeed, and lose nothing', async function () {
    this.timeout(60_000)
    await using folder = await temporaryFolder()
    const storages = await Promise.all(
      Array.from({ length: 4 }, () => openLocalStorage({ directory: folder.path, create: true })),
    )
    const writes = Array.from({ length: 120 }, (_, name) => ({ name, storage: storages[name % 4] }))
    await Promise.all(
      writes.map(async ({ name, storage }) => {
        if (storage === undefined) return
        await changeObject<z.infer<typeof schema>>({
          storage,
          run: String(name),
          key: 'names.json',
          parse,
          decide: (current) => ({ write: { names: [...(current?.names ?? []), name] } }),
        })
      }),
    )
    const found = await storages[0]?.writer?.load('names.json')
    expect(parse('', String(found?.bytes)).names.toSorted((a, b) => a - b)).to.deep.equal(
      writes.map(({ name }) => name),
    )
    for (const storage of storages) await storage.close()
  })
})
