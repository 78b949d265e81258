import { expect } from 'chai'
import { isCommit, parseTarget } from '../../../../src/hub/index.ts'
import { withCacheControl } from '../../../../src/server/answers/cache-control.ts'
import type { Reply } from '../../../../src/server/reply.ts'

const commit = 'c'.repeat(40)
const reply: Reply = { status: 200, headers: [], body: { kind: 'none' }, source: 'local', outcome: 'hit' }

function told(url: string, isPublic: boolean, given: Reply = reply): string | undefined {
  return withCacheControl(given, parseTarget(url, '').target, isPublic).headers.find(
    ([name]) => name === 'cache-control',
  )?.[1]
}

/** Everything that can name a commit, at a commit and at what may move. */
const files = (revision: string) => [
  `/org/model/resolve/${revision}/a.bin`,
  `/datasets/org/data/raw/${revision}/a.csv`,
  // It has full commits only.
  ...(isCommit(revision) ? [`/api/resolve-cache/models/org/model/${revision}/a.bin`] : []),
]
const others = (revision: string) => [
  `/api/models/org/model/revision/${revision}`,
  `/api/models/org/model/tree/${revision}`,
  `/api/models/org/model/commits/${revision}`,
  '/api/models/org/model/refs',
  '/v2/org/model/manifests/latest',
]

describe('what caches in front may keep of what is mirrored', () => {
  it('is a file at a commit, for ever, and nothing else without being asked again', () => {
    for (const url of [...files(commit), `/v2/org/model/blobs/sha256:${'0'.repeat(64)}`])
      expect(told(url, true), url).to.equal('public, max-age=31536000, immutable')
    const moving = ['main', 'v1', 'refs%2Fpr%2F1', commit.slice(0, 7), commit.slice(0, 39), `${commit}0`]
    for (const url of [...moving.flatMap(files), ...[...moving, commit].flatMap(others)])
      expect(told(url, true), url).to.equal('public, no-cache')
  })

  it('is nothing in a shared cache where it is not everybody’s', () => {
    for (const url of [...files(commit), ...files('main'), ...others('main')])
      expect(told(url, false), url).to.equal('private, no-cache')
  })

  it('is left to a reply that says so itself, and to what is no success', () => {
    const own: Reply = { ...reply, headers: [['cache-control', 'no-store']] }
    expect(told(`/org/model/resolve/${commit}/a.bin`, true, own)).to.equal('no-store')
    expect(told(`/org/model/resolve/${commit}/a.bin`, true, { ...reply, status: 404 })).to.equal(undefined)
  })
})
