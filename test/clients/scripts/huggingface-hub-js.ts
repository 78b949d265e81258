import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { downloadFile, listFiles, pathsInfo, snapshotDownload } from '@huggingface/hub'

const [repo = '', hubUrl = '', cacheDir = ''] = process.argv.slice(2)
const files: Record<string, number> = {}
for await (const entry of listFiles({ repo, hubUrl, recursive: true }))
  if (entry.type === 'file') files[entry.path] = entry.size
const weights = await downloadFile({ repo, path: 'model.safetensors', hubUrl })
const config = await downloadFile({ repo, path: 'config.json', hubUrl, revision: 'v1' })
const absent = await downloadFile({ repo, path: 'absent.json', hubUrl })
const folder = await snapshotDownload({ repo, hubUrl, cacheDir })
const infos = await pathsInfo({ repo, hubUrl, paths: ['config.json', 'absent'] })
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const result = {
  files,
  weights: sha256(new Uint8Array((await weights?.arrayBuffer()) ?? new ArrayBuffer())),
  config: sha256(new Uint8Array((await config?.arrayBuffer()) ?? new ArrayBuffer())),
  absent: absent === null,
  snapshot: sha256(await readFile(join(folder, 'model.safetensors'))),
  paths: infos.map((info) => info.path),
}
// The library prints its own progress on stdout.
process.stdout.write(`\n${JSON.stringify(result)}\n`)
