import { closest, distance } from 'fastest-levenshtein'

/** The name that was probably meant, if one is near enough to be a slip of the finger. */
export function closestName(wrong: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined
  const candidate = closest(wrong, names)
  // Two letters exchanged are two edits, and the commonest slip.
  const tolerated = Math.max(wrong.length < 4 ? 1 : 2, Math.floor(wrong.length / 3))
  return distance(wrong, candidate) <= tolerated ? candidate : undefined
}

/** `; did you mean X?`, or `otherwise` where nothing is near enough. */
export function didYouMean(suggestion: string | undefined, otherwise = ''): string {
  return suggestion === undefined ? otherwise : `; did you mean ${suggestion}?`
}
