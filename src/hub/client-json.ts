import { z } from 'zod'
import { scanJson } from './scan-json.ts'

/** Why a client's text is not read as JSON; its message begins with "it". */
export class UnreadableJson extends Error {}

/** Values that a body may have, lists and objects included; a batch of a thousand files has some thousands. */
export const mostJsonValues = 100_000

/**
 * Reads JSON that a client made. Its size is bounded by whoever read the body; here its depth is, for whatever walks
 * through a value calls itself for each level, and would run out of stack, and the number of its values. A key that an
 * object has twice is refused: of its values, each reader takes another.
 */
export function parseClientJson(text: string): unknown {
  return parseWithin(text, mostJsonValues).value
}

/** The same for a value in each line; empty lines are none. */
export function parseClientJsonLines(text: string): unknown[] {
  const values: unknown[] = []
  let left = mostJsonValues
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start)
    const end = newline === -1 ? text.length : newline
    const line = text.slice(start, end)
    start = end + 1
    if (line.trim() === '') continue
    const parsed = parseWithin(line, left)
    left -= parsed.count
    values.push(parsed.value)
  }
  return values
}

function parseWithin(text: string, most: number): { readonly value: unknown; readonly count: number } {
  const { problem, count } = scanJson(text, most)
  if (problem === 'too many values') throw new UnreadableJson(`it has more than ${mostJsonValues} values`)
  if (problem !== undefined) throw new UnreadableJson(problem)
  try {
    return { value: JSON.parse(text), count }
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
