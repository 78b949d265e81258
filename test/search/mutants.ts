import { journalMutants } from './journal-mutants.ts'

/** The protocol with one rule left out; `edits` are replacements of text that occurs exactly once. */
export interface Mutant {
  readonly rule: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
  /** Names of the scenarios that it must fail in, one at least. */
  readonly scenarios: readonly string[]
}

const takedown = 'a takedown and a sweep beside a run that shares the blob'
const twoSweeps = 'the same, with two sweeps'

export const mutants: readonly Mutant[] = [
  {
    rule: 'a run reads the log after it has claimed',
    edits: [
      {
        file: 'adopt.ts',
        from: 'const condemned = await log.check(run, names, options)',
        to: 'const condemned = new Set<string>()',
      },
    ],
    scenarios: [takedown, 'an orphan, two runs and a sweep'],
  },
  {
    rule: 'a condemned name is never adopted again',
    edits: [
      {
        file: 'adopt.ts',
        from: 'condemned.has(nameOf(file.blob))) rename(file, log)',
        to: 'condemned.has(nameOf(file.blob))) file.isStored = false',
      },
      { file: 'adopt.ts', from: 'if (condemned.size > 0) continue', to: '' },
    ],
    scenarios: [takedown, twoSweeps],
  },
  {
    rule: 'a sweep reads the manifests again after it has published',
    edits: [{ file: 'sweep.ts', from: 'await named.gather(options)\n  const gone', to: 'const gone' }],
    scenarios: [takedown, 'an orphan, two runs and a sweep'],
  },
  {
    rule: 'vetoes count when an entry becomes final',
    edits: [{ file: 'condemned-blobs.ts', from: ' && !vetoes.has(name)', to: '' }],
    scenarios: [takedown, twoSweeps, 'an orphan, two runs and a sweep'],
  },
  {
    rule: 'the commit of a manifest demands the claim',
    edits: [
      {
        file: 'manifest-claim.ts',
        from: 'if (current?.claims?.[lease.id] === undefined) throw new ClaimLost(key)\n      return withoutClaim(update({ ...current,',
        to: 'return withoutClaim(update({ ...(current ?? this.#options.blank),',
      },
    ],
    scenarios: ['a run that is stopped for a day, and a sweep'],
  },
  {
    rule: 'a sweep whose entry was abandoned deletes nothing',
    edits: [
      { file: 'condemned-blobs.ts', from: "if (current.phase !== 'candidates') return 'keep'", to: '' },
      {
        file: 'condemned-blobs.ts',
        from: "phase: 'abandoned', candidates: [], vetoes: [] }",
        to: "phase: 'abandoned' }",
      },
    ],
    scenarios: ['a sweep that is stopped for a day, another, and a run'],
  },
  {
    rule: 'a prune reads the manifests before the refs',
    edits: [
      { file: 'prune.ts', from: '  const candidates = await readCandidates(storage, repository, options)\n', to: '' },
      {
        file: 'prune.ts',
        from: 'const removed: string[] = []',
        to: 'const candidates = await readCandidates(storage, repository, options)\n  const removed: string[] = []',
      },
    ],
    scenarios: [
      'a run, a prune and a sweep, while the Hub moves',
      'two runs and a prune, while the Hub moves on and back',
    ],
  },
  {
    rule: 'a prune breaks the claims of dead runs on refs',
    edits: [{ file: 'prune.ts', from: ' && (await breakRefClaim(storage, key, run, lease.id, options))', to: '' }],
    scenarios: ['a run that is stopped for a day, and a prune, while the Hub moves'],
  },
  {
    rule: 'a run claims the ref before the manifest',
    edits: [
      { file: 'carry-out.ts', from: '  await ref?.claim()\n', to: '' },
      { file: 'carry-out.ts', from: 'await ref?.commit(wordOf', to: 'await ref?.claim()\n  await ref?.commit(wordOf' },
    ],
    scenarios: [
      'a run, a prune and a sweep, while the Hub moves',
      'two runs and a prune, while the Hub moves on and back',
    ],
  },
  {
    rule: 'a takedown removes manifests by the generations read before the refs',
    edits: [{ file: 'remove.ts', from: '{ ...options, ifGeneration })', to: 'options)' }],
    scenarios: ['a run that puts a mirrored commit on its ref, and a takedown of the commit'],
  },
  {
    rule: 'a run looks again where the log has a gap',
    edits: [{ file: 'adopt.ts', from: 'if (log.hasGap) await', to: 'if (false) await' }],
    scenarios: ['a run, a takedown and a sweep, and the log is forgotten'],
  },
  {
    rule: 'a sweep reads a manifest again from which it has taken a claim',
    edits: [
      {
        file: 'named-blobs.ts',
        from: 'for (const run of dead) await this.#breakClaim(key, parse, run, options)',
        to: 'for (const run of dead) await this.#breakClaim(key, parse, run, options)\n      return',
      },
    ],
    scenarios: [twoSweeps, takedown, 'an orphan, two runs and a sweep'],
  },
  {
    rule: 'a newer word is stored though the commit is the same',
    edits: [{ file: 'carry-out.ts', from: '|| word.saidAt <= storedWord(current)) return', to: '|| isThere) return' }],
    scenarios: ['two runs, while the Hub moves on and back'],
  },
  {
    rule: 'an object is written only over what the change was decided on',
    edits: [{ file: 'change-object.ts', from: '{ ...options, ...condition })', to: 'options)' }],
    scenarios: ['two runs of one commit with other filters', 'two pulls of one commit'],
  },
  {
    rule: 'a listing is whole or has failed',
    edits: [
      {
        file: 'named-blobs.ts',
        from: 'await listObjects(this.#storage, repositoriesPrefix, options)',
        to: 'await pMap(this.#storage.list(repositoriesPrefix, options), (one) => one, { concurrency: readsAtATime })',
      },
    ],
    scenarios: ['a run of two contents beside a takedown, and a sweep of which a call fails'],
  },
  {
    rule: 'a log entry that is gone when it is read leaves a gap',
    edits: [
      { file: 'deletion-log.ts', from: 'return found.every((isThere) => isThere)', to: 'return found.length >= 0' },
    ],
    scenarios: ['a run, a takedown and a sweep, and the log is forgotten'],
  },
  ...journalMutants,
]
