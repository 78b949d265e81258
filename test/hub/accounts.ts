import type { IncomingMessage } from 'node:http'

/** Who a token belongs to. */
export interface Account {
  readonly name: string
  readonly fullname: string
  readonly organizations: readonly { readonly name: string; readonly fullname: string }[]
  /** May read and write every repository, whoever owns it. */
  readonly isAdmin?: boolean
  /** Organizations whose new repositories are private unless the request says otherwise. */
  readonly privateByDefault?: readonly string[]
}

const founder: Account = { name: 'founder', fullname: 'The Founder', organizations: [], isAdmin: true }

/** Access tokens and their owners. */
export class Accounts {
  readonly #byToken = new Map<string, Account>()

  add(token: string, account: Account = founder): this {
    this.#byToken.set(token, account)
    return this
  }

  /** The account that a request is signed in as; `undefined` for an anonymous one or an unknown token. */
  of(request: IncomingMessage): Account | undefined {
    return this.#byToken.get(tokenOf(request) ?? '')
  }

  named(name: string): Account | undefined {
    return [...this.#byToken.values()].find((account) => account.name === name)
  }
}

export function mayWrite(account: Account, repositoryId: string): boolean {
  const [namespace] = repositoryId.split('/')
  return (
    account.isAdmin === true ||
    account.name === namespace ||
    account.organizations.some(({ name }) => name === namespace)
  )
}

/** The token by which a request signs in: a bearer token, or the password of git's basic authentication. */
export function tokenOf(request: IncomingMessage): string | undefined {
  const [, scheme, value = ''] = /^(Bearer|Basic) (.+)$/.exec(request.headers.authorization ?? '') ?? []
  if (scheme === 'Basic') return Buffer.from(value, 'base64').toString().split(':')[1]
  return scheme === undefined ? undefined : value
}
