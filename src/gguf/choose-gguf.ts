import { basename } from 'node:path/posix'
import {
  findNearestQuantType,
  GGMLFileQuantizationType,
  parseGGUFQuantLabel,
  parseGgufShardFilename,
  RE_GGUF_FILE,
} from '@huggingface/gguf'
import { HubFailure } from '../hub/index.ts'

/** What a tag of the registry stands for. */
export interface GgufChoice {
  /** The model; of a sharded one the first part. */
  readonly path: string
  /** As the file's name has it: `Q4_K_M`. */
  readonly quantization: string | undefined
  readonly isSharded: boolean
  /** The companion that reads images or sound (`mmproj`), where the repository has one. */
  readonly projector: string | undefined
}

/** The repository has nothing that the tag could stand for. */
export class NoSuchGguf extends HubFailure {
  constructor(message: string) {
    super('NoSuchGguf', 400, message)
  }
}

/** What `latest` prefers, as the Hub does. */
const preferred = GGMLFileQuantizationType.Q4_K_M

/**
 * The file that a tag stands for, among a repository's paths, in any case: a quantisation (`q4_k_m`), a file's name with
 * or without `.gguf`, a path, or `latest`. Throws a {@link NoSuchGguf}.
 */
export function chooseGguf(paths: Iterable<string>, tag: string): GgufChoice {
  const ggufs = [...paths].filter((path) => RE_GGUF_FILE.test(path))
  const models = ggufs.filter((path) => !isProjector(path)).flatMap(modelAt)
  if (models.length === 0) throw new NoSuchGguf('the repository has no GGUF model')
  const wanted = tag.toUpperCase()
  const chosen =
    wanted === 'LATEST' ? preferredOf(models) : (models.find(named(wanted)) ?? models.find(quantized(wanted)))
  if (chosen === undefined) {
    const known = [...new Set(models.flatMap(({ quantization }) => quantization ?? []))]
    throw new NoSuchGguf(`no GGUF of the repository is called, or quantised as, ${tag}: it has ${known.join(', ')}`)
  }
  return { ...chosen, projector: projectorOf(ggufs) }
}

type Model = Omit<GgufChoice, 'projector'>

/** None for the later parts of a sharded model. */
function modelAt(path: string): Model[] {
  const shard = parseGgufShardFilename(path)
  if (shard !== null && Number(shard.shard) !== 1) return []
  const quantization = parseGGUFQuantLabel(basename(path)) ?? parseGGUFQuantLabel(path)
  return [{ path, quantization, isSharded: shard !== null && Number(shard.total) > 1 }]
}

function named(wanted: string): (model: Model) => boolean {
  return ({ path }) => {
    const upper = path.toUpperCase()
    return [upper, basename(upper)].some((name) => name === wanted || name === `${wanted}.GGUF`)
  }
}

function quantized(wanted: string): (model: Model) => boolean {
  return ({ quantization }) => quantization === wanted || quantization === `UD-${wanted}`
}

function preferredOf(models: readonly Model[]): Model | undefined {
  const types = models.flatMap((model) => typeOf(model) ?? [])
  const nearest = types.includes(preferred) ? preferred : findNearestQuantType(preferred, types)
  return models.find((model) => nearest !== undefined && typeOf(model) === nearest) ?? models[0]
}

function typeOf({ quantization = '' }: Model): GGMLFileQuantizationType | undefined {
  const name = quantization.replace(/^UD-/, '')
  return Object.entries(GGMLFileQuantizationType).find(([label]) => label === name)?.[1] as
    | GGMLFileQuantizationType
    | undefined
}

function isProjector(path: string): boolean {
  return /mmproj/i.test(basename(path))
}

/** Half precision first: it is the one that llama.cpp recommends. */
function projectorOf(ggufs: readonly string[]): string | undefined {
  const projectors = ggufs.filter(isProjector)
  return projectors.find((path) => parseGGUFQuantLabel(basename(path)) === 'F16') ?? projectors[0]
}
