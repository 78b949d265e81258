import { readFile } from 'node:fs/promises'
import { describeError, UsageFailure } from '../hub/index.ts'

/** A YAML file's content. What is wrong with it is a {@link UsageFailure} that names the file. */
export async function readYaml(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageFailure(`${file} cannot be read: ${error.code === 'ENOENT' ? 'no such file' : error.message}`, {
      cause: error,
    })
  })
  // Loaded only here: most commands read no file.
  const { parse } = await import('yaml')
  try {
    return parse(text, { logLevel: 'error' })
  } catch (error) {
    // The parser throws errors of other classes too: for an alias of nothing, say.
    throw new UsageFailure(`${file} is not valid YAML: ${describeError(error)}`, { cause: error })
  }
}
