import { expect } from 'chai'
import fc from 'fast-check'
import { foldersAbove, type TreeEntry } from '../../../../src/hub/index.ts'
import type { Snapshot, SnapshotFile } from '../../../../src/mirror/index.ts'
import { foldersOf } from '../../../../src/server/answers/folders.ts'
import { runs } from '../../../support/runs.ts'

/** Names around `/` in the order of code units, and beginnings of one another: what a bound could get wrong. */
const name = fc.constantFrom('a', 'b', 'a!', 'a-', 'a.', 'a0', 'aa', 'ä', 'A', '🦙', 'zz', '.h')
const filePath = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))

/** A commit's files: no path is a file and a folder. */
const files = fc.uniqueArray(filePath, { maxLength: 40 }).map((paths) => {
  const folders = new Set(foldersAbove(paths))
  return paths.filter((path) => !folders.has(path))
})

function snapshotOf(paths: readonly string[]): Snapshot {
  const oid = '0'.repeat(40)
  const entries = paths.toSorted().map((path, index): [string, SnapshotFile] => {
    return [path, { path, size: index + 1, oid, etag: oid, key: undefined }]
  })
  const partial: Partial<Snapshot> = {
    files: new Map(entries),
    directories: new Map(foldersAbove(paths).map((path) => [path, oid])),
  }
  return partial as Snapshot // what folders are made of
}

/** The listing by looking at every path: what a page must be a part of. */
function lookedUp(snapshot: Snapshot, folder: string, recursive: boolean): string[] {
  const prefix = folder === '' ? '' : `${folder}/`
  const isInside = (path: string) => path.startsWith(prefix) && (recursive || !path.includes('/', prefix.length))
  return [...[...snapshot.directories.keys()].toSorted(), ...snapshot.files.keys()].filter(isInside)
}

const pathsOf = (entries: readonly TreeEntry[]): string[] => entries.map(({ path }) => path)

describe('folders of a commit', () => {
  it('list what lies in and below them, whole and in pages', () => {
    fc.assert(
      fc.property(files, fc.integer({ min: 1, max: 7 }), (paths, pageSize) => {
        const snapshot = snapshotOf(paths)
        const folders = foldersOf(snapshot)
        for (const folder of ['', ...snapshot.directories.keys()]) {
          for (const recursive of [false, true]) {
            const expected = lookedUp(snapshot, folder, recursive)
            const listing = recursive ? folders.descendants(folder) : folders.children(folder)
            expect(listing.total).to.equal(expected.length)
            const pages: string[] = []
            for (let start = 0; start < listing.total; start += pageSize) {
              const page = listing.entries(start, start + pageSize)
              expect(page.length).to.be.within(1, pageSize)
              pages.push(...pathsOf(page))
            }
            // Files in the order of the tree; folders come first, in theirs.
            expect(pages).to.deep.equal(expected)
            expect(listing.entries(listing.total, listing.total + 1)).to.deep.equal([])
          }
        }
      }),
      { numRuns: runs(300), seed: 20_261_125 },
    )
  })

  it('sum up the bytes below them', () => {
    fc.assert(
      fc.property(files, (paths) => {
        const snapshot = snapshotOf(paths)
        for (const folder of ['', ...snapshot.directories.keys()]) {
          const expected = [...snapshot.files.values()]
            .filter(({ path }) => folder === '' || path.startsWith(`${folder}/`))
            .reduce((sum, { size }) => sum + size, 0)
          expect(foldersOf(snapshot).bytesBelow(folder)).to.equal(expected)
        }
      }),
      { numRuns: runs(300), seed: 20_261_125 },
    )
  })

  it('are indexed once: a page of 100,000 files costs what a page of ten does', () => {
    const snapshot = snapshotOf(Array.from({ length: 100_000 }, (_, index) => `f/${String(index).padStart(6, '0')}`))
    foldersOf(snapshot)
    const started = performance.now()
    for (let page = 0; page < 100; page++)
      foldersOf(snapshot)
        .descendants('')
        .entries(page * 1000, page * 1000 + 10)
    expect(performance.now() - started).to.be.lessThan(250)
  })
})
