import { once } from 'node:events'
import { appendFile, chmod, readdir, rm, truncate } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bytesContent, syntheticContent } from '../../hub/index.ts'
import { type Stage, setStage } from '../../support/server.ts'

/** An answer's JSON, of the shape that the test expects. */
const json = async <T>(response: Promise<Response>): Promise<T> => (await (await response).json()) as T
interface Entry {
  path: string
  xetHash?: string
}
interface Info {
  id: string
  siblings: Array<{ rfilename: string; lfs?: object }>
}

const large = syntheticContent(3_000_000)
const odd = 'a folder/ümläut #1 + 100% "quoted".txt'

describe('serving what is mirrored', () => {
  let stage: Stage
  let commit: string
  const path = '/org/model/resolve/main'

  before(async () => {
    stage = await setStage((hub) => {
      const repository = hub.add({ type: 'model', id: 'org/model', xet: true })
      commit = repository.commit({
        'config.json': '{"a":1}',
        'model.safetensors': large,
        'sub/x.txt': 'x',
        [odd]: 'odd',
        empty: '',
        'left/out.bin': 'left out',
      })
      repository.commit({ 'pr.txt': 'pr' }, { ref: 'refs/pr/1' })
      repository.commit({ 'dev.txt': 'dev' }, { branch: 'feature/dev' })
      hub.add({ type: 'dataset', id: 'squad' }).commit({ 'data.json': '[]' })
      const many = Object.fromEntries(Array.from({ length: 2500 }, (_, index) => [`f/${index}.txt`, String(index)]))
      hub.add({ type: 'model', id: 'org/many' }).commit(many)
      hub.treePageSize = 700
    })
    await stage.mirror(
      'org/model',
      '--revision',
      'main',
      '--revision',
      'refs/pr/1',
      '--revision',
      'feature/dev',
      '--exclude',
      'left/*',
    )
    await stage.mirror('squad', '--type', 'dataset')
    await stage.mirror('org/many')
  })
  after(async () => {
    await stage[Symbol.asyncDispose]()
  })

  for (const method of ['GET', 'HEAD']) {
    it(`${method} of a large file carries every header that clients need`, async () => {
      const response = await stage.get(`${path}/model.safetensors`, { method })
      expect(response.status).to.equal(200)
      expect(Object.fromEntries(response.headers)).to.include({
        etag: `"${large.sha256}"`,
        'x-repo-commit': commit,
        'x-linked-etag': `"${large.sha256}"`,
        'x-linked-size': '3000000',
        'content-length': '3000000',
        'accept-ranges': 'bytes',
        'content-disposition': `inline; filename*=UTF-8''model.safetensors; filename="model.safetensors";`,
      })
      expect(response.headers.has('x-xet-hash')).to.equal(false)
      expect(response.headers.has('vary')).to.equal(false)
      const body = Buffer.from(await response.arrayBuffer())
      if (method === 'GET') expect(bytesContent(body).sha256).to.equal(large.sha256)
      else expect(body.length).to.equal(0)
    })
  }

  it("gives a regular file git's id as ETag", async () => {
    const response = await stage.get(`${path}/config.json`)
    expect(response.headers.get('etag')).to.equal(`"${bytesContent(Buffer.from('{"a":1}')).oid}"`)
    expect(await response.text()).to.equal('{"a":1}')
  })

  for (const [range, status, contentRange] of [
    ['bytes=0-0', 206, 'bytes 0-0/3000000'],
    ['bytes=2999999-', 206, 'bytes 2999999-2999999/3000000'],
    ['bytes=-100', 206, 'bytes 2999900-2999999/3000000'],
    ['bytes=1048570-1048580', 206, 'bytes 1048570-1048580/3000000'],
    ['bytes=3000000-', 416, 'bytes */3000000'],
    ['bytes=0-1,5-6', 200, null],
    ['nonsense', 200, null],
  ] as const) {
    it(`answers Range: ${range} with ${status} (fault 26)`, async () => {
      const response = await stage.get(`${path}/model.safetensors`, { headers: { range } })
      expect(response.status).to.equal(status)
      expect(response.headers.get('content-range')).to.equal(contentRange)
      expect(response.headers.get('x-repo-commit')).to.equal(commit)
      const body = Buffer.from(await response.arrayBuffer())
      if (status === 206) {
        const [, start = 0, end = 0] = (/bytes (\d+)-(\d+)/.exec(contentRange ?? '') ?? []).map(Number)
        const chunks: Buffer[] = []
        for await (const chunk of large.read(start, end)) chunks.push(chunk)
        expect(body.equals(Buffer.concat(chunks))).to.equal(true)
      }
    })
  }

  it('honours If-Range (fault 26)', async () => {
    const ask = async (etag: string) =>
      (await stage.get(`${path}/model.safetensors`, { headers: { range: 'bytes=0-9', 'if-range': etag } })).status
    expect(await ask(`"${large.sha256}"`)).to.equal(206)
    expect(await ask('"other"')).to.equal(200)
  })

  it('answers 304 with the headers of 200 (fault 26)', async () => {
    const response = await stage.get(`${path}/model.safetensors`, { headers: { 'if-none-match': `"${large.sha256}"` } })
    expect(response.status).to.equal(304)
    expect(response.headers.get('x-repo-commit')).to.equal(commit)
    expect(response.headers.get('x-linked-size')).to.equal('3000000')
  })

  it('serves odd names under their URL', async () => {
    const response = await stage.get(`${path}/${odd.split('/').map(encodeURIComponent).join('/')}`)
    expect(await response.text()).to.equal('odd')
    expect(response.headers.get('content-disposition')).to.match(/^inline; filename\*=UTF-8''%C3%BCml%C3%A4ut%20%231/)
  })

  it('serves empty files', async () => {
    const response = await stage.get(`${path}/empty`)
    expect(response.status).to.equal(200)
    expect(response.headers.get('content-length')).to.equal('0')
  })

  it('serves by commit, short commit, branch with a slash, PR ref in both spellings, and resolve-cache', async () => {
    for (const [revision, file] of [
      [commit, 'sub/x.txt'],
      [commit.slice(0, 8), 'sub/x.txt'],
      ['feature%2Fdev', 'dev.txt'],
      ['refs%2Fpr%2F1', 'pr.txt'],
      ['refs/pr/1', 'pr.txt'],
      ['refs%2Fheads%2Fmain', 'sub/x.txt'],
    ]) {
      expect((await stage.get(`/org/model/resolve/${revision}/${file}`)).status, revision).to.equal(200)
    }
    expect((await stage.get(`/api/resolve-cache/models/org/model/${commit}/sub/x.txt`)).status).to.equal(200)
  })

  it('serves the same routes without the prefix', async () => {
    expect((await fetch(`${stage.server.url}/org/model/resolve/main/config.json`)).status).to.equal(200)
    expect((await fetch(`${stage.server.url}/api/models/org/model`)).status).to.equal(200)
  })

  it('gives the pointer of a large file as raw', async () => {
    const response = await stage.get('/org/model/raw/main/model.safetensors')
    expect(await response.text()).to.equal(
      `version https://git-lfs.github.com/spec/v1\noid sha256:${large.sha256}\nsize 3000000\n`,
    )
  })

  it('says EntryNotFound, with the commit, for a file that is not in the repository', async () => {
    const response = await stage.get(`${path}/absent.json`, { method: 'HEAD' })
    expect(response.status).to.equal(404)
    expect(response.headers.get('x-error-code')).to.equal('EntryNotFound')
    expect(response.headers.get('x-repo-commit')).to.equal(commit)
  })

  it('asks the Hub for a file that was left out, and for a revision that is not mirrored', async () => {
    expect((await stage.get(`${path}/left/out.bin`)).status).to.equal(302)
    const response = await stage.get('/org/model/resolve/nowhere/config.json')
    expect(response.status).to.equal(404)
    expect(response.headers.get('x-error-code')).to.equal('RevisionNotFound')
  })

  it('lets browsers in', async () => {
    const response = await stage.get(`${path}/config.json`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'range',
      },
    })
    expect(response.status).to.equal(204)
    expect(response.headers.get('access-control-allow-origin')).to.equal('*')
    expect(response.headers.get('access-control-allow-headers')).to.equal('range')
    expect((await stage.get(`${path}/config.json`)).headers.get('access-control-expose-headers')).to.include(
      'X-Linked-ETag',
    )
  })

  it('describes the repository', async () => {
    const info = await json<Info>(stage.get('/api/models/org/model?blobs=true'))
    expect(info).to.include({ id: 'org/model', sha: commit, private: false, pipeline_tag: 'sentence-similarity' })
    expect(info.siblings.find((file) => file.rfilename === 'model.safetensors')?.lfs).to.deep.equal({
      sha256: large.sha256,
      size: 3_000_000,
      pointerSize: 132,
    })
    const plain = await json<Info>(stage.get(`/api/models/org/model/revision/${commit}`))
    expect(plain.siblings[0]).to.have.all.keys('rfilename')
    const dataset = await json<Info>(stage.get('/api/datasets/squad'))
    expect(dataset.id).to.equal('squad')
  })

  it('lists a folder, without Xet', async () => {
    const entries = await json<Entry[]>(stage.get('/api/models/org/model/tree/main'))
    expect(entries.map((entry) => entry.path)).to.have.members([
      'a folder',
      'left',
      'sub',
      'config.json',
      'empty',
      'model.safetensors',
    ])
    expect(entries.find((entry) => entry.path === 'model.safetensors')).to.not.have.property('xetHash')
    const below = await json<Entry[]>(stage.get('/api/models/org/model/tree/main/sub'))
    expect(below.map((entry) => entry.path)).to.deep.equal(['sub/x.txt'])
    const absent = await stage.get(
      '/api/models/org/model/tree/main/additional_chat_templates?recursive=False&expand=False',
    )
    expect(absent.status).to.equal(404)
    expect(absent.headers.get('x-error-code')).to.equal('EntryNotFound')
  })

  it('lists many files in pages', async () => {
    const paths: string[] = []
    let next: string | undefined = `${stage.server.endpoint}/api/models/org/many/tree/main?recursive=True&limit=900`
    let pages = 0
    while (next !== undefined) {
      const response: Response = await fetch(next)
      paths.push(...(await json<Entry[]>(Promise.resolve(response))).map((entry) => entry.path))
      next = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1]
      expect(next ?? stage.server.endpoint).to.match(new RegExp(`^${stage.server.endpoint}`))
      pages++
    }
    expect(pages).to.equal(3)
    expect(new Set(paths).size).to.equal(2501)
  })

  it('refuses a cursor that it did not make', async () => {
    expect((await stage.get('/api/models/org/model/tree/main?cursor=%00')).status).to.equal(400)
  })

  it('answers paths-info to a form and to JSON', async () => {
    const form = await stage.get('/api/models/org/model/paths-info/main', {
      method: 'POST',
      body: new URLSearchParams([
        ['paths', 'sub'],
        ['paths', 'config.json'],
        ['paths', 'absent'],
      ]),
    })
    expect((await json<Entry[]>(Promise.resolve(form))).map((entry) => entry.path)).to.deep.equal([
      'sub',
      'config.json',
    ])
    const sent = await stage.get('/api/models/org/model/paths-info/main', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"paths":["config.json"],"expand":true}',
    })
    expect(await sent.json()).to.have.length(1)
    const broken = await stage.get('/api/models/org/model/paths-info/main', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{',
    })
    expect(broken.status).to.equal(400)
  })

  it('answers paths-info within bounds: each path once, and no body over 1 MiB', async () => {
    const ask = (paths: readonly string[]) =>
      stage.get('/api/models/org/many/paths-info/main', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ paths }),
      })
    const all = Array.from({ length: 2500 }, (_, index) => `f/${index}.txt`)
    const entries = await json<Entry[]>(ask([...all, ...all, 'f', 'f/', '/f', 'absent', ...all]))
    expect(entries.map(({ path }) => path)).to.deep.equal([...all, 'f'])
    const refused = await ask(Array.from({ length: 200_000 }, () => 'f/1.txt'))
    expect(refused.status).to.equal(413)
    expect(refused.headers.get('x-error-code')).to.equal('BodyTooLarge')
  })

  it('lists refs and commits, and sums up a tree', async () => {
    const refs = await json<{ branches: Array<{ name: string }>; pullRequests: Array<{ ref: string }> }>(
      stage.get('/api/models/org/model/refs?include_prs=1'),
    )
    expect(refs.branches.map((ref) => ref.name)).to.have.members(['main', 'feature/dev'])
    expect(refs.pullRequests[0]?.ref).to.equal('refs/pr/1')
    expect((await json<Array<{ id: string }>>(stage.get('/api/models/org/model/commits/main')))[0]?.id).to.equal(commit)
    expect(await (await stage.get('/api/models/org/model/treesize/main/sub')).json()).to.deep.equal({
      path: 'sub',
      size: 1,
    })
  })

  it('passes a repository that is not mirrored to the Hub', async () => {
    stage.hub.add({ type: 'model', id: 'org/other' }).commit({ 'f.txt': 'from the hub' })
    const response = await fetch(`${stage.server.endpoint}/org/other/resolve/main/f.txt`)
    expect(await response.text()).to.equal('from the hub')
    expect(new URL(response.url).pathname).to.match(/^\/mirror\/api\/resolve-cache\//)
  })

  it('notices a branch that moved, and a new revision, without a restart', async () => {
    const repository = stage.hub.add({ type: 'model', id: 'org/moving' })
    repository.commit({ 'v.txt': 'one' })
    expect((await stage.get('/org/moving/resolve/main/v.txt')).status).to.equal(307)
    await stage.mirror('org/moving')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await (await stage.get('/org/moving/resolve/main/v.txt')).text()).to.equal('one')
    repository.commit({ 'v.txt': 'two' })
    await stage.mirror('org/moving')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await stage.get('/org/moving/resolve/main/v.txt')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await (await stage.get('/org/moving/resolve/main/v.txt')).text()).to.equal('two')
  })

  it('counts and logs what it does', async () => {
    const metrics = await (await fetch(stage.server.metricsUrl)).text()
    expect(metrics).to.match(/^mirrorface_total_requests\{repository="org\/model"\} \d+$/m)
    expect(metrics).to.match(/^mirrorface_cache_hit\{repository="org\/model"\} \d+$/m)
    expect(metrics).to.match(/^mirrorface_cache_total_bytes\{repository="org\/model"\} \d{7,}$/m)
    expect(metrics).to.match(/^mirrorface_fallback_requests\{repository="org\/other"\} \d+$/m)
    // A name that nothing answers to gets no label: anybody can make up names.
    await stage.get('/api/models/org/made-up')
    expect(await (await fetch(stage.server.metricsUrl)).text()).to.not.include('org/made-up')
    expect(metrics).to.match(/^mirrorface_request_duration_seconds_bucket/m)
    expect(metrics).to.match(/^mirrorface_ref_age_seconds\{repository="org\/model",ref="main"\} \d/m)
    expect(metrics).to.match(/^mirrorface_delivery_buffers_lent_bytes 0$/m)
    const record = stage.server.log.find(
      (line) => line.path === '/mirror/org/model/resolve/main/model.safetensors' && line.method === 'GET',
    )
    expect(record).to.include({ source: 'local', outcome: 'hit', bytes: 3_000_000, status: 200 })
    const fallback = stage.server.log.find((line) => line.repository === 'org/other' && line.status === 200)
    expect(fallback).to.include({ source: 'hub', outcome: 'fallback', bytes: 12 })
  })

  it('is healthy and ready', async () => {
    expect(await (await fetch(`${stage.server.url}/health`)).json()).to.deep.equal({ status: 'ok' })
    expect((await fetch(`${stage.server.url}/ready`)).status).to.equal(200)
  })

  it('refuses to be a general proxy (fault 14)', async () => {
    const { hostname, port } = new URL(stage.server.url)
    // In absolute form a target is this server's own path, whatever the host (RFC 9112 §3.2.2).
    const asked = request({ hostname, port, path: 'http://example.com/mirror/org/model/resolve/main/sub/x.txt' }).end()
    const [response] = await once(asked, 'response')
    expect(response.statusCode).to.equal(200)
    expect(await text(response)).to.equal('x')
    for (const path of ['ftp://example.com/x', 'example.com:443', '*', 'http:/x']) {
      const [refused] = await once(request({ hostname, port, path }).end(), 'response')
      expect(refused.statusCode, path).to.equal(400)
      refused.resume()
    }
  })

  it('never sends a blob of another size under the right ETag, and falls back to the Hub (fault 4)', async () => {
    const blob = join(stage.directory, 'blobs/sha256', large.sha256.slice(0, 2), large.sha256)
    await chmod(blob, 0o644)
    await truncate(blob, 1000)
    expect((await stage.get(`${path}/model.safetensors`)).status).to.equal(302)
    await rm(blob)
    expect((await stage.get(`${path}/model.safetensors`)).status).to.equal(302)
    const metrics = await (await fetch(stage.server.metricsUrl)).text()
    expect(metrics).to.match(/^mirrorface_storage_failures_total\{storage="local",code="StoredSizeDiffers"\} 2$/m)
  })

  it('falls back to the Hub when a manifest is damaged (fault 4)', async () => {
    stage.hub.add({ type: 'dataset', id: 'org/damaged' }).commit({ 'data.json': '[]' })
    await stage.mirror('org/damaged', '--type', 'dataset')
    const folder = join(stage.directory, 'repositories/datasets--org--damaged/commits')
    const [manifest = ''] = await readdir(folder)
    await appendFile(join(folder, manifest), '}}}')
    expect((await stage.get('/datasets/org/damaged/resolve/main/data.json')).status).to.equal(307)
  })
})

describe('serving offline', () => {
  it('says what is missing, in the shapes of the Hub, at once', async () => {
    await using stage = await setStage(
      (hub) => {
        const repository = hub.add({ type: 'model', id: 'org/model' })
        repository.commit({ 'config.json': '{}', 'left.bin': 'x' })
      },
      ['--offline'],
    )
    await stage.mirror('org/model', '--exclude', '*.bin')
    const code = async (path: string) => {
      const response = await stage.get(path)
      return `${response.status} ${response.headers.get('x-error-code')}`
    }
    expect(await code('/org/model/resolve/main/config.json')).to.equal('200 null')
    expect(await code('/org/model/resolve/main/absent')).to.equal('404 EntryNotFound')
    expect(await code('/org/model/resolve/main/left.bin')).to.equal('404 EntryNotFound')
    expect(await code('/org/model/resolve/v2/config.json')).to.equal('404 RevisionNotFound')
    expect(await code('/org/other/resolve/main/config.json')).to.equal('404 RepoNotFound')
    expect(await code('/api/models/org/other')).to.equal('404 RepoNotFound')
    expect(await code('/api/models/org/model/xet-read-token/main')).to.equal('404 Offline')
    expect(await code('/api/whoami-v2')).to.equal('503 Offline')
    expect(stage.hub.requests.filter(({ url }) => url.includes('other'))).to.deep.equal([])
  })
})

describe('the Hub down and nothing mirrored', () => {
  it('is said within seconds', async () => {
    await using stage = await setStage((hub) => hub.stop())
    const started = performance.now()
    const response = await stage.get('/org/model/resolve/main/config.json')
    expect(response.status).to.equal(502)
    expect(response.headers.get('x-error-message')).to.match(
      /^org\/model cannot be fetched, because http:\/\/127\.0\.0\.1:\d+ did not answer: [^:]+: .*ECONNREFUSED/,
    )
    expect(response.headers.get('x-request-id')).to.be.a('string')
    expect(performance.now() - started).to.be.lessThan(3000)
  })

  it('does not disturb what is mirrored (fault 9)', async () => {
    await using stage = await setStage(
      (hub) => void hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{}' }),
    )
    await stage.mirror('org/model')
    await stage.hub.stop()
    expect(await (await stage.get('/org/model/resolve/main/config.json')).text()).to.equal('{}')
  })
})

describe('stopping', () => {
  it('lets a download end, takes no new one, and exits with 0 (fault 19)', async () => {
    const content = syntheticContent(40_000_000)
    const stage = await setStage(
      (hub) => void hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': content }),
    )
    await stage.mirror('org/model')
    const asked = request(`${stage.server.endpoint}/org/model/resolve/main/w.safetensors`).end()
    const [response] = await once(asked, 'response')
    response.pause()
    const stopped = stage.server.stop()
    await new Promise((resolve) => setTimeout(resolve, 200))
    const refused = await stage.get('/health').then(
      () => false,
      () => true,
    )
    expect(refused).to.equal(true)
    let bytes = 0
    for await (const chunk of response) bytes += chunk.length
    expect(bytes).to.equal(40_000_000)
    expect((await stopped).code).to.equal(0)
    await stage.hub.stop()
    await rm(join(stage.directory, '..'), { recursive: true, force: true })
  })
})
