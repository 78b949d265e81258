import { randomUUID } from 'node:crypto'
import { statfs } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { type Config, defaultDirectory } from '../config/index.ts'
import { describeError } from '../hub/index.ts'
import { readVerification } from '../mirror/index.ts'
import { Conflict, type Storage, type StorageWriter, type WriteOptions } from '../plugin/index.ts'
import { examineUpstream } from './examine-upstream.ts'
import type { Finding } from './finding.ts'
import { formatBytes } from './format.ts'
import { NoSuchDirectory, openExisting } from './open-storage.ts'

/** Free bytes below which a directory is nearly full. */
const littleSpace = 10 * 1024 ** 3

/** Looks at everything that a server or a mirror run needs, and finds what would fail. */
export async function* examine(
  config: Config,
  token: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  yield { state: 'good', subject: 'configuration', message: 'every setting is understood' }
  for (const reference of config.storages) {
    signal.throwIfAborted()
    yield* await examineStorage(reference, config)
  }
  if (config.upstreams.length === 0)
    yield { state: 'good', subject: 'upstream', message: 'none: offline, as configured' }
  for (const upstream of config.upstreams) {
    signal.throwIfAborted()
    yield* await examineUpstream(upstream, token)
  }
}

async function examineStorage(reference: Config['storages'][number], config: Config): Promise<Finding[]> {
  const subject = `storage ${reference.plugin}`
  let storage: Storage
  try {
    storage = await openExisting(reference, config)
    await storage.ready()
  } catch (error) {
    if (error instanceof NoSuchDirectory) return [missingDirectory(subject, error)]
    return [
      {
        state: 'bad',
        subject,
        message: describeError(error),
        advice: 'the server is not ready without it; requests fall back to the Hub',
      },
    ]
  }
  const findings: Finding[] = [{ state: 'good', subject, message: 'can be read' }]
  findings.push(await examineWriting(storage, subject))
  if (reference.plugin === 'local' && typeof reference.directory === 'string')
    findings.push(await examineSpace(reference.directory, subject))
  const verification = await readVerification(storage)
  if (verification === undefined)
    findings.push({ state: 'doubtful', subject, message: 'was never verified', advice: 'run mirrorface verify' })
  else if (verification.problems > 0)
    findings.push({
      state: 'bad',
      subject,
      message: `${verification.problems} problems when last verified, ${verification.at}`,
      advice: 'run mirrorface verify --repair',
    })
  else findings.push({ state: 'good', subject, message: `sound when last verified, ${verification.at}` })
  await storage.close()
  return findings
}

/** The default directory is made by the first run that needs it; any other was named by a person. */
function missingDirectory(subject: string, { directory, message }: NoSuchDirectory): Finding {
  return directory === defaultDirectory
    ? { state: 'doubtful', subject, message, advice: 'mirrorface mirror and mirrorface serve make it' }
    : { state: 'bad', subject, message, advice: 'correct the setting, or make the directory', isBadInput: true }
}

async function examineWriting({ writer }: Storage, subject: string): Promise<Finding> {
  if (writer === undefined) return { state: 'good', subject, message: 'is read-only' }
  const key = `doctor-${randomUUID()}.txt`
  try {
    const ignored = await ignoredCondition(writer, key)
    await writer.remove(key)
    if (ignored === undefined) return { state: 'good', subject, message: 'can be written to, on condition' }
    return {
      state: 'bad',
      subject,
      message: `ignores the condition of ${ignored}: two processes that write to it can destroy each other's work`,
      advice: 'use a service that supports conditional requests, or have one process write at a time',
    }
  } catch (error) {
    return {
      state: 'doubtful',
      subject,
      message: `cannot be written to: ${describeError(error)}`,
      advice: 'a server needs no more than to read; mirrorface mirror does',
    }
  }
}

/** Services exist that take the headers of a conditional request, and do not look at them. */
async function ignoredCondition(writer: StorageWriter, key: string): Promise<string | undefined> {
  const write = async (text: string, condition: WriteOptions = {}) =>
    await writer.write(key, () => Readable.from([Buffer.from(text)]), { size: text.length }, condition)
  const { generation = '' } = await write('first')
  await write('second')
  if (!(await conflicts(write('third', { ifAbsent: true })))) return 'a write if absent'
  if (!(await conflicts(write('third', { ifGeneration: generation })))) return 'a write over one version'
  if (!(await conflicts(writer.remove(key, { ifGeneration: generation })))) return 'the removal of one version'
  return undefined
}

async function conflicts(change: Promise<unknown>): Promise<boolean> {
  try {
    await change
    return false
  } catch (error) {
    if (error instanceof Conflict) return true
    throw error
  }
}

async function examineSpace(directory: string, subject: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(directory)
  const free = bavail * bsize
  return free < littleSpace
    ? {
        state: 'doubtful',
        subject,
        message: `${formatBytes(free)} are free`,
        advice: 'mirrorface sweep frees what nothing needs; mirrorface remove forgets revisions',
      }
    : { state: 'good', subject, message: `${formatBytes(free)} are free` }
}
