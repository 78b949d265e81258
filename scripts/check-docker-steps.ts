/**
 * Carries out the Dockerfile's steps without Docker: the same commands, in a copy that holds only
 * what COPY takes, then starts the result as its user on files that it can't write to.
 */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Copy, DockerfileParser, type From, type Instruction, type JSONInstruction } from 'dockerfile-ast'

/** CommonJS, and typed as if it were not. */
const dockerignore: () => { add(patterns: string): { ignores(path: string): boolean } } = createRequire(
  import.meta.url,
)('@balena/dockerignore')

const folder = mkdtempSync(join(tmpdir(), 'docker-steps-'))
chmodSync(folder, 0o755)
const stages = new Map<string, string>()
let root = ''
let workdir = ''
let entrypoint: string[] = []
let command: string[] = []
let health: string[] = []
let user = '0'
const environment: Record<string, string> = {}

const context = join(folder, 'context')
copyContext()
for (const instruction of DockerfileParser.parse(readFileSync('Dockerfile', 'utf8')).getInstructions())
  carryOut(instruction)
await startIt()
rmSync(folder, { recursive: true, force: true })
console.log('the Dockerfile builds and its result runs')

function copyContext(): void {
  const ignored = dockerignore().add(readFileSync('.dockerignore', 'utf8'))
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' }).trim().split('\n')
  for (const file of files) {
    if (existsSync(file) && !ignored.ignores(file)) cpSync(file, join(context, file))
  }
}

function carryOut(instruction: Instruction): void {
  const words = instruction.getArguments().map((argument) => argument.getValue())
  switch (instruction.getKeyword()) {
    case 'FROM': {
      const name = (instruction as From).getBuildStage() ?? 'final'
      root = join(folder, `stage-${name}`)
      mkdirSync(root)
      stages.set(name, root)
      user = '0'
      return
    }
    case 'WORKDIR':
      workdir = join(root, words[0] ?? '/')
      mkdirSync(workdir, { recursive: true })
      return
    case 'COPY':
      copy(instruction as Copy, words)
      return
    case 'RUN': {
      const line = instruction.getArgumentsContent() ?? ''
      console.log(`RUN ${line}`)
      execFileSync('sh', ['-c', line], { cwd: workdir, stdio: ['ignore', 'ignore', 'inherit'] })
      return
    }
    case 'ENV':
      for (const word of words) {
        const [name = '', value = ''] = word.split(/=(.*)/s)
        environment[name] = value
      }
      return
    case 'USER':
      user = words[0] ?? '0'
      return
    case 'HEALTHCHECK':
      health = JSON.parse((instruction.getArgumentsContent() ?? '').replace(/^[\s\S]*?CMD\s*/, ''))
      return
    case 'ENTRYPOINT':
      entrypoint = (instruction as JSONInstruction).getJSONStrings().map((value) => value.getJSONValue())
      return
    case 'CMD':
      command = (instruction as JSONInstruction).getJSONStrings().map((value) => value.getJSONValue())
  }
}

function copy(instruction: Copy, words: string[]): void {
  const from = instruction.getFromFlag()?.getValue()
  const base = from === undefined || from === null ? context : stages.get(from)
  const target = words.at(-1) ?? '.'
  for (const source of words.slice(0, -1)) {
    const path = join(base ?? '', source)
    const into = target.endsWith('/') ? join(workdir, target, basename(source)) : join(workdir, target)
    cpSync(path, into, { recursive: true, verbatimSymlinks: true })
    if (statSync(path).isFile() && !statSync(into).isFile()) throw new Error(`${source} did not become a file`)
  }
}

async function startIt(): Promise<void> {
  if (user === '0' || user.startsWith('0:')) throw new Error('the image runs as root')
  const data = join(folder, 'data')
  mkdirSync(data)
  execFileSync('chown', [user, data])
  const [uid = '', gid = uid] = user.split(':')
  const asUser = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    'env',
    '-i',
    `PATH=${process.env.PATH}`,
    'HOME=/nonexistent',
  ]
  const settings = {
    ...environment,
    MIRRORFACE_LOCAL_DIRECTORY: data,
    MIRRORFACE_PORT: '18080',
    MIRRORFACE_METRICS_PORT: '18090',
  }
  const variables = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  const inStage = (word: string) => (word.startsWith('/app') ? join(root, word) : word)
  const child = spawn(asUser[0] ?? '', [...asUser.slice(1), ...variables, ...entrypoint.map(inStage), ...command], {
    cwd: workdir,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        execFileSync(asUser[0] ?? '', [...asUser.slice(1), ...variables, ...health], { cwd: workdir, stdio: 'ignore' })
        break
      } catch (error) {
        if (attempt === 50 || child.exitCode !== null)
          throw new Error('the image does not become healthy', { cause: error })
        await delay(200)
      }
    }
    if (existsSync(join(workdir, 'node_modules', 'typescript')))
      throw new Error('the image holds development dependencies')
  } finally {
    child.kill()
  }
}
