import { z } from 'zod'
import { formatTarget, parseTarget, type Repository } from '../../hub/index.ts'
import type { Rights } from '../../plugin/index.ts'
import { type Authority, type AuthorityAnswer, AuthorityUnavailable } from './authority.ts'

/** What the Hub says of one client and one repository. */
export interface Verdict {
  readonly readable: boolean
  /** The Hub's own id of what bears the name now; another than the stored one means another repository. */
  readonly id: string | undefined
  /** The Hub knows the repository under another name: only its id can tell whether it is the one that is stored. */
  readonly isRenamed?: boolean
}

const refused: Verdict = { readable: false, id: undefined }

const infoSchema = z.looseObject({
  _id: z.string().optional(),
  gated: z.union([z.boolean(), z.string()]).optional(),
})

/**
 * Whether the Hub lets these credentials read a repository's files. Its info says which repository it is, and is refused
 * for private ones; that of a gated one is everybody's, so that `auth-check` is asked about those as well.
 * Rejects with {@link AuthorityUnavailable}.
 * @param isServed whether policy lets this mirror answer for a repository: the Hub may redirect to another
 */
export async function askHubAccess(
  authority: Authority,
  repository: Repository,
  rights: Rights,
  isServed: (repository: Repository) => boolean,
): Promise<Verdict> {
  const first = await askInfo(authority, repository, rights)
  const newName = redirectedTo(first)
  if (newName === undefined) return await verdictOf(authority, repository, rights, first)
  if (!isServed(newName)) return refused
  const second = await askInfo(authority, newName, rights)
  return { ...(await verdictOf(authority, newName, rights, second)), isRenamed: true }
}

async function verdictOf(
  authority: Authority,
  repository: Repository,
  rights: Rights,
  { status, json }: AuthorityAnswer,
): Promise<Verdict> {
  if (status >= 400) return refused
  const info = infoSchema.safeParse(json)
  if (status !== 200 || !info.success) throw new AuthorityUnavailable(`the Hub answered ${status} without a repository`)
  const { _id: id, gated = false } = info.data
  if (gated === false) return { readable: true, id }
  const check = await authority.ask(formatTarget({ operation: 'auth-check', repository }), rights)
  return { readable: check.status === 200, id }
}

/** Only what is needed, which the Hub answers much faster for repositories of many files. */
async function askInfo(authority: Authority, repository: Repository, rights: Rights): Promise<AuthorityAnswer> {
  // Spaces can't be gated, and the Hub refuses to be asked.
  const query = repository.type === 'space' ? 'expand[]=private' : 'expand[]=private&expand[]=gated'
  const answer = await authority.ask(formatTarget({ operation: 'info', repository }, query), rights)
  const isWanting = answer.status === 200 && infoSchema.safeParse(answer.json).data?._id === undefined
  if (answer.status !== 400 && !isWanting) return answer
  return await authority.ask(formatTarget({ operation: 'info', repository }), rights)
}

function redirectedTo({ status, location }: AuthorityAnswer): Repository | undefined {
  if (status < 300 || status >= 400 || location?.startsWith('/') !== true) return undefined
  const { target } = parseTarget(location, '')
  return target.operation === 'info' ? target.repository : undefined
}
