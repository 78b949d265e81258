import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { type Stage, setStage } from '../../support/server.ts'

const readers = {
  info: '/api/models/org/model',
  'info of a revision': '/api/models/org/model/revision/main',
  tree: '/api/models/org/model/tree/main',
  file: '/org/model/resolve/main/config.json',
  'large file': '/org/model/resolve/main/w.bin',
  'raw file': '/org/model/raw/main/config.json',
}
const authorization = 'Bearer hf_valid'
const json = { 'content-type': 'application/json', authorization }
const commit = [
  { key: 'header', value: { summary: 's' } },
  { key: 'file', value: { path: 'a.txt', content: 'YQ==', encoding: 'base64' } },
]

/** Answered by the Hub with success, and nothing that could be mirrored is wanted. */
const others: Readonly<Record<string, readonly [path: string, init: RequestInit]>> = {
  'a commit': [
    '/api/models/org/model/commit/main',
    {
      method: 'POST',
      headers: { ...json, 'content-type': 'application/x-ndjson' },
      body: commit.map((line) => JSON.stringify(line)).join('\n'),
    },
  ],
  'a question before a commit': [
    '/api/models/org/model/preupload/main',
    { method: 'POST', headers: json, body: '{"files":[{"path":"a.txt","size":1,"sample":"YQ=="}]}' },
  ],
  'a branch': ['/api/models/org/model/branch/new', { method: 'POST', headers: json, body: '{}' }],
  'who somebody is': ['/api/whoami-v2', { headers: { authorization } }],
  'what git clones': [
    '/org/model.git/info/refs?service=git-upload-pack',
    { headers: { authorization: `Basic ${Buffer.from('user:hf_valid').toString('base64')}` } },
  ],
}

async function stageWithModel(): Promise<Stage> {
  return await setStage((hub) => {
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{}', 'w.bin': syntheticContent(1_000_000, 8) })
  })
}

async function missed(stage: Stage): Promise<readonly { readonly id: string; readonly requests: number }[]> {
  const body: unknown = await (await fetch(`${stage.server.url}/-/misses`)).json()
  return (body as { misses: { id: string; requests: number }[] }).misses
}

describe('what was missed', function () {
  this.timeout(60_000)

  for (const [name, path] of Object.entries(readers))
    it(`is a repository whose ${name} was read, until it is mirrored`, async () => {
      await using stage = await stageWithModel()
      for (const method of ['HEAD', 'GET']) await (await stage.get(path, { method })).arrayBuffer()
      expect(await missed(stage)).to.have.length(1)
      expect((await missed(stage))[0]).to.include({ id: 'org/model', requests: 2 })
      await stage.mirror('org/model')
      // That nothing is stored of it is believed for a moment.
      while ((await missed(stage)).length > 0) await delay(25)
      expect(await (await fetch(stage.server.url)).text()).to.include('Nothing was missed')
    })

  it('is still one of which something else is mirrored than what was asked for', async () => {
    await using stage = await stageWithModel()
    await (await stage.get(readers['large file'])).arrayBuffer()
    await stage.mirror('org/model', '--exclude', '*.bin')
    // That nothing is stored of it is believed for a moment.
    while ((await stage.get(readers.file)).status !== 200) await delay(25)
    await (await stage.get(readers['large file'])).arrayBuffer()
    // The list is kept for a moment, too.
    while ((await missed(stage)).length !== 1) await delay(25)
  })

  it('is nothing that was written, or that nobody could mirror', async () => {
    await using stage = await stageWithModel()
    for (const [name, [path, init]] of Object.entries(others)) {
      const response = await stage.get(path, init)
      expect(response.status, `${name}: ${await response.text()}`).to.be.lessThan(400)
    }
    expect(await missed(stage)).to.deep.equal([])
  })
})
