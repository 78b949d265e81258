import { z } from 'zod'

/** Levels of arrays and objects; what clients of the Hub send has five at most. */
export const deepestJson = 32

/** Why a client's text is not read as JSON; its message begins with "it". */
export class UnreadableJson extends Error {}

/**
 * Reads JSON that a client made. Its size is bounded by whoever read the body; here its depth is, for whatever walks
 * through a value calls itself for each level, and would run out of stack.
 */
export function parseClientJson(text: string): unknown {
  if (isDeep(text)) throw new UnreadableJson(`it is nested deeper than ${deepestJson} levels`)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UnreadableJson('it is not JSON', { cause })
  }
}

/**
 * A list in a client's JSON. Its elements are looked at here and not by schemas of their own: an issue for each of half a
 * million wrong ones would take longer than everything else.
 */
export function listOf<Element>(isElement: (value: unknown) => value is Element, message: string) {
  return z.custom<readonly Element[]>((value) => Array.isArray(value) && value.every(isElement), { message })
}

const quote = 0x22
const backslash = 0x5c

/** One pass over the text; brackets within strings do not count. */
function isDeep(text: string): boolean {
  let depth = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isInString) {
      if (code === backslash) index++
      else if (code === quote) isInString = false
    } else if (code === quote) isInString = true
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > deepestJson) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}
