import { createHash } from 'node:crypto'
import type { GgufFacts } from './gguf-facts.ts'

/** A file of the repository that is a layer as it is. */
export interface ImageFile {
  readonly sha256: string
  /** Bytes. */
  readonly size: number
}

/** What an image is made of, besides what the model's header says. */
export interface ImageFiles {
  readonly model: ImageFile
  readonly projector?: ImageFile | undefined
  /** A repository's own files of these names go before what is made from the header. */
  readonly template?: ImageFile | undefined
  readonly params?: ImageFile | undefined
  readonly system?: ImageFile | undefined
  readonly license?: ImageFile | undefined
}

/** A descriptor of the registry's protocol. */
export interface ImageLayer {
  readonly mediaType: string
  /** `sha256:…` */
  readonly digest: string
  readonly size: number
}

export interface OllamaImage {
  readonly manifest: {
    readonly schemaVersion: 2
    readonly mediaType: string
    readonly config: ImageLayer
    readonly layers: readonly ImageLayer[]
  }
  /** Content that lies in no file, by digest. */
  readonly made: ReadonlyMap<string, Uint8Array>
}

export const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'
const configType = 'application/vnd.docker.container.image.v1+json'
const layerType = (kind: string) => `application/vnd.ollama.image.${kind}`

/** The image that Ollama pulls of a GGUF. The same content always makes the same image, byte for byte. */
export function ollamaImage(facts: GgufFacts, quantization: string | undefined, files: ImageFiles): OllamaImage {
  const made = new Map<string, Uint8Array>()
  const make = (mediaType: string, text: string): ImageLayer => {
    const bytes = Buffer.from(text)
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    made.set(digest, bytes)
    return { mediaType, digest, size: bytes.length }
  }
  const layers: ImageLayer[] = [layerOf('model', files.model)]
  if (files.projector !== undefined) layers.push(layerOf('projector', files.projector))
  if (files.template !== undefined) layers.push(layerOf('template', files.template))
  else if (facts.template !== undefined) layers.push(make(layerType('template'), facts.template))
  if (files.system !== undefined) layers.push(layerOf('system', files.system))
  if (files.license !== undefined) layers.push(layerOf('license', files.license))
  if (files.params !== undefined) layers.push(layerOf('params', files.params))
  else if (facts.stop.length > 0) layers.push(make(layerType('params'), JSON.stringify({ stop: facts.stop })))
  const config = make(configType, JSON.stringify(configOf(facts, quantization, layers)))
  return { manifest: { schemaVersion: 2, mediaType: manifestType, config, layers }, made }
}

function layerOf(kind: string, { sha256, size }: ImageFile): ImageLayer {
  return { mediaType: layerType(kind), digest: `sha256:${sha256}`, size }
}

function configOf(facts: GgufFacts, quantization: string | undefined, layers: readonly ImageLayer[]): object {
  return {
    model_format: 'gguf',
    model_family: facts.architecture,
    model_families: [facts.architecture],
    model_type: countOf(facts.parameters),
    file_type: quantization ?? 'unknown',
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  }
}

/** As Ollama writes a model's size: `1.24B`, `361.82M`. */
function countOf(parameters: number): string {
  for (const [unit, name] of [
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'K'],
  ] as const)
    if (parameters >= unit) return `${(parameters / unit).toFixed(2)}${name}`
  return String(parameters)
}
