import { createHash, type Hash } from 'node:crypto'

/** A SHA-1 that becomes git's blob id once the file's bytes have been added to it. */
export function gitBlobHash(size: number): Hash {
  return createHash('sha1').update(`blob ${size}\0`)
}

export function gitBlobOid(content: Uint8Array): string {
  return gitBlobHash(content.length).update(content).digest('hex')
}

/** The text that git holds in place of a large file (git-lfs specification v1). */
export function lfsPointer(sha256: string, size: number): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${size}\n`
}
