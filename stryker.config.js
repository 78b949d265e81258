/**
 * One part of the sources with its own tests at a time (`MUTATION_PART`): each part is judged by the tests that are about
 * it, and a mutant of the protocol does not wait for those of the wire. `scripts/mutation.js` runs them in turn.
 */
const tests = (folder, names) => names.map((name) => `test/unit/${folder}/${name}.test.ts`)
const upstream = (folder, ...names) => ({
  mutate: [`plugins/upstream-hub/${folder}*.ts`],
  spec: tests('upstream-hub', names),
})
/** Files of `src/mirror`. Their tests come first; the search of interleavings, which takes seconds, is asked what they leave. */
const mirror = (files, ...names) => ({
  mutate: files.map((file) => `src/mirror/${file}.ts`),
  spec: [...tests('mirror', names), 'test/search/search.test.ts'],
})
export const parts = {
  hub: { mutate: ['src/hub/**/*.ts'], spec: tests('hub', ['**/*']) },
  gate: { mutate: ['src/server/gate/**/*.ts'], spec: tests('server/gate', ['**/*']) },
  answers: { mutate: ['src/server/answers/**/*.ts'], spec: tests('server/answers', ['**/*']) },
  'upstream-cache': upstream(
    'cache/**/',
    ...['cache-parts', 'storability', 'not-modified', 'cached-questions', 'shared-questions', 'metadata-cache'],
  ),
  'upstream-follow': upstream(
    'follow/**/',
    ...[
      'follow-parts',
      'guards',
      'resumed-body',
      'addresses',
      'lfs-object',
      'followed',
      'sealed-urls',
      'own-questions',
      'rewriting',
      'follow',
    ],
  ),
  'upstream-rewrite': upstream('rewrite/**/', 'rewritten-headers', 'rewritten-json', 'rewriting', 'follow'),
  'upstream-transport': upstream(
    'transport/**/',
    ...['failures', 'transport', 'transport-parts', 'wires', 'wire-limits', 'wires-left-behind'],
    ...['breaker', 'breaker-states', 'framing', 'pauses', 'limits'],
  ),
  'upstream-hub': upstream('', '**/*'),
  'mirror-claims': mirror(
    [
      'change-object',
      'claimed-object',
      'claim-lost',
      'manifest-claim',
      'journal-claim',
      'ref-claim',
      'adopt',
      'deletion-log',
    ].concat(['lease', 'worker-lease', 'judge', 'process-identity', 'marker']),
    ...['change-object', 'claims', 'deletion-log', 'lease', 'worker-lease', 'process-identity'],
  ),
  'mirror-collection': mirror(
    ['sweep', 'condemned-blobs', 'named-blobs', 'prune', 'remove', 'compact-journal'],
    ...['collection', 'removal'],
  ),
  'mirror-runs': mirror(
    [
      'mirroring',
      'carry-out',
      'compose-manifest',
      'puller',
      'pulled-revision',
      'store-file',
      'storage-source',
      'dated-listing',
    ],
    ...['runs', 'puller'],
  ),
  'mirror-verification': mirror(
    ['verify', 'verify-metadata', 'verification', 'repair', 'problem', 'compare', 'hash-blobs'],
    ...['verification'],
  ),
  'mirror-lookup': mirror(
    [
      'library',
      'kept-commits',
      'kept-snapshots',
      'believed',
      'read-snapshot',
      'snapshot',
      'legacy',
      'journal',
      'journal-entry',
    ].concat(['catalog', 'metadata', 'manifest', 'layout', 'objects']),
    ...['lookup'],
  ),
  'storage-local': {
    mutate: ['plugins/storage-local/*.ts'],
    spec: ['failing-disk', 'locks', 'unfinished-files', 'storage-local'].map(
      (name) => `plugins/storage-local/${name}.test.ts`,
    ),
    // No mutant is switched on in another process, and a thousand files take seconds.
    grep: '^(?!.*(several processes|process was killed|more than a page))',
  },
  'storage-gcs': {
    mutate: [
      ...['crc32c', 'cut-into-parts', 'assert-content', 'retry-transient'].map(
        (name) => `src/plugin/object-store/${name}.ts`,
      ),
      'plugins/storage-gcs/gcs-errors.ts',
    ],
    spec: ['plugins/storage-gcs/parts.test.ts'],
  },
  // Of a real server of the API (`scripts/install-emulators.sh`), which each mutant's tests start anew.
  'storage-gcs-service': {
    mutate: ['gcs-object', 'gcs-storage', 'gcs-service', 'index', 'parted-uploads', 'resumed-read', 'send-content'].map(
      (name) => `plugins/storage-gcs/${name}.ts`,
    ),
    spec: [
      'plugins/storage-gcs/parts.test.ts',
      'plugins/storage-gcs/faults.test.ts',
      'test/emulator/conformance.test.ts',
    ],
    grep: '^(?!.*(asks again after|refused in the middle|that was refused|several processes|more than a page|throughout|gcsfuse|below a prefix))',
  },
  'storage-gcs-mount': {
    mutate: ['plugins/storage-gcs-mount/*.ts'],
    spec: ['plugins/storage-gcs-mount/*.test.ts'],
    grep: '^(?!.*more than a page)',
  },
}

const part = process.env.MUTATION_PART ?? 'hub'
const { mutate, spec, grep } = parts[part]

// biome-ignore lint/style/noDefaultExport: Stryker takes nothing else
export default {
  testRunner: 'mocha',
  testRunnerNodeArgs: [
    '--require=./scripts/mutation-preload.cjs',
    '--conditions=mirrorface-source',
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=MaxListenersExceededWarning',
  ],
  mochaOptions: { 'no-config': true, require: ['./test/support/mutation-hooks.ts'], spec, ...(grep && { grep }) },
  coverageAnalysis: 'perTest',
  mutate: [...mutate, '!**/*.test.ts'],
  ignorePatterns: ['.cache', 'dist', 'bench', 'coverage', 'docs', 'helm', 'examples'],
  tempDirName: `.cache/stryker-${part}`,
  reporters: ['clear-text', 'json', 'progress-append-only'],
  jsonReporter: { fileName: `.cache/mutation/${part}.json` },
  clearTextReporter: { logTests: false, allowColor: false, reportTests: false },
  concurrency: Number(process.env.MUTATION_CONCURRENCY ?? 2),
  checkers: [],
  disableTypeChecks: false,
  thresholds: { high: 90, low: 85, break: 85 },
  timeoutMS: 3000,
  timeoutFactor: 2,
  tsconfigFile: "none: Stryker's rewriting needs TypeScript's former API",
}
