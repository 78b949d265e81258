import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { pythonOf } from '../support/model.ts'
import { run, temporaryFolder } from '../support/processes.ts'
import { type Stage, setStage } from '../support/server.ts'

const script = fileURLToPath(new URL('scripts/refusal_check.py', import.meta.url))

const notAllowed = /gpt2 is not among the repositories that this mirror allows: ask whoever runs it to/
const pickle = /pytorch_model\.bin is refused.*use the safetensors weights.*ignore_patterns=\["\*\.bin",/
/** What each attempt of the script must tell; `null`: it succeeds. */
const expected: Readonly<Record<string, RegExp | null>> = {
  'denied file': notAllowed,
  'denied snapshot': notAllowed,
  'denied info': notAllowed,
  'denied configuration': notAllowed,
  'pickle file': pickle,
  'pickle snapshot': pickle,
  'snapshot without': null,
  upload: /This mirror is read-only: upload to the Hub itself/,
}

describe('a refusal by policy', function () {
  this.timeout(120_000)
  let stage: Stage

  before(async () => {
    stage = await setStage(
      (hub) => {
        hub.add({ type: 'model', id: 'gpt2' }).commit({ 'config.json': '{"model_type": "gpt2"}' })
        hub
          .add({ type: 'model', id: 'org/model' })
          .commit({ 'config.json': '{}', 'pytorch_model.bin': 'pickle', 'model.safetensors': 'safe' })
      },
      ['--allow', 'org/*', '--pickle-files', 'refuse-if-safetensors', '--read-only'],
    )
    await stage.mirror('org/model')
  })
  after(() => stage[Symbol.asyncDispose]())

  for (const environment of ['hub-0.20', 'hub-0.25', 'hub-0.30', 'hub-0.36', 'hub-1', 'hub-2'])
    it(`tells users of ${environment} the reason and what to do`, async () => {
      await using home = await temporaryFolder()
      const args = environment === 'hub-2' ? [script, 'transformers'] : [script]
      const { stdout, stderr } = await run(pythonOf(environment), args, {
        HF_ENDPOINT: stage.server.endpoint,
        HF_HOME: home.path,
      })
      const told: Record<string, string | null> = JSON.parse(stdout.trim().split('\n').at(-1) ?? stderr)
      for (const [attempt, text] of Object.entries(told)) {
        const reason = expected[attempt]
        if (reason === null) expect(text, attempt).to.equal(null)
        else expect(text, attempt).to.match(reason ?? /^$/)
        expect(text ?? '', attempt).not.to.match(/[^.]\.\.(?!\.)|Internet connection/i)
      }
    })

  it('is printed by git, and by git-lfs', async () => {
    await using folder = await temporaryFolder()
    const silent = { GIT_TERMINAL_PROMPT: '0', HOME: folder.path, LC_ALL: 'C' }
    const git = (...args: string[]) => run('git', args, silent, folder.path)
    const denied = await git('clone', `${stage.server.endpoint}/gpt2`)
    expect(denied.code).to.equal(128)
    expect(denied.stderr).to.match(/^remote: .*gpt2 is not among the repositories that this mirror allows/m)
    const refused = await git('clone', `${stage.server.endpoint}/org/model`)
    expect(refused.stderr).to.match(/^remote: .*would give access to pickle files/m)
    await git('init', 'local')
    const local = (...args: string[]) => run('git', ['-C', `${folder.path}/local`, ...args], silent)
    await local('config', 'user.email', 'a@b.c')
    await local('config', 'user.name', 'a')
    await local('commit', '--allow-empty', '-m', 'x')
    const pushed = await local('push', `${stage.server.endpoint}/org/model`, 'HEAD:main')
    expect(pushed.stderr).to.match(/^remote: .*(?:read-only|pickle files)/m)
    // An object of a repository that is not allowed, as `git lfs pull` asks for it.
    const pointer = ['version https://git-lfs.github.com/spec/v1', `oid sha256:${'a'.repeat(64)}`, 'size 5', ''].join(
      '\n',
    )
    await run(
      'bash',
      [
        '-c',
        `printf '%s' "${pointer}" > w.bin && printf '*.bin filter=lfs\n' > .gitattributes && git add .gitattributes && git hash-object -w w.bin`,
      ],
      silent,
      `${folder.path}/local`,
    )
    await local('config', 'lfs.url', `${stage.server.endpoint}/gpt2.git/info/lfs`)
    await local('config', `lfs.${stage.server.endpoint}/gpt2.git/info/lfs.locksverify`, 'false')
    const fetched = await run('bash', ['-c', 'git lfs smudge < w.bin > out'], silent, `${folder.path}/local`)
    expect(fetched.stdout + fetched.stderr).to.match(/gpt2 is not among the repositories that this mirror allows/)
  })
})
