import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { cleanEnvironment, temporaryFolder } from '../support/processes.ts'

const bin = fileURLToPath(new URL('../../bin/mirrorface.js', import.meta.url))

/** The PATH of a newcomer, without the Node that the project brings along. */
const outside = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))

function outsideNode(): string | undefined {
  const environment = { ...cleanEnvironment(), PATH: outside.join(delimiter) }
  const [path = ''] = execFileSync('sh', ['-c', 'command -v node || true'], {
    env: environment,
    encoding: 'utf8',
  }).split('\n')
  if (path === '') return undefined
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' })
  return Number(/^v(\d+)/.exec(version)?.[1]) < 22 ? path : undefined
}

describe('under an older Node', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let node: string

  before(async function () {
    const found = outsideNode()
    if (found === undefined) return this.skip()
    node = found
    folder = await temporaryFolder()
    execFileSync('mkfifo', [join(folder.path, 'fifo')])
  })
  after(async () => {
    if (folder !== undefined) await folder[Symbol.asyncDispose]()
  })

  const words = () => ['list', '--json', '--config', join(folder.path, 'fifo')]

  it('Ctrl-C at a terminal reaches the command once, and the cursor is shown again (fault 37)', async () => {
    // `script` gives it a terminal, whose Ctrl-C goes to the whole process group.
    // Not in a shell that waits: dash, having seen the Ctrl-C as well, then ends by it whatever the code was.
    const command = ['exec', node, bin, ...words()].join(' ')
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: { ...cleanEnvironment(), PATH: outside.join(delimiter) },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    const closed = once(child, 'close')
    await delay(2500)
    const pressed = performance.now()
    child.stdin.write('\u0003')
    const [code] = (await closed) as [number | null]
    expect(performance.now() - pressed).to.be.lessThan(1000)
    expect(output.match(/mirrorface: interrupted by SIGINT/g), output).to.have.length(1)
    expect(output).to.include('\u001b[?25h')
    expect(code, output).to.equal(3)
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`${signal} that is sent to it alone reaches the command (fault 37)`, async () => {
      const child = spawn(node, [bin, ...words()], { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
      let [stdout, stderr] = ['', '']
      child.stdout.on('data', (chunk) => (stdout += chunk))
      child.stderr.on('data', (chunk) => (stderr += chunk))
      const closed = once(child, 'close')
      await delay(2500)
      child.kill(signal)
      const [code] = (await closed) as [number | null]
      expect(code, stderr).to.equal(3)
      expect(stderr).to.match(new RegExp(`^mirrorface: interrupted by ${signal}: nothing was changed\\n$`))
      expect(JSON.parse(stdout).error.code).to.equal('Interrupted')
    })
  }
})
