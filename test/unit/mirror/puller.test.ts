import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { gitBlobOid, type Repository, type RevisionListing, type TreeEntry } from '../../../src/hub/index.ts'
import { ClaimLost } from '../../../src/mirror/claim-lost.ts'
import {
  blobKey,
  deletionKey,
  journalKey,
  manifestKey,
  Puller,
  type PullRequest,
  readManifest,
  readRef,
  refKey,
  removeRevision,
} from '../../../src/mirror/index.ts'
import { refused, rejection, type Stage, setStage, withSignals } from './stage.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const [one, two] = ['1', '2'].map((digit) => digit.repeat(40)) as [string, string]
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const bytesOf = (path: string) => Buffer.from(`content of ${path}`)
const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000)

function fileOf(path: string): TreeEntry {
  const bytes = bytesOf(path)
  const file = { type: 'file' as const, path, size: bytes.length, oid: gitBlobOid(bytes) }
  return path.endsWith('.bin') ? { ...file, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } } : file
}

function listingOf(commit = one, extra: Partial<RevisionListing> = {}): RevisionListing {
  return {
    commit,
    saidAt: at(0),
    info: { id: repository.id, sha: commit, private: false },
    commits: [],
    files: ['a.txt', 'b.bin', 'c.txt'].map(fileOf),
    directories: [],
    ...extra,
  }
}

const main = { name: 'main', kind: 'branch' as const }

function requestOf(path: string, extra: Partial<PullRequest> = {}): PullRequest & { readonly asked: number[] } {
  const asked: number[] = []
  return {
    origin: 'http://hub',
    repository,
    listing: listingOf(),
    listedAt: at(0),
    refs: [main],
    file: fileOf(path),
    content: async function* (start) {
      asked.push(start)
      yield bytesOf(path).subarray(start)
    },
    asked,
    ...extra,
  }
}

const stored = async (stage: Stage, commit = one) =>
  (await readManifest(stage.storage, repository, commit))?.files.flatMap(({ path, blob }) =>
    blob === null ? [] : [path],
  )
const entryKey = (path: string) => journalKey(repository, one, path)

describe('a file that is pulled through', () => {
  it('is stored, recorded in the journal of its commit, and its branch is noted', async () => {
    for (const path of ['a.txt', 'b.bin']) {
      const stage = setStage()
      await using puller = new Puller(stage.storage)
      const pulled = await puller.pull(requestOf(path))
      const manifest = Object(stage.get(manifestKey(repository, one)))
      expect(manifest).to.include({ pulled: true, birth: pulled.of, mirroredFrom: 'http://hub' })
      expect(manifest).not.to.have.property('pending')
      expect(pulled.file).to.include({ path, blob: sha256(bytesOf(path)) })
      expect(stage.get(entryKey(path))).to.deep.include({
        of: pulled.of,
        files: [JSON.parse(JSON.stringify(pulled.file))],
      })
      expect(await stored(stage)).to.deep.equal([path])
      expect(stage.bucket.objects.get(blobKey(sha256(bytesOf(path))))?.bytes).to.deep.equal(bytesOf(path))
      expect(await readRef(stage.storage, repository, 'main')).to.include({ commit: one, pulled: true })
      expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3 })
      await puller[Symbol.asyncDispose]()
      expect(stage.bucket.keys('leases')).to.deep.equal([])
    }
  })

  it('costs no more than its own entry and blob where the commit is known', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    await puller.pull(requestOf('a.txt'))
    await puller.pull(requestOf('b.bin'))
    stage.calls.length = 0
    await puller.pull(requestOf('c.txt'))
    const key = manifestKey(repository, one)
    expect(stage.calls.filter((call) => call.includes('repositories/') && !call.includes('/pulled/'))).to.deep.equal([
      `stat ${key}`,
    ])
    expect(stage.calls.filter((call) => call.startsWith('put'))).to.have.length(3) // claimed, stored, committed
    expect(stage.calls).not.to.include('load mirrorface.json')
  })

  it('is asked of the manifest once by those who come at a time', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    await Promise.all(['a.txt', 'b.bin', 'c.txt'].map((path) => puller.pull(requestOf(path))))
    expect(await stored(stage)).to.deep.equal(['a.txt', 'b.bin', 'c.txt'])
    expect(stage.calls.filter((call) => call === `put ${manifestKey(repository, one)}`)).to.have.length(1)
    expect(stage.bucket.keys('leases')).to.have.length(1)
  })

  it('belongs to the manifest that is there, also where that was removed and has come back', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const first = await puller.pull(requestOf('a.txt'))
    await removeRevision(stage.storage, repository, one)
    const second = await puller.pull(requestOf('c.txt'))
    expect(second.of).not.to.equal(first.of)
    expect(await stored(stage)).to.deep.equal(['c.txt'])
    expect(await readRef(stage.storage, repository, 'main')).to.include({ commit: one, pulled: true })
  })

  it('keeps what a run has mirrored, and gives its manifest a birth', async () => {
    const stage = setStage()
    const mirrored = {
      ...{ layout: 2, repository, commit: one, mirroredAt: at(0).toISOString(), mirroredFrom: 'x' },
      ...{ info: listingOf().info, commits: [], directories: [] },
      files: listingOf().files.map((file) => ({ path: file.path, size: file.size, oid: file.oid, blob: null })),
    }
    stage.put(manifestKey(repository, one), mirrored)
    stage.put(refKey(repository, 'main'), { commit: two, kind: 'branch', saidAt: at(-100).toISOString() })
    await using puller = new Puller(stage.storage)
    const { of } = await puller.pull(requestOf('a.txt'))
    expect(stage.get(manifestKey(repository, one))).to.include({ birth: of, mirroredFrom: 'x' })
    expect(stage.get(manifestKey(repository, one))).not.to.have.property('pulled')
    // A branch that is mirrored on purpose is not moved by what passes.
    expect(await readRef(stage.storage, repository, 'main')).to.include({ commit: two })
    expect(stage.get(refKey(repository, 'main'))).not.to.have.property('claims')
  })

  it('writes anew what is said later of the repository, and only that', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const { of } = await puller.pull(requestOf('a.txt'))
    const info = (extra: object) => ({ ...listingOf().info, ...extra })
    const key = manifestKey(repository, one)
    const rev = () => Object(stage.get(key)).rev
    const before = rev()
    await puller.pull(
      requestOf('b.bin', { listing: listingOf(one, { info: info({ likes: 5, siblings: [] }), saidAt: at(60) }) }),
    )
    expect(rev()).to.equal(before)
    await puller.pull(
      requestOf('c.txt', { listing: listingOf(one, { info: info({ private: true }), saidAt: at(60) }) }),
    )
    expect(stage.get(key)).to.deep.include({ birth: of, info: info({ private: true }), saidAt: at(60).toISOString() })
    expect(await stored(stage)).to.deep.equal(['a.txt', 'b.bin', 'c.txt'])
  })

  it('notes where its branches are by the latest word, and that they went back to a commit that is known', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const place = async () => (await readRef(stage.storage, repository, 'main'))?.commit
    for (const [commit, minute] of [
      [one, 0],
      [two, 1],
      [one, 2],
      [two, 3],
    ] as const) {
      await puller.pull(
        requestOf('a.txt', { listing: listingOf(commit), refs: [{ ...main, saidAt: at(60 * minute) }] }),
      )
      expect(await place()).to.equal(commit)
    }
    await puller.pull(requestOf('a.txt', { listing: listingOf(one), refs: [{ ...main, saidAt: at(0) }] }))
    expect(await place()).to.equal(two) // said earlier than what is stored
    await puller.pull(
      requestOf('c.txt', {
        refs: [
          { ...main, saidAt: at(600) },
          { name: 'v1', kind: 'tag', saidAt: at(600) },
        ],
      }),
    )
    expect(await readRef(stage.storage, repository, 'v1')).to.include({ commit: one, kind: 'tag', pulled: true })
    await puller.pull(requestOf('b.bin', { refs: [] }))
    expect(await stored(stage)).to.deep.equal(['a.txt', 'b.bin', 'c.txt'])
  })

  it('writes the manifest anew for a branch that moves to it, so that a prune starts over', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    await puller.pull(requestOf('a.txt', { refs: [] }))
    const rev = () => Object(stage.get(manifestKey(repository, one))).rev
    const before = rev()
    let claimed: unknown
    stage.before = (operation, key) => {
      if (operation === 'put' && key === manifestKey(repository, one)) claimed = stage.get(refKey(repository, 'main'))
    }
    await puller.pull(requestOf('c.txt'))
    expect(rev()).not.to.equal(before)
    expect(claimed).to.include({ commit: null }).and.to.have.property('claims')
    expect(await readRef(stage.storage, repository, 'main')).to.include({ commit: one })
    const after = rev()
    await puller.pull(requestOf('b.bin'))
    expect(rev()).to.equal(after)
  })

  it('is written over a branch that is damaged', async () => {
    const stage = setStage()
    stage.put(refKey(repository, 'main'), '{"cut')
    await using puller = new Puller(stage.storage)
    await puller.pull(requestOf('a.txt'))
    expect(await readRef(stage.storage, repository, 'main')).to.include({ commit: one })
  })

  it('leaves no claim on a branch where its commit cannot be opened', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    stage.before = (operation, key) => {
      if (operation === 'put' && key === manifestKey(repository, one)) throw refused()
    }
    expect(await rejection(puller.pull(requestOf('a.txt')))).to.have.property('code', 'StorageUnavailable')
    expect(stage.bucket.keys('repositories')).to.deep.equal([])
    stage.before = () => undefined
    await puller.pull(requestOf('a.txt'))
    expect(await stored(stage)).to.deep.equal(['a.txt'])
  })

  it('is stored once where several want it at a time, from several servers', async () => {
    const stage = setStage()
    await using first = new Puller(stage.storage)
    await using second = new Puller(stage.storage)
    const pulled = await Promise.all([first, second, first].map((puller) => puller.pull(requestOf('b.bin'))))
    for (const { file } of pulled) expect(file).to.deep.equal(pulled[0]?.file)
    expect(stage.get(entryKey('b.bin'))).not.to.have.any.keys('claims', 'pending')
  })

  it('gets the name of a copy where its own was condemned, before or after it was claimed', async () => {
    for (const isLate of [false, true])
      for (const path of ['a.txt', 'b.bin']) {
        const stage = setStage()
        const name = sha256(bytesOf(path))
        const condemn = () =>
          stage.put(deletionKey(3), {
            ...{ layout: 3, rev: 'r', writer: 'w', number: 3, phase: 'final', by: 'x', why: 'sweep' },
            ...{ candidates: [], vetoes: [], blobs: [name] },
          })
        await using puller = new Puller(stage.storage)
        if (!isLate) condemn()
        else
          stage.before = (operation, key) => {
            if (operation === 'put' && key === entryKey(path)) condemn()
          }
        const { file } = await puller.pull(requestOf(path))
        expect(file).to.include({ blob: name, copy: 3 })
        expect(stage.bucket.keys('blobs')).to.deep.equal([blobKey(`${name}.3`)])
      }
  })

  it('claims its name before anything is stored', async () => {
    const stage = setStage()
    let claims: unknown
    stage.before = (operation, key) => {
      if (operation === 'put' && key.startsWith('blobs'))
        claims = Object.values(Object(stage.get(entryKey('a.txt'))).claims)
    }
    await using puller = new Puller(stage.storage)
    await puller.pull(requestOf('a.txt'))
    const lease = stage.bucket.keys('leases')[0]?.slice('leases/'.length, -'.json'.length)
    expect(claims).to.deep.equal([{ lease, kind: 'pull', blobs: [sha256(bytesOf('a.txt'))] }])
  })

  it('that fails leaves no trace of itself, and does not hold up the next', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const wrong = async function* () {
      yield Buffer.from('something else')
    }
    for (const path of ['a.txt', 'b.bin'])
      expect(await rejection(puller.pull(requestOf(path, { content: wrong })))).to.have.property(
        'code',
        'ContentMismatch',
      )
    expect(stage.bucket.keys('repositories').filter((key) => key.includes('/pulled/'))).to.deep.equal([])
    expect(stage.bucket.keys('blobs')).to.deep.equal([])
    await puller.pull(requestOf('a.txt'))
    expect(await stored(stage)).to.deep.equal(['a.txt'])
  })

  it('fails as itself, though its claim cannot be taken out', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const breaking = async function* (): AsyncGenerator<Buffer> {
      stage.before = () => {
        throw refused()
      }
      yield Buffer.from('something else of any size')
    }
    const error = await rejection(puller.pull(requestOf('b.bin', { content: breaking })))
    expect(error).to.have.property('code', 'ContentMismatch')
  })

  it('begins with the log and the marker, again where they could not be had', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    for (const failing of ['list', 'put mirrorface.json']) {
      stage.before = (operation, key) => {
        if (`${operation} ${key}`.startsWith(failing)) throw refused()
      }
      expect(await rejection(puller.pull(requestOf('a.txt'))), failing).to.have.property('code', 'StorageUnavailable')
    }
    stage.before = () => undefined
    await puller.pull(requestOf('a.txt'))
    expect(stage.calls[0]).to.match(/^list deletions/)
    expect(stage.get('mirrorface.json')).to.deep.equal({ layout: 3 })
  })

  it('ends with who does not want it any more, and not for others', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const stop = new AbortController()
    const begun = Promise.withResolvers<void>()
    const stopping = async function* (): AsyncGenerator<Buffer> {
      begun.resolve()
      stop.abort(new Error('gone'))
      stop.signal.throwIfAborted()
      yield Buffer.alloc(0)
    }
    const [left, stays] = await Promise.all([
      rejection(puller.pull(requestOf('a.txt', { content: stopping, signal: stop.signal }))),
      puller.pull(requestOf('c.txt')),
    ])
    expect(left.message).to.equal('gone')
    expect(stays.file.path).to.equal('c.txt')
    expect(await stored(stage)).to.deep.equal(['c.txt'])
  })

  it('belongs to the manifest that another server has made since', async () => {
    const stage = setStage()
    await using first = new Puller(stage.storage)
    await using second = new Puller(stage.storage)
    await first.pull(requestOf('a.txt'))
    await removeRevision(stage.storage, repository, one)
    const { of } = await second.pull(requestOf('b.bin'))
    expect((await first.pull(requestOf('c.txt'))).of).to.equal(of)
    expect(await stored(stage)).to.deep.equal(['b.bin', 'c.txt'])
  })

  it('belongs to its own repository and commit, whichever are pulled beside it', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const other: Repository = { type: 'dataset', id: 'org/model' }
    const births = new Set<string>()
    for (const extra of [
      {},
      { repository: other },
      { listing: listingOf(two) },
      { listing: listingOf(two), repository: other },
    ])
      births.add((await puller.pull(requestOf('a.txt', extra))).of)
    expect(births.size).to.equal(4)
    for (const owner of [repository, other])
      for (const commit of [one, two])
        expect(
          (await readManifest(stage.storage, owner, commit))?.files.filter(({ blob }) => blob !== null),
        ).to.have.length(1)
  })

  it('brings back each of its branches, where one of them is elsewhere', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    const v1 = { name: 'v1', kind: 'tag' as const, saidAt: at(0) }
    await puller.pull(requestOf('a.txt', { refs: [{ ...main, saidAt: at(0) }, v1] }))
    await puller.pull(requestOf('a.txt', { listing: listingOf(two), refs: [{ ...main, saidAt: at(60) }] }))
    await puller.pull(
      requestOf('c.txt', {
        refs: [
          { ...main, saidAt: at(120) },
          { ...v1, saidAt: at(120) },
        ],
      }),
    )
    expect(await readRef(stage.storage, repository, 'main')).to.include({ commit: one })
    // Words less than five seconds apart: what was asked for later counts.
    await puller.pull(requestOf('a.txt', { listing: listingOf(two), refs: [{ ...main, saidAt: at(122) }] }))
    expect(await readRef(stage.storage, repository, 'main')).to.include({ commit: two })
  })

  it('writes neither manifest nor branch again after a restart', async () => {
    const stage = setStage()
    await using before = new Puller(stage.storage)
    await before.pull(requestOf('a.txt'))
    await using after = new Puller(stage.storage)
    stage.calls.length = 0
    await after.pull(requestOf('c.txt'))
    const places = [manifestKey(repository, one), refKey(repository, 'main')]
    expect(stage.calls.filter((call) => places.some((key) => call === `put ${key}`))).to.deep.equal([])
  })

  it('can be interrupted by who asked and by the loss of its lease, at every request', async () => {
    for (const isOwn of [true, false]) {
      const stage = setStage()
      const stop = new AbortController()
      const given: [string, AbortSignal | undefined][] = []
      const storage = withSignals(stage.storage, (call, signal) => given.push([call, signal]))
      stage.put(refKey(repository, 'main'), {
        commit: two,
        kind: 'branch',
        pulled: true,
        saidAt: at(-100).toISOString(),
      })
      await using puller = new Puller(storage)
      await puller.pull(requestOf('a.txt', isOwn ? { signal: stop.signal } : {}))
      // What is there before the lease is; the log is read for others as well.
      const shared = / (?:leases|deletions|mirrorface\.json)/
      expect(given.filter(([call, signal]) => signal === undefined && !shared.test(call))).to.deep.equal([])
      stop.abort()
      const ofPull = given.filter(([call]) => / (?:blobs|repositories\/.*\/pulled)\//.test(call))
      expect(ofPull.length).to.be.greaterThan(2)
      expect(ofPull.every(([, signal]) => signal?.aborted === isOwn)).to.equal(true)
    }
  })

  it('says that its claim was lost where the commit was removed under it', async () => {
    const stage = setStage()
    await using puller = new Puller(stage.storage)
    stage.before = async (operation, key) => {
      if (operation !== 'put' || !key.startsWith('blobs')) return
      for (const one of stage.bucket.keys('repositories')) stage.bucket.objects.delete(one)
    }
    expect(await rejection(puller.pull(requestOf('a.txt')))).to.be.instanceOf(ClaimLost)
    expect(stage.bucket.keys('repositories')).to.deep.equal([])
  })
})
