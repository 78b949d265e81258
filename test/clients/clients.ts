import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { pythonOf } from '../support/model.ts'
import type { Finished } from '../support/processes.ts'

/** SHA-256 by path. */
export type Digests = Readonly<Record<string, string>>

/** What a client is given: where the mirror is, and what it should find there. */
export interface Task {
  readonly endpoint: string
  readonly model: string
  readonly digests: Digests
  readonly commit: string
  readonly datasets: readonly string[]
  /** An empty folder, the client's home. */
  readonly home: string
  /** Runs a command as the client's user would, in the client's network. It must succeed. */
  run(command: string, args: readonly string[], environment?: Record<string, string>): Promise<Finished>
}

/** What runs against the mirror: a program that people use, really installed. */
export interface Client {
  readonly name: string
  /** What it does there, for the table. */
  readonly does: string
  /** Absent where it speaks git or writes, which only the Hub can answer. */
  readonly fromMirrored: boolean
  /** Rejects where the client did not get what is there. */
  use(task: Task): Promise<void>
}

const script = (name: string) => fileURLToPath(new URL(`scripts/${name}`, import.meta.url))
const cached = (path: string) => fileURLToPath(new URL(`../../.cache/${path}`, import.meta.url))
const tokens = [101, 5259, 1010, 5259, 2006, 1996, 2813, 102]
const weights = 'model.safetensors'

function lastLine(text: string): Record<string, unknown> {
  return JSON.parse(text.trim().split('\n').at(-1) ?? '')
}

async function digestOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}

/** Digests of every file below a folder, but for what clients keep there of their own. */
async function digestsOf(folder: string): Promise<Digests> {
  const digests: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory() || /\/\.(?:cache|git)\//.test(path)) continue
    digests[relative(folder, path)] = await digestOf(path)
  }
  return digests
}

/** huggingface_hub of a version, with whatever else its jobs use of it. */
function huggingfaceHub(name: string, environment: string, settings: Record<string, string> = {}): Client {
  return {
    name,
    does: 'snapshot, single files, tree, paths, refs, commits, absent files',
    fromMirrored: true,
    use: async ({ run, model, digests, commit }) => {
      const { stdout } = await run(pythonOf(environment), [script('huggingface_hub_check.py'), model], settings)
      const result = JSON.parse(stdout)
      expect(result.snapshot).to.deep.equal(digests)
      expect(result.local_dir).to.deep.equal(digests)
      expect(result.tag).to.equal(digests['config.json'])
      expect(result.sha).to.equal(commit)
      expect(Object.keys(result.siblings).sort()).to.deep.equal(Object.keys(digests).sort())
      expect(Object.keys(result.tree).sort()).to.deep.equal([...Object.keys(digests), '1_Pooling'].sort())
      expect(result.paths_info).to.deep.equal(['config.json', '1_Pooling'])
      expect(result.refs).to.deep.equal({ main: commit, v1: commit })
      expect(result.file_exists).to.deep.equal([true, false])
      expect(result.commits).to.deep.equal(['Add the model', 'Begin'])
      expect(result.absent).to.match(/EntryNotFoundError$/)
    },
  }
}

function rust(name: string, program: string): Client {
  return {
    name,
    does: 'every file of a model',
    fromMirrored: true,
    use: async ({ run, model, digests }) => {
      const { stdout } = await run(cached(`rust/debug/${program}`), [model])
      const lines = stdout.trim().split('\n')
      if (!stdout.includes('\t')) expect(await digestsOf(lines[0] ?? '')).to.deep.equal(digests)
      else {
        const files = lines.map((line) => line.split('\t') as [string, string])
        const found = await Promise.all(files.map(async ([path, at]) => [path, await digestOf(at)] as const))
        expect(Object.fromEntries(found)).to.deep.equal(digests)
      }
    },
  }
}

export const clients: readonly Client[] = [
  huggingfaceHub('huggingface_hub 0.20', 'hub-0.20'),
  huggingfaceHub('huggingface_hub 0.25', 'hub-0.25'),
  huggingfaceHub('huggingface_hub 0.30', 'hub-0.30'),
  huggingfaceHub('huggingface_hub 0.36, with hf_xet', 'hub-0.36'),
  huggingfaceHub('huggingface_hub 1.x, with hf_xet', 'hub-1'),
  huggingfaceHub('huggingface_hub 1.x, without Xet', 'hub-1', { HF_HUB_DISABLE_XET: '1' }),
  huggingfaceHub('huggingface_hub 2.x, with hf_xet', 'hub-2'),
  huggingfaceHub('huggingface_hub 2.x, without Xet', 'hub-2', { HF_HUB_DISABLE_XET: '1' }),
  {
    name: 'hf download',
    does: 'a model into a folder',
    fromMirrored: true,
    use: async ({ run, model, digests, home }) => {
      await run(cached('python/hub-2/bin/hf'), ['download', model, '--local-dir', join(home, 'here')])
      expect(await digestsOf(join(home, 'here'))).to.deep.equal(digests)
    },
  },
  {
    name: 'hf upload',
    does: 'a new repository with a small and a large file, read back',
    fromMirrored: false,
    use: async ({ run, home }) => {
      const folder = join(home, 'new')
      await mkdir(folder)
      const content = { 'README.md': '# New', 'model.safetensors': 'x'.repeat(200_000) }
      const { writeFile } = await import('node:fs/promises')
      for (const [path, text] of Object.entries(content)) await writeFile(join(folder, path), text)
      const hf = cached('python/hub-2/bin/hf')
      const settings = { HF_TOKEN: 'hf_valid', HF_HUB_DISABLE_XET: '1' }
      const name = `founder/new-${Math.random().toString(36).slice(2)}`
      await run(hf, ['upload', name, folder, '.'], settings)
      await run(hf, ['download', name, '--local-dir', join(home, 'back')], settings)
      // The Hub begins a repository with a .gitattributes of its own.
      const { '.gitattributes': _, ...back } = await digestsOf(join(home, 'back'))
      expect(back).to.deep.equal(await digestsOf(folder))
    },
  },
  {
    name: 'transformers',
    does: 'configuration, tokenizer, weights',
    fromMirrored: true,
    use: async ({ run, model }) => {
      const { stdout } = await run(pythonOf('hub-2'), [script('transformers_check.py'), model])
      const result = lastLine(stdout)
      expect(result).to.deep.include({ hidden_size: 384, tokens, words: [30522, 384] })
    },
  },
  {
    name: 'datasets',
    does: 'parquet and JSON, whole and streaming',
    fromMirrored: true,
    use: async ({ run, datasets }) => {
      const { stdout } = await run(pythonOf('datasets'), [script('datasets_check.py'), ...datasets])
      const loaded = { rows: 1000, last: 'row 999', streamed: ['row 0', 'row 1'] }
      expect(lastLine(stdout)).to.deep.equal(Object.fromEntries(datasets.map((id) => [id, loaded])))
    },
  },
  {
    name: '@huggingface/hub',
    does: 'list, single files, paths, snapshot',
    fromMirrored: true,
    use: async ({ run, model, endpoint, digests, home }) => {
      const { stdout } = await run(process.execPath, [script('huggingface-hub-js.ts'), model, endpoint, home])
      const result = lastLine(stdout)
      expect(Object.keys(result.files as object).sort()).to.deep.equal(Object.keys(digests).sort())
      expect(result).to.deep.include({ weights: digests[weights], snapshot: digests[weights] })
      expect(result).to.deep.include({ config: digests['config.json'], absent: true, paths: ['config.json'] })
    },
  },
  {
    name: 'transformers.js',
    does: 'configuration, tokenizer',
    fromMirrored: true,
    use: async ({ run, model, endpoint, home }) => {
      const library = cached('node/node_modules/@huggingface/transformers/dist/transformers.node.mjs')
      const { stdout } = await run(process.execPath, [script('transformers-js.mjs'), model, endpoint, home, library])
      expect(lastLine(stdout)).to.deep.equal({ hidden_size: 384, tokens })
    },
  },
  rust('hf-hub 0.5 (Rust)', 'hf-hub-old'),
  rust('hf-hub 1.0 (Rust)', 'hf-hub-current'),
  {
    name: 'git clone, git lfs pull',
    does: 'a model with its large files',
    fromMirrored: false,
    use: async ({ run, endpoint, model, digests, home }) => {
      const folder = join(home, 'clone')
      await run('git', ['clone', '--quiet', `${endpoint}/${model}`, folder], { GIT_LFS_SKIP_SMUDGE: '1' })
      await run('git', ['-C', folder, 'lfs', 'install', '--local'])
      await run('git', ['-C', folder, 'lfs', 'pull'])
      expect(await digestsOf(folder)).to.deep.equal(digests)
    },
  },
  {
    name: 'curl',
    does: 'a large file, whole and resumed',
    fromMirrored: true,
    use: async ({ run, endpoint, model, digests, home }) => {
      const [url, file] = [`${endpoint}/${model}/resolve/main/${weights}`, join(home, 'w')]
      await run('curl', ['-fsSL', '-r', '0-999999', '-o', file, url])
      await run('curl', ['-fsSL', '-C', '-', '-o', file, url])
      expect(await digestOf(file)).to.equal(digests[weights])
    },
  },
  {
    name: 'aria2c',
    does: 'a large file by eight connections',
    fromMirrored: true,
    use: async ({ run, endpoint, model, digests, home }) => {
      const url = `${endpoint}/${model}/resolve/main/${weights}`
      await run('aria2c', ['-q', '-x8', '-s8', '-k1M', '-d', home, '-o', 'w', url])
      expect(await digestOf(join(home, 'w'))).to.equal(digests[weights])
    },
  },
]
