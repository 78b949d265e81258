import fc from 'fast-check'

const codePoint = fc.oneof(
  fc.integer({ min: 0, max: 0x7f }),
  fc.integer({ min: 0x80, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
)

/** One character of any kind. fast-check's own unit for this, `binary`, takes nearly a second of each process. */
export const anyCharacter = codePoint.map((code) => String.fromCodePoint(code))
