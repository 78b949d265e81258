import { InvalidKey } from './errors.ts'

const segment = /^(?!\.{1,2}$)[A-Za-z0-9._%~!@+=,-]{1,255}$/

/** Whether every segment is made of the characters that our layouts use, and none leads elsewhere. */
export function isKey(key: string): boolean {
  return key.length <= 1000 && key.split('/').every((part) => segment.test(part))
}

export function assertKey(key: string): void {
  if (!isKey(key)) throw new InvalidKey(key)
}

export function assertPrefix(prefix: string): void {
  if (prefix !== '') assertKey(prefix.replace(/\/$/, ''))
}
