import { GGUFValueType, serializeGgufMetadata } from '@huggingface/gguf'

export interface GgufOptions {
  readonly architecture?: string
  readonly template?: string
  readonly tokens?: readonly string[]
  readonly fileType?: number
  /** Bytes of its one tensor: elements of one byte each, a multiple of 32. */
  readonly weights?: number
}

/** A small GGUF, sound as far as its header goes: one tensor of 8-bit integers. */
export function ggufOf({
  architecture = 'llama',
  template,
  tokens = ['<unk>', '<s>', '</s>'],
  fileType = 7,
  weights = 4096,
}: GgufOptions = {}): Buffer {
  const { STRING, UINT32, UINT64, ARRAY } = GGUFValueType
  const header = serializeGgufMetadata({
    version: { value: 3, type: UINT32 },
    tensor_count: { value: 1n, type: UINT64 },
    kv_count: { value: template === undefined ? 6n : 7n, type: UINT64 },
    'general.architecture': { value: architecture, type: STRING },
    'general.file_type': { value: fileType, type: UINT32 },
    'tokenizer.ggml.tokens': { value: [...tokens], type: ARRAY, subType: STRING },
    'tokenizer.ggml.bos_token_id': { value: 1, type: UINT32 },
    'tokenizer.ggml.eos_token_id': { value: 2, type: UINT32 },
    'general.name': { value: 'a test', type: STRING },
    ...(template !== undefined && { 'tokenizer.chat_template': { value: template, type: STRING } }),
  } as unknown as Parameters<typeof serializeGgufMetadata>[0])
  // Its last value is text. It is padded for the tensors' data, before which their descriptions come.
  let end = header.length
  while (header[end - 1] === 0) end--
  const name = Buffer.from('blk.0.attn_q.weight')
  const tensor = Buffer.alloc(8 + name.length + 4 + 8 + 4 + 8)
  let at = tensor.writeBigUInt64LE(BigInt(name.length), 0)
  at += name.copy(tensor, at)
  at = tensor.writeUInt32LE(1, at)
  at = tensor.writeBigUInt64LE(BigInt(weights), at)
  at = tensor.writeUInt32LE(24, at) // GGML_TYPE_I8
  tensor.writeBigUInt64LE(0n, at)
  const described = Buffer.concat([header.subarray(0, end), tensor])
  const padding = Buffer.alloc((32 - (described.length % 32)) % 32)
  return Buffer.concat([described, padding, Buffer.alloc(weights, 7)])
}
