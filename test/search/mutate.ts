import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Protocol } from './explore.ts'
import type { Mutant } from './mutants.ts'

const sources = fileURLToPath(new URL('../../src', import.meta.url))
const mutated = fileURLToPath(new URL('../../.cache/mutants', import.meta.url))

/** Loads a copy of `src/mirror` with the mutant's edits; all else is the original. */
export async function loadMutant({ edits }: Mutant, index: number): Promise<Protocol> {
  const folder = join(mutated, `${process.pid}-${index}`)
  await rm(folder, { recursive: true, force: true })
  await cp(join(sources, 'mirror'), join(folder, 'mirror'), { recursive: true })
  for (const name of ['hub', 'plugin', 'sharing']) {
    await mkdir(join(folder, name))
    const original = pathToFileURL(join(sources, name, 'index.ts')).href
    await writeFile(join(folder, name, 'index.ts'), `export * from ${JSON.stringify(original)}\n`)
  }
  for (const { file, from, to } of edits) {
    const path = join(folder, 'mirror', file)
    const text = await readFile(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`${file}: "${from}" does not stand there exactly once`)
    await writeFile(
      path,
      text.replace(from, () => to),
    )
  }
  const protocol: Protocol = await import(pathToFileURL(join(folder, 'mirror', 'index.ts')).href)
  await rm(folder, { recursive: true, force: true })
  return protocol
}
