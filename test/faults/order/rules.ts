import { z } from 'zod'
import { blobKeysOf, isEntryKey, isManifestKey, isRefKey } from '../../search/invariants.ts'
import type { TracedDisk, Version } from './disk.ts'

const manifestSchema = z.looseObject({
  pending: z.boolean().optional(),
  birth: z.string().optional(),
  of: z.string().optional(),
  files: z.array(z.looseObject({ path: z.string(), blob: z.string().nullable(), copy: z.int().optional() })),
})
const refSchema = z.looseObject({ commit: z.string().nullable() })
const deletionSchema = z.looseObject({ phase: z.string(), blobs: z.array(z.string()).default([]) })

type Named = z.infer<typeof manifestSchema>

/**
 * Where a power cut, at any moment of the trace, would have left a storage that is not sound; or, after its end, one that
 * lacks what the processes said that they had done.
 */
export function brokenOrder(disk: TracedDisk): string[] {
  const broken: string[] = []
  for (const change of disk.changes()) {
    const { key, bytes } = change
    if (bytes === undefined) broken.push(...brokenByRemoval(disk, change))
    else {
      if (!change.isSynced) broken.push(`${key} got its name before its data was synced`)
      if (isManifestKey(key)) broken.push(...brokenByManifest(disk, change))
      else if (isEntryKey(key)) broken.push(...brokenByManifest(disk, change), ...brokenByEntry(disk, change))
      else if (isRefKey(key)) broken.push(...brokenByRef(disk, change))
      else if (key.startsWith('deletions/')) broken.push(...brokenByFinal(disk, change))
    }
    // What is removed without a condition may come back: nobody adopts it, and the next sweep removes it again.
    const mayComeBack = bytes === undefined && (key.startsWith('blobs/') || key.startsWith('leases/'))
    if (!mayComeBack && disk.durableAt(change) === Number.POSITIVE_INFINITY)
      broken.push(`the folder of ${key} was not synced after its change`)
  }
  return [...new Set(broken)]
}

function isDurable(disk: TracedDisk, version: Version | undefined, time: number): boolean {
  return version !== undefined && version.bytes !== undefined && disk.durableAt(version) < time
}

/** The manifest that readers see in a version; `undefined` where it is only claimed. */
function visible({ bytes }: Version): Named | undefined {
  const manifest = bytes && manifestSchema.parse(JSON.parse(bytes.toString()))
  return manifest?.pending === true ? undefined : manifest
}

function brokenByManifest(disk: TracedDisk, change: Version): string[] {
  return blobKeysOf(visible(change) ?? { files: [] })
    .filter((blob) => !isDurable(disk, disk.at(blob, change.start), change.start))
    .map((blob) => `${change.key} names ${blob}, which was not on disk yet`)
}

function brokenByEntry(disk: TracedDisk, change: Version): string[] {
  if (visible(change) === undefined) return []
  const manifest = manifestKeyOf(change.key)
  const isThere = isDurable(disk, disk.at(manifest, change.start), change.start)
  return isThere ? [] : [`${change.key} was written before its manifest was on disk`]
}

function brokenByRef(disk: TracedDisk, change: Version): string[] {
  const commit = commitOf(change)
  if (commit === undefined) return []
  const key = change.key.replace(/refs\/.*$/, `commits/${commit}.json`)
  const before = disk.versions(key).filter(({ start }) => start < change.start)
  const isThere = before.some((version) => isDurable(disk, version, change.start) && visible(version) !== undefined)
  return isThere ? [] : [`${change.key} names a commit whose manifest was not on disk yet`]
}

function commitOf({ bytes }: Version): string | undefined {
  return bytes === undefined ? undefined : (refSchema.parse(JSON.parse(bytes.toString())).commit ?? undefined)
}

/** A sweep reads every manifest again between publishing its candidates and deciding. */
function brokenByFinal(disk: TracedDisk, change: Version): string[] {
  const { phase } = deletionSchema.parse(JSON.parse(change.bytes?.toString() ?? '{}'))
  if (phase !== 'final') return []
  const published = disk.versions(change.key)[0]
  const since = published === undefined ? Number.POSITIVE_INFINITY : disk.durableAt(published)
  const manifests = disk.keys().filter((key) => isManifestKey(key) || isEntryKey(key))
  return manifests
    .filter((key) => disk.at(key, since)?.bytes !== undefined && disk.at(key, change.start)?.bytes !== undefined)
    .filter((key) => !(disk.opened.get(key) ?? []).some(({ start, end }) => start > since && end < change.start))
    .map((key) => `${change.key} was decided without another look at ${key}`)
}

function brokenByRemoval(disk: TracedDisk, change: Version): string[] {
  const { key, start } = change
  if (key.startsWith('blobs/')) {
    const name = key.split('/').at(-1) ?? ''
    const entries = disk.keys().filter((one) => one.startsWith('deletions/'))
    const condemned = entries.flatMap((entry) =>
      disk.versions(entry).filter((version) => {
        if (version.bytes === undefined || !isDurable(disk, version, start)) return false
        const { phase, blobs } = deletionSchema.parse(JSON.parse(version.bytes.toString()))
        return phase === 'final' && blobs.includes(name)
      }),
    )
    return condemned.length > 0 ? [] : [`${key} was removed before the deletion log had it on disk`]
  }
  if (isManifestKey(key)) return brokenByManifestRemoval(disk, change)
  if (isEntryKey(key)) return brokenByEntryRemoval(disk, change)
  return []
}

/** No ref may be left that names it: neither now, nor where its last change is lost. */
function brokenByManifestRemoval(disk: TracedDisk, { key, start }: Version): string[] {
  const [, folder = '', commit = ''] = /^(.*)commits\/([0-9a-f]+)\.json$/.exec(key) ?? []
  const refs = disk.keys().filter((one) => isRefKey(one) && one.startsWith(folder))
  return refs
    .filter((ref) => {
      const now = disk.at(ref, start)
      if (now === undefined) return false
      if (commitOf(now) === commit) return true
      const before = disk.versions(ref).filter((version) => version.start < now.start)
      return disk.durableAt(now) >= start && before.some((version) => commitOf(version) === commit)
    })
    .map((ref) => `${key} was removed while ${ref} named it, on disk`)
}

/** Its file must be in the manifest, on disk, or the manifest gone or another. */
function brokenByEntryRemoval(disk: TracedDisk, { key, start }: Version): string[] {
  const last = disk.versions(key).findLast((version) => version.start < start && version.bytes !== undefined)
  const entry = last && visible(last)
  const manifest = disk.at(manifestKeyOf(key), start)
  if (entry === undefined || manifest?.bytes === undefined) return []
  const seen = visible(manifest)
  if (seen === undefined || seen.birth !== entry.of) return []
  const path = entry.files[0]?.path
  const isNamed = seen.files.some((file) => file.path === path && file.blob !== null)
  return isNamed && disk.durableAt(manifest) < start
    ? []
    : [`${key} was removed before its manifest named the file, on disk`]
}

/** The manifest's key for that of a journal entry. */
function manifestKeyOf(key: string): string {
  return key.replace(/pulled\/([0-9a-f]+)\/.*$/, 'commits/$1.json')
}
