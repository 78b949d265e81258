import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { StandInHub } from '../../hub/index.ts'
import {
  cleanEnvironment,
  runMirrorFace,
  spawnMirrorFace,
  startMirrorFace,
  temporaryFolder,
} from '../../support/processes.ts'

interface Cut {
  readonly code: number | null
  readonly stderr: string
}

/** Runs a command whose stdout nobody reads any more: closed at once, or after its first bytes. */
async function cut(args: readonly string[], when: 'at once' | 'after the first bytes'): Promise<Cut> {
  const child = spawnMirrorFace(args)
  let stderr = ''
  child.stderr?.on('data', (chunk) => (stderr += chunk))
  if (when === 'at once') child.stdout?.destroy()
  else child.stdout?.once('data', () => child.stdout?.destroy())
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

describe('a pipe whose reader goes', () => {
  let hub: StandInHub
  let server: Awaited<ReturnType<typeof startMirrorFace>>
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const at = (name: string) => ['--local-directory', join(folder.path, name)]

  before(async () => {
    folder = await temporaryFolder()
    hub = await new StandInHub().start()
    const files = Object.fromEntries(
      Array.from({ length: 2000 }, (_, index) => [`${'f'.repeat(60)}-${index}`, `${index % 3}`]),
    )
    hub.add({ type: 'model', id: 'org/model' }).commit(files)
    for (const name of ['sound', 'damaged']) {
      const made = await runMirrorFace(['mirror', 'org/model', ...at(name), '--upstream-url', hub.url])
      expect(made.code, made.stderr).to.equal(0)
    }
    const commits = join(folder.path, 'damaged/repositories/models--org--model/commits')
    await truncate(join(commits, (await readdir(commits))[0] ?? ''), 100)
    server = await startMirrorFace([...at('sound'), '--upstream-url', hub.url])
  })
  after(async () => {
    await server.stop()
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  /** Command line → exit code, as with a reader. */
  const runs = (): [readonly string[], number][] => [
    [['list', '--files', ...at('sound')], 0],
    [['list', '--files', '--json', ...at('sound')], 0],
    [['list', ...at('damaged')], 1],
    [['mirror', 'org/model', ...at('sound'), '--upstream-url', hub.url], 0],
    [['mirror', 'org/model', '--dry-run', ...at('empty'), '--upstream-url', hub.url], 0],
    [['mirror', 'org/nowhere', '--json', ...at('sound'), '--upstream-url', hub.url], 1],
    [['verify', ...at('sound')], 0],
    [['verify', '--json', ...at('damaged')], 1],
    [['remove', 'org/nowhere', '--json', ...at('sound')], 2],
    [['sweep', ...at('sound')], 0],
    [['doctor', ...at('sound'), '--upstream-url', hub.url], 0],
    [['misses', '--server', server.url], 0],
    [['config'], 0],
    [['config', '--bogus', '--json'], 2],
    [['help'], 0],
    [['--help'], 0],
    [['verify', '--help'], 0],
    [['--version'], 0],
    [['lst', '--json'], 2],
  ]

  for (const when of ['at once', 'after the first bytes'] as const) {
    it(`${when} leaves every command silent, with its own exit code (fault 37)`, async () => {
      for (const [args, code] of runs()) {
        const outcome = await cut(args, when)
        const told = `${args.join(' ')}: ${JSON.stringify(outcome)}`
        expect(outcome.code, told).to.equal(code)
        expect(outcome.stderr, told).to.not.match(/EPIPE|unsettled|Error:|^\s+at |EEXIT/m)
        if (code === 0) expect(outcome.stderr.replaceAll(/^org\/model@main is .*\n/gm, ''), told).to.equal('')
      }
    }).timeout(120_000)
  }

  it('is silent in a shell: mirrorface list | head -1', async () => {
    const [bin, directory] = [
      new URL('../../../bin/mirrorface.js', import.meta.url).pathname,
      join(folder.path, 'sound'),
    ]
    const script = 'set -o pipefail; "$0" "$1" list --files --local-directory "$2" | head -1'
    const child = spawn('bash', ['-c', script, process.execPath, bin, directory], { env: cleanEnvironment() })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    expect((await once(child, 'close'))[0]).to.equal(0)
    expect(stdout).to.match(/^org\/model@[0-9a-f]{40}\n$/)
    expect(stderr).to.equal('')
  })
})

describe('the command line, where it is misspelt', () => {
  for (const [words, code, expected] of [
    [['lst'], 2, /^mirrorface: unknown command lst; did you mean list\?\n$/],
    [['frobnicate'], 2, /^mirrorface: unknown command frobnicate; mirrorface help lists the commands\n$/],
    [['help', 'lst'], 2, /^mirrorface: Command lst not found\.\n$/],
    [['serve', '--prot', '80'], 2, /did you mean --port\?\n$/],
    [['verify', '--quik'], 2, /^mirrorface: Nonexistent flag: --quik; did you mean --quick\?\n$/],
    [['mirror', 'a/b', '--concurrency', 'x'], 2, /^mirrorface: --concurrency: Expected an integer but received: x\n$/],
    [['remove'], 2, /^mirrorface: Missing 1 required arg: repository .*\n$/],
    [
      ['verify', '--repair-from', 'x'],
      2,
      /^mirrorface: .*All of the following must be provided when using --repair-from: --repair\n$/,
    ],
  ] as const) {
    it(`says so in one whole sentence: ${words.join(' ')} (fault 21)`, async () => {
      const finished = await runMirrorFace(words)
      expect(finished.stderr).to.match(expected)
      expect(finished.stdout).to.equal('')
      expect(finished.code).to.equal(code)
    })
  }

  it('has help as a command', async () => {
    expect((await runMirrorFace(['help'])).stdout).to.match(/COMMANDS[\s\S]*verify/)
    expect((await runMirrorFace(['help', 'verify'])).stdout).to.match(/--against-hub/)
    expect((await runMirrorFace(['--version'])).stdout).to.match(/^mirrorface\/\d/)
  })
})
