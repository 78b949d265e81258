import { parentPort } from 'node:worker_threads'
import { gguf } from '@huggingface/gguf'
import { convertGGUFTemplateToOllama } from '@huggingface/ollama-utils'
import type { FromFactsThread, GgufFacts, ToFactsThread } from './gguf-facts.ts'

// A header may have hundreds of thousands of tokens, and its template is a program: both are read here, in a thread
// that has its own limits of memory and time, rather than in the one that answers requests.

/** The parser fetches by URL; this one stands for the file that the parent reads. */
const url = 'http://file.invalid/model.gguf'

function say(message: FromFactsThread): void {
  parentPort?.postMessage(message)
}

const fetchFromParent: typeof fetch = async (_, init) => {
  const [, start = '0', end = ''] = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init?.headers).get('range') ?? '') ?? []
  const answered = new Promise<ToFactsThread>((resolve) => parentPort?.once('message', resolve))
  say({ kind: 'read', start: Number(start), end: Number(end) })
  const { bytes } = await answered
  return new Response(new Uint8Array(bytes), { status: 206 })
}

async function readFacts(): Promise<GgufFacts> {
  const { metadata, parameterCount } = await gguf(url, { fetch: fetchFromParent, computeParametersCount: true })
  const values = new Map<string, unknown>(Object.entries(metadata))
  const token = (kind: string): string | undefined => {
    const tokens = values.get('tokenizer.ggml.tokens')
    const id = values.get(`tokenizer.ggml.${kind}_token_id`)
    return Array.isArray(tokens) && typeof id === 'number' ? textIn(tokens[id]) : undefined
  }
  const [bos, eos] = [token('bos'), token('eos')]
  const converted = convert({
    chat_template: textIn(values.get('tokenizer.chat_template')) ?? '',
    ...(bos !== undefined && { bos_token: bos }),
    ...(eos !== undefined && { eos_token: eos }),
  })
  return {
    architecture: textIn(values.get('general.architecture')) ?? 'unknown',
    parameters: parameterCount,
    template: converted?.template,
    stop: converted?.params?.stop ?? [],
  }
}

/** `undefined` where the template can't be translated: the model is of use without. */
function convert(parsed: Parameters<typeof convertGGUFTemplateToOllama>[0]) {
  try {
    return convertGGUFTemplateToOllama(parsed)?.ollama
  } catch {
    return undefined
  }
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

readFacts().then(
  (facts) => say({ kind: 'facts', facts }),
  (error: unknown) => say({ kind: 'unreadable', reason: error instanceof Error ? error.message : String(error) }),
)
