import { z } from 'zod'
import { parseRepository, parseRevision, type Repository, repositoryTypes, UsageFailure } from '../hub/index.ts'
import { readYaml } from './read-yaml.ts'

const entrySchema = z.strictObject({
  repository: z.string(),
  type: z.enum(repositoryTypes).default('model'),
  revisions: z.array(z.string()).min(1).default(['main']),
  include: z.array(z.string()).default([]),
  exclude: z.array(z.string()).default([]),
})
const listSchema = z.strictObject({
  repositories: z
    .array(z.union([z.string().transform((repository) => entrySchema.parse({ repository })), entrySchema]))
    .min(1),
})

export interface ListedRepository {
  readonly repository: Repository
  readonly revisions: readonly string[]
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}

/** Reads the list of repositories that `mirrorface mirror --from` keeps current. */
export async function readRepositoryList(file: string): Promise<ListedRepository[]> {
  const list = listSchema.safeParse(await readYaml(file))
  if (!list.success) {
    const [issue] = list.error.issues
    throw new UsageFailure(
      `${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}; expected repositories: [{repository, type, revisions, include, exclude}]`,
    )
  }
  return list.data.repositories.map(({ repository, type, revisions, include, exclude }) => ({
    repository: parseRepository(type, repository),
    revisions: revisions.map(parseRevision),
    include,
    exclude,
  }))
}
