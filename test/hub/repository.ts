import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { bytesContent, type Content, fileContent } from './content.ts'
import type { Discussion } from './discussions.ts'

export type RepositoryType = 'model' | 'dataset' | 'space' | 'kernel'

export interface HubFile {
  readonly path: string
  readonly content: Content
  readonly lfs: boolean
  /** What git holds: the content's id, or that of the pointer. */
  readonly oid: string
}

export interface HubCommit {
  readonly id: string
  readonly title: string
  readonly message: string
  readonly author: string
  readonly date: string
  readonly files: Map<string, HubFile>
  readonly parent: HubCommit | undefined
}

export interface RepositoryTraits {
  readonly type: RepositoryType
  readonly id: string
  private?: boolean
  gated?: boolean | 'auto' | 'manual'
  /** Announce Xet in headers and JSON. */
  readonly xet?: boolean
  readonly info?: Record<string, unknown>
}

export interface CommitOptions {
  readonly branch?: string
  readonly title?: string
  readonly message?: string
  readonly author?: string
  /** Commit to this ref (`refs/pr/1`) and not to a branch. */
  readonly ref?: string
  /** `null`: no parent, as after a squash; otherwise the head of the branch or ref. */
  readonly parent?: HubCommit | null | undefined
  readonly date?: Date
  /** Otherwise made from the content. */
  readonly id?: string
}

const lfsEndings = /\.(safetensors|bin|pt|gguf|onnx|parquet|h5|msgpack|zip|npz)$/

/** A repository of the stand-in Hub: commits, branches, tags and other refs. */
export class HubRepository {
  readonly traits: RepositoryTraits
  readonly commits = new Map<string, HubCommit>()
  readonly branches = new Map<string, string>()
  readonly tags = new Map<string, string>()
  /** `refs/pr/1` and `refs/convert/parquet`. */
  readonly otherRefs = new Map<string, string>()
  readonly discussions: Discussion[] = []
  /** By user name: `accepted`, `pending` or `rejected`. */
  readonly accessRequests = new Map<string, string>()

  constructor(traits: RepositoryTraits) {
    this.traits = traits
  }

  /** The repository's path in web addresses. */
  get path(): string {
    const { type, id } = this.traits
    return type === 'model' ? id : `${type}s/${id}`
  }

  /** Commits these files (and nothing else) to a branch; returns the commit's id. */
  commit(files: Record<string, string | Buffer | Content | HubFile>, options: CommitOptions = {}): string {
    const branch = options.branch ?? 'main'
    const held = new Map(Object.entries(files).map(([path, content]) => [path, toFile(path, content)]))
    const head = this.commits.get(this.branches.get(branch) ?? '')
    const parent = options.parent === undefined ? head : (options.parent ?? undefined)
    const title = options.title ?? `Commit ${this.commits.size + 1}`
    const listing = [...held.values()].map((file) => `${file.path} ${file.oid}`).join('\n')
    const date = (options.date ?? new Date(Date.UTC(2026, 0, 1) + this.commits.size * 60_000)).toISOString()
    const described = `${this.traits.id} ${parent?.id ?? ''} ${title}${options.date === undefined ? '' : date}\n${listing}`
    const id = options.id ?? createHash('sha1').update(described).digest('hex')
    const { message = '', author = 'founder' } = options
    this.commits.set(id, { id, title, message, author, date, files: held, parent })
    if (options.ref !== undefined) this.otherRefs.set(options.ref, id)
    else this.branches.set(branch, id)
    return id
  }

  /** Commits every file below a folder. */
  async commitFolder(folder: string, options: CommitOptions = {}): Promise<string> {
    const files: Record<string, Content> = {}
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.parentPath.includes('__pycache__')) continue
      const path = join(entry.parentPath, entry.name)
      files[relative(folder, path).split(sep).join('/')] = await fileContent(path)
    }
    return this.commit(files, options)
  }

  /** The commit that a revision names, as the Hub reads it. */
  resolve(revision: string): HubCommit | undefined {
    const short = revision.replace(/^refs\/(?:heads|tags)\//, '')
    const id = this.branches.get(short) ?? this.tags.get(short) ?? this.otherRefs.get(revision)
    if (id !== undefined) return this.commits.get(id)
    if (!/^[0-9a-f]{7,40}$/.test(revision)) return undefined
    return [...this.commits.values()].find((commit) => commit.id.startsWith(revision))
  }
}

function toFile(path: string, content: string | Buffer | Content | HubFile): HubFile {
  if (typeof content === 'object' && 'lfs' in content) return { ...content, path }
  const held = typeof content === 'string' || Buffer.isBuffer(content) ? bytesContent(Buffer.from(content)) : content
  return hubFile(path, held, isLarge(path, held.size))
}

export function hubFile(path: string, content: Content, lfs: boolean): HubFile {
  return { path, content, lfs, oid: lfs ? bytesContent(Buffer.from(pointerOf(content))).oid : content.oid }
}

export function pointerOf(content: Content): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${content.sha256}\nsize ${content.size}\n`
}

/** A folder's tree id; not git's own, but as stable. */
export function folderOid(commit: HubCommit, folder: string): string {
  return createHash('sha1').update(`${commit.id} ${folder}`).digest('hex')
}

/** Whether the Hub keeps such a file outside git. */
export function isLarge(path: string, size: number): boolean {
  return lfsEndings.test(path) || size > 10_000_000
}
