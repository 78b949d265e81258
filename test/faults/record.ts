import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A test of a fault says so at the end of its title: `(fault 9)`, `(faults 3, 21)`. */
const isOfFault = /\(faults? [0-9, ]+\)/
const outcomes = new Map<string, string>()

/** Keeps each fault's outcome for `scripts/write-reliability.ts`, beside those of other suites. */
export const mochaHooks = {
  afterEach(this: Mocha.Context): void {
    const test = this.currentTest
    if (test !== undefined && isOfFault.test(test.fullTitle())) outcomes.set(test.fullTitle(), test.state ?? 'pending')
  },
  afterAll(): void {
    const folder = fileURLToPath(new URL('../../.cache/', import.meta.url))
    mkdirSync(folder, { recursive: true })
    const kept = readKept(`${folder}faults.json`).filter(({ title }) => !outcomes.has(title))
    const all = [...kept, ...[...outcomes].map(([title, state]) => ({ title, state }))]
    writeFileSync(`${folder}faults.json`, JSON.stringify(all, undefined, 1))
  },
}

function readKept(path: string): { title: string; state: string }[] {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return [] // no suite has run yet
  }
}
