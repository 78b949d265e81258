import type { MirrorOperation, Target } from '../../hub/index.ts'
import type { FileDelivery } from '../delivery/file-delivery.ts'
import type { ReadableLibrary } from '../gate/readable-library.ts'
import type { Renderings } from './renderings.ts'

/** What a reply from the library may depend on. */
export interface Question<Name extends MirrorOperation> {
  readonly target: Target<Name>
  readonly query: URLSearchParams
  /** What is mirrored, as this client may see it. */
  readonly library: Pick<ReadableLibrary, 'find' | 'refs'>
  readonly renderings: Renderings
  readonly delivery: FileDelivery
  /** Reads the request's body; called only once it is sure that the reply is ours to make. */
  readBody(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** The Hub's clients write true as `true`, `True` or `1`. */
export function isTrue(value: string | null): boolean {
  return value !== null && ['true', '1'].includes(value.toLowerCase())
}
