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

/** Words that the Hub's own routes use where an id could stand, so that no repository bears them. */
const routeWords = new Set(['api', 'blob', 'datasets', 'models', 'raw', 'resolve', 'spaces'])

/** Whether `text` may be a namespace or a repository's name, by the Hub's rules (validate_repo_id). */
function isIdComponent(text: string): boolean {
  return (
    component.test(text) &&
    !text.includes('--') &&
    !text.includes('..') &&
    !text.endsWith('.git') &&
    !routeWords.has(text)
  )
}

export function isRepositoryId(text: string): boolean {
  const parts = text.split('/')
  return parts.length <= 2 && parts.every(isIdComponent)
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
