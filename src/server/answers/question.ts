import type { GgufReader } from '../../gguf/index.ts'
import type { MirrorOperation, Target } from '../../hub/index.ts'
import type { FileDelivery } from '../delivery/file-delivery.ts'
import type { ReadableLibrary } from '../gate/readable-library.ts'
import type { Renderings } from './renderings.ts'

/** The operations that a mirrored repository can answer, those of the registry of images among them. */
export type AnsweredOperation = MirrorOperation | 'oci-manifest' | 'oci-blob'

/** What a reply from the library may depend on. */
export interface Question<Name extends AnsweredOperation> {
  readonly target: Target<Name>
  readonly query: URLSearchParams
  /** What is mirrored, as this client may see it. */
  readonly library: Pick<ReadableLibrary, 'find' | 'refs'>
  readonly renderings: Renderings
  readonly delivery: FileDelivery
  readonly ggufs: GgufReader
  /** The request's `User-Agent`. */
  readonly userAgent: string
  /** Reads the request's body; called only once it is sure that the reply is ours to make. */
  readBody(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** The Hub's clients write true as `true`, `True` or `1`. */
export function isTrue(value: string | null): boolean {
  return value !== null && ['true', '1'].includes(value.toLowerCase())
}
