import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { ggufOf } from '../support/gguf.ts'
import { pythonOf } from '../support/model.ts'
import { cleanEnvironment, run, type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { setStage } from '../support/server.ts'

const ollama = fileURLToPath(new URL('../../.cache/bin/ollama', import.meta.url))
const template =
  "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>'}}{% endfor %}"
const model = ggufOf({ template, weights: 20_000_000 })
const files = { 'tiny-Q4_K_M.gguf': model, 'tiny-Q8_0.gguf': ggufOf({ template }), LICENSE: Buffer.from('Apache 2.0') }
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A real Ollama, of its own home, that pulls from registries. */
async function startOllama(home: string) {
  const environment = { HOME: home, OLLAMA_HOST: `127.0.0.1:${await freePort()}`, OLLAMA_MODELS: join(home, 'models') }
  const daemon = spawn(ollama, ['serve'], { env: cleanEnvironment(environment), stdio: 'ignore' })
  const command = (...args: string[]) => run(ollama, args, environment)
  for (let tries = 0; (await command('list')).code !== 0; tries++) {
    if (tries === 100) throw new Error('ollama does not start')
    await delay(100)
  }
  return {
    command,
    blobs: async () => await readdir(join(environment.OLLAMA_MODELS, 'blobs')),
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => daemon.once('exit', resolve))
      daemon.kill()
      await ended
    },
  }
}

async function pullByOllama(server: ServerProcess): Promise<void> {
  await using home = await temporaryFolder()
  await using daemon = await startOllama(home.path)
  for (const tag of ['Q4_K_M', 'latest', 'q4_k_m']) {
    const name = `${new URL(server.url).host}/org/model:${tag}`
    const pulled = await daemon.command('pull', '--insecure', name)
    expect(pulled.code, pulled.stderr).to.equal(0)
    // The Go form of the model's own template, and the texts at which an answer ends.
    expect((await daemon.command('show', '--template', name)).stdout)
      .to.contain('<|im_start|>')
      .and.to.contain('.Prompt')
    expect((await daemon.command('show', '--parameters', name)).stdout).to.match(/stop\s+"<\|im_end\|>"/)
    expect((await daemon.command('show', '--license', name)).stdout.trim()).to.equal('Apache 2.0')
  }
  expect(await daemon.blobs()).to.include(`sha256-${sha256(model)}`)
  const refused = await daemon.command('pull', '--insecure', `${new URL(server.url).host}/org/model:Q2_K`)
  expect(refused.code).to.equal(1)
  expect(refused.stderr).to.contain('it has Q4_K_M, Q8_0')
}

async function pullByRamalama(server: ServerProcess): Promise<void> {
  await using home = await temporaryFolder()
  const store = join(home.path, 'store')
  const ramalama = join(pythonOf('ramalama'), '../ramalama')
  for (const tag of ['Q4_K_M', 'q8_0']) {
    const pulled = await run(ramalama, ['--nocontainer', '--store', store, 'pull', `hf://org/model:${tag}`], {
      HOME: home.path,
      HF_ENDPOINT: server.endpoint,
    })
    expect(pulled.code, pulled.stderr).to.equal(0)
  }
  const found = new Set<string>()
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) found.add(sha256(await readFile(join(entry.parentPath, entry.name))))
  expect([...found]).to.include.members([sha256(model), sha256(files['tiny-Q8_0.gguf'])])
}

describe('clients of GGUF repositories', function () {
  this.timeout(120_000)

  for (const [name, pull] of [
    ['Ollama', pullByOllama],
    ['ramalama', pullByRamalama],
  ] as const) {
    it(`${name} pulls what is mirrored, with the Hub off`, async () => {
      await using stage = await setStage((hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit(files)
      })
      await stage.mirror('org/model')
      await stage.hub.stop()
      await pull(stage.server)
    })

    // The stand-in Hub has no registry: a mirror that has the repository is the Hub of another one here.
    for (const [way, args] of [
      ['passed on', []],
      ['followed', ['--redirects', 'follow', '--follow-hosts', '127.0.0.1']],
    ] as const)
      it(`${name} pulls what is ${way}`, async () => {
        await using stage = await setStage((hub) => {
          hub.add({ type: 'model', id: 'org/model' }).commit(files)
        })
        await stage.mirror('org/model')
        await stage.hub.stop()
        await using folder = await temporaryFolder()
        const empty = ['--local-directory', folder.path, '--upstream-url', stage.server.endpoint]
        const front = await startMirrorFace([...empty, ...args])
        try {
          await pull(front)
        } finally {
          await front.stop()
        }
      })
  }
})
