import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** What a seal is for. Each kind has keys of its own, so that none can be passed off as another. */
export type SealKind = 'follow' | 'xet'

interface Key {
  readonly id: Buffer
  readonly key: Buffer
}

const version = 1
const idBytes = 4
const ivBytes = 12
const tagBytes = 16
const headBytes = 1 + idBytes + ivBytes

/**
 * Seals texts so that clients can carry them but neither read nor make them: AES-256-GCM with keys by HKDF-SHA-256
 * (RFC 5869). The first secret seals, all of them open, so that secrets can be rotated without breaking what is in use.
 *
 * A seal is `version (1 byte) | key id (4) | nonce (12) | ciphertext | tag (16)` in base64url.
 */
export class Seals {
  readonly #secrets: readonly string[]
  readonly #keys = new Map<SealKind, readonly Key[]>()

  constructor(secrets: readonly string[]) {
    if (secrets.length === 0) throw new Error('sealing takes at least one secret')
    this.#secrets = secrets
  }

  seal(kind: SealKind, text: string): string {
    const [key] = this.#keysOf(kind)
    if (key === undefined) throw new Error('unreachable: there is a secret')
    const iv = randomBytes(ivBytes)
    const head = Buffer.concat([Buffer.of(version), key.id, iv])
    const cipher = createCipheriv('aes-256-gcm', key.key, iv).setAAD(head)
    const sealed = Buffer.concat([head, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return sealed.toString('base64url')
  }

  /** What was sealed; `undefined` where it is no seal of this kind by one of the secrets. */
  open(kind: SealKind, seal: string): string | undefined {
    const bytes = Buffer.from(seal, 'base64url')
    // Only the canonical spelling, so that one seal has one name in caches and logs.
    if (bytes.length < headBytes + tagBytes || bytes[0] !== version || bytes.toString('base64url') !== seal)
      return undefined
    const head = bytes.subarray(0, headBytes)
    const id = bytes.subarray(1, 1 + idBytes)
    for (const key of this.#keysOf(kind)) {
      if (!key.id.equals(id)) continue
      const text = decrypt(key.key, head, bytes.subarray(headBytes, -tagBytes), bytes.subarray(-tagBytes))
      if (text !== undefined) return text
    }
    return undefined
  }

  #keysOf(kind: SealKind): readonly Key[] {
    let keys = this.#keys.get(kind)
    if (keys === undefined) {
      keys = this.#secrets.map((secret) => ({
        id: derive(secret, `mirrorface seal ${kind} id`, idBytes),
        key: derive(secret, `mirrorface seal ${kind} key`, 32),
      }))
      this.#keys.set(kind, keys)
    }
    return keys
  }
}

/** A secret for a server that was configured with none: seals of another process don't open, nor do former ones. */
export function newSealSecret(): string {
  return randomBytes(32).toString('base64url')
}

function derive(secret: string, info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', info, bytes))
}

function decrypt(key: Buffer, head: Buffer, ciphertext: Buffer, tag: Buffer): string | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, head.subarray(-ivBytes)).setAAD(head).setAuthTag(tag)
  try {
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8')
  } catch {
    return undefined // the tag does not match: it was altered, or another key made it
  }
}
