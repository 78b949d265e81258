import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { z } from 'zod'
import { syntheticContent } from '../../hub/index.ts'
import { type ServerProcess, startMirrorFace } from '../../support/processes.ts'
import { setStage } from '../../support/server.ts'

const infoSchema = z.looseObject({ sha: z.string(), siblings: z.array(z.looseObject({ rfilename: z.string() })) })
const treeSchema = z.array(z.looseObject({ path: z.string(), type: z.string(), size: z.number(), oid: z.string() }))
const api = '/api/models/org/model'

/** Asks for a revision as `snapshot_download` does, and resolves to its commit and the SHA-256 of its files. */
async function download(get: (path: string, init?: RequestInit) => Promise<Response>, revision: string) {
  const { sha, siblings } = infoSchema.parse(await read(get(`${api}/revision/${revision}`)))
  const files: Record<string, string> = {}
  for (const { rfilename } of siblings) {
    const place = `/org/model/resolve/${sha}/${rfilename}`
    const head = await get(place, { method: 'HEAD' })
    expect(head.status, `HEAD ${place}`).to.equal(200)
    const hash = createHash('sha256')
    // Of an empty file there is nothing to fetch.
    if (head.headers.get('content-length') !== '0') {
      const answer = await get(place)
      expect(answer.status, `GET ${place}`).to.equal(200)
      hash.update(Buffer.from(await answer.arrayBuffer()))
    }
    files[rfilename] = hash.digest('hex')
  }
  return { sha, files }
}

async function read(answer: Promise<Response>): Promise<unknown> {
  const response = await answer
  expect(response.status, response.url).to.equal(200)
  return await response.json()
}

async function treeOf(get: (path: string) => Promise<Response>, revision: string) {
  const entries = treeSchema.parse(await read(get(`${api}/tree/${revision}?recursive=true`)))
  return entries.map(({ path, type, size, oid }) => ({ path, type, size, oid }))
}

describe('a repository that was pulled', function () {
  this.timeout(60_000)

  it('is there by branch, tag and commit after a restart, with the Hub down or offline', async () => {
    await using stage = await setStage(
      (hub) => {
        const repository = hub.add({ type: 'model', id: 'org/model' })
        repository.commit({ 'old.txt': 'old' }, { title: 'Begin' })
        const files = {
          'config.json': '{}',
          'empty.txt': '',
          'sub/empty': '',
          'w.safetensors': syntheticContent(90_000),
        }
        repository.tags.set('v1', repository.commit(files, { title: 'More' }))
      },
      ['--pull-through', '--follow-hosts', '127.0.0.2'],
    )
    const { hub, directory } = stage
    const pulled = await download(stage.get, 'main')
    const names = ['main', 'v1', pulled.sha]
    const before = {
      trees: await Promise.all(names.map((name) => treeOf(stage.get, name))),
      refs: await read(stage.get(`${api}/refs`)),
      commits: await read(stage.get(`${api}/commits/main`)),
    }
    await stage.server.stop()
    await hub.stop()
    for (const args of [['--upstream-url', hub.url], ['--offline']]) {
      const server: ServerProcess = await startMirrorFace(['--local-directory', directory, ...args])
      const get = (path: string, init?: RequestInit) =>
        fetch(`${server.endpoint}${path}`, { redirect: 'manual', ...init })
      try {
        for (const name of names) expect(await download(get, name), `${args[0]} ${name}`).to.deep.equal(pulled)
        expect({
          trees: await Promise.all(names.map((name) => treeOf(get, name))),
          refs: await read(get(`${api}/refs`)),
          commits: await read(get(`${api}/commits/main`)),
        }).to.deep.equal(before)
      } finally {
        await server.stop()
      }
    }
  })
})
