import type { Mutant } from './mutants.ts'

/** Rules of the journal of pulled files. */
export const journalMutants: readonly Mutant[] = [
  {
    rule: 'a sweep reads journal entries, too',
    edits: [{ file: 'named-blobs.ts', from: 'else await this.#readEntry(key, object, options)', to: '' }],
    scenarios: ['a pull and two sweeps that compact', 'two pulls of one file, and a sweep'],
  },
  {
    rule: 'the commit of a pull demands its claim',
    edits: [
      {
        file: 'journal-claim.ts',
        from: 'if (entry?.claims?.[this.run] === undefined) throw new ClaimLost(this.#options.key)',
        to: 'if (entry === undefined) return { write: { layout: layoutVersion, of: this.#options.birth, files: [file] } }',
      },
    ],
    scenarios: ['a pull that is stopped for a day, and a sweep'],
  },
  {
    rule: "a pull writes over the entry of a manifest that is gone, and does not take it for another's",
    edits: [
      { file: 'journal-claim.ts', from: 'current?.of === this.#options.birth ? current : undefined', to: 'current' },
    ],
    scenarios: ['a pull over the entry of a manifest that is gone'],
  },
  {
    rule: 'an entry of another birth is not compacted',
    edits: [{ file: 'compact-journal.ts', from: 'entry.of === birth && ', to: '' }],
    scenarios: ['a takedown beside a late pull', 'a compaction, a pull of the same file, a takedown'],
  },
  {
    rule: 'every write of a compaction demands the manifest of the same birth',
    edits: [{ file: 'compact-journal.ts', from: 'blank: manifest, birth })', to: 'blank: manifest })' }],
    scenarios: ['a compaction that is stopped for a day, a takedown, a pull'],
  },
  {
    rule: 'a compaction reads the log after it has claimed',
    edits: [
      {
        file: 'compact-journal.ts',
        from: 'const condemned = await log.check(run, names, options)',
        to: 'const condemned = new Set<string>()',
      },
    ],
    scenarios: ['a pull and two sweeps that compact'],
  },
  {
    rule: 'an entry that is compacted is removed only as it was read',
    edits: [
      {
        file: 'compact-journal.ts',
        from: 'remove(key, { ...options, ifGeneration: generation })',
        to: 'remove(key, options)',
      },
    ],
    scenarios: ['a compaction that is stopped for a day, a takedown, a pull of the same file'],
  },
  {
    rule: 'an entry is taken for garbage only by a manifest that was read after it',
    edits: [
      {
        file: 'named-blobs.ts',
        from: 'const birth = await this.#readBirth(key, options)',
        to: 'const birth = this.#births.get(key) ?? (await this.#readBirth(key, options))',
      },
    ],
    scenarios: ['a sweep that is stopped for a day, beside a takedown and a pull'],
  },
  {
    rule: 'garbage goes only as it was read',
    edits: [
      {
        file: 'named-blobs.ts',
        from: 'await writer.remove(key, { ...options, ifGeneration: found.generation })\n    } catch (error) {\n      if (!(error instanceof Conflict)) throw error\n      await this.#readObject',
        to: 'await writer.remove(key, options)\n    } catch (error) {\n      if (!(error instanceof Conflict)) throw error\n      await this.#readObject',
      },
    ],
    scenarios: [
      'a pull over the entry of a manifest that is gone',
      'a sweep that is stopped for a day, beside a takedown and a pull',
    ],
  },
  {
    rule: 'the manifest is written anew where a pull moves a ref to it',
    edits: [{ file: 'pulled-revision.ts', from: ' && claims.length === 0) return', to: ') return' }],
    scenarios: ['a pull that puts a commit on its ref, and a prune, while the Hub moves'],
  },
  {
    rule: 'a pull claims the ref before it writes the manifest',
    edits: [
      { file: 'pulled-revision.ts', from: '  await claim.claim()\n', to: '' },
      {
        file: 'pulled-revision.ts',
        from: 'for (const { claim, word } of claims) await claim.commit(',
        to: 'for (const { claim } of claims) await claim.claim()\n    for (const { claim, word } of claims) await claim.commit(',
      },
    ],
    scenarios: ['a pull that puts a commit on its ref, and a prune, while the Hub moves'],
  },
  {
    rule: 'a reader lists the journal before it reads the manifest',
    edits: [
      {
        file: 'metadata.ts',
        from: 'const names = await storage.children(journalPrefix(repository, commit), options)\n  return await readManifestWith(storage, repository, commit, names, options)',
        to: 'const text = await readText(storage, manifestKey(repository, commit), options)\n  if (text === undefined) return undefined\n  const manifest = visibleManifest(parseManifest("", text))\n  const names = await storage.children(journalPrefix(repository, commit), options)\n  return manifest && withJournal(manifest, await readEntries(storage, repository, commit, names, options))',
      },
    ],
    scenarios: ['a reader beside a compaction'],
  },
]
