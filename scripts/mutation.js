/**
 * Tests the tests: `npm run test:mutation [part…]`. Each part of the sources is judged by its own tests, one after the
 * other; the exit code tells whether one of them fell below the threshold.
 */
import { spawnSync } from 'node:child_process'
import { parts } from '../stryker.config.js'

const asked = process.argv.slice(2)
const chosen = asked.length === 0 ? Object.keys(parts) : asked
const failed = chosen.filter((part) => {
  const stryker = [
    '--require',
    './scripts/mutation-preload.cjs',
    'node_modules/.bin/stryker',
    'run',
    'stryker.config.js',
  ]
  const { status } = spawnSync(process.execPath, stryker, {
    env: { ...process.env, MUTATION_PART: part },
    stdio: 'inherit',
  })
  return status !== 0
})
if (failed.length > 0) console.error(`Below the threshold, or broken: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
