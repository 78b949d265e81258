import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import type { Method, UpstreamRequest } from 'mirrorface/plugin'
import { ClientAnswers, isWrite } from '../../../plugins/upstream-hub/client-answers.ts'
import { credentialsOf, noCredentials } from '../../../plugins/upstream-hub/credentials.ts'
import { hubUpstreamOptions } from '../../../plugins/upstream-hub/options.ts'
import { MirrorUrls } from '../../../plugins/upstream-hub/rewrite/mirror-urls.ts'
import { bodyOf, upstreamRequest } from '../../conformance/index.ts'

const hub = 'https://hub.example'
const cdn = 'https://cdn.example/x'
const oid = 'a'.repeat(64)
const service = credentialsOf('service', 'hf_s')
const client = credentialsOf('client', 'hf_c')

const answersWith = (options: object) =>
  new ClientAnswers(new MirrorUrls(hub), hubUpstreamOptions.parse({ url: hub, ...options }))
const answerOf = (value: unknown, type = 'application/json') => ({
  ...{ status: 200, headers: [['content-type', type]] as const },
  body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
})

async function rewritten(options: object, request: UpstreamRequest, value: unknown): Promise<unknown> {
  const answer = await answersWith(options).rewrite(request, answerOf(value), noCredentials)
  return JSON.parse(String(await bodyOf({ body: answer.body })))
}

describe('a request that changes something', () => {
  it('has a body and is none that only asks', () => {
    for (const [method, path, changes] of [
      ['POST', '/api/models/o/n/commit/main', true],
      ['DELETE', '/api/models/o/n/branch/x', true],
      ['PUT', '/api/models/o/n/settings', true],
      ['POST', '/api/repos/create', true],
      ['GET', '/api/models/o/n/settings', false],
      ['HEAD', '/api/models/o/n/settings', false],
      ['POST', '/o/n.git/info/lfs/objects/batch', false],
      ['POST', '/api/models/o/n/paths-info/main', false],
      ['POST', '/api/validate-yaml', false],
      ['POST', '/api/telemetry/x', false],
      ['POST', '/o/n.git/git-upload-pack', false],
      ['POST', '/o/n.git/git-receive-pack', false],
    ] satisfies [Method, string, boolean][])
      expect(isWrite(upstreamRequest(path, { method })), `${method} ${path}`).to.equal(changes)
  })

  it('is answered with URLs at the mirror, and nothing else is changed', async () => {
    const request = upstreamRequest('/api/models/o/n/commit/main', { method: 'POST' })
    const url = `${hub}/o/n/commit/c`
    expect(
      await rewritten({}, request, {
        url,
        commitUrl: url,
        pullRequestURL: url,
        urls: url,
        name: url,
        endUrl: 5,
        otherUrl: cdn,
      }),
    ).to.deep.equal({
      ...{ url: 'http://mirror.test/mirror/o/n/commit/c', commitUrl: 'http://mirror.test/mirror/o/n/commit/c' },
      ...{ pullRequestURL: 'http://mirror.test/mirror/o/n/commit/c', urls: url, name: url, endUrl: 5, otherUrl: cdn },
    })
  })

  it('is answered as it is where that is no JSON, or too large to be read', async () => {
    const request = upstreamRequest('/api/models/o/n/commit/main', { method: 'POST' })
    const answers = answersWith({})
    const text = answerOf(`{"url":"${hub}/x"}`, 'text/plain')
    expect(await answers.rewrite(request, text, client)).to.equal(text)
    const stream = { ...text, body: Readable.from([Buffer.from('x')]) }
    expect(await answers.rewrite(request, stream, client)).to.equal(stream)
    const announced = [...answerOf('').headers, ['content-length', '1000000000'] as const]
    const large = { ...answerOf(''), headers: announced, body: Readable.from([Buffer.from('{}')]) }
    const given = await answers.rewrite(request, large, client)
    expect(given.body).to.equal(large.body)
  })
})

describe('metadata, where clients are kept from Xet', () => {
  it('is without it, and content is as it is', async () => {
    const offered = { xetHash: 'h', a: 1 }
    for (const [path, isPlain] of [
      ['/api/models/o/n', true],
      ['/api/models/o/n/tree/main', true],
      ['/api/models/o/n/settings', true],
      ['/api/models?search=x', true],
      ['/api/buckets/o/b/tree/x', true],
      ['/o/n/resolve/main/f.json', false],
      ['/o/n/discussions/1', false],
      ['/api/models/o/n/resolve/f', false],
      ['/api/models/o/n/raw/f', false],
      ['/api/models/o/n/blob/f', false],
      [`/api/resolve-cache/models/o/n/${'c'.repeat(40)}/f.json`, false],
      [`/api/resolve-cache/kernels/o/n/${'c'.repeat(40)}/f.json`, false],
    ] as const) {
      const request = upstreamRequest(path)
      for (const options of [{ xet: false }, { redirects: 'follow' }])
        expect(await rewritten(options, request, offered), path).to.deep.equal(isPlain ? { a: 1 } : offered)
      expect(await rewritten({}, request, offered), path).to.deep.equal(offered)
    }
  })
})

describe('the answer to an LFS batch', () => {
  const batchPath = '/o/n.git/info/lfs/objects/batch'
  const lfs = (actions: object, of = oid) => ({ objects: [{ oid: of, size: 7, actions }] })
  const batch = (given: Partial<UpstreamRequest> = {}, path = batchPath) =>
    upstreamRequest(path, { method: 'POST', ...given })
  const type = 'application/vnd.git-lfs+json'
  const own = `http://mirror.test/mirror/-/lfs/models/o/n/${oid}?size=7`

  it('names this mirror where only it can fetch, and else where the client can', async () => {
    const authorized = { Authorization: 'a' }
    for (const [options, credentials, action, href] of [
      [{}, service, { href: cdn, header: authorized }, own],
      [{}, service, { href: cdn, header: { AUTHORIZATION: 'a' } }, own],
      [{}, service, { href: cdn, header: { 'X-A': 'a' } }, cdn],
      [{}, service, { href: cdn, header: {} }, cdn],
      [{}, service, { href: cdn }, cdn],
      [{}, client, { href: cdn, header: authorized }, cdn],
      [{ redirects: 'follow' }, client, { href: cdn, header: { 'X-A': 'a' } }, own],
      [{ redirects: 'follow' }, client, { href: cdn, header: {} }, cdn],
      [{ redirects: 'follow' }, client, { href: cdn }, cdn],
      [
        { redirects: 'follow' },
        client,
        { href: `${hub}/o/n/f`, header: { 'X-A': 'a' } },
        'http://mirror.test/mirror/o/n/f',
      ],
      // A mirror that is the upstream seals for itself.
      [{}, client, { href: `${hub}/-/follow/x` }, own],
      [{}, client, { href: `${hub}/x/-/` }, 'http://mirror.test/mirror/x/-/'],
      [{}, service, { href: 'http://[', header: authorized }, 'http://['],
    ] as const) {
      const answer = await answersWith(options).rewrite(batch(), answerOf(lfs({ download: action }), type), credentials)
      const value = JSON.parse(String(await bodyOf({ body: answer.body })))
      expect(value.objects[0].actions.download.href, JSON.stringify([options, credentials.kind, action])).to.equal(href)
    }
  })

  it('names this mirror for objects by their hash, of repositories that are mirrored', async () => {
    const download = { href: cdn, header: { Authorization: 'a' } }
    for (const [path, of, isOwn] of [
      [batchPath, oid, true],
      [batchPath, `${oid}0`, false],
      [batchPath, `x${oid}`, false],
      ['/datasets/o/n.git/info/lfs/objects/batch', oid, true],
      ['/kernels/o/n.git/info/lfs/objects/batch', oid, false],
      ['/buckets/o/n.git/info/lfs/objects/batch', oid, false],
    ] as const) {
      const answer = await answersWith({}).rewrite(batch({}, path), answerOf(lfs({ download }, of), type), service)
      const value = JSON.parse(String(await bodyOf({ body: answer.body })))
      expect(value.objects[0].actions.download.href.includes('/-/lfs/'), `${path} ${of}`).to.equal(isOwn)
    }
  })

  it('is sealed where redirects are followed, if it can be', async () => {
    const seal = (url: string) => `/-/follow/${url.length}`
    for (const [options, given, href, expected] of [
      [{ redirects: 'follow' }, { seal }, cdn, `http://mirror.test/mirror/-/follow/${cdn.length}`],
      [{ redirects: 'follow' }, {}, cdn, cdn],
      [{ redirects: 'follow' }, { seal }, 'http://[', 'http://['],
      [{ redirects: 'follow' }, { seal }, `${hub}/o/n/f`, 'http://mirror.test/mirror/o/n/f'],
      [{}, { seal }, cdn, cdn],
    ] as const) {
      const answer = await answersWith(options).rewrite(batch(given), answerOf(lfs({ upload: { href } }), type), client)
      expect(JSON.parse(String(await bodyOf({ body: answer.body }))).objects[0].actions.upload.href).to.equal(expected)
    }
  })

  it('is not passed on where it is not understood, and let go of', async () => {
    const endless = new PassThrough()
    const announced = [...answerOf('', type).headers, ['content-length', '1000000000'] as const]
    for (const answer of [
      answerOf('{}', type),
      answerOf(lfs({}), 'text/html'),
      { ...answerOf('', type), headers: announced, body: endless },
    ]) {
      const error = await answersWith({})
        .rewrite(batch(), answer, service)
        .catch((reason: unknown) => reason)
      expect(error).to.be.instanceOf(Error).with.property('message').that.includes('not understood')
    }
    expect(endless.destroyed).to.equal(true)
    const refusal = { ...answerOf('{}', type), status: 403 }
    expect(await answersWith({}).rewrite(batch(), refusal, service)).to.equal(refusal)
  })
})
