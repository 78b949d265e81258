import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Repository } from '../../../../src/hub/index.ts'
import { Misses } from '../../../../src/server/observe/misses.ts'
import { PageContent } from '../../../../src/server/page/page-content.ts'
import { snapshot } from '../gate/fixture.ts'

const model = (number: number): Repository => ({ type: 'model', id: `org/m${number}` })

/** A library that counts its look-ups, in which some models are stored: a revision, and no files. */
class CountingLibrary {
  readonly storages = []
  readonly stored = new Set<string>()
  lookUps = 0

  async find(repository: Repository) {
    this.lookUps++
    return this.stored.has(repository.id) ? snapshot({ repository }) : undefined
  }

  async has(repository: Repository): Promise<boolean> {
    this.lookUps++
    return this.stored.has(repository.id)
  }

  async refs(): Promise<never[]> {
    this.lookUps++
    return []
  }
}

const contentOf = (library: CountingLibrary, misses: Misses, refreshAfter: number) =>
  new PageContent({ library, misses, refreshAfter, redact: String })

/** Model 0 was wanted most. */
function missing(count: number): Misses {
  const misses = new Misses()
  for (let index = 0; index < count; index++)
    misses.count({ repository: model(index), revision: 'main' }, count - index)
  return misses
}

describe('the misses that are shown', () => {
  it('are the 500 most wanted, looked up once for all who ask at a time, and for a while', async () => {
    const library = new CountingLibrary()
    const content = contentOf(library, missing(10_000), 60_000)
    const lists = [...(await Promise.all(Array.from({ length: 40 }, () => content.misses()))), await content.misses()]
    expect(library.lookUps).to.equal(500)
    for (const list of lists)
      expect(list.map(({ id }) => id)).to.deep.equal(Array.from({ length: 500 }, (_, index) => model(index).id))
  })

  it('leave room for others when they are mirrored', async () => {
    const library = new CountingLibrary()
    const misses = missing(1_200)
    const content = contentOf(library, misses, 0)
    for (let index = 0; index < 600; index++) library.stored.add(model(index).id)
    const counts: number[] = []
    for (let round = 0; round < 3; round++) {
      counts.push((await content.misses()).length)
      await delay(2)
    }
    expect(counts).to.deep.equal([0, 400, 500])
    expect(misses.list()).to.have.length(600)
  })

  it('are kept where more was missed of them while they were looked up', async () => {
    const misses = missing(1)
    const [listed] = misses.list()
    misses.count({ repository: model(0), revision: 'other' }, 1)
    if (listed !== undefined) misses.forget(listed)
    expect(misses.list().map(({ miss }) => miss.requests)).to.deep.equal([2])
  })
})
