/** Escapes of ASCII: nothing else is a word, a dot or a slash. */
const escapeSequence = /%[0-7][0-9a-f]/i
const escapeSequences = /%([0-7][0-9a-f])/gi

/** How often a name may be encoded besides the once that is usual. */
const mostDecodings = 3

/**
 * What a decoded `text` is to those who decode it again, and again, until nothing is left to decode; the text itself
 * is not among them. `undefined` where that takes more than {@link mostDecodings}: each takes as long as the text, so
 * that a long one could take forever.
 */
export function decodedAgain(text: string): readonly string[] | undefined {
  const readings: string[] = []
  for (let reading = text; escapeSequence.test(reading); readings.push(reading)) {
    if (readings.length === mostDecodings) return undefined
    reading = reading.replaceAll(escapeSequences, (_escape, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
  }
  return readings
}
