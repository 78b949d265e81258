import { LRUCache } from 'lru-cache'
import type { AnswerForm } from './cached-answer.ts'

/** What is asked, as far as answers differ by it. */
export interface Question {
  readonly method: string
  /** In its canonical spelling. */
  readonly target: string
  /** Of the credentials. */
  readonly digest: string
  readonly form: AnswerForm
  /** A stale answer is better than none. It is no part of the key. */
  readonly mayBeStale: boolean
  /** That go upstream. */
  readonly headers: Readonly<Record<string, string>>
  /** The repository that it is about, in one spelling. */
  readonly repository: string | undefined
}

/** In every key: an upstream that forgets them in `Vary` must not have one client's encoding given to another. */
const always = ['accept', 'accept-encoding'] as const

/** Under what answers are kept: method, target, credentials, and the request headers that `Vary` named before. */
export class Keys {
  readonly #varying: LRUCache<string, readonly string[]>

  /** `size` in bytes. */
  constructor(max: number, size: number) {
    this.#varying = new LRUCache({
      max,
      maxSize: Math.max(1, Math.floor(size)),
      sizeCalculation: (names, key) => 200 + 2 * (key.length + names.join().length),
    })
  }

  of(question: Question): string {
    const primary = primaryKey(question)
    return withHeaders(primary, this.#varying.get(primary) ?? [], question)
  }

  /** Notes what the upstream's answer varies by; returns the key of the answer to this question. */
  note(question: Question, vary: readonly string[]): string {
    const primary = primaryKey(question)
    const before = this.#varying.get(primary) ?? []
    const added = vary.filter((name) => !before.includes(name) && !(always as readonly string[]).includes(name))
    const names = added.length === 0 ? before : [...before, ...added].sort()
    if (added.length > 0) this.#varying.set(primary, names)
    return withHeaders(primary, names, question)
  }
}

function primaryKey({ method, target, digest, form, headers }: Question): string {
  return `${method} ${target} ${digest} ${form}\n${headers.accept ?? ''}\n${headers['accept-encoding'] ?? ''}`
}

function withHeaders(primary: string, names: readonly string[], { headers }: Question): string {
  let key = primary
  for (const name of names) key += `\n${name}:${headers[name] ?? ''}`
  return key
}
