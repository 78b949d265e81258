import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { type HubRepository, pointerOf } from './repository.ts'

/** What follows a repository's path when git speaks to it, or Git LFS. */
const gitPath =
  /^\/(.+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack|info\/lfs\/objects\/(?:batch|verify))$/

/** Which repository git asks for, and for what. */
export interface GitRequest {
  readonly id: string
  readonly service: string
}

export function parseGitPath(pathname: string): GitRequest | undefined {
  const [, id, service] = gitPath.exec(pathname) ?? []
  return id === undefined || service === undefined ? undefined : { id, service }
}

/** Repositories as git's own server (`git http-backend`) serves them, with LFS pointers for large files. */
export class GitServer {
  #root: Promise<string> | undefined
  readonly #made = new Map<string, Promise<void>>()

  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    repository: HubRepository,
    service: string,
    query: string,
  ): Promise<void> {
    this.#root ??= mkdtemp(join(tmpdir(), 'stand-in-git-'))
    const root = await this.#root
    const { id } = repository.traits
    if (!this.#made.has(id)) this.#made.set(id, makeBare(repository, join(root, id)))
    await this.#made.get(id)
    const backend = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: `/${id}/${service}`,
        QUERY_STRING: query,
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: request.headers['git-protocol'] as string | undefined,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    request.pipe(backend.stdin)
    const output = await buffer(backend.stdout)
    const end = output.indexOf('\r\n\r\n')
    for (const line of output.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(': ')
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.end(output.subarray(end + 4))
  }

  async close(): Promise<void> {
    if (this.#root !== undefined) await rm(await this.#root, { recursive: true, force: true })
    this.#root = undefined
    this.#made.clear()
  }
}

async function makeBare(repository: HubRepository, folder: string): Promise<void> {
  const commit = repository.resolve('main')
  if (commit === undefined) throw new Error(`${repository.traits.id} has no main`)
  const work = `${folder}-work`
  await mkdir(work, { recursive: true })
  const large = [...commit.files.values()].filter(({ lfs }) => lfs)
  const attributes = large.map(({ path }) => `${path} filter=lfs diff=lfs merge=lfs -text\n`).join('')
  if (!commit.files.has('.gitattributes')) await write(join(work, '.gitattributes'), [attributes])
  for (const { path, lfs, content } of commit.files.values())
    await write(join(work, path), lfs ? [pointerOf(content)] : content.read(0, content.size - 1))
  await git(work, 'init', '--quiet', '--initial-branch=main')
  // The pointers are written as they are: git's filter would take them for the files.
  await git(
    work,
    '-c',
    'filter.lfs.clean=cat',
    '-c',
    'filter.lfs.process=',
    '-c',
    'filter.lfs.required=false',
    'add',
    '--all',
  )
  await git(
    work,
    '-c',
    'user.name=founder',
    '-c',
    'user.email=founder@example.org',
    'commit',
    '--quiet',
    '-m',
    commit.title,
  )
  await git(work, 'clone', '--quiet', '--bare', work, folder)
}

async function write(path: string, content: Iterable<string> | NodeJS.ReadableStream): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await pipeline(content, createWriteStream(path))
}

async function git(cwd: string, ...args: string[]): Promise<void> {
  const child = spawn('git', args, {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${code}`)
}
