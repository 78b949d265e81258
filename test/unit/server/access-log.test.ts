import { once } from 'node:events'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { type Stage, setStage } from '../../support/server.ts'

/** The log line of a request, once it has come. */
async function lineOf(stage: Stage, id: string): Promise<Record<string, unknown>> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const line = stage.server.log.find(
      (one) => one.request === id && (one.msg === 'request' || one.msg === 'request failed'),
    )
    if (line !== undefined) return line
    await delay(25)
  }
  throw new Error(`no line for ${id}`)
}

describe('the access log', () => {
  let stage: Stage
  before(async () => {
    stage = await setStage((hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{"a":1}' })
      hub.add({ type: 'model', id: 'org/other' }).commit({ 'config.json': '{"b":1}' })
    })
    await stage.mirror('org/model')
  })
  after(() => stage[Symbol.asyncDispose]())

  it('has what was sent, and the id that the client saw, whoever answered', async () => {
    for (const [index, path] of [
      '/health',
      '/ready',
      '/',
      '/-/misses',
      '/api/models/org/model',
      '/api/models/org/model',
      '/org/model/resolve/main/config.json',
      '/org/model/resolve/main/absent',
      '/api/models/org/other',
      '/api/models/org/nowhere',
      '/%2e%2e/etc/passwd',
    ].entries()) {
      for (const name of ['x-request-id', 'x-amzn-trace-id', undefined]) {
        const id = name === undefined ? undefined : `${name}-${index}`
        const response = await stage.get(path, name === undefined ? {} : { headers: { [name]: `${name}-${index}` } })
        const body = Buffer.from(await response.arrayBuffer())
        const seen = response.headers.get('x-request-id') ?? ''
        if (id !== undefined) expect(seen, path).to.equal(id)
        const line = await lineOf(stage, seen)
        expect(line, path).to.include({ status: response.status, bytes: body.length })
        expect(body.length, path).to.be.greaterThan(0)
      }
    }
  })

  it('has no query, no capability and no credential in any line', async () => {
    const secrets = ['s3cr3t-query', 's3cr3t-seal', 'hf_s3cr3t', 's3cr3t-user', 's3cr3t-cookie', 's3cr3t-name']
    const headers = { authorization: 'Bearer hf_s3cr3t', cookie: 'token=s3cr3t-cookie' }
    const { hostname, port } = new URL(stage.server.url)
    for (const path of [
      '/mirror/api/models/org/model?token=s3cr3t-query',
      '/mirror/org/other/resolve/main/config.json?X-Amz-Signature=s3cr3t-query',
      '/mirror/-/follow/s3cr3t-seal',
      '/-/follow/s3cr3t-seal?a=s3cr3t-query',
      '/%2d/follow/s3cr3t-seal',
      '/-/follow/s3cr3t-seal/../x',
      '/-/follow%2Fs3cr3t-seal%00',
      'http://s3cr3t-user:s3cr3t-name@host/mirror/api/models/org/model',
      '/mirror/%zz?s3cr3t-query',
      '/mirror/x#s3cr3t-query',
    ]) {
      const asked = request({ hostname, port, path, headers: { ...headers, 'x-request-id': 'secret-1' } }).end()
      const [response] = await once(asked, 'response')
      response.resume()
      await once(response, 'end')
    }
    await (await stage.get('/health', { headers: { 'x-request-id': 'last-1' } })).arrayBuffer()
    await lineOf(stage, 'last-1')
    for (const secret of secrets) expect(stage.server.output(), secret).to.not.include(secret)
  })

  it('takes a client that leaves before it is answered for nobody’s failure', async () => {
    stage.hub.faults = () => ({ kind: 'delay', milliseconds: 1000 })
    const leaving = new AbortController()
    const asked = stage.get('/org/other/resolve/main/config.json', {
      signal: leaving.signal,
      headers: { 'x-request-id': 'left-1' },
    })
    setTimeout(() => leaving.abort(), 200)
    await asked.catch(() => undefined)
    stage.hub.faults = () => undefined
    const line = await lineOf(stage, 'left-1')
    expect(line).to.include({ status: 499, aborted: true, upstreamFailed: false, bytes: 0 })
    const metrics = await (await fetch(stage.server.metricsUrl)).text()
    expect(metrics).to.not.match(/mirrorface_fallback_upstream_error\{[^}]*\} [1-9]/)
  })
})
