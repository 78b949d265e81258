import { decodedAgain } from '../../hub/index.ts'
import { pickleEnding } from './refusals.ts'

/**
 * Whether a file is a pickle file, or becomes one where a client keeps it. At the Hub `model.bin.` is another name than
 * `model.bin`, and may hold anything; on Windows it is the same file. So it is to who decodes the name again
 * (`model%2ebin`), or reads it up to a NUL, or as a URL once more (`model.bin%23`). What is encoded over and over may be one.
 */
export function isPickle(path: string): boolean {
  const readings = decodedAgain(path)
  return (
    readings === undefined ||
    [path, ...readings].some((reading) =>
      [reading, asKept(reading), asKept(beforeQuery(reading))].some((name) => pickleEnding.test(name)),
    )
  )
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a control character ends what is read of a name
const control = /[\u0000-\u001f\u007f]/
const blank = /\s/

/** The path, to who takes the name for a URL's. */
function beforeQuery(path: string): string {
  return path.split(/[?#]/, 1)[0] ?? ''
}

/** The name under which Windows keeps it: without a stream (`::$DATA`), and without dots and blanks at its end. */
function asKept(path: string): string {
  const [read = ''] = path.split(control, 1)
  const name = read.slice(read.lastIndexOf('/') + 1)
  const [file = ''] = name.split(':', 1)
  let end = file.length
  while (end > 0 && (file[end - 1] === '.' || blank.test(file[end - 1] ?? ''))) end--
  return file.slice(0, end)
}
