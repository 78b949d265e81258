import picomatch from 'picomatch'
import type { NamedRepository } from '../../hub/index.ts'

/** How policies and people name a repository: `org/model`, `datasets/org/data`, `buckets/org/store`. */
export function nameOf({ type, id }: NamedRepository): string {
  return type === 'model' ? id : `${type}s/${id}`
}

const collections: ReadonlySet<string> = new Set(['datasets', 'spaces', 'kernels', 'buckets'])

/** Globs of repository names, as `allow`, `deny` and access tokens have them. The Hub's names ignore case. */
export class RepositoryGlobs {
  readonly isEmpty: boolean
  /** Whether one of them matches every repository. */
  readonly matchesEverything: boolean
  readonly #matchesName: (name: string) => boolean
  readonly #matchesNamespace: (namespace: string) => boolean

  constructor(globs: readonly string[]) {
    this.isEmpty = globs.length === 0
    this.matchesEverything = globs.includes('**')
    this.#matchesName = compile(globs)
    this.#matchesNamespace = compile(globs.flatMap(namespaceOf))
  }

  matches(name: string): boolean {
    return this.#matchesName(name)
  }

  /** Whether a glob matches repositories, of any type, of this user or organization. */
  matchesNamespace(namespace: string): boolean {
    return this.#matchesNamespace(namespace)
  }
}

function compile(globs: readonly string[]): (text: string) => boolean {
  return globs.length === 0 ? () => false : picomatch([...globs], { nocase: true, dot: true })
}

/** The part of a glob that names a namespace; none, where it can only match canonical names such as `gpt2`. */
function namespaceOf(glob: string): string[] {
  const segments = glob.split('/')
  const [namespace, ...rest] = collections.has(segments[0]?.toLowerCase() ?? '') ? segments.slice(1) : segments
  if (namespace === undefined) return []
  return namespace === '**' || rest.length > 0 ? [namespace] : []
}
