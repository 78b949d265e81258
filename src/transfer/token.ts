import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The token that the Hub's own clients would use: `HF_TOKEN`, or the file that `hf auth login` wrote. */
export async function findToken(environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const given = environment.HF_TOKEN ?? environment.HUGGING_FACE_HUB_TOKEN
  if (given !== undefined && given.trim() !== '') return given.trim()
  const cache = environment.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const home = environment.HF_HOME ?? join(cache, 'huggingface')
  const path = environment.HF_TOKEN_PATH ?? join(home, 'token')
  const saved = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return ''
    throw error
  })
  return saved.trim() === '' ? undefined : saved.trim()
}
