import { buffer, json } from 'node:stream/consumers'
import picomatch from 'picomatch'
import type { Asked, Handler } from './asked.ts'
import { bytesContent, type Content, textOf } from './content.ts'
import { signedIn } from './discussions.ts'
import { type HubCommit, type HubRepository, isLarge } from './repository.ts'

const endings =
  '7z arrow bin bz2 ckpt ftz gz h5 joblib model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar safetensors tar tflite tgz wasm xz zip zst'

/** What the Hub puts into a new repository. */
export const defaultAttributes = endings
  .split(' ')
  .map((ending) => `*.${ending} filter=lfs diff=lfs merge=lfs -text\n`)
  .join('')

interface LfsObject {
  readonly oid: string
  readonly size: number
}

interface BatchRequest {
  readonly operation: 'download' | 'upload'
  readonly objects: readonly LfsObject[]
  readonly transfers?: readonly string[]
}

/** The patterns of a commit's `.gitattributes` whose files go outside git. */
export async function trackedPatterns(commit: HubCommit): Promise<readonly string[]> {
  const attributes = commit.files.get('.gitattributes')?.content
  const lines = attributes === undefined ? [] : (await textOf(attributes)).split('\n')
  return lines.filter((line) => line.includes('filter=lfs')).map((line) => line.split(/\s/)[0] ?? '')
}

/** Whether a file goes outside git: by its size, by what it is, or by the repository's own patterns. */
export function isTracked(patterns: readonly string[], path: string, size: number): boolean {
  return size > 0 && (isLarge(path, size) || picomatch.isMatch(path, [...patterns], { basename: true }))
}

/** What has been uploaded, wherever it is used, and parts of uploads under way. */
export class LargeFileStore {
  /** Larger ones are asked for in parts of this size, of clients that know how. */
  partSize = 16_000_000
  readonly #stored = new Map<string, Content>()
  readonly #parts = new Map<string, Buffer>()

  get(sha256: string): Content | undefined {
    return this.#stored.get(sha256)
  }

  keep(bytes: Buffer): Content {
    const content = bytesContent(bytes)
    this.#stored.set(content.sha256, content)
    return content
  }

  /** `PUT` at the storage: a whole object, or one part of it. */
  async receive({ request, response, url }: Asked): Promise<void> {
    const bytes = await buffer(request)
    const [, sha256 = '', part] = /^\/lfs\/([0-9a-f]{64})(?:\/(\d+))?$/.exec(url.pathname) ?? []
    const content = bytesContent(bytes)
    if (part !== undefined) this.#parts.set(`${sha256}/${part}`, bytes)
    else if (content.sha256 === sha256) this.#stored.set(sha256, content)
    const accepted = part !== undefined || content.sha256 === sha256
    response.writeHead(accepted ? 200 : 400, { ETag: `"${content.oid}"` }).end()
  }

  /** Puts the parts together; returns whether they are the object that was announced. */
  complete(sha256: string, count: number): boolean {
    const numbers = Array.from({ length: count }, (_, index) => `${sha256}/${index + 1}`)
    const content = this.keep(Buffer.concat(numbers.map((key) => this.#parts.get(key) ?? Buffer.alloc(0))))
    for (const key of numbers) this.#parts.delete(key)
    return content.sha256 === sha256
  }
}

/** `POST {repository}.git/info/lfs/objects/{batch|verify}` (git-lfs api/batch.md). */
export async function answerLfs(asked: Asked, repository: HubRepository, service: string): Promise<object> {
  const { hub, request, response } = asked
  if (service.endsWith('verify')) {
    const { oid } = (await json(request)) as LfsObject
    if (hub.largeFiles.get(oid) === undefined) response.statusCode = 404
    return {}
  }
  const { operation, objects, transfers = [] } = (await json(request)) as BatchRequest
  if (operation === 'upload') signedIn(asked)
  response.setHeader('Content-Type', 'application/vnd.git-lfs+json')
  const parted = transfers.includes('multipart') && objects.some(({ size }) => size > hub.largeFiles.partSize)
  return {
    transfer: parted ? 'multipart' : 'basic',
    objects: objects.map(({ oid, size }) => {
      if (operation === 'download')
        return { oid, size, authenticated: true, actions: { download: { href: hub.cdn.signed(`/xet/${oid}`) } } }
      if (hub.largeFiles.get(oid) !== undefined) return { oid, size, authenticated: true }
      const verify = { href: `${hub.url}/${repository.path}.git/info/lfs/objects/verify` }
      const upload =
        parted && size > hub.largeFiles.partSize
          ? partedUpload(asked, oid, size)
          : { href: hub.cdn.signed(`/lfs/${oid}`) }
      return { oid, size, authenticated: true, actions: { upload, verify } }
    }),
  }
}

/** The parts' addresses are headers of their own, by number; the upload's own one ends it, and is the Hub's. */
function partedUpload({ hub }: Asked, oid: string, size: number): object {
  const { partSize } = hub.largeFiles
  const count = Math.ceil(size / partSize)
  const parts = Array.from({ length: count }, (_, index) => [index + 1, hub.cdn.signed(`/lfs/${oid}/${index + 1}`)])
  return {
    href: `${hub.url}/api/complete_multipart?uploadId=${oid}`,
    header: { chunk_size: String(partSize), ...Object.fromEntries(parts) },
  }
}

/** `POST /api/complete_multipart`. */
export async function completeMultipart({ hub, request, response }: Asked): Promise<object> {
  const { oid, parts } = (await json(request)) as { oid: string; parts: readonly object[] }
  if (!hub.largeFiles.complete(oid, parts.length)) response.statusCode = 400
  return {}
}

/** `…/lfs-files` lists what every ref has, `batch` removes for good, `duplicate` shares with another repository. */
export const lfsFiles: Handler = async ({ request }, repository, [what]) => {
  if (what === 'duplicate') return { success: [], failed: [] }
  if (what === 'batch') {
    const { deletions } = (await json(request)) as { deletions: { sha: readonly string[] } }
    for (const { files } of repository.commits.values())
      for (const file of [...files.values()])
        if (file.lfs && deletions.sha.includes(file.content.sha256)) files.delete(file.path)
    return {}
  }
  const listed = new Map<string, object>()
  const heads = [...repository.branches].map(([name, id]) => [`refs/heads/${name}`, id] as const)
  for (const [ref, id] of [...heads, ...repository.otherRefs]) {
    for (const { content, lfs, oid, path } of repository.commits.get(id)?.files.values() ?? []) {
      if (!lfs || listed.has(content.sha256)) continue
      const pushedAt = repository.commits.get(id)?.date
      listed.set(content.sha256, { fileOid: content.sha256, oid, filename: path, size: content.size, ref, pushedAt })
    }
  }
  return [...listed.values()]
}
