import { expect } from 'chai'
import type { Repository } from '../../../../src/hub/index.ts'
import type { UpstreamRequest } from '../../../../src/plugin/index.ts'
import { declined, gateWith, json, ListedLibrary, RecordingUpstream, requestTo } from './fixture.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const url = '/org/model/resolve/main/f'
const rich = 'Bearer hf_rich'

/** What a client sees of a repository that was stored with `info`, at a Hub that answers so. */
async function seen(
  info: Record<string, unknown> | undefined,
  answer: (request: UpstreamRequest) => ReturnType<typeof json> | typeof declined,
  options: { authorization?: string; access?: 'open' | 'hub'; deny?: string[]; repository?: Repository } = {},
): Promise<[boolean, boolean, boolean, RecordingUpstream]> {
  const upstream = new RecordingUpstream({}, answer)
  const stored = options.repository ?? repository
  const library = new ListedLibrary({ repository: stored, ...(info !== undefined && { info }) })
  const gate = gateWith({ access: options.access ?? 'hub', library, upstreams: [upstream], deny: options.deny ?? [] })
  const { library: view } = await gate.admit(requestTo(gate, { url, authorization: options.authorization }))
  const found = (await view.find(stored, 'main')) !== undefined
  const refs = (await view.refs(stored)).length > 0
  return [found, refs, await view.has(stored), upstream]
}

const all = (visible: boolean) => [visible, visible, visible]

describe('what is stored, as a client sees it', () => {
  for (const [title, info, isPublic] of [
    ['public', { private: false, gated: false }, true],
    ['private', { private: true, gated: false }, false],
    ['gated', { private: false, gated: 'auto' }, false],
    ['gated by hand', { private: false, gated: 'manual' }, false],
    ['gated, as true', { gated: true }, false],
    ['private, in another spelling', { private: 'true' }, false],
    ['of the Python tool, which recorded nothing and had public ones only', undefined, true],
  ] as const) {
    it(`with access: open, ${title}, is ${isPublic ? '' : 'not '}everybody’s`, async () => {
      const [...views] = await seen(info, () => declined, { access: 'open' })
      expect(views.slice(0, 3)).to.deep.equal(all(isPublic))
      expect(views[3].asked).to.have.length(0)
    })
  }

  it('with access: hub is what the Hub says, of private ones by its info, of gated ones by its check', async () => {
    const asHub = ({ target, rights }: UpstreamRequest) => {
      if (target.operation === 'auth-check') return json(rights.use === 'client' ? 200 : 403, {})
      return json(200, { _id: '1', private: false, gated: 'manual' })
    }
    const info = { _id: '1', gated: 'manual' }
    expect((await seen(info, asHub)).slice(0, 3)).to.deep.equal(all(false))
    const [find, refs, has, upstream] = await seen(info, asHub, { authorization: rich })
    expect([find, refs, has]).to.deep.equal(all(true))
    // Once for all three.
    expect(upstream.asked.map(({ target }) => target.operation)).to.deep.equal(['info', 'auth-check'])
    expect(upstream.asked.every(({ rights }) => rights.use === 'client')).to.equal(true)
    expect(upstream.asked[0]?.headers).to.include({ via: '1.1 test' })
  })

  for (const status of [401, 403, 404, 410, 451])
    it(`with access: hub is as if it were not stored where the Hub answers ${status}`, async () => {
      expect((await seen({ _id: '1' }, () => json(status, {}))).slice(0, 3)).to.deep.equal(all(false))
    })

  for (const [title, answer] of [
    ['declines', () => declined],
    ['is overloaded', () => json(429, {})],
    ['fails', () => json(503, {})],
    ['answers with a page', () => ({ ...json(200, 0), body: Buffer.from('<html>') })],
    ['sends it somewhere else', () => json(302, {}, [['location', 'https://elsewhere.example/']])],
  ] as const)
    it(`with access: hub is as if it were not stored where the Hub ${title}`, async () => {
      expect((await seen({ _id: '1' }, answer)).slice(0, 3)).to.deep.equal(all(false))
    })

  it('is not opened by another repository of the same name', async () => {
    const other = () => json(200, { _id: '2', private: false, gated: false })
    expect((await seen({ _id: '1' }, other)).slice(0, 3)).to.deep.equal(all(false))
    expect((await seen({ _id: '2' }, other)).slice(0, 3)).to.deep.equal(all(true))
    // Nothing was recorded by earlier versions.
    expect((await seen({}, other)).slice(0, 3)).to.deep.equal(all(true))
  })

  it('is found under a former name by its id, unless the new name is denied', async () => {
    const renamed = ({ target }: UpstreamRequest) =>
      target.pathname.includes('/models/org/model')
        ? json(307, {}, [['location', '/api/models/neworg/model']])
        : json(200, { _id: '1', private: false, gated: false })
    expect((await seen({ _id: '1' }, renamed)).slice(0, 3)).to.deep.equal(all(true))
    expect((await seen({ _id: '2' }, renamed)).slice(0, 3)).to.deep.equal(all(false))
    expect((await seen({}, renamed)).slice(0, 3)).to.deep.equal(all(false))
    const [found, , , upstream] = await seen({ _id: '1' }, renamed, { deny: ['neworg/*'] })
    expect(found).to.equal(false)
    expect(upstream.asked).to.have.length(1)
  })

  it('is asked for in whole where the Hub does not know how to say less', async () => {
    const older = ({ target }: UpstreamRequest) =>
      target.query === '' ? json(200, { _id: '1', private: false, gated: false }) : json(400, { error: 'expand' })
    expect((await seen({ _id: '1' }, older)).slice(0, 3)).to.deep.equal(all(true))
    // Spaces are not gated, and the Hub refuses to be asked whether they are.
    const space: Repository = { type: 'space', id: 'org/space' }
    const [, , , upstream] = await seen({ _id: '1' }, older, { repository: space })
    expect(upstream.asked[0]?.target.query).to.not.include('gated')
  })
})
