import { createHmac } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { commitAt, flagParameter, type Handler, listParameter, page, Refusal } from './asked.ts'
import { folderOid, type HubCommit, type HubFile, type HubRepository, pointerOf } from './repository.ts'

const expandable: Record<string, readonly string[]> = {
  model:
    'author baseModels cardData childrenModelCount config createdAt disabled downloads downloadsAllTime evalResults gated gguf inference inferenceProviderMapping lastModified library_name likes mask_token model-index pipeline_tag private resourceGroup safetensors sha siblings spaces tags transformersInfo trendingScore usedStorage widgetData'.split(
      ' ',
    ),
  dataset:
    'author cardData citation createdAt description disabled downloads downloadsAllTime gated lastModified likes mainSize paperswithcode_id private resourceGroup sha siblings tags trendingScore usedStorage'.split(
      ' ',
    ),
  space:
    'author cardData createdAt datasets disabled lastModified likes models private region resourceGroup runtime sdk sha siblings subdomain tags trendingScore usedStorage'.split(
      ' ',
    ),
}

export function xetHash(file: HubFile): string {
  return createHmac('sha256', 'xet').update(file.content.sha256).digest('hex')
}

function siblingOf(file: HubFile, blobs: boolean): object {
  const { content, lfs } = file
  return {
    rfilename: file.path,
    ...(blobs && {
      size: content.size,
      blobId: file.oid,
      ...(lfs && { lfs: { sha256: content.sha256, size: content.size, pointerSize: pointerOf(content).length } }),
    }),
  }
}

/** `GET /api/{type}s/{id}[/revision/{rev}]`: everything, or what `expand` names. */
export function infoOf({ traits }: HubRepository, commit: HubCommit, url: URL): Record<string, unknown> {
  const whole: Record<string, unknown> = {
    _id: '64b000000000000000000000',
    id: traits.id,
    ...(traits.type === 'model' && {
      modelId: traits.id,
      pipeline_tag: 'sentence-similarity',
      library_name: 'transformers',
    }),
    author: traits.id.split('/')[0],
    sha: commit.id,
    private: traits.private ?? false,
    gated: traits.gated === true ? 'auto' : (traits.gated ?? false),
    disabled: false,
    tags: ['transformers', 'safetensors'],
    downloads: 12,
    likes: 3,
    createdAt: '2026-01-01T00:00:00.000Z',
    lastModified: commit.date,
    siblings: [...commit.files.values()].map((file) => siblingOf(file, url.searchParams.get('blobs') !== null)),
    ...traits.info,
  }
  const expand = listParameter(url, 'expand')
  if (expand.length === 0) return whole
  const known = expandable[traits.type] ?? []
  const unknown = expand.findIndex((name) => !known.includes(name))
  if (unknown !== -1) {
    const options = known.map((name) => `"${name}"`).join('|')
    throw new Refusal(400, undefined, `✖ Invalid option: expected one of ${options}\n  → at expand[${unknown}]`)
  }
  const shown = ['_id', 'id', ...expand]
  return Object.fromEntries(Object.entries(whole).filter(([name]) => shown.includes(name)))
}

/** The commit that last changed a file, or anything in a folder. */
function lastChange(commit: HubCommit, path: string): object {
  const stateOf = (at: HubCommit) =>
    [...at.files.values()]
      .filter((file) => file.path === path || file.path.startsWith(`${path}/`))
      .map((file) => `${file.path} ${file.oid}`)
      .sort()
      .join('\n')
  const wanted = stateOf(commit)
  let at = commit
  while (at.parent !== undefined && stateOf(at.parent) === wanted) at = at.parent
  return { lastCommit: { id: at.id, title: at.title, date: at.date } }
}

function fileEntry({ traits }: HubRepository, commit: HubCommit, file: HubFile, expand: boolean): object {
  const { content, lfs, path, oid } = file
  return {
    type: 'file',
    oid,
    size: content.size,
    path,
    ...(lfs && { lfs: { oid: content.sha256, size: content.size, pointerSize: pointerOf(content).length } }),
    ...(lfs && traits.xet === true && { xetHash: xetHash(file) }),
    ...(expand && lastChange(commit, path)),
  }
}

function folderEntry(commit: HubCommit, path: string, expand: boolean): object {
  return { type: 'directory', oid: folderOid(commit, path), size: 0, path, ...(expand && lastChange(commit, path)) }
}

function foldersOf(commit: HubCommit): string[] {
  const folders = new Set<string>()
  for (const path of commit.files.keys()) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1))
      folders.add(path.slice(0, slash))
  }
  return [...folders].sort()
}

export const info: Handler = ({ url }, repository, [revision = 'main']) =>
  infoOf(repository, commitAt(repository, revision), url)

export const tree: Handler = (asked, repository, [revision = 'main', ...path]) => {
  const { hub, response, url } = asked
  const commit = commitAt(repository, revision)
  const folder = path.join('/').replace(/\/$/, '')
  const recursive = flagParameter(url, 'recursive')
  const expand = flagParameter(url, 'expand')
  const prefix = folder === '' ? '' : `${folder}/`
  const folders = foldersOf(commit)
  response.setHeader('X-Repo-Commit', commit.id)
  if (folder !== '' && !folders.includes(folder))
    throw new Refusal(404, 'EntryNotFound', `${folder} does not exist on "${commit.id}"`)
  const inside = (one: string) => one.startsWith(prefix) && (recursive || !one.slice(prefix.length).includes('/'))
  const entries = [
    ...folders.filter(inside).map((one) => () => folderEntry(commit, one, expand)),
    ...[...commit.files.values()]
      .filter((file) => inside(file.path))
      .map((file) => () => fileEntry(repository, commit, file, expand)),
  ]
  return page(asked, entries, expand ? Math.min(100, hub.treePageSize) : hub.treePageSize).map((make) => make())
}

export const pathsInfo: Handler = async ({ request }, repository, [revision = 'main']) => {
  const commit = commitAt(repository, revision)
  const body = await text(request)
  const isJson = (request.headers['content-type'] ?? '').includes('json')
  const form = new URLSearchParams(body)
  const wanted: { paths: string | string[]; expand?: boolean } = isJson
    ? JSON.parse(body)
    : { paths: form.getAll('paths'), expand: /^(?:true|1)$/i.test(form.get('expand') ?? '') }
  const folders = foldersOf(commit)
  return [wanted.paths].flat().flatMap((path): object[] => {
    const file = commit.files.get(path)
    if (file !== undefined) return [fileEntry(repository, commit, file, wanted.expand === true)]
    return folders.includes(path) ? [folderEntry(commit, path, wanted.expand === true)] : []
  })
}

export const treeSize: Handler = (_asked, repository, [revision = 'main', ...path]) => {
  const folder = path.join('/')
  const inside = [...commitAt(repository, revision).files.values()].filter(
    (file) => folder === '' || file.path.startsWith(`${folder}/`),
  )
  return { path: `/${folder}`, size: inside.reduce((sum, { content }) => sum + content.size, 0) }
}

/** `name` of a convert ref is what follows `refs/convert/`; a pull request's is its number. */
export const refs: Handler = ({ url }, repository) => {
  const list = (all: ReadonlyMap<string, string>, prefix: string) =>
    [...all].map(([name, targetCommit]) => ({ name, ref: prefix + name, targetCommit }))
  const others = (prefix: string) =>
    [...repository.otherRefs]
      .filter(([ref]) => ref.startsWith(prefix))
      .map(([ref, targetCommit]) => ({ name: ref.slice(prefix.length), ref, targetCommit }))
  return {
    branches: list(repository.branches, 'refs/heads/'),
    tags: list(repository.tags, 'refs/tags/'),
    converts: others('refs/convert/'),
    ...(flagParameter(url, 'include_prs') && { pullRequests: others('refs/pr/') }),
  }
}

export const commits: Handler = (asked, repository, [revision = 'main']) => {
  const formatted = listParameter(asked.url, 'expand').includes('formatted') || flagParameter(asked.url, 'formatted')
  const history: HubCommit[] = []
  for (let at: HubCommit | undefined = commitAt(repository, revision); at !== undefined; at = at.parent)
    history.push(at)
  asked.response.setHeader('X-Total-Count', String(history.length))
  return page(asked, history, 50).map(({ id, title, message, date, author }) => ({
    id,
    title,
    message,
    date,
    authors: [{ user: author, avatar: '' }],
    ...(formatted && { formatted: { title: `<p>${title}</p>`, message: `<p>${message}</p>` } }),
  }))
}
