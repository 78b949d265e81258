import { json, text } from 'node:stream/consumers'
import picomatch from 'picomatch'
import { writing } from './administration.ts'
import { type Asked, commitAt, flagParameter, type Handler, Refusal } from './asked.ts'
import { bytesContent, textOf } from './content.ts'
import { noteCommit, openDiscussion, signedIn } from './discussions.ts'
import { isTracked, trackedPatterns } from './large-files.ts'
import { type HubCommit, type HubFile, hubFile } from './repository.ts'

interface PreuploadRequest {
  readonly files: readonly { readonly path: string; readonly size: number }[]
  readonly gitIgnore?: string
}

interface Operation {
  readonly key: 'header' | 'file' | 'lfsFile' | 'deletedFile' | 'deletedFolder'
  readonly value: {
    readonly path: string
    readonly summary: string
    readonly description?: string
    readonly parentCommit?: string
    readonly content: string
    readonly encoding?: BufferEncoding
    readonly oid: string
  }
}

/** `POST …/preupload/{revision}`: which files go by LFS, which are ignored, which are there already. */
export const preupload: Handler = async (asked, repository, [revision = 'main']) => {
  if (!flagParameter(asked.url, 'create_pr')) writing(asked, repository)
  const { files, gitIgnore } = (await json(asked.request)) as PreuploadRequest
  const commit = commitAt(repository, revision)
  const kept = commit.files.get('.gitignore')?.content
  const ignored = (gitIgnore ?? (kept === undefined ? '' : await textOf(kept)))
    .split('\n')
    .filter((line) => line !== '')
  const tracked = await trackedPatterns(commit)
  return {
    files: files.map(({ path, size }) => ({
      path,
      uploadMode: isTracked(tracked, path, size) ? 'lfs' : 'regular',
      shouldIgnore: picomatch.isMatch(path, ignored),
      ...(commit.files.has(path) && { oid: oidOf(commit.files.get(path)) }),
    })),
  }
}

/** What clients compare their own file's id with: of a large file, the SHA-256. */
function oidOf(file: HubFile | undefined): string | undefined {
  return file?.lfs === true ? file.content.sha256 : file?.oid
}

/** `POST …/commit/{revision}`: a line of JSON for each operation. */
export const commit: Handler = async (asked, repository, [revision = 'main']) => {
  const { hub, request, url } = asked
  const asPullRequest = flagParameter(url, 'create_pr')
  const account = asPullRequest ? signedIn(asked) : writing(asked, repository)
  const isBranch = repository.branches.has(revision)
  if (!isBranch && (asPullRequest || !repository.otherRefs.has(revision)))
    throw new Refusal(404, 'RevisionNotFound', `Invalid rev id: ${revision}`)
  const head = commitAt(repository, revision)
  const operations = (await text(request))
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): Operation => JSON.parse(line))
  const header = operations.find(({ key }) => key === 'header')?.value
  if (header?.summary === undefined) throw new Refusal(400, undefined, 'Add a line with the key `header`')
  if (header.parentCommit !== undefined && header.parentCommit !== head.id)
    throw new Refusal(
      412,
      undefined,
      'The branch was updated since you opened this page. Please refresh and try again.',
    )
  const files = apply(asked, head, operations)
  const { summary: title, description = '' } = header
  const discussion = asPullRequest
    ? openDiscussion(repository, account, { title, description, pullRequest: true, base: revision, status: 'open' })
    : undefined
  const ref = discussion === undefined ? (isBranch ? undefined : revision) : `refs/pr/${discussion.num}`
  const commitOid = repository.commit(Object.fromEntries(files), {
    ...(ref === undefined ? { branch: revision } : { ref }),
    title,
    message: description,
    author: account.name,
    parent: head,
    date: new Date(),
  })
  if (ref !== undefined) noteCommit(repository, ref, account, commitOid, title)
  const address = `${hub.url}/${repository.path}`
  return {
    success: true,
    commitOid,
    commitUrl: `${address}/commit/${commitOid}`,
    hookOutput: '',
    ...(discussion !== undefined && { pullRequestUrl: `${address}/discussions/${discussion.num}` }),
  }
}

/** The head's files after the operations. */
function apply(asked: Asked, head: HubCommit, operations: readonly Operation[]): Map<string, HubFile> {
  const files = new Map(head.files)
  for (const { key, value } of operations) {
    if (key === 'header') continue
    const { path } = value
    if (/^\.\.?[/\\]|(?:^|\/)\.\.?(?:\/|$)|^\/|^\.git\//.test(path))
      throw new Refusal(422, undefined, `Invalid path: ${path}`)
    switch (key) {
      case 'file': {
        const content = bytesContent(Buffer.from(value.content, value.encoding ?? 'utf8'))
        files.set(path, hubFile(path, content, false))
        break
      }
      case 'lfsFile': {
        const content = asked.hub.largeFiles.get(value.oid) ?? asked.hub.findLargeFile(value.oid)?.content
        if (content === undefined)
          throw new Refusal(400, undefined, `LFS pointer pointed to a file that does not exist: ${path}`)
        files.set(path, hubFile(path, content, true))
        break
      }
      // Either may name a folder.
      case 'deletedFile':
      case 'deletedFolder': {
        const folder = `${path.replace(/\/$/, '')}/`
        const gone = [...files.keys()].filter((one) => one === path || one.startsWith(folder))
        if (gone.length === 0) throw new Refusal(404, 'EntryNotFound', `A file with the name "${path}" does not exist`)
        for (const one of gone) files.delete(one)
        break
      }
      default:
        throw new Refusal(400, undefined, `Unknown operation: ${key}`)
    }
  }
  return files
}
