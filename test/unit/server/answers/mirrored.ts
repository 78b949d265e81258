import { Readable } from 'node:stream'
import { GgufReader } from '../../../../src/gguf/index.ts'
import { HubFailure, type Method, parseTarget, type Repository } from '../../../../src/hub/index.ts'
import { ManifestSnapshot, type MirroredRef, type Snapshot } from '../../../../src/mirror/index.ts'
import type { Storage } from '../../../../src/plugin/index.ts'
import { answerFromLibrary } from '../../../../src/server/answers/from-library.ts'
import { Renderings } from '../../../../src/server/answers/renderings.ts'
import { BufferPool } from '../../../../src/server/delivery/buffer-pool.ts'
import { FileDelivery } from '../../../../src/server/delivery/file-delivery.ts'
import type { Reply } from '../../../../src/server/reply.ts'

export const commit = 'c'.repeat(40)
export const repository: Repository = { type: 'model', id: 'org/model' }

/** Every blob reads as its key. */
const storage: Storage = {
  name: 'store',
  stat: async () => undefined,
  read: async (key) => Readable.from([Buffer.from(key)]),
  list: async function* () {},
  children: async () => [],
  ready: async () => undefined,
  close: async () => undefined,
}

const oid = (digit: string) => digit.repeat(40)

export function mirrored(
  given: { info?: Record<string, unknown>; commits?: Record<string, unknown>[] } = {},
): Snapshot {
  const blob = 'b'.repeat(64)
  return new ManifestSnapshot(
    storage,
    {
      layout: 2,
      repository: { ...repository },
      commit,
      mirroredAt: '2026-01-01T00:00:00.000Z',
      mirroredFrom: 'https://hub.example',
      info: given.info ?? { tags: ['t'], downloads: 7, id: 'former/name', sha: oid('0'), pipeline_tag: 'x' },
      commits: given.commits ?? [{ id: commit, title: 'Begin' }],
      files: [
        { path: 'a.json', size: 7, oid: oid('1'), blob },
        { path: 'd/left-out.txt', size: 5, oid: oid('2'), blob: null },
        { path: 'd/w.bin', size: 1_000, oid: oid('3'), lfs: { sha256: 'f'.repeat(64), pointerSize: 130 }, blob },
      ],
      directories: [{ path: 'd', oid: oid('d') }],
    },
    0,
  )
}

export const refs: readonly MirroredRef[] = [
  { name: 'main', kind: 'branch', commit, updatedAt: '2026-01-01T00:00:00.000Z' },
  { name: 'v1', kind: 'tag', commit: oid('a'), updatedAt: '2026-01-01T00:00:00.000Z' },
  { name: 'refs/convert/parquet', kind: 'convert', commit: oid('b'), updatedAt: '2026-01-01T00:00:00.000Z' },
  { name: 'refs/pr/1', kind: 'pull-request', commit: oid('e'), updatedAt: '2026-01-01T00:00:00.000Z' },
]

export interface Asking {
  readonly method?: Method
  readonly snapshot?: Snapshot | undefined
  readonly refs?: readonly MirroredRef[]
  readonly renderings?: Renderings
  readonly body?: { readonly contentType: string; readonly text: string }
  /** Told of each revision that is looked for. */
  readonly onFind?: (revision: string) => void
}

/** The reply from a library of one repository at one commit; none of it where `snapshot` is given as `undefined`. */
export async function replyTo(url: string, asking: Asking = {}): Promise<Reply | undefined> {
  const snapshot = 'snapshot' in asking ? asking.snapshot : mirrored()
  const { target } = parseTarget(url, '')
  return await answerFromLibrary(asking.method ?? 'GET', target, {
    library: {
      find: async (_repository, revision) => {
        asking.onFind?.(revision)
        return snapshot
      },
      refs: async () => [...(asking.refs ?? refs)],
    },
    renderings: asking.renderings ?? new Renderings(1_000_000),
    delivery: new FileDelivery(new BufferPool(0), { mode: 'stream', accelPrefix: '' }),
    ggufs: new GgufReader(),
    userAgent: '',
    readBody: async () => asking.body ?? { contentType: 'application/json', text: '{"paths":[]}' },
  })
}

/** The text of a reply whose body is bytes. */
export function textOf(reply: Reply | undefined): string {
  if (reply?.body.kind !== 'bytes') throw new Error('no bytes')
  return Buffer.from(reply.body.bytes).toString('utf8')
}

export function jsonOf(reply: Reply | undefined): unknown {
  return JSON.parse(textOf(reply))
}

/** `status code`, and the commit that was looked into, of what it rejects with; `answered` where it does not. */
export async function refusalOf(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error === undefined) return 'answered'
  if (error instanceof HubFailure) return `${error.status} ${error.code} ${error.commit ?? ''}`.trim()
  return error instanceof Error ? error.name : String(error)
}
