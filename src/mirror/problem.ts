import { type Repository, typeOfCollection } from '../hub/index.ts'

export type ProblemKind =
  | 'missing blob'
  | 'wrong size'
  | 'wrong content'
  | 'damaged manifest'
  | 'damaged journal entry'
  | 'damaged ref'
  | 'dangling ref'
  | 'unknown object'
  | 'unknown layout'
  | 'damaged marker'

/** What a newer MirrorFace, or a person, may have put there: it is not ours to take away. */
export function isForeign({ kind }: Problem): boolean {
  return kind === 'unknown object' || kind === 'unknown layout'
}

/** Something that is wrong, with everything a person needs to find it. */
export interface Problem {
  readonly kind: ProblemKind
  readonly key: string
  readonly repository?: string
  readonly commit?: string
  readonly path?: string
  readonly expected?: string
  readonly found?: string
}

/** The repository that a problem is about; the report names it as people do. */
export function repositoryOfProblem({ repository }: Problem): Repository | undefined {
  if (repository === undefined) return undefined
  const [collection = '', ...rest] = repository.split('/')
  const type = typeOfCollection(collection)
  return type === undefined ? { type: 'model', id: repository } : { type, id: rest.join('/') }
}
