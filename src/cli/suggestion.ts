import { readdir } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { closest, distance } from 'fastest-levenshtein'

/** The name that was probably meant, if one is near enough to be a slip of the finger. */
export function closestName(wrong: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined
  const candidate = closest(wrong, names)
  return distance(wrong, candidate) <= Math.max(1, Math.floor(wrong.length / 3)) ? candidate : undefined
}

/** `; did you mean X?`, or nothing. */
export function didYouMean(suggestion: string | undefined): string {
  return suggestion === undefined ? '' : `; did you mean ${suggestion}?`
}

/** A directory that exists and whose path differs from this one by a slip in one segment. */
export async function closestDirectory(missing: string): Promise<string | undefined> {
  const path = resolve(missing)
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => undefined)
    if (entries !== undefined) {
      const [wrong = '', ...rest] = relative(parent, path).split('/')
      const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
      const candidate = closestName(wrong, folders)
      return candidate === undefined || candidate === wrong ? undefined : join(parent, candidate, ...rest)
    }
    if (parent === dirname(parent)) return undefined
  }
}
