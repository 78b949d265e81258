import { LRUCache } from 'lru-cache'
import { type ParsedTarget, parseTarget } from '../hub/index.ts'

/** Characters of request targets that are kept, a parsed target having its texts several times over. */
const mostCharacters = 256 * 1024

/** Targets parsed a moment ago: a fleet asks for the same ones, and parsing is what costs most ahead of a kept reply. */
export class ParsedTargets {
  readonly #prefix: string
  readonly #parsed = new LRUCache<string, ParsedTarget>({
    maxSize: mostCharacters,
    sizeCalculation: (_parsed, raw) => 64 + raw.length,
  })

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Throws as {@link parseTarget} does. */
  parse(raw: string): ParsedTarget {
    let parsed = this.#parsed.get(raw)
    if (parsed === undefined) {
      parsed = parseTarget(raw, this.#prefix)
      this.#parsed.set(raw, parsed)
    }
    return parsed
  }
}
