import type { Repository } from '../../src/hub/index.ts'
import type { HubCommit } from './hub.ts'
import { journalScenarios } from './journal-scenarios.ts'

export const repositories: readonly Repository[] = [0, 1, 2].map((index) => ({ type: 'model', id: `org/r${index}` }))

/** One of the processes of a scenario. `repository` and `commit` are indices. */
export type Command =
  | { readonly kind: 'mirror'; readonly repository: number; readonly commit?: number; readonly include?: string }
  | { readonly kind: 'pull'; readonly repository: number; readonly commit?: number; readonly path: string }
  /** A reader wants a file that is there all the while. */
  | { readonly kind: 'read'; readonly repository: number; readonly commit: number; readonly path: string }
  | { readonly kind: 'remove'; readonly repository: number; readonly commit?: number }
  | { readonly kind: 'prune'; readonly repository: number }
  | { readonly kind: 'sweep' }
  | { readonly kind: 'repair' }
  | { readonly kind: 'hub' }
  /** Old entries of the deletion log are dropped. */
  | { readonly kind: 'forget' }

/** What is mirrored before anything runs. */
export interface Mirrored {
  readonly repository: number
  readonly commit: number
  /** Whether `main` is there. */
  readonly ref?: boolean
  /** Files that are stored; absent: all. */
  readonly only?: readonly string[]
  /** Files that stand in its journal. */
  readonly pulled?: readonly string[]
  /** Files with journal entries of a manifest that is gone. */
  readonly late?: readonly string[]
}

export interface Scenario {
  readonly name: string
  readonly commits: readonly HubCommit[]
  /** Commits at which the Hub's `main` is, in turn. */
  readonly words: readonly number[]
  readonly mirrored: readonly Mirrored[]
  /** Contents that lie there, named by nobody. */
  readonly orphans?: readonly number[]
  /** Contents whose blobs are missing or broken from the start: what was destroyed from outside. */
  readonly broken?: readonly number[]
  readonly commands: readonly Command[]
  /** The index of a command that is stopped for a day each time, at one call or another. */
  readonly sleeper?: number
  /** The index of a command of which one call fails each time. */
  readonly refused?: number
}

const a: HubCommit = { 'a.bin': { content: 1 } }
const b: HubCommit = { 'b.bin': { content: 2 } }
const both: HubCommit = { 'a.bin': { content: 1 }, 'b.bin': { content: 2 } }
const small: HubCommit = { 'a.txt': { content: 3, regular: true } }

const run = (repository: number, commit?: number): Command => ({
  kind: 'mirror',
  repository,
  ...(commit !== undefined && { commit }),
})
const remove = (repository: number): Command => ({ kind: 'remove', repository })
const sweep: Command = { kind: 'sweep' }
const hub: Command = { kind: 'hub' }
const forget: Command = { kind: 'forget' }
const prune: Command = { kind: 'prune', repository: 0 }

/** Start states of the model of the protocol, and those of the findings. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'a takedown and a sweep beside a run that shares the blob',
    commits: [a],
    words: [0],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [run(1, 0), remove(0), sweep],
  },
  {
    name: 'the same, with two sweeps',
    commits: [a],
    words: [0],
    mirrored: [{ repository: 0, commit: 0 }],
    commands: [run(1, 0), remove(0), sweep, sweep],
  },
  {
    name: 'an orphan, two runs and a sweep',
    commits: [a],
    words: [0],
    mirrored: [],
    orphans: [1],
    commands: [run(0, 0), run(1, 0), sweep],
  },
  {
    name: 'two runs of one commit, a takedown of another, a sweep',
    commits: [a, both],
    words: [0],
    mirrored: [{ repository: 0, commit: 0 }],
    commands: [run(1, 1), run(1, 1), remove(0), sweep],
  },
  {
    name: 'a run, a prune and a sweep, while the Hub moves',
    commits: [a, b],
    words: [0, 1],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [run(0), { kind: 'prune', repository: 0 }, sweep, hub],
  },
  {
    name: 'two runs and a prune, while the Hub moves on and back',
    commits: [a, b],
    words: [0, 1, 0],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [run(0), run(0), { kind: 'prune', repository: 0 }, hub],
  },
  {
    name: 'two runs, while the Hub moves on and back',
    commits: [a, b],
    words: [0, 1, 0],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [run(0), run(0), hub],
  },
  {
    name: 'two runs and a takedown, while the Hub moves',
    commits: [a, b],
    words: [0, 1],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [run(0), { kind: 'remove', repository: 0, commit: 1 }, run(0), hub],
  },
  {
    name: 'a repair beside a takedown, a sweep and a run',
    commits: [a],
    words: [0],
    mirrored: [
      { repository: 0, commit: 0 },
      { repository: 2, commit: 0 },
    ],
    broken: [1],
    commands: [{ kind: 'repair' }, remove(0), sweep, run(1, 0)],
  },
  {
    name: 'two runs of one commit with other filters, a sweep',
    commits: [both],
    words: [0],
    mirrored: [],
    orphans: [1],
    commands: [
      { kind: 'mirror', repository: 0, commit: 0, include: 'a.bin' },
      { kind: 'mirror', repository: 0, commit: 0, include: 'b.bin' },
      sweep,
    ],
  },
  {
    name: 'two runs of one commit with other filters',
    commits: [both],
    words: [0],
    mirrored: [],
    commands: [
      { kind: 'mirror', repository: 0, commit: 0, include: 'a.bin' },
      { kind: 'mirror', repository: 0, commit: 0, include: 'b.bin' },
    ],
  },
  {
    name: 'two pulls of one commit',
    commits: [both],
    words: [0],
    mirrored: [],
    commands: [
      { kind: 'pull', repository: 0, path: 'a.bin' },
      { kind: 'pull', repository: 0, path: 'b.bin' },
    ],
  },
  {
    name: 'two pulls of one commit, and a sweep',
    commits: [both],
    words: [0],
    mirrored: [],
    orphans: [1],
    commands: [{ kind: 'pull', repository: 0, path: 'a.bin' }, { kind: 'pull', repository: 0, path: 'b.bin' }, sweep],
  },
  {
    name: 'a pull and a run of one commit, and a takedown',
    commits: [both],
    words: [0],
    mirrored: [{ repository: 0, commit: 0, ref: true, only: [] }],
    commands: [
      { kind: 'pull', repository: 0, path: 'a.bin' },
      { kind: 'mirror', repository: 0, include: 'b.bin' },
      remove(0),
    ],
  },
  {
    name: 'a run, a takedown of its commit, a sweep, while the Hub moves',
    commits: [a, b],
    words: [0, 1],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [run(0), { kind: 'remove', repository: 0, commit: 1 }, sweep, hub],
  },
  {
    name: 'three repositories that share a blob, two runs, a takedown and a sweep',
    commits: [a],
    words: [0],
    mirrored: [{ repository: 0, commit: 0 }],
    commands: [run(1, 0), run(2, 0), remove(0), sweep],
  },
  {
    name: 'a run of regular files beside sweeps',
    commits: [small, b],
    words: [0],
    mirrored: [],
    commands: [run(0), sweep, sweep],
  },
  {
    name: 'a run of two contents beside a takedown and a sweep',
    commits: [a, both],
    words: [1],
    mirrored: [{ repository: 0, commit: 0 }],
    orphans: [2],
    commands: [run(1), remove(0), sweep],
  },
  {
    name: 'a run of two contents beside a takedown, and a sweep of which a call fails',
    commits: [a, both],
    words: [1],
    mirrored: [{ repository: 0, commit: 0 }],
    orphans: [2],
    commands: [run(1), remove(0), sweep],
    refused: 2,
  },
  {
    name: 'a run, a takedown and a sweep, and the log is forgotten',
    commits: [a],
    words: [0],
    mirrored: [{ repository: 0, commit: 0 }],
    commands: [run(1, 0), remove(0), sweep, forget],
  },
  {
    name: 'a run that puts a mirrored commit on its ref, and a takedown of the commit',
    commits: [a],
    words: [0],
    mirrored: [{ repository: 0, commit: 0 }],
    commands: [run(0), { kind: 'remove', repository: 0, commit: 0 }],
  },
  {
    name: 'a run that is stopped for a day, and a sweep',
    commits: [a],
    words: [0],
    mirrored: [],
    orphans: [1],
    commands: [run(0, 0), sweep],
    sleeper: 0,
  },
  {
    name: 'a sweep that is stopped for a day, another, and a run',
    commits: [a],
    words: [0],
    mirrored: [],
    orphans: [1],
    commands: [sweep, sweep, run(0, 0)],
    sleeper: 0,
  },
  {
    name: 'a run that is stopped for a day, and a prune, while the Hub moves',
    commits: [a, b],
    words: [0, 1],
    mirrored: [{ repository: 0, commit: 0, ref: true }],
    commands: [run(0), prune, hub],
    sleeper: 0,
  },
  ...journalScenarios,
]
