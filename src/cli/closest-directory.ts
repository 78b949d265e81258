import { readdir } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { closestName } from '../config/closest-name.ts'

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
