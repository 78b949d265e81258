/** What the header of a GGUF says of its model, as far as an image of it needs that. */
export interface GgufFacts {
  /** `general.architecture`: `llama`. */
  readonly architecture: string
  readonly parameters: number
  /** The chat template in Go's language, which Ollama speaks, where the model has one that could be translated. */
  readonly template: string | undefined
  /** Texts at which an answer ends. */
  readonly stop: readonly string[]
}

/** What the thread that reads a header asks for, and what it says in the end. */
export type FromFactsThread =
  | { readonly kind: 'read'; readonly start: number; readonly end: number }
  | { readonly kind: 'facts'; readonly facts: GgufFacts }
  | { readonly kind: 'unreadable'; readonly reason: string }

/** Bytes that were asked for, fewer at the file's end. */
export interface ToFactsThread {
  readonly bytes: Uint8Array
}
