import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { UpstreamRequest } from 'mirrorface/plugin'
import { answerOf, upstreamRequest } from '../../conformance/index.ts'
import { type Logged, openHub, startServer } from './stage.ts'

const info = '/api/models/org/name'

describe('what the upstream plugin says at debug', () => {
  it('is where each answer came from, and with whose rights', async () => {
    let isDown = false
    const held = Promise.withResolvers<void>()
    await using server = await startServer((_request, response) => {
      if (isDown) response.destroy()
      else void held.promise.then(() => response.end('{}'))
    })
    const lines: Logged[] = []
    const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 1, staleIfError: 60_000 }, lines)
    const ask = async (id: string, more: Partial<UpstreamRequest> = {}) =>
      await answerOf(hub, upstreamRequest(info, { id, ...more }))
    const both = [ask('1'), ask('2')]
    held.resolve()
    await Promise.all(both)
    await ask('3', { rights: { use: 'client', token: 'hf_secret' } })
    isDown = true
    await delay(20) // no longer fresh
    await ask('4')
    await hub.ask(upstreamRequest(info, { id: '5', purpose: 'mirror' }))
    await hub.close()
    const told = lines.flatMap(({ level, fields, message }) => (level === 'debug' ? [{ message, ...fields }] : []))
    const asked = {
      message: 'upstream asked',
      upstream: 'hub',
      method: 'GET',
      path: info,
      status: 200,
      purpose: 'client',
    }
    expect(told.pop()).to.include({ message: 'upstream did not answer', request: '5', purpose: 'mirror' })
    expect(told).to.deep.equal([
      { ...asked, request: '1', as: 'none', from: 'asked' },
      { ...asked, request: '2', as: 'none', from: 'shared' },
      { ...asked, request: '3', as: 'client', from: 'asked' },
      { ...asked, request: '4', as: 'none', from: 'stale' },
    ])
  })

  it('holds no seal of a path that opens something', async () => {
    await using server = await startServer((_request, response) => response.end('content'))
    const lines: Logged[] = []
    const hub = await openHub({ url: server.url, redirects: 'follow', followHosts: ['127.0.0.1'] }, lines)
    await hub.ask(
      upstreamRequest('/-/follow/sealed-secret', { id: '1', sealedUrl: `${server.url}/x?signature=secret` }),
    )
    await hub.close()
    expect(JSON.stringify(lines)).to.include('redirect followed').and.not.include('secret')
  })
})
