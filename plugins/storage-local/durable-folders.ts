import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Makes a rename or removal survive a power cut: a folder's entries are data of the folder. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

/** As `mkdir -p`, and the new folders survive a power cut. */
export async function makeFolders(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}
