/** Writes docs/reliability.md from what the last runs of the tests recorded, or checks that it is as that run says (`--check`). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

/** The families, and what is done about each. */
const families: readonly [number, string, string][] = [
  [1, 'A mirror run is killed', 'What is visible is whole at any moment; the next run goes on where it stopped'],
  [2, 'Two runs at once', 'Blobs are written once, by content; both succeed, and neither undoes what the other did'],
  [3, 'The disk is full', 'A clear error; what was there stays; `sweep` frees what the run left'],
  [
    4,
    'Blobs, manifests, refs damaged',
    '`verify` names each and `--repair` heals; a blob of another size is never sent',
  ],
  [5, 'The mount goes away, or never was', 'Named as down; requests fall back; recovery needs no restart'],
  [6, 'A storage stalls', 'A bounded time, then the next storage or the Hub'],
  [7, 'A file changes while it is served', 'The connection is cut, never padded'],
  [8, 'Links and keys that lead out', 'Refused, never opened'],
  [
    9,
    'The Hub refuses, resets, stalls, sends too little',
    'A well-formed error, or a cut body; the mirrored is not affected',
  ],
  [10, 'The Hub answers 429 and 5xx', 'Passed on; a fleet-wide pause; a breaker that closes by a probe of its own'],
  [11, 'Ten thousand ask for one missing thing', 'One request to the Hub a second'],
  [12, 'Redirects in loops and to forbidden places', 'Followed within the configured hosts only'],
  [13, 'Tokens', "To the Hub only; in no log, metric or error; one client never gets what is another's"],
  [14, 'Smuggling, injection, poisoning', 'Strict framing; paths only; forwarded headers from trusted proxies only'],
  [15, 'Clients that go away', 'Request and file are closed within a second'],
  [16, 'Slow readers and slow requests', 'Memory and connections bounded; heads time out after 20 s'],
  [17, 'Two thousand downloads beside metadata', 'Metadata stays bounded'],
  [18, 'A soak of mixed load and faults', 'Memory, handles, event loop and latency flat'],
  [19, 'SIGTERM, and workers that die', 'Downloads end; a dead worker is replaced'],
  [20, 'Ten thousand repositories, 50,000 files', 'Pages, memory and start-up bounded'],
  [21, 'Wrong flags, keys, places, credentials', 'One sentence, what to do, exit code 2 or 1'],
  [22, 'Names at the edges of the grammar', 'Mirrored and served'],
  [23, 'A hundred thousand random requests; random manifests, configurations, answers', 'No crash, hang or 500'],
  [24, 'File names of every kind', 'Mirrored and served byte for byte'],
  [25, 'Empty files, buffer sizes, over 4 GiB', 'Served whole and by range'],
  [26, 'Ranges', 'As RFC 9110 §14 says'],
  [27, 'Request targets spelled in every way', 'Parsed once; what the Hub receives is what the policy allowed'],
  [28, 'Every credential, access mode and kind of request', "Nobody acts with another's rights"],
  [29, 'Request bodies cut, late, short, long', 'No byte of one request becomes part of another'],
  [30, 'A branch moves during a download', 'A download goes on with the content that it began with, or fails'],
  [
    31,
    'Commands beside each other: interleaved, crashed, refused or stopped for a day at any call of the storage',
    'Nothing that is named is missing, nothing that was done is lost, and the next sweep leaves nothing behind',
  ],
  [32, 'Writers killed beside a second run and a sweep of zero grace', 'Nothing is lost, and nothing left behind'],
  [33, 'Workers, pods and runs want one file', 'Fetched once, kept once; who fetches may die or be slow'],
  [
    34,
    'A storm of the bucket: 429, 503, resets, hangs, lost responses',
    'Every call is repeated within a bound; a run ends well without a re-run, or with one sentence',
  ],
  [35, 'A full disk or storage in pull-through', 'Who waits gets the file, and the next ones come from the Hub'],
  [36, 'A takedown', 'A removed revision stops being served within `refreshAfter`'],
  [
    37,
    'Signals at any moment, output that nobody reads',
    'A command ends within a second, keeps what it has, says so; a cut pipe is silent',
  ],
  [38, 'Oversized metadata', 'Memory is bounded; what is too large is left to the Hub'],
  [39, 'Chains of mirrors, mirrors that lead to themselves', 'Loops are told at once; a chain serves as one mirror'],
  [40, 'A rolling restart during downloads', 'Running downloads end first'],
]

interface Outcome {
  readonly title: string
  readonly state: string
}

const outcomes: Outcome[] = JSON.parse(readFileSync('.cache/faults.json', 'utf8'))
const numbersOf = ({ title }: Outcome) => (/\(faults? ([\d, ]+)\)/.exec(title)?.[1] ?? '').split(',').map(Number)
const casesOf = (family: number) => outcomes.filter((outcome) => numbersOf(outcome).includes(family))
const missing = families.filter(([number]) => casesOf(number).length === 0).map(([number]) => number)
if (missing.length > 0) throw new Error(`no test tells of fault ${missing.join(', ')}`)

const rows = families.map(([number, what, done]) => {
  const cases = casesOf(number)
  const failed = cases.filter(({ state }) => state !== 'passed').length
  return `| ${number} | ${what} | ${done} | ${cases.length} | ${failed === 0 ? 'pass' : `${failed} fail`} |`
})
const tests = families.map(([number, what]) => {
  const titles = casesOf(number).map(({ title, state }) => `- ${title.replace(/ \(faults? [\d, ]+\)/, '')}: ${state}`)
  return `### ${number}. ${what}\n\n${titles.join('\n')}`
})
const text = `# Reliability

Generated by \`npm run docs:reliability\` from the outcome of \`npm test\`, \`npm run test:faults\` and \`npm run test:emulator\`. Each family of faults is tested with real processes, signals and sockets; \`test/faults/\` has the harness (\`watch.ts\`), and a new case is a test whose title ends in \`(fault N)\`.

| | Fault | What is done | Cases | Outcome |
|---|---|---|---|---|
${rows.join('\n')}

## The tests

${tests.join('\n\n')}
`
mkdirSync('docs', { recursive: true })
if (!process.argv.includes('--check')) writeFileSync('docs/reliability.md', text)
else if (readFileSync('docs/reliability.md', 'utf8') !== text) {
  process.stderr.write('docs/reliability.md is not what this run says: run npm run docs:reliability\n')
  process.exitCode = 1
}
