import { execFile, execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { explainFailure } from '../../../src/cli/explain-failure.ts'
import { ClaimLost } from '../../../src/mirror/index.ts'
import { StandInHub, syntheticContent } from '../../hub/index.ts'
import { type Finished, runMirrorFace, startMirrorFace, temporaryFolder } from '../../support/processes.ts'

const commands = ['mirror', 'list', 'verify', 'remove', 'sweep', 'doctor', 'misses', 'config'] as const
type Command = (typeof commands)[number]

interface Situation {
  readonly title: string
  /** What each command is given besides `--json`; a command that cannot meet the situation is left out. */
  readonly runs: Partial<Record<Command, readonly [code: number, args: readonly string[]]>>
  /** What the one sentence on stderr, or the document, must say. */
  readonly says?: RegExp
  readonly asNobody?: boolean
}

const nobody = 65534
/** Where nothing listens. */
const down = 'http://127.0.0.1:9'

describe('exit codes', () => {
  const weights = syntheticContent(1_500_000, 5)
  let hub: StandInHub
  let server: Awaited<ReturnType<typeof startMirrorFace>>
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const path = (name: string) => join(folder.path, name)
  const at = (name: string) => ['--local-directory', path(name)]
  const ofHub = () => ['--upstream-url', hub.url]

  before(async () => {
    folder = await temporaryFolder()
    hub = await new StandInHub().start()
    for (const id of ['org/model', 'org/other'])
      hub.add({ type: 'model', id }).commit({ 'a.json': id, 'w.safetensors': weights })
    hub.add({ type: 'model', id: 'org/wrong' }).commit({ 'a.bin': 'right' })
    hub.faults = ({ server: of, url }) =>
      of === 'cdn' && url.includes(wrongSha256()) ? { kind: 'corrupt' } : undefined
    for (const name of ['sound', 'damaged', 'shrinking', 'locked']) {
      const made = await runMirrorFace(['mirror', 'org/model', 'org/other', ...at(name), ...ofHub()])
      expect(made.code, made.stderr).to.equal(0)
    }
    const commits = path('damaged/repositories/models--org--model/commits')
    await truncate(join(commits, (await readdir(commits))[0] ?? ''), 100)
    await mkdir(path('small'))
    server = await startMirrorFace([...at('sound'), ...ofHub()])
    await chmod(folder.path, 0o755)
    await chmod(path('locked'), 0o700)
  })
  after(async () => {
    await server.stop()
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  function wrongSha256(): string {
    const file = hub.repositories.get('models/org/wrong')?.resolve('main')?.files.get('a.bin')
    return file?.content.sha256 ?? 'none'
  }

  const situations = (): Situation[] => [
    {
      title: 'done, and nothing is wrong',
      runs: {
        mirror: [0, ['org/model', ...at('sound'), ...ofHub()]],
        list: [0, [...at('sound')]],
        verify: [0, [...at('sound')]],
        remove: [0, ['org/other', ...at('shrinking')]],
        sweep: [0, [...at('sound')]],
        doctor: [0, [...at('sound'), ...ofHub()]],
        misses: [0, ['--server', server.url]],
        config: [0, []],
      },
    },
    {
      title: 'problems were found, or it failed',
      runs: {
        mirror: [1, ['org/wrong', ...at('sound'), ...ofHub()]],
        list: [1, [...at('damaged')]],
        verify: [1, [...at('damaged')]],
        sweep: [1, [...at('damaged')]],
        doctor: [1, ['--gcs-mount', path('sound'), ...ofHub()]],
      },
    },
    {
      title: 'a flag that does not exist',
      runs: {
        mirror: [2, ['org/model', '--upstream-ur', hub.url]],
        list: [2, ['--outdate']],
        verify: [2, ['--quik']],
        remove: [2, ['org/model', '--typ', 'model']],
        sweep: [2, ['--grac', '1h']],
        doctor: [2, ['--tokn', 'x']],
        misses: [2, ['--limt', '3']],
        config: [2, ['--local-directry', 'x']],
      },
      says: /Nonexistent flag: --\S+; did you mean --[a-z-]+\?$/m,
    },
    {
      title: 'a value that a flag does not take',
      runs: {
        mirror: [2, ['org/model', '--concurrency', 'many']],
        list: [2, ['--sort', 'age']],
        verify: [2, ['org/model', '--repair-from', 'x']],
        remove: [2, ['org/model', '--type', 'kernel']],
        sweep: [2, ['--grace', 'long', ...at('sound')]],
        doctor: [2, ['--config', path('nowhere.yaml')]],
        misses: [2, ['--limit', '0']],
        config: [2, ['--config', path('nowhere.yaml')]],
      },
      says: /^mirrorface: .*(?:many|age|--repair-from|kernel|long|nowhere|--limit)/m,
    },
    {
      title: 'a directory that does not exist',
      runs: {
        mirror: [2, ['org/model', '--source', path('soundd'), ...at('sound')]],
        list: [2, [...at('soundd')]],
        verify: [2, [...at('soundd')]],
        remove: [2, ['org/model', ...at('soundd')]],
        sweep: [2, [...at('soundd')]],
        doctor: [2, [...at('soundd'), ...ofHub()]],
      },
      says: /no such directory: \S+soundd; did you mean \S+sound\?/,
    },
    {
      title: 'a directory that may not be read',
      runs: {
        mirror: [1, ['org/model', ...at('locked'), ...ofHub()]],
        list: [2, [...at('locked')]],
        verify: [2, [...at('locked')]],
        remove: [1, ['org/model', ...at('locked')]],
        sweep: [1, [...at('locked')]],
        doctor: [1, [...at('locked'), ...ofHub()]],
      },
      says: /no permission for \S+locked/,
      asNobody: true,
    },
    {
      title: 'a repository that is not there',
      runs: {
        mirror: [1, ['org/modle', ...at('sound'), ...ofHub()]],
        list: [2, ['org/modle', ...at('sound')]],
        verify: [2, ['org/modle', ...at('sound')]],
        remove: [2, ['org/modle', ...at('sound')]],
      },
      says: /no such repository here: org\/modle; did you mean org\/model\?|org\/modle does not exist/,
    },
    {
      title: 'the Hub, or the server, is down',
      runs: {
        mirror: [1, ['org/model', ...at('sound'), '--upstream-url', down]],
        list: [2, ['--outdated', ...at('sound'), '--upstream-url', down]],
        verify: [2, ['--against-hub', ...at('sound'), '--upstream-url', down]],
        doctor: [1, [...at('sound'), '--upstream-url', down]],
        misses: [2, ['--server', down]],
      },
      says: /cannot be reached|does not answer|gives no list/,
    },
    {
      title: 'some of several repositories failed',
      runs: { mirror: [3, ['org/model', 'org/modle', 'org/other', ...at('sound'), ...ofHub()]] },
      says: /1 repositories could not be mirrored; the others were/,
    },
    {
      title: 'all of several repositories failed',
      runs: { mirror: [1, ['org/modle', 'org/wrong', ...at('sound'), ...ofHub()]] },
      says: /2 repositories could not be mirrored$/m,
    },
  ]

  function expectOneDocument(stdout: string, told: string): unknown {
    const document: unknown = JSON.parse(stdout)
    expect(stdout, told).to.equal(`${JSON.stringify(document, undefined, 2)}\n`)
    return document
  }

  function expectSound(code: number, finished: Finished, says: RegExp | undefined, told: string): void {
    expect(finished.code, told).to.equal(code)
    expect(finished.stderr, told).to.not.match(/EEXIT|^\s+at /m)
    const document = expectOneDocument(finished.stdout, told)
    if (code === 0) return
    expect(finished.stderr.match(/^mirrorface: (?!org\/)/gm)?.length ?? 0, told).to.be.lessThan(2)
    if (says !== undefined) expect(finished.stderr + finished.stdout, told).to.match(says)
    const entries = Array.isArray(document) ? document : [document]
    const says1 = entries.some((entry) => 'error' in entry || entry.state === 'bad' || 'problems' in entry)
    expect(says1 || finished.stderr !== '', told).to.equal(true)
  }

  for (const title of [
    'done, and nothing is wrong',
    'problems were found, or it failed',
    'a flag that does not exist',
    'a value that a flag does not take',
    'a directory that does not exist',
    'a directory that may not be read',
    'a repository that is not there',
    'the Hub, or the server, is down',
    'some of several repositories failed',
    'all of several repositories failed',
  ]) {
    it(`tell of ${title}, in every command, and --json is one document (fault 21)`, async function () {
      const { runs, says, asNobody } = situations().find((one) => one.title === title) ?? { runs: {} }
      if (asNobody === true && !(await nobodyCanRun())) return this.skip()
      const before = (await readdir(folder.path)).toSorted()
      const finished = await Promise.all(
        Object.entries(runs).map(async ([command, [code, args]]) => {
          const words = [command, ...args, '--json']
          return { code, words, outcome: asNobody === true ? await runAsNobody(words) : await runMirrorFace(words) }
        }),
      )
      for (const { code, words, outcome } of finished)
        expectSound(code, outcome, says, `${words.join(' ')}: ${JSON.stringify(outcome)}`)
      expect((await readdir(folder.path)).toSorted(), 'nothing is made').to.deep.equal(before)
    }).timeout(120_000)
  }

  it('tell of a full disk: what was mirrored before is kept, the rest is named (fault 3)', async function () {
    if (process.getuid?.() !== 0) return this.skip()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path('small')])
    try {
      hub.add({ type: 'model', id: 'org/large' }).commit({ 'w.safetensors': syntheticContent(8_000_000, 6) })
      const finished = await runMirrorFace([
        'mirror',
        'org/model',
        'org/large',
        'org/other',
        '--json',
        ...at('small'),
        ...ofHub(),
      ])
      expectSound(3, finished, /storage local is full/, JSON.stringify(finished))
      const codes = JSON.parse(finished.stdout).map(({ error }: { error?: { code: string } }) => error?.code)
      expect(codes).to.deep.equal([undefined, 'StorageFull', 'NotAttempted'])
      const alone = await runMirrorFace(['mirror', 'org/large', '--json', ...at('small'), ...ofHub()])
      expectSound(1, alone, /storage local is full/, JSON.stringify(alone))
      expect((await runMirrorFace(['verify', ...at('small')])).code).to.equal(0)
    } finally {
      execFileSync('umount', [path('small')])
    }
  })

  it('tell of a claim that was lost', () => {
    expect(explainFailure(new ClaimLost('org/model@main'))).to.deep.include({ code: 'ClaimLost', exitCode: 75 })
  })

  it('are in README.md as they are', async () => {
    const codeOf = (runs: Situation['runs'], command: Command) => runs[command]?.[0] ?? ''
    const rows = [
      ...situations().map(({ title, runs }) => [title, ...commands.map((command) => codeOf(runs, command))]),
      ['interrupted (Ctrl-C, SIGTERM)', ...commands.map(() => 3)],
      ['its claim was lost to another process', 75, '', '', 75, 75, '', '', ''],
    ]
    const lines = [['', ...commands.map((command) => `\`${command}\``)], ['---', ...commands.map(() => '---')], ...rows]
    const table = lines.map((cells) => `| ${cells.join(' | ')} |`.replaceAll('  ', ' ')).join('\n')
    const readme = await readFile(fileURLToPath(new URL('../../../README.md', import.meta.url)), 'utf8')
    expect(/<!-- exit codes -->\n([\s\S]*?)\n<!-- \/exit codes -->/.exec(readme)?.[1]).to.equal(table)
  })

  it('let a person who may only read verify, and say that the result is not recorded', async function () {
    if (!(await nobodyCanRun())) return this.skip()
    const finished = await runAsNobody(['verify', ...at('sound')])
    expect(finished.code, finished.stderr).to.equal(0)
    expect(finished.stdout).to.match(/^sound: 2 repositories/)
    expect(finished.stderr).to.match(/^mirrorface: warning: the result cannot be recorded: .*permission/m)
  })

  it('are 0 for doctor again after everything was repaired', async () => {
    const made = await runMirrorFace(['mirror', 'org/model', ...at('repaired'), ...ofHub()])
    expect(made.code, made.stderr).to.equal(0)
    await rm(path(`repaired/blobs/sha256/${weights.sha256.slice(0, 2)}/${weights.sha256}`))
    const doctor = () => runMirrorFace(['doctor', ...at('repaired'), ...ofHub()])
    expect((await runMirrorFace(['verify', ...at('repaired')])).code).to.equal(1)
    expect((await doctor()).code).to.equal(1)
    expect((await runMirrorFace(['verify', '--repair', ...at('repaired'), ...ofHub()])).code).to.equal(0)
    const healed = await doctor()
    expect(healed.code, healed.stdout).to.equal(0)
    expect(healed.stdout).to.match(/sound when last verified/)
  })

  it('are 0 for list before anything was mirrored to the default directory, which it does not make', async () => {
    const environment = { XDG_DATA_HOME: path('home'), HOME: path('home') }
    const finished = await runMirrorFace(['list'], environment)
    expect(finished.code, finished.stderr).to.equal(0)
    expect(finished.stdout).to.match(/nothing is mirrored yet/)
    const doctor = await runMirrorFace(['doctor', ...ofHub()], environment)
    expect(doctor.code, doctor.stdout).to.equal(0)
    expect((await runMirrorFace(['verify'], environment)).code).to.equal(2)
    expect(await readdir(folder.path)).to.not.include('home')
  })

  it('are those of an error where the output cannot be written', async () => {
    await writeFile(path('run.sh'), 'exec "$@" > /dev/full')
    const bin = fileURLToPath(new URL('../../../bin/mirrorface.js', import.meta.url))
    const failed = await promisify(execFile)('sh', [
      path('run.sh'),
      process.execPath,
      bin,
      'list',
      ...at('sound'),
    ]).catch((error: unknown) => error)
    expect(failed).to.include({ code: 1 })
    expect(String(failed instanceof Error && 'stderr' in failed && failed.stderr)).to.match(
      /^mirrorface: cannot write the output: .*ENOSPC.*\n$/,
    )
  })

  async function nobodyCanRun(): Promise<boolean> {
    if (process.getuid?.() !== 0) return false
    return (await runAsNobody(['--version'])).code === 0
  }

  async function runAsNobody(args: readonly string[]): Promise<Finished> {
    const bin = fileURLToPath(new URL('../../../bin/mirrorface.js', import.meta.url))
    const options = { uid: nobody, gid: nobody, env: { PATH: process.env.PATH, HOME: '/nonexistent' } }
    return await promisify(execFile)(process.execPath, [bin, ...args], options).then(
      ({ stdout, stderr }) => ({ code: 0, signal: null, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code: typeof code === 'number' ? code : 127, signal: null, stdout, stderr }),
    )
  }
})
