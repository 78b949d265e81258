import { gitBlobOid, repositoryFolder } from '../../src/hub/index.ts'
import { journalKey } from '../../src/mirror/index.ts'
import { bytesOf, commitId, infoOf, sha256Of } from './hub.ts'
import type { MemoryBucket } from './memory-bucket.ts'
import { repositories, type Scenario } from './scenarios.ts'

export const blobKeyOf = (content: number) => `blobs/sha256/${sha256Of(content).slice(0, 2)}/${sha256Of(content)}`

const birth = 'of the start'

/** Fills a bucket as an earlier version left it: the layout without revisions, claims or a log. */
export function fillBucket(bucket: MemoryBucket, scenario: Scenario, at: Date): void {
  const put = (key: string, value: object) => bucket.put(key, Buffer.from(JSON.stringify(value)), at)
  put('mirrorface.json', { layout: 2 })
  const isBroken = (content: number) => scenario.broken?.includes(content) === true
  for (const content of scenario.orphans ?? []) bucket.put(blobKeyOf(content), bytesOf(content), at)
  for (const { repository: index, commit, ref, only, pulled, late } of scenario.mirrored) {
    const repository = repositories[index]
    if (repository === undefined) throw new Error(`no repository ${index}`)
    const folder = `repositories/${repositoryFolder(repository)}`
    const files = Object.entries(scenario.commits[commit] ?? {}).map(([path, { content, regular }]) => {
      const bytes = bytesOf(content)
      const isStored = only?.includes(path) !== false
      const isPulled = [...(pulled ?? []), ...(late ?? [])].includes(path)
      if ((isStored || isPulled) && !isBroken(content)) bucket.put(blobKeyOf(content), bytes, at)
      return {
        path,
        size: bytes.length,
        oid: gitBlobOid(bytes),
        ...(regular !== true && { lfs: { sha256: sha256Of(content), pointerSize: 120 } }),
        blob: isStored ? sha256Of(content) : null,
      }
    })
    const hasJournal = pulled !== undefined || late !== undefined
    for (const file of files) {
      const of = pulled?.includes(file.path) ? birth : late?.includes(file.path) ? 'of another' : undefined
      if (of === undefined) continue
      const blob = sha256Of(scenario.commits[commit]?.[file.path]?.content ?? 0)
      const entry = { layout: 3, rev: file.path, writer: 'before', of, files: [{ ...file, blob }] }
      put(journalKey(repository, commitId(commit), file.path), entry)
    }
    put(`${folder}/commits/${commitId(commit)}.json`, {
      layout: hasJournal ? 3 : 2,
      ...(hasJournal && { birth }),
      repository,
      commit: commitId(commit),
      mirroredAt: at.toISOString(),
      mirroredFrom: 'https://hub.test',
      info: infoOf(repository, commit),
      commits: [],
      files,
      directories: [],
    })
    if (ref === true) {
      put(`${folder}/refs/main.json`, { commit: commitId(commit), kind: 'branch', updatedAt: at.toISOString() })
    }
  }
}
