import { expect } from 'chai'
import type { Repository } from '../../../../src/hub/index.ts'
import type { MirroredRef, Snapshot } from '../../../../src/mirror/index.ts'
import { isPublic, LimitedLibrary, storedId } from '../../../../src/server/gate/limited-library.ts'
import type { ReadableLibrary } from '../../../../src/server/gate/readable-library.ts'
import { snapshot } from './fixture.ts'

const repository: Repository = { type: 'model', id: 'org/model' }

/** One repository; each revision's snapshot has its name as the id, and what was looked for is kept. */
class StubLibrary implements ReadableLibrary {
  readonly looks: Parameters<ReadableLibrary['find']>[] = []
  readonly list: readonly MirroredRef[]
  readonly revisions: readonly string[]

  constructor(list: readonly MirroredRef[], ...revisions: string[]) {
    this.list = list
    this.revisions = revisions
  }

  async find(...look: Parameters<ReadableLibrary['find']>): Promise<Snapshot | undefined> {
    this.looks.push(look)
    return this.revisions.includes(look[1]) ? snapshot({ repository, info: { _id: look[1] } }) : undefined
  }

  async refs(): Promise<MirroredRef[]> {
    return [...this.list]
  }

  async has(): Promise<boolean> {
    return this.revisions.length > 0
  }
}

const ref = (name: string, day: number): MirroredRef => ({
  name,
  kind: 'branch',
  commit: `commit of ${name}`,
  updatedAt: `2026-01-0${day}T00:00:00.000Z`,
})
const showing = (id: string) => (one: Snapshot) => storedId(one) === id

describe('a library of which some is not shown', () => {
  it('finds what is shown, and nothing else', async () => {
    const library = new StubLibrary([], 'a', 'b')
    const limited = new LimitedLibrary(library, showing('a'))
    expect(storedId((await limited.find(repository, 'a', { pulled: true })) ?? { info: {} })).to.equal('a')
    expect(await limited.find(repository, 'b')).to.equal(undefined)
    expect(await limited.find(repository, 'c')).to.equal(undefined)
    expect(library.looks[0]).to.deep.equal([repository, 'a', { pulled: true }])
  })

  it('shows a repository by what was stored last, in whatever order its refs come', async () => {
    for (const list of [
      [ref('old', 1), ref('new', 2)],
      [ref('new', 2), ref('old', 1)],
      [ref('old', 1), ref('new', 3), ref('older', 2)],
    ]) {
      for (const [id, isShown] of [
        ['commit of new', true],
        ['commit of old', false],
      ] as const) {
        const limited = new LimitedLibrary(new StubLibrary(list, 'commit of old', 'commit of new'), showing(id))
        expect(await limited.refs(repository)).to.deep.equal(isShown ? list : [])
        expect(await limited.has(repository)).to.equal(isShown)
      }
    }
  })

  it('looks at `main` as it was pulled where no ref says more', async () => {
    for (const list of [[], [ref('gone', 1)]]) {
      const library = new StubLibrary(list, 'main')
      expect(await new LimitedLibrary(library, showing('main')).has(repository)).to.equal(true)
      expect(library.looks.at(-1)).to.deep.equal([repository, 'main', { pulled: true }])
      expect(await new LimitedLibrary(library, showing('another')).has(repository)).to.equal(false)
    }
    const [gone] = [ref('gone', 1)]
    const withoutMain = new LimitedLibrary(new StubLibrary([gone], 'other'), () => true)
    expect(await withoutMain.has(repository)).to.equal(false)
    expect(await withoutMain.refs(repository)).to.deep.equal([])
  })

  it('does the same for what is not there as for what is not shown', async () => {
    const absent: Repository[] = []
    const whereAbsent = (one: Repository) => absent.push(one)
    const limited = new LimitedLibrary(new StubLibrary([]), () => true, whereAbsent)
    const found = [await limited.has(repository), await limited.refs(repository), await limited.find(repository, 'a')]
    expect(found).to.deep.equal([false, [], undefined])
    expect(absent).to.deep.equal([repository, repository, repository])
    // What is there is found out by what shows it.
    const there = new LimitedLibrary(new StubLibrary([], 'main'), () => false, whereAbsent)
    expect([await there.has(repository), await there.find(repository, 'main')]).to.deep.equal([false, undefined])
    expect(absent).to.have.length(3)
    // Refs are of no repository that is not there.
    const unlisted = new StubLibrary([ref('main', 1)])
    expect(await new LimitedLibrary(unlisted, () => true).has(repository)).to.equal(false)
  })

  it('knows what was everybody’s, and which repository it was', () => {
    for (const [info, isEverybodys] of [
      [{}, true],
      [{ private: false, gated: false }, true],
      [{ private: null, gated: null }, true],
      [{ private: true }, false],
      [{ gated: 'auto' }, false],
      [{ private: 0 }, false],
    ] as const)
      expect(isPublic({ info }), JSON.stringify(info)).to.equal(isEverybodys)
    expect([{ _id: 'a' }, { _id: 5 }, {}].map((info) => storedId({ info }))).to.deep.equal(['a', undefined, undefined])
  })
})
