import { UsageFailure } from './failure.ts'

const fullCommit = /^[0-9a-f]{40}$/
const shortCommit = /^[0-9a-f]{7,39}$/

export function isCommit(revision: string): boolean {
  return fullCommit.test(revision)
}

/** The Hub accepts an abbreviated commit of seven digits or more. */
export function isShortCommit(revision: string): boolean {
  return shortCommit.test(revision)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: git refuses them in a ref's name, and so do we
const refusedInRefs = /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|\/\/|@\{/

/** Commits, and most branches and tags. */
const plainRevision = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,239}$/

/** Whether `text` may name a branch, tag, commit or ref, by the rules of git-check-ref-format. */
export function isRevision(text: string): boolean {
  if (plainRevision.test(text)) return true
  return (
    text.length > 0 &&
    Buffer.byteLength(text) <= 240 &&
    !refusedInRefs.test(text) &&
    text.isWellFormed() &&
    text !== '@' &&
    !text.startsWith('-') &&
    !text.endsWith('.') &&
    text.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
  )
}

export function parseRevision(text: string): string {
  if (!isRevision(text)) {
    throw new UsageFailure(
      `"${text}" is not a revision: expected a branch, a tag, a commit, or a ref such as refs/pr/1`,
    )
  }
  return text
}

/** `refs/heads/main` and `main` name the same branch; so do `refs/tags/v1` and `v1`. */
export function shortRevision(revision: string): string {
  return revision.replace(/^refs\/(?:heads|tags)\//, '')
}
