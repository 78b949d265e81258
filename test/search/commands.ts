import { z } from 'zod'
import type { Repository } from '../../src/hub/index.ts'
import type { Protocol } from './explore.ts'
import { commitId, type Hub } from './hub.ts'
import { type Command, repositories } from './scenarios.ts'
import type { Process, World } from './world.ts'

const signal = new AbortController().signal
export const silent = {
  planned() {},
  fileStarted() {},
  bytesResumed() {},
  bytesReceived() {},
  fileFinished() {},
  bytesChecked() {},
  blobChecked() {},
}
const options = { concurrency: 2, signal, progress: silent }

/** Runs a command as the command line would, to its end. */
export async function runCommand(
  protocol: Protocol,
  world: World,
  hub: Hub,
  process: Process,
  command: Command,
  heard: (word: number) => void,
): Promise<void> {
  const storage = world.storageOf(process)
  const source = hub.sourceFor(process, heard)
  switch (command.kind) {
    case 'mirror': {
      const revision = command.commit === undefined ? 'main' : commitId(command.commit)
      const include = command.include === undefined ? [] : [command.include]
      const request = { repository: repositoryAt(command.repository), revision, include, exclude: [] }
      const plan = await protocol.planMirror(source, storage, request, options)
      await protocol.carryOut(plan, source, storage, options)
      return
    }
    case 'pull': {
      const repository = repositoryAt(command.repository)
      const revision = command.commit === undefined ? 'main' : commitId(command.commit)
      const listedAt = new Date()
      const listing = await source.describe(repository, revision, options)
      const file = listing.files.find(({ path }) => path === command.path)
      if (file === undefined) throw new Error(`no file ${command.path}`)
      const content = source.open(repository, listing.commit, file, options)
      const refs = listing.ref === undefined ? [] : [listing.ref]
      await using puller = new protocol.Puller(storage)
      await puller.pull({ origin: source.origin, repository, listing, listedAt, refs, file, content })
      return
    }
    case 'read': {
      const manifest = await protocol.readManifest(storage, repositoryAt(command.repository), commitId(command.commit))
      if (manifest?.files.some(({ path, blob }) => path === command.path && blob !== null) !== true)
        throw new NotFoundByReader(command.path)
      return
    }
    case 'remove': {
      const revision = command.commit === undefined ? undefined : commitId(command.commit)
      await protocol.removeRevision(storage, repositoryAt(command.repository), revision)
      return
    }
    case 'prune':
      await protocol.pruneRepository(storage, repositoryAt(command.repository), new Set())
      return
    case 'sweep':
      await protocol.sweepStorage(storage, { dryRun: false, grace: 24 * 3_600_000, compactAbove: 0 })
      return
    case 'repair': {
      const { problems } = await protocol.verifyStorage(storage, { progress: silent })
      await protocol.repairStorage(storage, source, problems, options)
      return
    }
    case 'hub':
      await hub.move(process)
      return
    case 'forget':
      await forgetLog(world, process)
  }
}

/** A reader did not find a file that was there all the while. */
export class NotFoundByReader extends Error {}

function repositoryAt(index: number): Repository {
  const found = repositories[index]
  if (found === undefined) throw new Error(`no repository ${index}`)
  return found
}

/** Drops every entry that is through, oldest first; a later one is there, as no sweep drops the newest. */
async function forgetLog(world: World, process: Process): Promise<void> {
  const { bucket } = world
  const entrySchema = z.looseObject({ number: z.number(), phase: z.string() })
  const entries = () =>
    bucket
      .keys('deletions')
      .map((key) => ({ key, ...entrySchema.parse(JSON.parse(String(bucket.objects.get(key)?.bytes))) }))
  for (let step = 0; step < 12; step++) {
    await process.request('log', 'is forgotten', () => {
      const [oldest, ...later] = entries()
      if (oldest?.phase !== 'done') return
      const newest = later.at(-1) ?? oldest
      if (newest === oldest) {
        const number = oldest.number + 1
        const entry = { ...oldest, key: undefined, number, phase: 'abandoned', candidates: [], vetoes: [], blobs: [] }
        bucket.put(
          `deletions/${String(number).padStart(9, '0')}.json`,
          Buffer.from(JSON.stringify(entry)),
          new Date(world.now),
        )
      }
      bucket.objects.delete(oldest.key)
    })
  }
}
