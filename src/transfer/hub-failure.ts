import { Failure, formatRepository, HubFailure, type Repository } from '../hub/index.ts'

/** What the Hub refused, as a sentence for the person at the terminal. */
export function explainRefusal(
  repository: Repository,
  revision: string,
  status: number,
  headers: Readonly<Record<string, string | undefined>>,
): Failure {
  const code = headers['x-error-code'] ?? ''
  const said = headers['x-error-message'] ?? ''
  const name = `${repository.type} ${formatRepository(repository)}`
  if (code === 'GatedRepo') {
    return new HubFailure(
      code,
      status,
      `${name} is gated: accept its conditions on the Hub, and give a token that may read it (--token or HF_TOKEN)${said === '' ? '' : `; it was said: ${said}`}`,
    )
  }
  if (code === 'RevisionNotFound') return new HubFailure(code, status, `${name} has no revision ${revision}`)
  if (code === 'EntryNotFound') return new HubFailure(code, status, `${name}@${revision}: ${said || 'no such file'}`)
  if (status === 401 && code === '' && /invalid credentials/i.test(said)) {
    return new HubFailure(
      'BadToken',
      status,
      'the Hub does not accept the token: give a valid one (--token, HF_TOKEN, or hf auth login)',
    )
  }
  if (code === 'RepoNotFound' || status === 401 || status === 403 || status === 404) {
    return new HubFailure(
      code || 'RepoNotFound',
      status,
      `${name} does not exist, or is private and the token may not read it (HTTP ${status})${repository.type === 'model' ? '; if it is a dataset or a space, give its type (--type)' : ''}`,
    )
  }
  return new HubFailure(
    code || 'UpstreamError',
    status,
    `the Hub answered ${status} for ${name}${said === '' ? '' : `: ${said}`}`,
  )
}

/** The Hub answers, and not as the protocol says: another attempt would get the same. */
export class UnusableResponse extends Failure {
  constructor(origin: string, reason: string, options?: ErrorOptions) {
    super('UnusableResponse', 502, `unusable response of ${origin}: ${reason}`, options)
  }
}

/** Statuses by which other mirrors say that they lack an operation of a repository that they have. */
const lacking = new Set([400, 404, 405, 410, 501])

/** Whether a refusal may mean that the upstream does not offer the operation at all. */
export function mayLackOperation(error: unknown): boolean {
  return error instanceof HubFailure && error.code !== 'GatedRepo' && lacking.has(error.status)
}

/** The Hub cannot be reached, or keeps failing. */
export class HubUnreachable extends Failure {
  /** `origin` `undefined`: the reason is a sentence that says of whom it tells, which need not be the Hub. */
  constructor(origin: string | undefined, reason: string, options?: ErrorOptions) {
    super('HubUnreachable', 502, origin === undefined ? reason : `${origin} cannot be reached: ${reason}`, options)
  }
}
