import { quoted } from './failure.ts'

/** Levels of arrays and objects; what clients of the Hub send has five at most. */
export const deepestJson = 32

/**
 * Different keys; what clients of the Hub send has some dozen. An object of a hundred thousand took half a second, in
 * which nobody else was answered.
 */
export const mostKeys = 1_000

const tooMany = 'too many values'

/** What one pass over a text finds, before anything is made of it. */
export interface ScannedJson {
  /** Values, lists and objects included, as far as they were counted. */
  readonly count: number
  /** Why it is not to be read; `undefined`: it may be JSON. Begins with "it", but for the number of its values. */
  readonly problem: string | undefined
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openList = 0x5b
const closeList = 0x5d
const openObject = 0x7b
const closeObject = 0x7d

/** What comes next where the text is JSON. */
type Expected = 'value' | 'key' | 'mark'

/**
 * Looks at depth, number of values, and keys that come twice; the rest of the grammar is the parser's. Brackets within
 * strings do not count.
 */
export function scanJson(text: string, most: number): ScannedJson {
  /** Of each level: the keys of an object, `undefined` for a list. */
  const levels: (Set<string> | undefined)[] = []
  const different = new Set<string>()
  let expected: Expected = 'value'
  let count = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isSpace(code)) continue
    if (code === closeList || code === closeObject) {
      levels.pop()
      expected = 'mark'
    } else if (code === comma) expected = levels.at(-1) === undefined ? 'value' : 'key'
    else if (code === colon) expected = 'value'
    else {
      if (expected === 'value' && ++count > most) return { count, problem: tooMany }
      if (code === quote) {
        const end = endOfString(text, index)
        if (expected === 'key') {
          const key = keyOf(text.slice(index + 1, end))
          if (levels.at(-1)?.has(key) === true)
            return { count, problem: `it has the key ${quoted(text.slice(index, end + 1))} twice in one object` }
          levels.at(-1)?.add(key)
          if (different.add(key).size > mostKeys)
            return { count, problem: `it has more than ${mostKeys} different keys` }
        }
        index = end
        expected = 'mark'
      } else if (code === openList || code === openObject) {
        if (levels.length === deepestJson) return { count, problem: `it is nested deeper than ${deepestJson} levels` }
        levels.push(code === openObject ? new Set() : undefined)
        expected = code === openObject ? 'key' : 'value'
      } else expected = 'mark'
    }
  }
  return { count, problem: undefined }
}

/** Index of the quote that ends a string, or of the text's end. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === backslash) index++
    else if (code === quote) return index
  }
  return text.length
}

/** A key as it is read: escapes are another spelling of the same. */
function keyOf(spelled: string): string {
  if (!spelled.includes('\\')) return spelled
  try {
    return String(JSON.parse(`"${spelled}"`))
  } catch {
    return spelled // no JSON, as the parser will find
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}
