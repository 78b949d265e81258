import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { type Stage, setStage } from '../../support/server.ts'

const path = '/api/models/org/model'
const file = '/org/model/resolve/main/config.json'

async function stage(args: readonly string[] = []): Promise<Stage> {
  const set = await setStage((hub) => {
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{"a":1}', 'w.safetensors': 'weights' })
  }, args)
  await set.mirror('org/model')
  return set
}

async function twice(set: Stage, target: string, init?: RequestInit): Promise<[Response, Response]> {
  const first = await set.get(target, init)
  await first.clone().arrayBuffer()
  return [first, await set.get(target, init)]
}

describe('answers given again', () => {
  for (const method of ['GET', 'HEAD']) {
    it(`are as the first was, but for the request's own id (${method})`, async () => {
      await using set = await stage()
      for (const target of [path, file, '/org/model/resolve/main/w.safetensors']) {
        const [first, second] = await twice(set, target, { method })
        const headersOf = ({ headers }: Response) =>
          Object.fromEntries([...headers].filter(([name]) => !['date', 'x-request-id'].includes(name)))
        expect(headersOf(second), target).to.deep.equal(headersOf(first))
        expect(second.headers.get('x-request-id')).to.not.equal(first.headers.get('x-request-id'))
        expect(await second.text()).to.equal(await first.text())
      }
    })
  }

  it('are counted and logged as any other', async () => {
    await using set = await stage()
    for (let asked = 0; asked < 5; asked++)
      await (await set.get(path, { headers: { 'x-request-id': `own-${asked}` } })).arrayBuffer()
    // A line is written when the response has left, and read a moment later.
    const lines = () => set.server.log.filter(({ msg }) => msg === 'request')
    while (lines().length < 5) await delay(20)
    const logged = lines()
    const metrics = await (await fetch(set.server.metricsUrl)).text()
    expect(metrics).to.match(/mirrorface_cache_hit\{repository="org\/model"\} 5/)
    expect(logged.map(({ request }) => request)).to.deep.equal(['own-0', 'own-1', 'own-2', 'own-3', 'own-4'])
    const shape = ({ request, seconds, time, ...rest }: Record<string, unknown>) => rest
    expect(shape(logged[4] ?? {})).to.deep.equal(shape(logged[0] ?? {}))
  })

  it('leave conditions and other methods to those who know them', async () => {
    await using set = await stage()
    const [first] = await twice(set, path)
    const etag = first.headers.get('etag') ?? ''
    expect((await set.get(path, { headers: { 'if-none-match': etag } })).status).to.equal(304)
    expect((await set.get(path, { method: 'OPTIONS' })).headers.get('content-type')).to.not.equal('application/json')
  })

  it('are forgotten when a branch has moved', async () => {
    await using set = await stage()
    const [first] = await twice(set, path)
    const moved = set.hub.repositories.get('models/org/model')?.commit({ 'config.json': '{"a":2}' })
    await set.mirror('org/model')
    await new Promise((resolve) => setTimeout(resolve, 500))
    await (await set.get(path)).arrayBuffer() // what was known is still given once while the branch is looked up
    await new Promise((resolve) => setTimeout(resolve, 300))
    const answer = await set.get(path)
    expect(answer.headers.get('x-repo-commit')).to.equal(moved)
    expect(answer.headers.get('x-repo-commit')).to.not.equal(first.headers.get('x-repo-commit'))
  })

  it('are given to nobody whose token was not looked at', async () => {
    await using set = await stage(['--access', 'hub'])
    const hub = set.hub.repositories.get('models/org/model')
    set.hub.repositories.set(
      'models/org/model',
      Object.assign(hub ?? {}, { traits: { type: 'model', id: 'org/model', private: true } }) as never,
    )
    const allowed = { headers: { authorization: 'Bearer hf_valid' } }
    const [, second] = await twice(set, path, allowed)
    expect(second.status).to.equal(200)
    expect((await set.get(path)).status).to.be.within(400, 499)
  })
})
