import { UsageFailure } from './failure.ts'

export const repositoryTypes = ['model', 'dataset', 'space'] as const
export type RepositoryType = (typeof repositoryTypes)[number]

/** A repository's plural as URLs under `/api` and our storage keys spell it. */
export type RepositoryCollection = 'models' | 'datasets' | 'spaces'

/** A repository on the Hub: `id` is `namespace/name`, or a bare canonical `name` such as `gpt2`. */
export interface Repository {
  readonly type: RepositoryType
  readonly id: string
}

const component = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/

/** Words with which routes of the Hub begin: no namespace and no canonical name, though a name behind a namespace. */
const routeWords = new Set([
  'api',
  'blob',
  'buckets',
  'datasets',
  'kernels',
  'models',
  'raw',
  'resolve',
  'spaces',
  'v2',
])

const gitEnding = /\.git$/i

/** Whether `text` may be a repository's name behind a namespace, by the Hub's rules (validate_repo_id). */
export function isRepositoryName(text: string): boolean {
  return component.test(text) && !text.includes('--') && !text.includes('..') && !gitEnding.test(text)
}

/** Whether `text` may be a namespace, or the name of a canonical repository. */
export function isNamespace(text: string): boolean {
  return isRepositoryName(text) && !routeWords.has(text.toLowerCase())
}

export function isRepositoryId(text: string): boolean {
  const slash = text.indexOf('/')
  if (slash === -1) return isNamespace(text)
  return isNamespace(text.slice(0, slash)) && isRepositoryName(text.slice(slash + 1))
}

/** Reads an id that a person typed. Throws a {@link UsageFailure} that says what is wrong with it. */
export function parseRepository(type: RepositoryType, text: string): Repository {
  if (!isRepositoryId(text)) {
    throw new UsageFailure(
      `"${text}" is not a repository: expected namespace/name or name, of letters, digits, "-", "_" and ".", without "--" or "..", each part at most 96 characters`,
    )
  }
  return { type, id: text }
}

export function collectionOf(type: RepositoryType): RepositoryCollection {
  return `${type}s`
}

export function typeOfCollection(collection: string): RepositoryType | undefined {
  return repositoryTypes.find((type) => collectionOf(type) === collection)
}

/** The Hub cache's own folder name, `models--org--name`; unambiguous since no id contains `--`. */
export function repositoryFolder(repository: Repository): string {
  return [collectionOf(repository.type), ...repository.id.split('/')].join('--')
}

export function parseRepositoryFolder(folder: string): Repository | undefined {
  const [collection = '', ...parts] = folder.split('--')
  const type = typeOfCollection(collection)
  const id = parts.join('/')
  return type !== undefined && parts.length > 0 && isRepositoryId(id) ? { type, id } : undefined
}

/** How people and logs name it: models plainly, the others with their type in front. */
export function formatRepository(repository: Repository): string {
  return repository.type === 'model' ? repository.id : `${collectionOf(repository.type)}/${repository.id}`
}
