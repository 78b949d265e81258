import { expect } from 'chai'
import type { Fault, HubRequestSeen } from '../hub/faults.ts'
import { StandInHub } from '../hub/index.ts'
import { runMirrorFace, temporaryFolder } from '../support/processes.ts'

/** An answer in place of the Hub's. */
const instead = (body: unknown): Fault => ({ kind: 'body', body: JSON.stringify(body) })

describe('mirrorface mirror, of a Hub that says odd things', () => {
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const mirrorface = (...args: string[]) =>
    runMirrorFace(args, { MIRRORFACE_UPSTREAM_URL: hub.url, MIRRORFACE_LOCAL_DIRECTORY: folder.path })
  const oid = 'c'.repeat(40)

  beforeEach(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
    for (const name of ['first', 'odd', 'last'])
      hub.add({ type: 'model', id: `org/${name}` }).commit({ 'a.json': name, 'b.txt': 'b' })
  })
  afterEach(async () => {
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  const ofOdd = ({ url }: HubRequestSeen, operation: string) => url.includes(`/org/odd/${operation}`)
  const file = (path: unknown, more: object = {}) => ({ type: 'file', oid, size: 1, path, ...more })

  /** What the Hub may say of one repository, and may not do to the others of a list. */
  const oddities: Record<string, (request: HubRequestSeen) => Fault | undefined> = {
    'a name with a backslash': (request) => (ofOdd(request, 'tree') ? instead([file('a\\b.txt')]) : undefined),
    'a name that leads elsewhere': (request) => (ofOdd(request, 'tree') ? instead([file('../b.txt')]) : undefined),
    'a name with a line break': (request) => (ofOdd(request, 'tree') ? instead([file('a\nb.txt')]) : undefined),
    'a name of 5,000 characters': (request) =>
      ofOdd(request, 'tree') ? instead([file('x/'.repeat(2500))]) : undefined,
    'a name that is a number': (request) => (ofOdd(request, 'tree') ? instead([file(7)]) : undefined),
    'a file without an id': (request) => (ofOdd(request, 'tree') ? instead([{ type: 'file', path: 'a' }]) : undefined),
    'a size below nothing': (request) => (ofOdd(request, 'tree') ? instead([file('a', { size: -1 })]) : undefined),
    'a tree that is no list': (request) => (ofOdd(request, 'tree') ? instead({ error: 'no' }) : undefined),
    'a tree that is no JSON': (request) => (ofOdd(request, 'tree') ? { kind: 'body', body: '<html>' } : undefined),
    'a commit that is none': (request) =>
      ofOdd(request, 'revision') ? instead({ id: 'org/odd', sha: 'x' }) : undefined,
    'commits that are none': (request) => (ofOdd(request, 'commits') ? instead([{ id: 7 }]) : undefined),
    'a file that is another': ({ url }) =>
      url.includes('odd') && url.includes('a.json') ? { kind: 'corrupt' } : undefined,
    'status 500, always': (request) => (ofOdd(request, 'tree') ? { kind: 'status', status: 500 } : undefined),
    'status 403': (request) => (ofOdd(request, 'tree') ? { kind: 'status', status: 403 } : undefined),
    'status 451': (request) => (ofOdd(request, 'tree') ? { kind: 'status', status: 451 } : undefined),
    'nothing: the connection is closed': (request) => (ofOdd(request, 'tree') ? { kind: 'refuse' } : undefined),
  }

  for (const [what, faults] of Object.entries(oddities)) {
    it(`mirrors the others of a list where one repository has ${what}, and prints them all`, async () => {
      hub.faults = faults
      const finished = await mirrorface('mirror', 'org/first', 'org/odd', 'org/last', '--json')
      expect(finished.code, finished.stderr).to.equal(3)
      const document: { repository: { id: string }; commit?: string; error?: { code: string; message: string } }[] =
        JSON.parse(finished.stdout)
      expect(document.map(({ repository }) => repository.id)).to.deep.equal(['org/first', 'org/odd', 'org/last'])
      expect(document.map(({ commit, error }) => [commit !== undefined, error !== undefined])).to.deep.equal([
        [true, false],
        [false, true],
        [true, false],
      ])
      expect(document[1]?.error?.code).to.not.equal('Unexpected')
      expect(finished.stderr.match(/^mirrorface: org\/odd@main: .+$/gm)).to.have.length(1)
      const verified = await mirrorface('verify', '--json')
      expect(verified.code, verified.stdout).to.equal(0)
      expect(JSON.parse(verified.stdout)).to.include({ repositories: 2, refs: 2 })
    }).timeout(90_000)
  }

  it('leaves out entries of a kind that it does not know', async () => {
    const entries = [...'ab'].map((name) => [name, 'submodule']).concat([['c', 'symlink']])
    hub.faults = (request) => {
      if (!ofOdd(request, 'tree')) return undefined
      const known = hub.repositories.get('models/org/odd')?.resolve('main')?.files.get('b.txt')
      return instead([
        ...entries.map(([path, type]) => ({ type, path, oid, size: 0 })),
        { type: 'commit', path: 'd' },
        file('b.txt', { oid: known?.oid, size: 1 }),
      ])
    }
    const finished = await mirrorface('mirror', 'org/odd', '--json')
    expect(finished.code, finished.stderr).to.equal(0)
    expect(JSON.parse(finished.stdout)[0]).to.include({ files: 1 })
  })

  for (const status of [400, 404, 405, 410, 501]) {
    it(`needs neither /commits nor /refs: other mirrors answer ${status}`, async () => {
      hub.repositories
        .get('models/org/odd')
        ?.tags.set('v1', hub.repositories.get('models/org/odd')?.branches.get('main') ?? '')
      hub.faults = ({ url }) => (/\/(?:commits|refs)(?:\/|$)/.test(url) ? { kind: 'status', status } : undefined)
      const finished = await mirrorface('mirror', 'org/odd', '--revision', 'main', '--revision', 'v1')
      expect(finished.code, finished.stderr).to.equal(0)
      const compared = await mirrorface('list', '--outdated', '--json')
      expect(compared.code, compared.stderr).to.equal(0)
      expect(JSON.parse(compared.stdout)).to.deep.equal([])
      const before = hub.repositories.get('models/org/odd')?.commit({ 'b.txt': 'new' })
      const [moved] = JSON.parse((await mirrorface('list', '--outdated', '--json')).stdout)
      expect(moved).to.include({ kind: 'moved', revision: 'main', hub: before })
      hub.repositories.delete('models/org/odd')
      const gone = JSON.parse((await mirrorface('list', '--outdated', '--json')).stdout)
      expect(gone.map(({ kind }: { kind: string }) => kind)).to.deep.equal(['gone', 'gone'])
      const missing = await mirrorface('mirror', 'org/odd')
      expect(missing.stderr).to.match(/org\/odd does not exist/)
    })
  }

  it('ends a list where nothing answers any more, and names what was not attempted', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'].map((name) => `org/${name}`)
    const finished = await runMirrorFace(['mirror', 'org/first', ...names, '--json'], {
      MIRRORFACE_LOCAL_DIRECTORY: folder.path,
      MIRRORFACE_UPSTREAM_URL: 'http://127.0.0.1:9',
    })
    expect(finished.code).to.equal(1)
    const codes = JSON.parse(finished.stdout).map(({ error }: { error: { code: string } }) => error.code)
    expect(codes).to.deep.equal([...Array(3).fill('HubUnreachable'), ...Array(3).fill('NotAttempted')])
  }).timeout(120_000)
})
