import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../../hub/index.ts'
import { freePort } from '../../support/emulator.ts'
import { type ServerProcess, startMirrorFace, temporaryFolder } from '../../support/processes.ts'

const weights = syntheticContent(3_000_000, 7)
const many = Object.fromEntries(Array.from({ length: 1500 }, (_, index) => [`f/${index}.txt`, String(index)]))

interface Chain extends AsyncDisposable {
  readonly hub: StandInHub
  /** The first is the one that clients know. */
  readonly mirrors: readonly ServerProcess[]
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/** Mirrors of which each is the upstream of the one before it, and the last one's is the Hub. */
async function chainOf(length: number, args: readonly string[]): Promise<Chain> {
  const folder = await temporaryFolder()
  const hub = await new StandInHub().start()
  hub.add({ type: 'model', id: 'org/model', xet: true }).commit({ 'config.json': '{"a": 1}', 'w.safetensors': weights })
  hub.add({ type: 'model', id: 'org/many' }).commit(many)
  const mirrors: ServerProcess[] = []
  let upstream = hub.url
  for (let index = 0; index < length; index++) {
    const directory = `${folder.path}/${index}`
    const mirror = await startMirrorFace(['--local-directory', directory, '--upstream-url', upstream, ...args])
    mirrors.unshift(mirror)
    upstream = mirror.endpoint
  }
  const [first] = mirrors
  return {
    hub,
    mirrors,
    fetch: (path, init) => fetch(`${first?.endpoint}${path}`, { redirect: 'manual', ...init }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(mirrors.map((mirror) => mirror.stop()))
      await hub.stop()
      await folder[Symbol.asyncDispose]()
    },
  }
}

const sha256 = (bytes: ArrayBuffer): string => createHash('sha256').update(Buffer.from(bytes)).digest('hex')

describe('a chain of three mirrors (fault 39)', function () {
  this.timeout(60_000)
  for (const redirects of ['pass', 'follow']) {
    it(`answers as the Hub does, and leads through the first of them (${redirects})`, async () => {
      const args = ['--redirects', redirects, '--follow-hosts', '127.0.0.2']
      await using chain = await chainOf(3, args)
      const endpoint = chain.mirrors[0]?.endpoint ?? ''
      const head = await chain.fetch('/org/model/resolve/main/w.safetensors', {
        method: 'HEAD',
        headers: { 'x-request-id': 'chain-1', via: '1.1 corporate' },
      })
      expect(head.status).to.equal(redirects === 'pass' ? 302 : 200)
      expect(head.headers.get(redirects === 'pass' ? 'x-linked-etag' : 'etag')).to.equal(`"${weights.sha256}"`)
      expect(head.headers.get('x-repo-commit')).to.match(/^[0-9a-f]{40}$/)
      expect(head.headers.get('x-request-id')).to.equal('chain-1')
      const asked = chain.hub.requestsOf('hub').at(-1)
      expect(asked?.headers.via).to.match(
        /^1\.1 corporate, 1\.1 mirrorface-\w+, 1\.1 mirrorface-\w+, 1\.1 mirrorface-\w+$/,
      )
      // Each mirror asks on behalf of all who want to know, under an id of its own.
      expect(asked?.headers['x-request-id']).to.match(/^[0-9a-f-]{36}$/)
      const whole = await chain.fetch('/org/model/resolve/main/w.safetensors', { redirect: 'follow' })
      expect(sha256(await whole.arrayBuffer())).to.equal(weights.sha256)
      // A small file: the Hub redirects within itself, and each mirror puts its own prefix in front, once.
      const small = await chain.fetch('/org/model/resolve/main/config.json')
      expect(small.headers.get('location')).to.match(/^\/mirror\/api\/resolve-cache\/models\/org\/model\//)
      const followed = await fetch(`${endpoint}/org/model/resolve/main/config.json`)
      expect(await followed.text()).to.equal('{"a": 1}')
      const infoHead = await chain.fetch('/api/models/org/model', { method: 'HEAD' })
      const info = await chain.fetch('/api/models/org/model')
      expect(infoHead.headers.get('content-length')).to.not.equal('0')
      expect(await info.json()).to.include({ id: 'org/model' })
      const absent = await chain.fetch('/org/model/resolve/main/absent', { method: 'HEAD' })
      expect(`${absent.status} ${absent.headers.get('x-error-code')}`).to.equal('404 EntryNotFound')
    })

    it(`lists in pages whose next leads to the first of them (${redirects})`, async () => {
      await using chain = await chainOf(3, ['--redirects', redirects])
      const endpoint = chain.mirrors[0]?.endpoint ?? ''
      chain.hub.treePageSize = 700
      const paths = new Set<string>()
      let next: string | undefined = `${endpoint}/api/models/org/many/tree/main?recursive=True`
      while (next !== undefined) {
        const response: Response = await fetch(next)
        for (const { path } of (await response.json()) as { path: string }[]) paths.add(path)
        next = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1]
        if (next !== undefined) expect(next.startsWith(`${endpoint}/api/`), next).to.equal(true)
      }
      expect(paths.size).to.equal(1501)
    })
  }
})

describe('mirrors that lead back to themselves (fault 39)', function () {
  this.timeout(60_000)
  for (const length of [1, 2]) {
    it(`say so after one round (${length})`, async () => {
      await using folder = await temporaryFolder()
      const ports = await Promise.all(Array.from({ length }, freePort))
      await using stopping = new AsyncDisposableStack()
      const mirrors: ServerProcess[] = []
      for (const [index, port] of ports.entries()) {
        const upstream = `http://127.0.0.1:${ports[(index + 1) % length]}/mirror`
        const directory = `${folder.path}/${index}`
        const args = ['--local-directory', directory, '--port', String(port), '--upstream-url', upstream]
        const mirror = await startMirrorFace(args)
        stopping.defer(async () => void (await mirror.stop()))
        mirrors.push(mirror)
      }
      const [first] = mirrors
      const answer = await fetch(`${first?.endpoint}/org/model/resolve/main/config.json`)
      expect(answer.status).to.equal(508)
      expect(answer.headers.get('x-error-message')).to.match(/leads back to a mirror/)
      for (const mirror of mirrors) await mirror.stop() // what they logged has come by then
      const requests = mirrors.flatMap(({ log }) => log.filter(({ msg }) => String(msg).startsWith('request')))
      expect(requests).to.have.length(length + 1)
    })
  }
})
