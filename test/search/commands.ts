import type { Repository } from '../../src/hub/index.ts'
import type { Protocol } from './explore.ts'
import { commitId, type Hub } from './hub.ts'
import { type Command, repositories } from './scenarios.ts'
import type { Process, World } from './world.ts'

const signal = new AbortController().signal
const silent = { planned() {}, fileStarted() {}, bytesReceived() {}, fileFinished() {}, blobChecked() {} }
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
      const listing = await source.describe(repository, 'main', options)
      const file = listing.files.find(({ path }) => path === command.path)
      if (file === undefined) throw new Error(`no file ${command.path}`)
      const blob = await protocol.storeFile(storage, file, source.open(repository, listing.commit, file, options))
      await protocol.recordFile(storage, source.origin, repository, listing, file.path, blob)
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
      await protocol.sweepStorage(storage, { dryRun: false, grace: 24 * 3_600_000 })
      return
    case 'repair': {
      const { problems } = await protocol.verifyStorage(storage, { progress: silent })
      await protocol.repairStorage(storage, source, problems, options)
      return
    }
    case 'hub':
      await hub.move(process)
      return
    case 'tomorrow':
      await process.request('clock', 'a day goes by', () => world.tick(0, 25 * 3_600_000))
  }
}

function repositoryAt(index: number): Repository {
  const found = repositories[index]
  if (found === undefined) throw new Error(`no repository ${index}`)
  return found
}
