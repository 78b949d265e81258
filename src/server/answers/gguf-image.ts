import { buffer } from 'node:stream/consumers'
import {
  chooseGguf,
  type GgufChoice,
  type GgufReader,
  type GgufSource,
  GgufUnreadable,
  type ImageFile,
  NoSuchGguf,
  type OllamaImage,
  ollamaImage,
} from '../../gguf/index.ts'
import { type Snapshot, type SnapshotFile, sha256OfFile } from '../../mirror/index.ts'
import { fromStorage } from '../delivery/content-unavailable.ts'

/** Bytes of the largest file of a repository that is taken for a layer of text. */
const largestText = 1024 * 1024

/** Nobody's: a header is read for all who want it. */
const never = new AbortController().signal

/**
 * The image of a model of a mirrored repository. Rejects with a `GgufUnreadable`, or a `ContentUnavailable` where the
 * storage can't give the header.
 */
export async function imageOf(ggufs: GgufReader, snapshot: Snapshot, choice: GgufChoice): Promise<OllamaImage> {
  const model = imageFileOf(snapshot.files.get(choice.path))
  if (model === undefined) throw new NoSuchGguf(`${choice.path} is not stored`)
  const facts = await ggufs.facts(sourceOf(snapshot, choice))
  return ollamaImage(facts, choice.quantization, {
    model,
    projector: choice.projector === undefined ? undefined : imageFileOf(snapshot.files.get(choice.projector)),
    template: textOf(snapshot, 'template'),
    system: textOf(snapshot, 'system'),
    license: textOf(snapshot, 'LICENSE', 'LICENSE.txt', 'LICENSE.md'),
    params: textOf(snapshot, 'params'),
  })
}

/** What was made for an image of the repository and has that digest; models whose headers have been read come first. */
export async function madeFor(ggufs: GgufReader, snapshot: Snapshot, digest: string): Promise<Uint8Array | undefined> {
  const choices = [...snapshot.files.values()].flatMap((file) => choiceOf(snapshot, file))
  const isKnown = (choice: GgufChoice): boolean => ggufs.known(sourceOf(snapshot, choice)) !== undefined
  for (const choice of [...choices.filter(isKnown), ...choices.filter((one) => !isKnown(one))]) {
    const bytes = (await madeOf(ggufs, snapshot, choice)).get(digest)
    if (bytes !== undefined) return bytes
  }
  return undefined
}

/** Nothing was made of a model that can't be read. */
async function madeOf(ggufs: GgufReader, snapshot: Snapshot, choice: GgufChoice): Promise<OllamaImage['made']> {
  try {
    return (await imageOf(ggufs, snapshot, choice)).made
  } catch (error) {
    if (error instanceof GgufUnreadable) return new Map()
    throw error
  }
}

function choiceOf(snapshot: Snapshot, { path, key }: SnapshotFile): GgufChoice[] {
  if (key === undefined) return []
  try {
    const choice = chooseGguf(snapshot.files.keys(), path)
    return choice.path === path && !choice.isSharded ? [choice] : []
  } catch (error) {
    if (error instanceof NoSuchGguf) return []
    throw error
  }
}

function imageFileOf(file: SnapshotFile | undefined): ImageFile | undefined {
  const sha256 = file === undefined ? undefined : sha256OfFile(file)
  return file === undefined || sha256 === undefined ? undefined : { sha256, size: file.size }
}

function textOf(snapshot: Snapshot, ...names: readonly string[]): ImageFile | undefined {
  for (const name of names) {
    const file = snapshot.files.get(name)
    if (file !== undefined && file.size > 0 && file.size <= largestText) return imageFileOf(file)
  }
  return undefined
}

function sourceOf({ storage, files }: Snapshot, { path }: GgufChoice): GgufSource {
  const file = files.get(path)
  if (file?.key === undefined) throw new TypeError('only of what is stored is there anything to read')
  const { key, size } = file
  return {
    key: `${storage.name} ${key}`,
    path,
    size,
    read: (start, end) =>
      fromStorage(storage.name, never, async () => await buffer(await storage.read(key, { range: { start, end } }))),
  }
}
