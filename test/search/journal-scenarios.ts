import type { HubCommit } from './hub.ts'
import type { Command, Mirrored, Scenario } from './scenarios.ts'

const both: HubCommit = { 'a.bin': { content: 1 }, 'b.bin': { content: 2 } }
const smallAndLarge: HubCommit = { 'a.bin': { content: 1 }, 'b.txt': { content: 3, regular: true } }

const pull = (path: string, commit?: number): Command => ({
  kind: 'pull',
  repository: 0,
  path,
  ...(commit !== undefined && { commit }),
})
const remove: Command = { kind: 'remove', repository: 0 }
const sweep: Command = { kind: 'sweep' }

/** A commit of which nothing stands in its manifest; `pulled` stands in its journal. */
const journaled = (pulled: readonly string[], rest: Partial<Mirrored> = {}): Mirrored => ({
  repository: 0,
  commit: 0,
  only: [],
  pulled,
  ...rest,
})

/** Start states around the journal of pulled files. In these sweeps compact every journal. */
export const journalScenarios: readonly Scenario[] = [
  {
    name: 'two pulls of one file',
    commits: [both],
    words: [0],
    mirrored: [],
    commands: [pull('a.bin'), pull('a.bin')],
  },
  {
    name: 'two pulls of one file, and a sweep',
    commits: [smallAndLarge],
    words: [0],
    mirrored: [journaled([])],
    orphans: [1, 3],
    commands: [pull('a.bin'), pull('a.bin'), pull('b.txt'), sweep],
  },
  {
    name: 'a pull and two sweeps that compact',
    commits: [both],
    words: [0],
    mirrored: [journaled(['b.bin'])],
    orphans: [1],
    commands: [pull('a.bin', 0), sweep, sweep],
  },
  {
    name: 'a compaction and a pull of the same file',
    commits: [both],
    words: [0],
    mirrored: [journaled(['a.bin'])],
    commands: [pull('a.bin'), pull('b.bin'), sweep],
  },
  {
    name: 'a compaction by a run, and two sweeps',
    commits: [both],
    words: [0],
    mirrored: [journaled(['a.bin'])],
    commands: [{ kind: 'mirror', repository: 0, commit: 0, include: 'b.bin' }, sweep, sweep],
  },
  {
    name: 'a compaction, a pull of the same file, a takedown',
    commits: [both],
    words: [0],
    mirrored: [journaled(['a.bin'], { ref: true })],
    commands: [sweep, pull('a.bin'), remove, sweep],
  },
  {
    name: 'a takedown beside a late pull',
    commits: [both],
    words: [0],
    mirrored: [journaled(['b.bin'])],
    commands: [pull('a.bin', 0), remove, pull('b.bin', 0), sweep],
  },
  {
    name: 'a pull over the entry of a manifest that is gone',
    commits: [both],
    words: [0],
    mirrored: [journaled([], { late: ['a.bin'] })],
    commands: [pull('a.bin'), pull('b.bin'), sweep],
  },
  {
    name: 'a pull that puts a commit on its ref, and a prune, while the Hub moves',
    commits: [both, { 'c.bin': { content: 4 } }],
    words: [0, 1],
    mirrored: [journaled(['b.bin'])],
    commands: [pull('a.bin'), { kind: 'prune', repository: 0 }, { kind: 'hub' }],
  },
  {
    name: 'a reader beside a compaction',
    commits: [both],
    words: [0],
    mirrored: [journaled(['a.bin'])],
    commands: [{ kind: 'read', repository: 0, commit: 0, path: 'a.bin' }, pull('b.bin'), sweep],
  },
  {
    name: 'a pull that is stopped for a day, and a sweep',
    commits: [both],
    words: [0],
    mirrored: [journaled([])],
    orphans: [1],
    commands: [pull('a.bin', 0), sweep],
    sleeper: 0,
  },
  {
    name: 'a compaction that is stopped for a day, a takedown, a pull',
    commits: [both],
    words: [0],
    mirrored: [journaled(['a.bin'])],
    commands: [sweep, remove, pull('b.bin', 0)],
    sleeper: 0,
  },
  {
    name: 'a sweep that is stopped for a day, beside a takedown and a pull',
    commits: [both],
    words: [0],
    mirrored: [journaled(['a.bin'], { late: ['b.bin'] })],
    commands: [sweep, remove, pull('b.bin', 0)],
    sleeper: 0,
  },
  {
    name: 'a compaction that is stopped for a day, a takedown, a pull of the same file',
    commits: [both],
    words: [0],
    mirrored: [journaled(['a.bin'])],
    commands: [sweep, remove, pull('a.bin', 0)],
    sleeper: 0,
  },
]
