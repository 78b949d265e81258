import { Failure, quoted } from './failure.ts'
import { formatRepository, type Repository } from './repository.ts'

/** The values of `X-Error-Code` that decide which exception a client raises (hub-protocol §4). */
export type HubErrorCode = 'RepoNotFound' | 'RevisionNotFound' | 'EntryNotFound' | 'GatedRepo'

/** An answer in the Hub's own error shape: `X-Error-Code`, `X-Error-Message`, and a JSON body. */
export class HubFailure extends Failure {
  /** The commit that was looked into, so that clients may record a file's absence for it. */
  readonly commit: string | undefined

  constructor(
    code: HubErrorCode | string,
    status: number,
    message: string,
    options?: ErrorOptions & { commit?: string },
  ) {
    super(code, status, message, options)
    this.commit = options?.commit
  }
}

/**
 * A refusal by this mirror's own policy. `code` names it in the log and in the JSON body; `X-Error-Code` says `GatedRepo`,
 * the one code for which Python clients show the message of a refused HEAD: any other 403 is to them "check your
 * connection" (hub-protocol §4). They put a full stop, a line break or nothing behind it, so that messages of refusals end
 * without one.
 */
export class PolicyRefusal extends HubFailure {
  readonly toldAs: HubErrorCode = 'GatedRepo'

  constructor(code: string, message: string) {
    super(code, 403, message)
  }
}

/** A request target that is answered at once and never sent on: it is malformed (400), or can name nothing (404). */
export class InvalidTarget extends HubFailure {}

export function repositoryNotFound(repository: Repository): HubFailure {
  return new HubFailure(
    'RepoNotFound',
    404,
    `Repository not found: ${formatRepository(repository)} is not mirrored here`,
  )
}

export function revisionNotFound(repository: Repository, revision: string): HubFailure {
  return new HubFailure(
    'RevisionNotFound',
    404,
    `Invalid rev id: ${quoted(revision)} of ${formatRepository(repository)} is not mirrored here`,
  )
}

export function entryNotFound(path: string, revision: string, commit: string): HubFailure {
  return new HubFailure(
    'EntryNotFound',
    404,
    `Entry not found: ${quoted(path)} does not exist on "${quoted(revision)}"`,
    { commit },
  )
}
