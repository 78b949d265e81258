import type { HeaderList, Rights } from 'mirrorface/plugin'
import { type Credentials, credentialsOf, noCredentials } from './credentials.ts'
import { headerOf } from './transport/answer.ts'

/** The upstream refuses the mirror's own token: the operator's trouble, never the client's. */
export class ServiceTokenRefused extends Error {}

/** What an answer must tell for it to be decided whether others' rights are tried. */
interface Judged {
  readonly status: number
  readonly headers: HeaderList
}

export interface RightsOptions<Answer extends Judged> {
  readonly rights: Rights
  readonly service: Credentials | undefined
  /** The body, if there is one, can be sent again. */
  readonly isRepeatable: boolean
  ask(credentials: Credentials): Promise<Answer>
  /** An answer that is not given to the client. */
  drop(answer: Answer): void
  onServiceRefused(): void
}

export interface Authorised<Answer> {
  readonly answer: Answer
  /** With whose rights it was had. */
  readonly credentials: Credentials
}

/** Asks with the rights that the gate gave (docs/credentials.md, "Whose rights go upstream?"). */
export async function askWithRights<Answer extends Judged>(
  options: RightsOptions<Answer>,
): Promise<Authorised<Answer>> {
  const { rights, service, ask, drop, isRepeatable } = options
  if (rights.use === 'client') return await asked(credentialsOf('client', rights.token))
  if (rights.use === 'none' || service === undefined) return await asked(noCredentials)
  const otherwise = rights.otherwise === undefined ? undefined : credentialsOf('client', rights.otherwise)

  const first = await asked(service)
  if (first.answer.status === 401) {
    // A valid token is answered 403 or 404: it is the token that is refused.
    options.onServiceRefused()
    drop(first.answer)
    if (!isRepeatable)
      throw new ServiceTokenRefused('it does not accept the service token of this upstream\'s option "token"')
    const second = await asked(noCredentials)
    if (otherwise !== undefined && refusesRepository(second.answer)) return await instead(second, otherwise)
    if (second.answer.status !== 401) return second
    drop(second.answer)
    throw new ServiceTokenRefused(
      'it does not accept the service token of this upstream\'s option "token", and lets nobody in without one',
    )
  }
  if (otherwise !== undefined && isRepeatable && refusesRepository(first.answer)) return await instead(first, otherwise)
  return first

  async function asked(credentials: Credentials): Promise<Authorised<Answer>> {
    return { answer: await ask(credentials), credentials }
  }

  async function instead(refused: Authorised<Answer>, credentials: Credentials): Promise<Authorised<Answer>> {
    drop(refused.answer)
    return await asked(credentials)
  }
}

/** Whether the repository itself is refused; that a file or a revision is missing would not change with another's rights. */
function refusesRepository({ status, headers }: Judged): boolean {
  if (status === 401 || status === 403) return true
  const code = headerOf(headers, 'x-error-code')
  return status === 404 && code !== 'EntryNotFound' && code !== 'RevisionNotFound'
}
