import type { NamedRepository, Target } from '../../hub/index.ts'
import { repositoryDenied, repositoryNotAllowed, routeNotAllowed } from './refusals.ts'
import { nameOf, RepositoryGlobs } from './repository-globs.ts'

/** Routes that name no repository and are never refused: they serve people and clients, not content. */
const alwaysAllowed: ReadonlySet<Target['operation']> = new Set([
  'whoami',
  'telemetry',
  'validate-yaml',
  'health',
  'ready',
  'page',
  'misses',
])

/** Characters beyond which nothing is a repository's name: the Hub's have two words of 96 at most, and a type. */
const longestName = 500

const gitEnding = /\.git$/i
const notInName = /[^A-Za-z0-9._-]/

/**
 * What a segment may name: it is read as it stands, and as far as it is a name. To who decodes it again, `name#` has a
 * fragment, and `name?` a query; others drop parameters (`name;v=1`), or blanks and dots at its end.
 */
function namesOf(segment: string): readonly [asItStands: string, asName: string] {
  const behind = segment.search(notInName)
  let end = behind === -1 ? segment.length : behind
  for (;;) {
    // No expression for all of it: one would look at a row of dots from each dot on.
    if (segment[end - 1] === '.') end--
    else if (gitEnding.test(segment.slice(Math.max(0, end - 4), end))) end -= 4
    else return [segment.replace(gitEnding, ''), segment.slice(0, end)]
  }
}

/** Which repositories this mirror answers for, whoever asks and wherever the answer would come from. */
export class RepositoryPolicy {
  readonly #allow: RepositoryGlobs
  readonly #deny: RepositoryGlobs

  constructor(allow: readonly string[], deny: readonly string[]) {
    this.#allow = new RepositoryGlobs(allow)
    this.#deny = new RepositoryGlobs(deny)
  }

  get isInForce(): boolean {
    return !this.#allow.isEmpty || !this.#deny.isEmpty
  }

  /**
   * Throws a `HubFailure` that says which rule refuses the target.
   * @param isNamedInBody the request's body names repositories, which are checked when it was read
   */
  assertTarget(target: Target, isNamedInBody: boolean): void {
    if (!this.isInForce) return
    if (target.pair !== undefined) this.#assertNotDenied(target.pair)
    if (target.readings.length > 0) this.assertNamed(target.readings)
    else if (!isNamedInBody && !alwaysAllowed.has(target.operation)) this.#assertNameless(target)
    if (target.operation === 'other' || target.operation === 'repository-other') this.#assertWindows(target.segments)
  }

  assertNamed(repositories: readonly NamedRepository[]): void {
    for (const repository of repositories) {
      this.#assertNotDenied(repository)
      const name = nameOf(repository)
      if (!this.#allow.isEmpty && !this.#allow.matches(name)) throw repositoryNotAllowed(name)
    }
  }

  #assertNotDenied(repository: NamedRepository): void {
    const name = nameOf(repository)
    if (this.#deny.matches(name)) throw repositoryDenied(name)
  }

  serves(repository: NamedRepository): boolean {
    const name = nameOf(repository)
    return !this.#deny.matches(name) && (this.#allow.isEmpty || this.#allow.matches(name))
  }

  #assertNameless(target: Target): void {
    if (target.operation === 'listing') this.#assertWindows(target.segments)
    if (this.#allow.isEmpty) return
    if (target.operation === 'overview' && this.#allow.matchesNamespace(target.namespace)) return
    throw routeNotAllowed()
  }

  /** A route without a grammar: whatever stands in it where a repository's name could is tried against `deny`. */
  #assertWindows(segments: readonly string[]): void {
    if (this.#deny.isEmpty) return
    const words = segments.map(namesOf)
    const names = new Set<string>()
    for (let start = 0; start < words.length; start++) {
      // One or two segments are an id; with a type in front it takes one more.
      for (const length of [1, 2, 3])
        for (const reading of [0, 1] as const)
          if (start + length <= words.length)
            names.add(
              words
                .slice(start, start + length)
                .map((word) => word[reading])
                .join('/'),
            )
    }
    for (const name of names) if (name.length <= longestName && this.#deny.matches(name)) throw repositoryDenied(name)
  }
}
