import { crc32c } from '@node-rs/crc32'

/** The CRC-32C of bytes as they pass, natively; a validator as Google's client wants it. */
export class Crc32c {
  #value = 0

  update(bytes: Uint8Array): void {
    this.#value = crc32c(bytes, this.#value)
  }

  /** Base64 of the big-endian 32 bits, as the service gives it. */
  toString(): string {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(this.#value)
    return bytes.toString('base64')
  }

  validate(value: string): boolean {
    return value === this.toString()
  }
}
