/** Writes the README's table of clients from the last run of `npm run test:clients`, or checks it (`--check`). */
import { readFileSync, writeFileSync } from 'node:fs'
import { clients } from '../test/clients/clients.ts'
import { readOutcomes, situations } from '../test/clients/outcomes.ts'

const readme = new URL('../README.md', import.meta.url)
const markers = /(<!-- clients -->\n)[\s\S]*?(<!-- \/clients -->)/
const text = readFileSync(readme, 'utf8')
const rows = (await readOutcomes()).length === 0 ? undefined : await table()
const isCheck = process.argv.includes('--check')

if (isCheck) {
  const listed = clients.filter(({ name }) => !text.includes(`| ${name} |`))
  if (listed.length > 0) {
    process.stderr.write(
      `README.md lacks ${listed.map(({ name }) => name).join(', ')}: npm run test:clients && npm run docs:clients\n`,
    )
    process.exitCode = 1
  }
} else if (rows === undefined) {
  process.stderr.write('there are no outcomes: npm run test:clients\n')
  process.exitCode = 1
} else writeFileSync(readme, text.replace(markers, `$1${rows}$2`))

/** A row for each client; a cell says that it works, and to whom its requests went. */
async function table(): Promise<string> {
  const outcomes = await readOutcomes()
  const lines = clients.map(({ name, does, fromMirrored }) => {
    const cells = situations.map((situation) => {
      const outcome = outcomes.find((one) => one.client === name && one.situation === situation)
      if (outcome !== undefined) {
        const { mirror, hub, cdn } = outcome.requests
        return `✓ ${mirror} / ${hub} / ${cdn}`
      }
      return situation.startsWith('mirrored') && !fromMirrored ? "the Hub's alone" : '✗'
    })
    return `| ${name} | ${does} | ${cells.join(' | ')} |`
  })
  return [
    '| client | what it does | mirrored, the Hub off | passed on | followed, in a closed network |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
    '',
  ].join('\n')
}
