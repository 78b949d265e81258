import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { type Stage, setStage } from '../../support/server.ts'

const info = '/api/models/org/model'
const small = { 'config.json': '{"a": 1}', 'w.safetensors': syntheticContent(3_000_000, 4) }

async function withModel(args: readonly string[] = []): Promise<Stage> {
  return await setStage((hub) => {
    hub.add({ type: 'model', id: 'org/model', xet: true }).commit(small)
    hub.add({ type: 'model', id: 'org/secret', private: true }).commit(small)
  }, args)
}

describe('an unsteady Hub', () => {
  it('is asked a handful of times by 2,000 clients at once (fault 11)', async () => {
    await using stage = await withModel()
    const answers = await Promise.all(Array.from({ length: 2000 }, () => stage.get(info)))
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([200]))
    const bodies = await Promise.all(answers.map((answer) => answer.text()))
    expect(new Set(bodies).size).to.equal(1)
    expect(stage.hub.requestsOf('hub').length).to.be.lessThan(10)
  })

  it('answers metadata from before while it is down, but never across credentials (fault 13)', async () => {
    await using stage = await withModel()
    const secret = '/api/models/org/secret'
    const token = { headers: { authorization: 'Bearer hf_valid' } }
    const before = await (await stage.get(info)).json()
    expect((await stage.get(secret, token)).status).to.equal(200)
    await stage.hub.stop()
    await delay(1100)
    const stale = await stage.get(info)
    expect(stale.status).to.equal(200)
    expect(stale.headers.get('cache-status')).to.match(/stale/)
    expect(await stale.json()).to.deep.equal(before)
    expect((await stage.get(secret, token)).status).to.equal(200)
    expect((await stage.get(secret)).status).to.equal(502)
    expect((await stage.get(secret, { headers: { authorization: 'Bearer hf_other' } })).status).to.be.oneOf([502, 503])
  })

  it('is asked anew after a write through the mirror', async () => {
    await using stage = await withModel()
    await stage.get(info)
    await stage.get(info)
    expect(stage.hub.requestsOf('hub').length).to.equal(1)
    // Of somebody who could have changed it: anybody can send a POST.
    const headers = { authorization: 'Bearer hf_valid', 'content-type': 'application/x-ndjson' }
    const body = [
      { key: 'header', value: { summary: 'Change it', description: '' } },
      { key: 'file', value: { path: 'new.txt', content: Buffer.from('new').toString('base64'), encoding: 'base64' } },
    ]
    const written = await stage.get('/api/models/org/model/commit/main', {
      method: 'POST',
      headers,
      body: body.map((line) => JSON.stringify(line)).join('\n'),
    })
    expect(written.status).to.equal(200)
    await stage.get(info)
    expect(stage.hub.requestsOf('hub').length).to.equal(3)
  })

  it('is asked again where a connection broke before the answer', async () => {
    await using stage = await withModel()
    let refusals = 2
    stage.hub.faults = () => (refusals-- > 0 ? { kind: 'refuse' } : undefined)
    expect((await stage.get('/org/model/resolve/main/config.json')).status).to.be.oneOf([200, 307])
  })

  it('is left alone after failures in a row, and comes back by a probe (fault 10)', async () => {
    await using stage = await withModel()
    const { url } = stage.hub
    await stage.hub.stop()
    const path = '/org/model/resolve/main/config.json'
    for (let attempt = 0; attempt < 10; attempt++) expect((await stage.get(path)).status).to.equal(502)
    const started = performance.now()
    const refused = await stage.get(path)
    expect(refused.status).to.equal(503)
    expect(Number(refused.headers.get('retry-after'))).to.be.within(1, 5)
    const why = `, because ${url} is not asked: it failed too often in a row, and is asked again in a moment`
    expect(refused.headers.get('x-error-message')).to.equal(`org/model cannot be fetched${why}`)
    for (const [asked, init] of [
      ['/api/models?search=x', {}],
      ['/api/repos/create', { method: 'POST', body: '{"name":"x"}' }],
    ] as const)
      expect((await stage.get(asked, init)).headers.get('x-error-message')).to.equal(`this cannot be answered${why}`)
    expect(performance.now() - started).to.be.lessThan(200)
    const breaker = async () => /^mirrorface_upstream_breaker_open\S* (\d)$/m.exec(await metrics())?.[1]
    const metrics = async () => (await fetch(stage.server.metricsUrl)).text()
    expect(await breaker()).to.equal('1')
    await stage.hub.start()
    stage.hub.requests.length = 0
    // Nobody asks meanwhile: the mirror finds out by itself.
    await delay(7000)
    expect(await breaker()).to.equal('0')
    expect(stage.hub.requests.map(({ method }) => method)).to.deep.equal(['HEAD'])
    expect((await stage.get(path)).status).to.be.oneOf([200, 307])
  })

  it('is not stormed by a fleet that it told to wait, and its word is passed on (fault 10)', async () => {
    await using stage = await withModel()
    const limits = { 'Retry-After': '2', RateLimit: '"resolvers";r=0;t=2' }
    stage.hub.faults = () => ({ kind: 'status', status: 429, headers: limits })
    const first = await stage.get('/org/model/resolve/main/config.json')
    expect(first.status).to.equal(429)
    expect(first.headers.get('retry-after')).to.equal('2')
    expect(first.headers.get('ratelimit')).to.equal('"resolvers";r=0;t=2')
    for (let attempt = 0; attempt < 50; attempt++) {
      const waiting = await stage.get('/org/model/resolve/main/config.json')
      expect(waiting.status).to.equal(429)
      expect(Number(waiting.headers.get('retry-after'))).to.be.within(1, 2)
    }
    expect(stage.hub.requests.length).to.equal(1)
    // Others, with a token of their own, are not held up.
    stage.hub.faults = () => undefined
    const other = await stage.get('/org/model/resolve/main/config.json', {
      headers: { authorization: 'Bearer hf_valid' },
    })
    expect(other.status).to.be.oneOf([200, 307])
    await delay(2100)
    expect((await stage.get('/org/model/resolve/main/config.json')).status).to.be.oneOf([200, 307])
  })

  it('passes server errors on as they are (fault 10)', async () => {
    await using stage = await withModel()
    stage.hub.faults = () => ({ kind: 'status', status: 503, headers: { 'Retry-After': '7' } })
    const answer = await stage.get(info)
    expect(answer.status).to.equal(503)
    expect(answer.headers.get('retry-after')).to.equal('7')
  })
})

describe('redirects, followed', () => {
  const follow = ['--redirects', 'follow', '--follow-hosts', '127.0.0.2']
  const sha256 = (bytes: ArrayBuffer) => createHash('sha256').update(Buffer.from(bytes)).digest('hex')
  const weights = small['w.safetensors']
  const path = '/org/model/resolve/main/w.safetensors'

  it('gives the content itself, with the headers of all hops and no trace of Xet', async () => {
    await using stage = await withModel(follow)
    const head = await stage.get(path, { method: 'HEAD' })
    expect(head.status).to.equal(200)
    expect(head.headers.get('etag')).to.equal(`"${weights.sha256}"`)
    expect(head.headers.get('content-length')).to.equal('3000000')
    expect(head.headers.get('x-repo-commit')).to.match(/^[0-9a-f]{40}$/)
    expect(head.headers.get('x-xet-hash')).to.equal(null)
    expect(head.headers.get('link')).to.equal(null)
    expect(stage.hub.requestsOf('cdn')).to.have.length(0)
    const whole = await stage.get(path, { headers: { authorization: 'Bearer hf_valid' } })
    expect(whole.status).to.equal(200)
    expect(sha256(await whole.arrayBuffer())).to.equal(weights.sha256)
    expect(stage.hub.requestsOf('cdn').every(({ headers }) => headers.authorization === undefined)).to.equal(true)
    const part = await stage.get(path, { headers: { range: 'bytes=100-199' } })
    expect(part.status).to.equal(206)
    expect(part.headers.get('content-range')).to.equal('bytes 100-199/3000000')
    expect((await part.arrayBuffer()).byteLength).to.equal(100)
    const tree = await (await stage.get('/api/models/org/model/tree/main')).text()
    expect(tree).to.include('w.safetensors').and.not.include('xetHash')
  })

  it('goes on where the CDN broke off, without the client noticing', async () => {
    await using stage = await withModel(follow)
    let faults = 3
    stage.hub.faults = ({ server }) =>
      server === 'cdn' && faults-- > 0 ? { kind: 'reset', after: 700_000 } : undefined
    const whole = await stage.get(path)
    expect(sha256(await whole.arrayBuffer())).to.equal(weights.sha256)
    expect(stage.hub.requestsOf('cdn').map(({ headers }) => headers.range)).to.deep.equal([
      // The Hub's CDN refuses a whole GET of a file of some tens of GB.
      'bytes=0-',
      'bytes=700000-2999999',
      'bytes=1400000-2999999',
      'bytes=2100000-2999999',
    ])
  })

  it('goes nowhere but to the hosts it may (fault 12)', async () => {
    await using stage = await withModel(['--redirects', 'follow', '--follow-hosts', '*'])
    const refused = await stage.get(path)
    expect(refused.status).to.equal(502)
    expect(refused.headers.get('x-error-message')).to.match(
      /redirects to http:\/\/127\.0\.0\.2:\d+, which is not among followHosts/,
    )
    expect(stage.hub.requestsOf('cdn')).to.have.length(0)
    const asked = Buffer.from('http://127.0.0.1:1/').toString('base64url')
    expect((await stage.get(`/-/follow/${asked}`)).status, 'nobody but the mirror makes such addresses').to.equal(403)
  })
})
