import { createHash } from 'node:crypto'
import { chooseGguf, type GgufChoice, manifestType, NoSuchGguf } from '../../gguf/index.ts'
import type { Repository, Target } from '../../hub/index.ts'
import { type Snapshot, sha256OfFile } from '../../mirror/index.ts'
import type { HeaderList } from '../../plugin/index.ts'
import type { Content, Reply } from '../reply.ts'
import { imageOf, madeFor } from './gguf-image.ts'
import type { Question } from './question.ts'
import { fileReply } from './resolve.ts'

/** The branch that tags of the registry speak of. */
const branch = 'main'

/**
 * `/v2/{repo}/manifests/{tag}`: the image that Ollama pulls of a GGUF; llama.cpp, and those who take its name, get the
 * names of the files too. `undefined` where the model is not stored.
 */
export async function answerRegistryManifest(question: Question<'oci-manifest'>): Promise<Reply | undefined> {
  const { target, library, ggufs, userAgent } = question
  const snapshot = await library.find(modelOf(target), branch)
  if (snapshot === undefined) return undefined
  const choice = chooseGguf(snapshot.files.keys(), target.reference)
  if (snapshot.files.get(choice.path)?.key === undefined) return undefined
  const names = /llama-?cpp/i.test(userAgent) ? namesOf(snapshot, choice) : undefined
  if (choice.isSharded && names === undefined)
    throw new NoSuchGguf(`${choice.path} is one of several parts, which Ollama does not take`)
  const image = choice.isSharded ? undefined : await imageOf(ggufs, snapshot, choice)
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, ...image?.manifest, ...names }))
  const digest = createHash('sha256').update(bytes).digest('hex')
  return bytesReply(snapshot, bytes, digest, [
    ['content-type', names === undefined ? manifestType : 'application/json; charset=utf-8'],
    ['docker-content-digest', `sha256:${digest}`],
    ['vary', 'User-Agent'],
  ])
}

/** `/v2/{repo}/blobs/sha256:…`: a stored file, or what was made for an image from a GGUF's header. */
export async function answerRegistryBlob(question: Question<'oci-blob'>): Promise<Reply | undefined> {
  const { target, library, ggufs, delivery } = question
  const sha256 = /^sha256:([0-9a-f]{64})$/.exec(target.digest)?.[1]
  if (sha256 === undefined) return undefined
  const snapshot = await library.find(modelOf(target), branch)
  if (snapshot === undefined) return undefined
  for (const file of snapshot.files.values())
    if (sha256OfFile(file) === sha256) {
      const reply = fileReply(snapshot, { ...file, etag: sha256 }, delivery, false)
      return reply && locatedReply(reply, target)
    }
  const made = await madeFor(ggufs, snapshot, target.digest)
  if (made === undefined) return undefined
  return locatedReply(bytesReply(snapshot, made, sha256, [['content-type', 'application/octet-stream']]), target)
}

/** The registry has models only. */
function modelOf({ repository }: Target<'oci-manifest' | 'oci-blob'>): Repository {
  return { type: 'model', id: repository.id }
}

function bytesReply(snapshot: Snapshot, bytes: Uint8Array, sha256: string, headers: HeaderList): Reply {
  return {
    status: 200,
    headers: [...headers, ['x-repo-commit', snapshot.commit]],
    body: { kind: 'bytes', bytes, etag: sha256 },
    source: snapshot.storage.name,
    outcome: 'hit',
  }
}

/**
 * Ollama asks where a blob lies, of a response that is 200 as well, and takes no other redirect than 307 (its
 * `server/download.go`).
 */
function locatedReply(reply: Reply, { canonical, digest }: Target<'oci-blob'>): Reply {
  const headers: HeaderList = [...reply.headers, ['docker-content-digest', digest], ['location', canonical]]
  const located: Reply = { ...reply, headers }
  if (reply.body.kind !== 'content') return located
  const { content } = reply.body
  const shortcut: Content['shortcut'] = async (length, signal) => {
    const found = await content.shortcut?.(length, signal)
    return found?.kind === 'redirect' ? { ...found, status: 307 } : found
  }
  return { ...located, body: { kind: 'content', content: { ...content, shortcut } } }
}

/** What llama.cpp wants to know: it downloads by name. */
function namesOf(snapshot: Snapshot, choice: GgufChoice): object {
  const projector = choice.projector === undefined ? undefined : fileNamed(snapshot, choice.projector)
  return { ggufFile: fileNamed(snapshot, choice.path), ...(projector && { mmprojFile: projector }) }
}

function fileNamed({ files }: Snapshot, path: string): object | undefined {
  const file = files.get(path)
  if (file === undefined) return undefined
  const { size, lfs } = file
  const sha256 = lfs?.sha256 ?? sha256OfFile(file)
  return {
    rfilename: path,
    size,
    ...(sha256 !== undefined && { blobId: `sha256:${sha256}` }),
    ...(lfs !== undefined && { lfs: { sha256: lfs.sha256, size, pointerSize: lfs.pointerSize } }),
  }
}
