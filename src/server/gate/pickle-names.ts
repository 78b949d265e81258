import { pickleEndings } from './refusals.ts'

const pickleEnding = new RegExp(`\\.(?:${pickleEndings.join('|')})$`, 'i')

/**
 * Whether a file is a pickle file, or becomes one where a client keeps it. At the Hub `model.bin.` is another name than
 * `model.bin`, and may hold anything; on Windows it is the same file. So it is to who decodes the name again
 * (`model%2ebin`), or reads it up to a NUL.
 */
export function isPickle(path: string): boolean {
  let name = path
  for (let before = ''; name !== before; ) {
    if (pickleEnding.test(name) || pickleEnding.test(asKept(name))) return true
    before = name
    name = decodedAgain(name)
  }
  return false
}

/** Once more; what was encoded over and over is taken off at once. */
function decodedAgain(path: string): string {
  return path
    .replaceAll(/%(?:25)+(?=[0-9a-f]{2})/gi, '%')
    .replaceAll(/%([0-7][0-9a-f])/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a control character ends what is read of a name
const control = /[\u0000-\u001f\u007f]/
const blank = /\s/

/** The name under which Windows keeps it: without a stream (`::$DATA`), and without dots and blanks at its end. */
function asKept(path: string): string {
  const [read = ''] = path.split(control, 1)
  const name = read.slice(read.lastIndexOf('/') + 1)
  const [file = ''] = name.split(':', 1)
  let end = file.length
  while (end > 0 && (file[end - 1] === '.' || blank.test(file[end - 1] ?? ''))) end--
  return file.slice(0, end)
}
