import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { runMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { type Stage, setStage } from '../../support/server.ts'

const files = { 'config.json': '{}', 'model.bin': 'pickle', 'model.safetensors': 'safe' }

async function stageWith(args: readonly string[]): Promise<Stage> {
  return await setStage((hub) => {
    hub.add({ type: 'model', id: 'org/model' }).commit(files)
    hub.add({ type: 'model', id: 'org/pickled' }).commit({ 'model.bin': 'pickle' })
    hub.add({ type: 'model', id: 'other/model' }).commit(files)
    hub.add({ type: 'dataset', id: 'org/data' }).commit({ 'a.json': '[]' })
    hub.add({ type: 'model', id: 'org/secret', private: true }).commit(files)
  }, args)
}

async function refusal(stage: Stage, path: string, init?: RequestInit): Promise<[number, string]> {
  const answer = await stage.get(path, init)
  await answer.arrayBuffer()
  return [answer.status, answer.headers.get('x-error-message') ?? '']
}

describe('policy', () => {
  it('answers for allowed repositories only, by whatever path they are asked for', async () => {
    await using stage = await stageWith(['--allow', 'org/*', '--allow', 'datasets/org/*', '--deny', 'org/pickled'])
    expect((await stage.get('/api/models/org/model')).status).to.equal(200)
    expect((await stage.get('/api/datasets/org/data')).status).to.equal(200)
    for (const path of [
      '/api/models/other/model',
      '/other/model/resolve/main/config.json',
      '/other/model.git/info/refs?service=git-upload-pack',
      '/api/models/other/model/preupload/main',
      '/Other/Model/resolve/main/config.json',
    ]) {
      const [status, message] = await refusal(stage, path)
      expect(status, path).to.equal(403)
      expect(message).to.match(/not among the repositories that this mirror allows/)
    }
    expect((await refusal(stage, '/org/pickled/resolve/main/model.bin'))[1]).to.match(/denied by this mirror's policy/)
  })

  it('tells a reason by the one code that clients show it for, and its own code to programs', async () => {
    await using stage = await stageWith(['--allow', 'org/*', '--pickle-files', 'refuse'])
    for (const [path, own] of [
      ['/other/model/resolve/main/config.json', 'RepositoryDenied'],
      ['/org/model/resolve/main/model.bin', 'FileRefused'],
    ] as const) {
      const answer = await stage.get(path, { headers: { 'x-request-id': own } })
      const message = answer.headers.get('x-error-message') ?? ''
      expect(answer.headers.get('x-error-code')).to.equal('GatedRepo')
      expect(message, 'the library appends a full stop').to.match(/[^.]$/)
      expect(await answer.json()).to.deep.equal({ error: message, code: own })
      const head = await stage.get(path, { method: 'HEAD' })
      expect(head.headers.get('x-error-message')).to.equal(message)
      const logged = () => stage.server.log.find(({ request }) => request === own)
      while (logged() === undefined) await delay(20)
      expect(logged()?.err).to.include({ code: own })
    }
    const git = await stage.get('/other/model.git/info/refs?service=git-upload-pack')
    expect(git.headers.get('content-type')).to.equal('text/plain; charset=utf-8')
    expect(await git.text()).to.equal(`${git.headers.get('x-error-message')}\n`)
  })

  it('takes no uploads when read-only, and still lets git and LFS read', async () => {
    await using stage = await stageWith(['--read-only'])
    const post = { method: 'POST', body: '{}' }
    for (const path of [
      '/api/models/org/model/commit/main',
      '/api/models/org/model/preupload/main',
      '/org/model.git/git-receive-pack',
      '/api/repos/create',
    ]) {
      const [status, message] = await refusal(stage, path, post)
      expect(status, path).to.equal(403)
      expect(message).to.match(/read-only/)
    }
    const json = { method: 'POST', body: '{"paths":["config.json"]}', headers: { 'content-type': 'application/json' } }
    expect((await stage.get('/api/models/org/model/paths-info/main', json)).status).to.equal(200)
    expect((await refusal(stage, '/org/model.git/git-upload-pack', post))[0]).to.not.equal(403)
  })

  it('refuses pickle files, always or where there are safetensors, mirrored or not', async () => {
    await using always = await stageWith(['--pickle-files', 'refuse'])
    expect((await refusal(always, '/org/pickled/resolve/main/model.bin'))[0]).to.equal(403)
    await using stage = await stageWith(['--pickle-files', 'refuse-if-safetensors'])
    await stage.mirror('org/model')
    for (const repository of ['org/model', 'other/model']) {
      const [status, message] = await refusal(stage, `/${repository}/resolve/main/model.bin`)
      expect(status, repository).to.equal(403)
      expect(message).to.match(/use the safetensors weights/)
    }
    expect((await refusal(stage, '/org/pickled/resolve/main/model.bin'))[0]).to.be.oneOf([200, 302])
    expect((await stage.get('/org/model/resolve/main/model.safetensors')).status).to.equal(200)
  })
})

describe('access to what is mirrored', () => {
  const path = '/org/secret/resolve/main/config.json'
  const token = (value: string) => ({ headers: { authorization: `Bearer ${value}` } })

  it('is what the Hub says, also for a while when it is down', async () => {
    await using stage = await stageWith(['--access', 'hub', '--access-cache-for', '100'])
    await stage.mirror('org/secret', '--token', 'hf_valid')
    expect((await stage.get(path, token('hf_valid'))).status).to.equal(200)
    expect((await stage.get(path)).status).to.equal(401)
    expect((await stage.get(path)).headers.get('x-error-code')).to.equal('RepoNotFound')
    expect((await stage.get(path, token('hf_wrong'))).status).to.equal(401)
    await stage.hub.stop()
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect((await stage.get(path, token('hf_valid'))).status).to.equal(200)
    // Whoever is not known is told what would be said if it were not mirrored.
    const [status, message] = await refusal(stage, path, token('hf_new'))
    const [there, elsewhere] = await refusal(stage, path.replace('secret', 'absent'), token('hf_new'))
    expect(status).to.equal(502)
    expect([there, elsewhere.replace('absent', 'secret')]).to.deep.equal([status, message])
  })

  it('waits for a silent Hub once, and then not for each file', async () => {
    await using stage = await stageWith(['--access', 'hub', '--access-cache-for', '1'])
    await stage.mirror('org/secret', '--token', 'hf_valid')
    const ask = async () => (await stage.get(path, token('hf_valid'))).status
    expect(await ask()).to.equal(200)
    stage.hub.faults = () => ({ kind: 'silence' })
    const began = performance.now()
    expect(await ask()).to.equal(200)
    const first = performance.now() - began
    expect(first).to.be.lessThan(4_000)
    for (let file = 0; file < 30; file++) expect(await ask()).to.equal(200)
    expect(performance.now() - began - first).to.be.lessThan(4_000)
  })

  it("is by the mirror's own tokens, which never reach the Hub", async () => {
    await using folder = await temporaryFolder()
    const config = join(folder.path, 'c.yaml')
    await writeFile(
      config,
      'access: tokens\naccessTokens:\n  - {token: team-a-token, repositories: ["org/*"]}\n  - {token: team-b-token, repositories: ["other/*"]}\n',
    )
    await using stage = await stageWith(['--config', config])
    await stage.mirror('org/secret', '--token', 'hf_valid')
    expect((await stage.get(path, token('team-a-token'))).status).to.equal(200)
    expect((await stage.get(path, token('team-b-token'))).status).to.equal(403)
    expect((await stage.get(path)).status).to.equal(401)
    stage.hub.requests.length = 0
    expect((await stage.get('/api/models/org/model', token('team-a-token'))).status).to.equal(200)
    expect(stage.hub.requests.every(({ headers }) => headers.authorization === undefined)).to.equal(true)
    expect(stage.server.output()).to.not.match(/team-a-token|hf_valid/)
  })

  it('is everybody’s only if it was everybody’s at the Hub, unless the operator says otherwise', async () => {
    const gated = '/org/gated/resolve/main/config.json'
    for (const args of [[], ['--serve-non-public']]) {
      await using stage = await stageWith(args)
      stage.hub.add({ type: 'model', id: 'org/gated', gated: true }).commit(files)
      for (const id of ['org/secret', 'org/gated', 'org/model']) await stage.mirror(id, '--token', 'hf_valid')
      const expected = args.length === 0 ? 401 : 200
      expect((await stage.get(path)).status).to.equal(expected)
      expect((await stage.get(gated)).status).to.equal(expected)
      expect((await stage.get('/org/model/resolve/main/config.json')).status).to.equal(200)
      if (args.length > 0) continue
      // With a token of one's own the Hub decides, as for what is not mirrored.
      stage.hub.requests.length = 0
      expect((await stage.get(path, { ...token('hf_valid'), redirect: 'follow' })).status).to.equal(200)
      expect(stage.hub.requests.map(({ headers }) => headers.authorization)).to.include('Bearer hf_valid')
    }
  })

  it('by hub gives the metadata of gated repositories to everybody, as the Hub does', async () => {
    await using stage = await stageWith(['--access', 'hub'])
    stage.hub.add({ type: 'model', id: 'org/gated', gated: true }).commit(files)
    await stage.mirror('org/gated', '--token', 'hf_valid')
    expect((await stage.get('/api/models/org/gated')).status).to.equal(200)
    expect((await stage.get('/api/models/org/gated/tree/main')).status).to.equal(200)
    const refused = await stage.get('/org/gated/resolve/main/config.json')
    expect([refused.status, refused.headers.get('x-error-code')]).to.deep.equal([401, 'GatedRepo'])
    expect(
      (await stage.get('/org/gated/resolve/main/config.json', { ...token('hf_valid'), redirect: 'follow' })).status,
    ).to.equal(200)
  })

  for (const access of ['hub', 'tokens']) {
    it(`by ${access} tells nobody else what a repository has and lacks`, async () => {
      await using folder = await temporaryFolder()
      const config = join(folder.path, 'c.yaml')
      await writeFile(config, `access: ${access}\naccessTokens: [{token: team-a-token}]\n`)
      await using stage = await stageWith(['--config', config])
      await stage.mirror('org/secret', '--token', 'hf_valid')
      const questions = [
        '/org/secret/resolve/main/config.json',
        '/org/secret/resolve/main/absent.json',
        '/org/secret/raw/main/absent.json',
        '/api/models/org/secret',
        '/api/models/org/secret/refs',
        '/api/models/org/secret/tree/main/absent',
        '/api/models/org/secret/commits/main',
      ]
      for (const question of questions) {
        const answer = await stage.get(question)
        expect([question, answer.status]).to.deep.equal([question, 401])
        expect(answer.headers.get('x-error-code')).to.equal('RepoNotFound')
        expect(answer.headers.get('x-repo-commit')).to.equal(null)
      }
      for (const path of ['/', '/-/repositories/models/org/secret', '/-/misses'])
        expect(await (await fetch(stage.server.url + path)).text()).to.not.include('org/secret')
    })
  }

  it('to the Hub is with one service token for all, if there is one', async () => {
    await using stage = await stageWith(['--upstream-token', 'hf_valid'])
    expect((await stage.get('/api/models/org/secret')).status).to.equal(200)
    expect((await stage.get('/api/models/org/secret', token('hf_clients_own'))).status).to.equal(200)
    expect(stage.hub.requests.every(({ headers }) => headers.authorization === 'Bearer hf_valid')).to.equal(true)
    expect(stage.server.output()).to.not.include('hf_valid')
  })
})

describe('misses', () => {
  it('are counted, listed, and mirrored', async () => {
    await using stage = await stageWith([])
    for (let count = 0; count < 3; count++) await (await stage.get('/org/pickled/resolve/main/model.bin')).arrayBuffer()
    await (await stage.get('/api/models/other/model')).arrayBuffer()
    await stage.get('/api/models/no/such')
    const listed = await runMirrorFace(['misses', '--server', stage.server.url, '--json'])
    const { misses } = JSON.parse(listed.stdout)
    expect(misses.map(({ id, requests }: { id: string; requests: number }) => [id, requests])).to.deep.equal([
      ['org/pickled', 3],
      ['other/model', 1],
    ])
    expect((await runMirrorFace(['misses', '--server', stage.server.url])).stdout).to.match(/org\/pickled\s+3/)
    await stage.mirror('--from-misses', stage.server.url, '--min-requests', '2')
    const mirrored = JSON.parse((await runMirrorFace(['list', '--json', '--local-directory', stage.directory])).stdout)
    expect(mirrored.repositories.map(({ id }: { id: string }) => id)).to.deep.equal(['org/pickled'])
    expect((await runMirrorFace(['misses', '--server', 'nonsense'])).code).to.equal(2)
    expect((await runMirrorFace(['misses', '--server', 'http://127.0.0.1:9'])).code).to.equal(2)
  })
})
