import type { Method, Operation, RequestKind } from '../../hub/index.ts'
import type { Client } from './client.ts'

export type AccessMode = 'open' | 'hub' | 'tokens'

/** The kinds of request that a client's credentials decide about. */
export type DecidedKind = Exclude<RequestKind, 'own' | 'capability'>

/** `other` counts as none. */
export type Column = 'none' | 'hub' | 'own'

export function columnOf({ kind }: Pick<Client, 'kind'>): Column {
  return kind === 'other' ? 'none' : kind
}

type Rule =
  | 'yes'
  /** What changes nothing always, the rest unless the mirror is read-only. */
  | 'unless-read-only'
  /** One of the mirror's own tokens is required. */
  | 'token-required'
  /** The token's globs must cover every repository that is named. */
  | 'if-covered'
  /** As `if-covered`, and the token must have the right to write. */
  | 'if-writer'
  /** The token must open everything, or the namespace whose overview is asked for; some routes always. */
  | 'if-listed'
  /** Nothing but what this mirror answers by itself. */
  | 'if-answered-here'

type Row = Readonly<Record<Column, Rule>>

const everyone = (rule: Rule): Row => ({ none: rule, hub: rule, own: rule })
const ownTokens = (rule: Rule): Row => ({ none: 'token-required', hub: 'token-required', own: rule })

/** "May it pass?" of docs/credentials.md. What is stored is limited further, by {@link views}. */
export const passages: Readonly<Record<AccessMode, Readonly<Record<DecidedKind, Row>>>> = {
  open: {
    read: everyone('yes'),
    list: everyone('yes'),
    write: everyone('unless-read-only'),
    account: everyone('unless-read-only'),
  },
  hub: {
    read: everyone('yes'),
    list: everyone('yes'),
    write: everyone('unless-read-only'),
    account: everyone('unless-read-only'),
  },
  tokens: {
    read: ownTokens('if-covered'),
    list: ownTokens('if-listed'),
    write: ownTokens('if-writer'),
    account: ownTokens('if-answered-here'),
  },
}

/** How much of what is stored a client sees; the rest is as if it were not stored. */
export type View =
  /** What the Hub gave to everybody when it was stored; everything with `serveNonPublic`. */
  | 'public'
  /** What the Hub lets this client read. */
  | 'verdict'
  /** Everything: whether this client may read it was decided by its token. */
  | 'everything'

export const views: Readonly<Record<AccessMode, View>> = { open: 'public', hub: 'verdict', tokens: 'everything' }

export interface PassageQuestion {
  readonly access: AccessMode
  readonly kind: DecidedKind
  readonly method: Method
  readonly operation: Operation
  readonly column: Column
  readonly readOnly: boolean
  /** Of a client with an own token. */
  readonly token?: {
    readonly write: boolean
    /** Whether its globs cover every repository that the target and the body name, and at least one is named. */
    readonly coversNamed: boolean
    readonly coversEverything: boolean
    /** Whether its globs cover the namespace whose overview is asked for. */
    readonly coversNamespace: boolean
  }
}

export type PassageRefusal = 'token-required' | 'not-covered' | 'not-listed' | 'no-write' | 'not-granted' | 'read-only'

/** Why the request may not pass; `undefined`: it may. */
export function refusalOf(question: PassageQuestion): PassageRefusal | undefined {
  const { access, kind, method, operation, column, token, readOnly } = question
  const changes = kind === 'write' || (kind === 'account' && method !== 'GET' && method !== 'HEAD')
  switch (passages[access][kind][column]) {
    case 'yes':
      return undefined
    case 'unless-read-only':
      return changes && readOnly ? 'read-only' : undefined
    case 'token-required':
      return 'token-required'
    case 'if-covered':
      return token?.coversNamed === true ? undefined : 'not-covered'
    case 'if-writer':
      if (token?.coversNamed !== true) return 'not-covered'
      if (!token.write) return 'no-write'
      return readOnly ? 'read-only' : undefined
    case 'if-listed': {
      const isListed =
        operation === 'validate-yaml' ||
        operation === 'telemetry' ||
        token?.coversEverything === true ||
        (operation === 'overview' && token?.coversNamespace === true)
      return isListed ? undefined : 'not-listed'
    }
    case 'if-answered-here':
      if (operation === 'whoami' && !changes) return undefined
      if (operation === 'auth-check' && !changes) return token?.coversNamed === true ? undefined : 'not-covered'
      return 'not-granted'
  }
}
