import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

/** `npm run test:search -- --seed N --runs N [--grep TEXT]`: a longer search, or one found before. */
const { values } = parseArgs({
  options: { seed: { type: 'string' }, runs: { type: 'string' }, grep: { type: 'string' } },
})
const env = {
  ...process.env,
  ...(values.seed !== undefined && { SEARCH_SEED: values.seed }),
  ...(values.runs !== undefined && { SEARCH_RUNS: values.runs }),
}
const args = ['--config', 'test/search/.mocharc.json', ...(values.grep === undefined ? [] : ['--grep', values.grep])]
const { status } = spawnSync('mocha', args, { stdio: 'inherit', env })
process.exit(status ?? 1)
