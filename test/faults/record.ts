import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const outcomes: { title: string; state: string }[] = []

/** Keeps each fault's outcome for `scripts/write-reliability.ts`. */
export const mochaHooks = {
  afterEach(this: Mocha.Context): void {
    const test = this.currentTest
    if (test !== undefined) outcomes.push({ title: test.fullTitle(), state: test.state ?? 'pending' })
  },
  async afterAll(): Promise<void> {
    const folder = fileURLToPath(new URL('../../.cache/', import.meta.url))
    await mkdir(folder, { recursive: true })
    await writeFile(`${folder}faults.json`, JSON.stringify(outcomes, undefined, 1))
  },
}
