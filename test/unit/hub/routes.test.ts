import { expect } from 'chai'
import { meaningOf } from './meaning.ts'

const commit = '0'.repeat(40)
const oid = 'e'.repeat(64)
const collections = { models: 'model', datasets: 'dataset', spaces: 'space', kernels: 'kernel' } as const

/** Words behind a repository below `/api`, whatever follows them. */
const apiWords = {
  'repository-read': [
    ...['compare', 'croissant', 'discussions', 'leaderboard', 'likers', 'parquet', 'safetensors-metadata'],
  ],
  'repository-write': ['branch', 'commit', 'duplicate', 'preupload', 'tag'],
  'repository-other': [
    ...['settings', 'super-squash', 'user-access-request', 'secrets', 'variables', 'jobs', 'webhooks', 'logs'],
    ...['events', 'like', 'restart', 'pause', 'sleeptime', 'hardware', 'storage', 'resource-group', 'access', 'scan'],
  ],
} as const
const pages = {
  'repository-read': ['blob', 'blame', 'commit', 'commits', 'discussions', 'tree'],
  'repository-other': ['compare', 'delete', 'edit', 'lfs-files', 'new', 'settings', 'upload', 'viewer'],
} as const

describe('routes with words of their own', () => {
  for (const [operation, words] of Object.entries(apiWords))
    for (const word of words)
      it(`below /api: ${word} is ${operation}, of canonical repositories too`, () => {
        const upper = word.toUpperCase()
        for (const [collection, type] of Object.entries(collections)) {
          for (const rest of ['', '/X', '/a%2Fb/c']) {
            const known = `/api/${collection}/org/r/${word}${rest}`
            expect(meaningOf(known)).to.equal(`${operation}(${word}) ${type}:org/r`)
            expect(meaningOf(`/api/${collection}/org/r/${upper}${rest}`)).to.equal(
              `${operation}(${word}) ${type}:org/r spelled ${known}`,
            )
          }
          expect(meaningOf(`/api/${collection}/gpt2/${word}/x/y`)).to.equal(
            `${operation}(${word}) ${type}:gpt2 pair ${type}:gpt2/${word}`,
          )
        }
      })

  for (const [operation, words] of Object.entries(pages))
    for (const word of words)
      it(`pages: ${word} is ${operation}, of canonical repositories too`, () => {
        expect(meaningOf(`/org/m/${word}/X/y`)).to.equal(`${operation}(${word}) model:org/m`)
        expect(meaningOf(`/org/m/${word.toUpperCase()}/X`)).to.equal(
          `${operation}(${word}) model:org/m spelled /org/m/${word}/X`,
        )
        expect(meaningOf(`/gpt2/${word}/x`)).to.equal(`${operation}(${word}) model:gpt2 pair model:gpt2/${word}`)
        expect(meaningOf(`/kernels/org/k/${word}/x`)).to.equal(`${operation}(${word}) kernel:org/k`)
        // Nothing of it can be read where nothing follows.
        expect(meaningOf(`/org/m/${word}`)).to.equal(`repository-other(${word}) model:org/m`)
      })

  for (const word of ['agent-harnesses', 'collections', 'daily_papers', 'papers', 'trending'].concat(
    ['datasets', 'models', 'spaces'].map((collection) => `${collection}-tags-by-type`),
  ))
    it(`listings: ${word}`, () => {
      for (const rest of ['', '/X', '/a/B']) {
        expect(meaningOf(`/api/${word}${rest}`)).to.equal('listing')
        const spelled = `/api/${word}${rest}`
        expect(meaningOf(`/API/${word.toUpperCase()}${rest}`)).to.equal(`listing spelled ${spelled}`)
      }
    })

  for (const word of ['api', 'buckets', 'datasets', 'kernels', 'spaces', 'v2'])
    it(`that are unknown are spelled with the word that policies know: ${word}`, () => {
      expect(meaningOf(`/${word.toUpperCase()}/a--b/X`)).to.equal(`other spelled /${word}/a--b/X`)
      expect(meaningOf(`/X${word}/a--b`)).to.equal('other')
    })
})

/** Targets by what they mean; each is spelled as it stands unless it says otherwise. */
const meanings: Record<string, readonly string[]> = {
  search: ['/api/quicksearch', '/api/quicksearch/x?q=y', '/api/spaces/semantic-search', '/api/spaces', '/api/kernels'],
  'search spelled /api/spaces/semantic-search?q=x': ['/API/Spaces/Semantic-Search?q=x'],
  telemetry: ['/api/telemetry', '/api/telemetry/a/B'],
  whoami: ['/api/whoami-v2'],
  'validate-yaml': ['/api/validate-yaml'],
  'info model:semantic-search': ['/api/models/semantic-search'],
  'info space:semantic-search/x': ['/api/spaces/semantic-search/x'],
  'info space:org/x': ['/api/spaces/org/x'],
  'info model:gpt2/tree': ['/api/models/gpt2/tree'],
  'info model:org/m@a/b': ['/api/models/org/m/revision/a%2Fb'],
  'repository-other(unheard-of) model:org/m': ['/api/models/org/m/unheard-Of/X', '/api/models/org/m/Unheard-of'],
  'repository-read() kernel:org/k': ['/api/kernels/org/k'],
  'repository-read(resolve-cache) kernel:org/k': [`/api/resolve-cache/kernels/org/k/${commit}/f`],
  [`resolve-cache model:org/m@${commit} path=a/b spelled /api/resolve-cache/models/org/m/${commit}/a/b`]: [
    `/api/Resolve-Cache/Models/org/m/${commit}/a/b`,
  ],
  [`resolve-cache model:org/${commit}@${commit} path=f readings model:org/${commit},model:org`]: [
    `/api/resolve-cache/models/org/${commit}/${commit}/f`,
  ],
  'overview organizations=org': ['/api/organizations/org/overview'],
  'overview users=u.s-er_1 spelled /api/users/u.s-er_1/overview': ['/api/Users/u.s-er_1/Overview'],
  'repos-create': ['/api/repos/create'],
  'repos-move spelled /api/repos/move': ['/api/repos/Move'],
  'repos-delete': ['/api/repos/delete'],

  'repository-read() bucket:org/b': ['/api/buckets/org/b'],
  'repository-read() bucket:org/b spelled /api/buckets/org/b': ['/api/buckets/org/b/'],
  'repository-read(tree) bucket:org/b': ['/api/buckets/org/b/tree/X'],
  'repository-read(paths-info) bucket:org/b spelled /api/buckets/org/b/paths-info': ['/api/buckets/org/b/Paths-Info'],
  'repository-read(xet-read-token) bucket:org/b': ['/api/buckets/org/b/xet-read-token'],
  'repository-write(batch) bucket:org/b spelled /api/buckets/org/b/batch/X': ['/api/buckets/org/b/Batch/X'],
  'xet-write-token bucket:org/b': ['/api/buckets/org/b/xet-write-token/x'],
  'repository-other(settings) bucket:org/b': ['/api/buckets/org/b/Settings/X', '/buckets/org/b/Settings/X'],
  'repository-read(resolve) bucket:org/b spelled /buckets/org/b/resolve/a/B': ['/buckets/org/b/Resolve/a/B'],
  'repository-other(resolve) bucket:org/b': ['/buckets/org/b/resolve'],
  'repository-other() bucket:org/b': ['/buckets/org/b'],

  page: [
    ...['/', '/-', '/-/misses/x', '/-/follow', '/-/follow/a/b', '/-/x/Y', `/-/lfs/unknown/org/m/${oid}`],
    ...[`/-/lfs/models/org/m/x${oid}`, `/-/lfs/models/org/m/${oid}0`, `/-/lfs/models/a--b/${oid}`],
    ...[`/-/lfs/models/${oid}`, `/-/lfs/kernels/org/k/${oid}`, '/-/lfs/models/org/m/e', '/-/lfs'],
  ],
  'misses spelled /-/misses': ['/-/Misses'],
  'follow seal=Abc spelled /-/follow/Abc': ['/-/Follow/Abc'],
  [`lfs-object model:org/m oid=${oid}`]: [`/-/lfs/models/org/m/${oid}`],
  [`lfs-object dataset:squad oid=${oid} spelled /-/lfs/datasets/squad/${oid}`]: [`/-/LFS/Datasets/squad/${oid}`],
  health: ['/health'],
  'ready spelled /ready': ['/Ready'],
  'repository-other() model:health/x': ['/health/x'],
  'repository-other(y) model:ready/x': ['/ready/x/y'],

  'oci-manifest model:org/m reference=Q4': ['/v2/org/m/manifests/Q4'],
  'oci-manifest model:gpt2 reference=latest pair model:gpt2/manifests': ['/v2/gpt2/manifests/latest'],
  'oci-blob model:org/m digest=sha256:0f': ['/v2/org/m/blobs/sha256:0f'],
  'repository-other(manifests) model:org/m': ['/v2/org/m/manifests', '/v2/org/m/manifests/a/b'],
  'repository-other(blobs) model:org/m': [
    ...['/v2/org/m/blobs', '/v2/org/m/blobs/x', '/v2/org/m/blobs/sha256:00/x', '/v2/org/m/blobs/-sha256:00'],
    ...['/v2/org/m/blobs/sha256:0g', '/v2/org/m/blobs/:00', '/v2/org/m/blobs/sha256:'],
  ],
  'repository-other(tags) model:org/m': ['/v2/org/m/Tags/List'],
  'repository-other() model:org/m': ['/v2/org/m', '/org/m', '/org/m.git'],

  'repository-other(lfs-files) model:org/m': [
    ...['/api/models/org/m/lfs-files', '/api/models/org/m/lfs-files/x', '/api/models/org/m/lfs-files/duplicate/x'],
  ],
  'repository-write(lfs-files/duplicate) model:org/m spelled /api/models/org/m/lfs-files/duplicate': [
    '/api/models/org/m/LFS-Files/Duplicate',
  ],
  'refs model:org/m': ['/api/models/org/m/refs'],
  'repository-other(refs) model:org/m': ['/api/models/org/m/refs/x'],
  'repository-read(refs) kernel:org/k': ['/api/kernels/org/k/refs'],
  'repository-read(auth-check) kernel:org/k': ['/api/kernels/org/k/auth-check'],
  'repository-read(tree) kernel:org/k': ['/api/kernels/org/k/tree/main/a'],
  'repository-read(commits) kernel:org/k': ['/api/kernels/org/k/commits/main'],
  'repository-read(revision) kernel:org/k': ['/api/kernels/org/k/revision/main'],
  'repository-other(revision) model:org/m': ['/api/models/org/m/revision', '/api/models/org/m/revision/main/x'],
  'repository-other(paths-info) model:org/m': ['/api/models/org/m/paths-info/a%2Fb/c'],
  'repository-other(tree) model:org/m': ['/api/models/org/m/tree'],
  'tree model:org/m@refs/pr/1 path=a': ['/api/models/org/m/tree/refs%2Fpr%2F1/a'],
  'tree model:org/m@refs/tags/v1 path=a spelled /api/models/org/m/tree/refs%2Ftags%2Fv1/a': [
    '/api/models/org/m/tree/refs/tags/v1/a',
  ],
  'tree model:org/m@refs path=tags': ['/api/models/org/m/tree/refs/tags'],
  'tree model:org/m@refs path=other/v1': ['/api/models/org/m/tree/refs/other/v1'],
  'tree model:org/m@x path=pr/1': ['/api/models/org/m/tree/x/pr/1'],
  'tree model:org/m@a/b path=c': ['/api/models/org/m/tree/a%2Fb/c'],
  'tree model:a@like path= readings model:a/tree,model:a or repository-other': ['/api/models/a/tree/like'],
  'refs model:gpt2/tree readings model:gpt2/tree,model:gpt2 or tree': ['/api/models/gpt2/tree/refs'],
  'resolve model:a/resolve@resolve path=f readings model:a/resolve,model:a or resolve': [
    '/a/resolve/resolve/resolve/f',
  ],

  'repository-other(resolve) model:org/m': ['/org/m/resolve'],
  'repository-other() dataset:squad': ['/datasets/squad', '/datasets/squad.git'],
  'repository-other() model:squad': ['/squad.git'],
  'repository-other(x) model:squad': ['/squad.git/X'],
  'repository-other(x) model:org/m': ['/org/m.git/X/y', '/org/m/X'],
  'resolve model:a.gitx/m@main path=f': ['/a.gitx/m/resolve/main/f'],
  'repository-other(git-upload-pack) model:org/m': ['/org/m/git-upload-pack/x'],
  'git-receive-pack model:org/m': ['/org/m.git/git-receive-pack'],
  'repository-other(info) model:org/m': ['/org/m/info', '/org/m/info/x', '/org/m/info/refs/x'],
  'repository-other(info) model:org/m spelled /org/m.git/info/refs': ['/org/m/info/refs?service=x', '/org/m/info/refs'],
  'git-refs model:org/m service=git-upload-pack spelled /org/m.git/info/refs?service=git-upload-pack': [
    '/org/m/Info/Refs?service=git-upload-pack',
  ],
  'lfs() model:org/m': ['/org/m.git/info/lfs'],
  'lfs-batch model:org/m spelled /org/m.git/info/lfs/objects/batch': ['/org/m/info/LFS/Objects/Batch'],
  'lfs(locks) model:org/m spelled /org/m.git/info/lfs/locks': ['/org/m/info/lfs/Locks'],
  'lfs(locks/verify) model:org/m spelled /org/m.git/info/lfs/locks/verify': ['/org/m/info/lfs/locks/Verify'],
  'lfs(objects/verify) model:org/m spelled /org/m.git/info/lfs/objects/verify': ['/org/m/info/lfs/Objects/Verify'],
  'lfs(locks/a1/unlock) model:org/m': ['/org/m.git/info/lfs/locks/A1/unlock'],

  other: [
    ...['/api', '/api/whoami-v2/x', '/api/validate-yaml/x', '/api/models/a--b', '/api/resolve-cache', '/api/users'],
    ...['/api/resolve-cache/models', `/api/resolve-cache/unknown/org/m/${commit}/f`, '/api/users/u', '/api/users/u/x'],
    ...[`/api/resolve-cache/models/a--b/c--d/${commit}/f`, '/api/users/u/overview/x', '/api/users/~a/overview'],
    ...['/api/users/a~/overview', '/api/users/a%20b/overview', '/api/repos', '/api/repos/other', '/api/repos/create/x'],
    ...['/api/unheard-of/x', '/api/buckets', '/api/buckets/b', '/api/buckets/a--b/c', '/buckets', '/buckets/b'],
    ...['/v2', '/v2/gpt2', '/v2/a--b/c', '/squad', '/datasets', '/Unknown/x--Y', '/api/models/resolve/tree/x'],
  ],
}

describe('what targets mean', () => {
  for (const [meaning, targets] of Object.entries(meanings))
    for (const url of targets)
      it(`${url.replace(commit, '{commit}').replace(oid, '{oid}')}`, () => {
        expect(meaningOf(url)).to.equal(meaning)
      })
})
