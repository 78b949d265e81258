// biome-ignore lint/suspicious/noControlCharactersInRegex: a control character in a file's name is refused
const refusedInPaths = /[\u0000-\u001f\u007f]/

/**
 * Whether `path` may be a file or folder inside a repository: relative, `/`-separated, no empty, `.` or `..` segment,
 * no control character, no segment over 255 bytes. A backslash is an ordinary character, as it is to git: content is
 * addressed by its hash, so a name never becomes a path on disk.
 */
export function isFilePath(path: string): boolean {
  return (
    path.length > 0 &&
    path.length <= 4096 &&
    path.isWellFormed() &&
    !refusedInPaths.test(path) &&
    path.split('/').every(isFileName)
  )
}

function isFileName(name: string): boolean {
  // No character of UTF-16 takes more than three bytes of UTF-8.
  return name !== '' && name !== '.' && name !== '..' && (name.length <= 85 || Buffer.byteLength(name) <= 255)
}

const unreservedPath = /^[A-Za-z0-9._~/-]*$/

/** Percent-encodes a path for a URL, slashes kept, as `huggingface_hub` does. */
export function encodeFilePath(path: string): string {
  return unreservedPath.test(path) ? path : path.split('/').map(encodeURIComponent).join('/')
}

/** All folders above the given files, each once, parents first. */
export function foldersAbove(paths: Iterable<string>): string[] {
  const folders = new Set<string>()
  for (const path of paths) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      folders.add(path.slice(0, slash))
    }
  }
  return [...folders].sort()
}
