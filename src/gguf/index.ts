export { chooseGguf, type GgufChoice, NoSuchGguf } from './choose-gguf.ts'
export type { GgufFacts } from './gguf-facts.ts'
export { GgufReader, type GgufSource, GgufUnreadable } from './gguf-reader.ts'
export {
  type ImageFile,
  type ImageFiles,
  type ImageLayer,
  manifestType,
  type OllamaImage,
  ollamaImage,
} from './ollama-image.ts'
