import { describeError, formatRepository } from '../../hub/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { fileReply } from '../answers/resolve.ts'
import { ContentUnavailable, fromStorage } from '../delivery/content-unavailable.ts'
import type { FileDelivery } from '../delivery/file-delivery.ts'
import { fileHeaders } from '../delivery/file-headers.ts'
import type { Admission } from '../gate/admission.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { Content, Reply } from '../reply.ts'
import type { GrowingFile } from './growing-file.ts'
import { type PulledFile, PullThrough } from './pull-through.ts'
import { SpoolFull } from './spool.ts'

export interface PullParts {
  /** Absent: the server only reads. */
  readonly pullThrough?: PullThrough | undefined
  readonly delivery: FileDelivery
  readonly logger: Logger
}

/** A missing file, from a download into the storage; `undefined` where it can't be pulled. */
export async function answerByPulling(
  request: ReceivedRequest,
  { library, pullRightsFor }: Admission,
  { pullThrough, delivery, logger }: PullParts,
): Promise<Reply | undefined> {
  const { target, method } = request
  if (pullThrough === undefined) return undefined
  if (target.operation !== 'resolve' && target.operation !== 'resolve-cache') return undefined
  if (method !== 'GET' && method !== 'HEAD') return undefined
  const { repository, path } = target
  const rights = await pullRightsFor(repository)
  if (rights === undefined) return undefined
  const pulled = await pullThrough.find(request.id, target, rights)
  if (pulled === undefined) return undefined
  const download = new URLSearchParams(target.query).has('download')
  // The branch may point to a commit of which this file has been pulled before.
  const snapshot = await library.find(repository, pulled.commit)
  const stored = snapshot?.files.get(path)
  const reply = snapshot && stored && fileReply(snapshot, stored, delivery, download)
  if (reply !== undefined) return reply
  const about = { request: request.id, repository: formatRepository(repository), path }
  // Clients make an empty file from its head, and never ask for its content.
  if (pulled.file.size === 0 && method === 'HEAD') await keepEmpty(pulled, request.id, logger, about)
  return {
    status: 200,
    headers: fileHeaders(pulled.commit, pulled.file, download),
    body: {
      kind: 'content',
      content: growingContent(request.id, pulled, delivery, {
        onBreak: (sent) => logger.warn({ ...about, sent }, 'pull broke off'),
        onFail: (error) =>
          logger.warn({ ...about, reason: describeError(error), err: error }, 'pull failed, asking the upstream'),
      }),
    },
    source: 'pull-through',
    outcome: 'fallback',
  }
}

/** Begins the download of what nobody will ask for; the head is right even if it can't be kept. */
async function keepEmpty(pulled: PulledFile, request: string, logger: Logger, about: object): Promise<void> {
  try {
    const growing = await pulled.join(request)
    await growing.release()
  } catch (error) {
    logger.warn({ ...about, reason: describeError(error), err: error }, 'not kept')
  }
}

/** A download that fails before its first byte leaves the reply to the upstream: the request's own line has nothing of it. */
async function arrives(growing: GrowingFile, onFail: Trouble['onFail']): Promise<void> {
  if (growing.size === 0) return
  try {
    await growing.whenReadable(0)
  } catch (error) {
    await growing.release()
    onFail(error)
    throw new ContentUnavailable(undefined, error)
  }
}

/** Others may have taken the room since it was promised: the Hub answers then, and no storage has failed. */
export async function joinDownload(
  pulled: Pick<PulledFile, 'join'>,
  request: string,
  signal: AbortSignal,
): Promise<GrowingFile> {
  try {
    return await fromStorage('spool', signal, () => pulled.join(request))
  } catch (error) {
    if (error instanceof ContentUnavailable && error.cause instanceof SpoolFull)
      throw new ContentUnavailable(undefined, error.cause)
    throw error
  }
}

interface Trouble {
  /** The download failed while the content was sent. */
  onBreak(sent: number): void
  /** It failed before the first byte. */
  onFail(error: unknown): void
}

function growingContent(
  request: string,
  pulled: PulledFile,
  delivery: FileDelivery,
  { onBreak, onFail }: Trouble,
): Content {
  const { etag, size } = pulled.file
  return {
    etag,
    size,
    open: async (range, signal) => {
      const growing = await joinDownload(pulled, request, signal)
      if (!PullThrough.isNear(growing, range.start)) {
        await growing.release()
        throw new ContentUnavailable(undefined, new Error('the download is far from this range'))
      }
      await arrives(growing, onFail)
      return {
        send: async (response, onBytes) => {
          let sent = 0
          try {
            await delivery.send(growing, range, response, (bytes) => {
              sent += bytes
              onBytes(bytes)
            })
          } catch (error) {
            onBreak(sent)
            throw error
          }
        },
        close: () => growing.release(),
      }
    },
  }
}
