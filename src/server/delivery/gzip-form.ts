import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

const compress = promisify(gzip)

/** Bytes below which a head with more lines costs about what is saved. */
const leastCompressed = 1024

/**
 * The gzip form of bytes that are sent often. Made once, in libuv's threads, when the first client takes it; until it is
 * there clients get the bytes as they are, rather than wait.
 */
export class GzipForm {
  #bytes: Uint8Array | undefined
  #isBegun = false

  /** `undefined`: not yet, or not worth it. */
  of(bytes: Uint8Array): Uint8Array | undefined {
    if (!this.#isBegun && bytes.length >= leastCompressed) {
      this.#isBegun = true
      compress(bytes).then(
        (compressed) => {
          this.#bytes = compressed
        },
        // There is no memory for it: the bytes are sent as they are.
        () => undefined,
      )
    }
    return this.#bytes
  }
}
