import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import {
  describeError,
  parseRepository,
  parseRevision,
  type Repository,
  repositoryTypes,
  UsageFailure,
} from '../hub/index.ts'

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
  let content: unknown
  try {
    content = parse(await readFile(file, 'utf8'), { logLevel: 'error' })
  } catch (error) {
    throw new UsageFailure(`the list ${file} cannot be read: ${describeError(error)}`, { cause: error })
  }
  const list = listSchema.safeParse(content)
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
