import fc from 'fast-check'
import {
  isFilePath,
  isNamespace,
  isRepositoryName,
  isRevision,
  type Repository,
  type SpelledAddress,
  type SpelledOperation,
} from '../../../src/hub/index.ts'
import { anyCharacter } from '../../support/any-text.ts'

/** Records as literals make them. */
function plain<T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true })
}

export const commit = 'a'.repeat(40)

const word = fc.stringMatching(/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,20}[A-Za-z0-9_])?$/)
/** Names that routes have, too: `ggml-org/models` exists. */
const routeWord = fc.constantFrom('models', 'datasets', 'spaces', 'resolve', 'raw', 'tree', 'refs', 'info', 'settings')
export const name = fc
  .oneof({ weight: 4, arbitrary: word }, { weight: 1, arbitrary: routeWord })
  .filter(isRepositoryName)
export const namespace = word.filter(isNamespace)
export const id = fc.oneof(
  namespace,
  fc.tuple(namespace, name).map((parts) => parts.join('/')),
)
export const repository: fc.Arbitrary<Repository> = plain({
  type: fc.constantFrom('model', 'dataset', 'space'),
  id,
})
export const revision = fc.oneof(
  fc.constantFrom('main', 'refs/pr/1', 'refs/convert/parquet', 'refs/heads/a/b', commit, 'feature/x', 'v1.0', 'HEAD'),
  fc.string({ unit: anyCharacter }).filter((text) => isRevision(text) && !/%[0-9a-f]{2}/i.test(text)),
)
export const path = fc.oneof(
  fc.constantFrom(
    'config.json',
    'a b/c#d+e%20.bin',
    'ümlaut/日本語.txt',
    '.gitattributes',
    'a\\b',
    'q\'"`^{}<>|.x',
    '%2ex',
  ),
  fc
    .array(fc.string({ unit: anyCharacter, minLength: 1 }), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
    .filter((text) => isFilePath(text) && !/%(?:2[ef]|5c|25)/i.test(text)),
)
const folder = fc.oneof(fc.constant(''), path)
const digest = fc.constantFrom(`sha256:${'b'.repeat(64)}`, 'sha512:00')

const file = { repository, revision, path }
const operands: { [Name in SpelledOperation]: Record<string, fc.Arbitrary<unknown>> } = {
  resolve: file,
  raw: file,
  'resolve-cache': { repository, revision: fc.constant(commit), path },
  info: { repository },
  tree: { repository, revision, path: folder },
  treesize: { repository, revision, path: folder },
  'paths-info': { repository, revision },
  commits: { repository, revision },
  refs: { repository },
  'auth-check': { repository },
  'xet-read-token': { repository, revision },
  'git-refs': { repository, service: fc.constantFrom('git-upload-pack', 'git-receive-pack') },
  'git-upload-pack': { repository },
  'git-receive-pack': { repository },
  'lfs-batch': { repository },
  'oci-manifest': {
    repository: plain({ type: fc.constant('model'), id }),
    reference: fc.oneof(fc.constantFrom('latest', 'Q4_K_M'), word),
  },
  'oci-blob': { repository: plain({ type: fc.constant('model'), id }), digest },
  'repos-create': {},
  'repos-move': {},
  'repos-delete': {},
  overview: { of: fc.constantFrom('organizations', 'users'), namespace },
  'validate-yaml': {},
  whoami: {},
  health: {},
  ready: {},
  misses: {},
  follow: { seal: fc.stringMatching(/^[A-Za-z0-9_-]{1,80}$/) },
  'lfs-object': { repository, oid: fc.constant('c'.repeat(64)) },
}

export const spelledOperations = Object.keys(operands).filter((key): key is SpelledOperation => key in operands)

/** An address of the operation. */
export function address(operation: SpelledOperation): fc.Arbitrary<SpelledAddress> {
  const made =
    operation === 'info' ? fc.oneof(plain({ repository }), plain({ repository, revision })) : plain(operands[operation])
  // The table above has what each operation needs; the compiler can't follow it through the record.
  return made.map((given) => ({ operation, ...given }) as SpelledAddress)
}

/** Pieces of targets that routes are made of, and that parsers disagree about. */
const piece = fc.constantFrom(
  ...['..', '.', '%2e%2e', '%2E', '.%2e', '%2F', '%5C', '%00', '%252e', '%25', '%', '%ff', '%c0%ae', '%0d%0a', '', ' '],
  ...[
    'resolve',
    'raw',
    'blob',
    'main',
    'org',
    'name',
    'name.git',
    'api',
    'API',
    'models',
    'datasets',
    'Spaces',
    'kernels',
  ],
  ...['buckets', 'tree', 'refs', 'pr', 'heads', '1', 'info', 'lfs', 'objects', 'batch', 'resolve-cache', commit, 'v2'],
  ...['manifests', 'blobs', 'revision', 'xet-write-token', 'git-receive-pack', '-', 'follow', 'settings', 'mirror'],
  ...[
    "q'",
    '"',
    '^{}',
    '<>',
    '|',
    '`',
    ';a=b',
    '@',
    ':',
    'a:b',
    '\\',
    '#',
    '~',
    'é',
    'Ã©',
    '%C3%A9',
    '日',
    'org%2Fname',
  ],
)
const query = fc.oneof(
  fc.constantFrom(
    '',
    '?',
    '?a',
    '?a=b&c',
    '?q=\'"<>^`{}|',
    '?a=%',
    '?a=%zz',
    '?a=%00',
    '?a+b=c%20d',
    '?#',
    '?a=b?c',
    '?é',
  ),
  fc.constantFrom('?service=git-upload-pack', '?service=git-receive-pack', '?service=x&service=y', '?&&=&'),
  fc.string().map((text) => `?${text}`),
)
const start = fc.constantFrom('/', '//', '/mirror/', 'http://host:1/', 'HTTP://host/', 'http://', '', '*', 'host:443')

/** Targets of all kinds: routes with operands, out of order, badly encoded, or of any bytes. */
export const anyTarget = fc.oneof(
  fc
    .tuple(start, fc.array(piece, { maxLength: 9 }), fc.constantFrom('', '', '/'), query)
    .map(([head, parts, tail, search]) => head + parts.join('/') + tail + search),
  fc.string({ unit: anyCharacter }).map((text) => `/${text}`),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => `/${Buffer.from(bytes).toString('latin1')}`),
)
