import { createHash } from 'node:crypto'
import { gitBlobOid, type Repository, type RevisionListing, type TreeEntry } from '../../src/hub/index.ts'
import type { RepositorySource } from '../../src/mirror/index.ts'
import type { Process, World } from './world.ts'

/** What a file of a commit holds; `regular` files are known to the Hub by git's id only. */
export interface HubFile {
  readonly content: number
  readonly regular?: boolean
}

export type HubCommit = Readonly<Record<string, HubFile>>

export const commitId = (index: number) => String(index).repeat(40)
export const bytesOf = (content: number) => Buffer.from(`content ${content}`)
export const sha256Of = (content: number) => createHash('sha256').update(bytesOf(content)).digest('hex')

/** Repositories at the Hub, all with the same commits; where `main` is moves on from word to word. */
export class Hub {
  readonly #world: World
  readonly #commits: readonly HubCommit[]
  /** The commit that `main` is at, by word. */
  readonly #words: readonly number[]
  word = 0

  constructor(world: World, commits: readonly HubCommit[], words: readonly number[]) {
    this.#world = world
    this.#commits = commits
    this.#words = words
  }

  commitAt(word: number): number {
    return this.#words[word] ?? 0
  }

  /** One more word, as long as there are any; an actor of its own. */
  async move(process: Process): Promise<void> {
    for (let word = 1; word < this.#words.length; word++) {
      await process.request('hub', `says word ${word}`, () => {
        this.word = word
      })
    }
  }

  /** The Hub as one process asks it; `heard` is told which word it got. */
  sourceFor(process: Process, heard: (word: number) => void): RepositorySource {
    return {
      origin: 'https://hub.test',
      describe: async (repository, revision) =>
        await process.request('hub', `describes ${revision}`, () => {
          const index = /^(\d)\1{39}$/.exec(revision)?.[1]
          if (index === undefined) heard(this.word)
          return this.#listing(
            repository,
            index === undefined ? this.commitAt(this.word) : Number(index),
            index === undefined,
          )
        }),
      open: (_repository, _commit, file) =>
        async function* (start) {
          await process.request('hub', `sends ${file.path}`, () => undefined)
          yield contentOf(file).subarray(start)
        },
    }
  }

  filesOf(commit: number): TreeEntry[] {
    return Object.entries(this.#commits[commit] ?? {}).map(([path, { content, regular }]) => {
      const bytes = bytesOf(content)
      const oid = gitBlobOid(bytes)
      const known = { type: 'file' as const, path, size: bytes.length, oid }
      contents.set(oid, bytes)
      return regular === true
        ? known
        : { ...known, lfs: { oid: sha256Of(content), size: bytes.length, pointerSize: 120 } }
    })
  }

  #listing(repository: Repository, commit: number, isRef: boolean): RevisionListing {
    return {
      commit: commitId(commit),
      ...(isRef && { ref: { name: 'main', kind: 'branch' as const } }),
      saidAt: new Date(this.#world.now),
      info: infoOf(repository, commit),
      commits: [],
      files: this.filesOf(commit),
      directories: [],
    }
  }
}

/** What the Hub says of a repository at a commit, at any time. */
export function infoOf(repository: Repository, commit: number): RevisionListing['info'] {
  return { id: repository.id, sha: commitId(commit) }
}

const contents = new Map<string, Buffer>()

function contentOf(file: TreeEntry): Buffer {
  return contents.get(file.oid) ?? Buffer.alloc(0)
}
