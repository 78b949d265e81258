import type { RequestKind } from '../../hub/index.ts'
import type { Rights } from '../../plugin/index.ts'
import type { AccessMode, Column, DecidedKind } from './passage.ts'

type Rule =
  /** No credentials. */
  | 'none'
  /** The client's own token, where the upstream takes clients' tokens. */
  | 'client'
  /** The upstream's service token. */
  | 'service'
  /** The service token; where that is refused the repository, once more with the client's own. */
  | 'service-then-client'
  /** The service token, where both it and the client's own token have the right to write. */
  | 'service-if-writer'

type Row = Readonly<Record<Column, Rule>>

/** Without a service token, whatever is asked for. */
export const rightsWithoutService: Row = { none: 'none', hub: 'client', own: 'none' }

const clientsOnly: Row = { none: 'none', hub: 'client', own: 'none' }
const refusedBefore = 'none'

/** "Whose rights go upstream?" of docs/credentials.md, at an upstream that has a service token. */
export const rightsWithService: Readonly<Record<AccessMode, Readonly<Record<DecidedKind, Row>>>> = {
  open: {
    read: { none: 'service', hub: 'service-then-client', own: 'service' },
    list: clientsOnly,
    write: clientsOnly,
    account: clientsOnly,
  },
  hub: {
    read: clientsOnly,
    list: clientsOnly,
    write: clientsOnly,
    account: clientsOnly,
  },
  tokens: {
    read: { none: refusedBefore, hub: refusedBefore, own: 'service' },
    list: { none: refusedBefore, hub: refusedBefore, own: 'none' },
    write: { none: refusedBefore, hub: refusedBefore, own: 'service-if-writer' },
    account: { none: refusedBefore, hub: refusedBefore, own: 'none' },
  },
}

/** Whose rights pull-through uses at the authority. */
export const pullRights: Readonly<Record<AccessMode, Row>> = {
  open: { none: 'service', hub: 'service', own: 'service' },
  hub: { none: 'none', hub: 'client', own: 'none' },
  tokens: { none: refusedBefore, hub: refusedBefore, own: 'service' },
}

export interface RightsQuestion {
  readonly access: AccessMode
  readonly kind: RequestKind
  readonly column: Column
  /** The client's Hub token, where this upstream takes it; `undefined`: it is not this upstream's to see. */
  readonly clientToken: string | undefined
  /** Whether the client's own token has the right to write. */
  readonly mayWrite: boolean
  readonly hasServiceToken: boolean
  readonly serviceWrites: boolean
}

const none: Rights = { use: 'none' }
const service: Rights = { use: 'service' }

/** With whose rights an upstream is asked to carry out a client's request. */
export function rightsFor(question: RightsQuestion): Rights {
  const { access, kind, column, hasServiceToken } = question
  if (kind === 'own' || kind === 'capability') return none
  const row = hasServiceToken ? rightsWithService[access][kind] : rightsWithoutService
  return carryOut(row[column], question)
}

/** With whose rights the authority is asked for what is to be stored. */
export function pullRightsFor(question: Omit<RightsQuestion, 'kind' | 'mayWrite' | 'serviceWrites'>): Rights {
  const rule = pullRights[question.access][question.column]
  if (rule === 'service' && !question.hasServiceToken) return none
  return carryOut(rule, { ...question, mayWrite: false, serviceWrites: false })
}

function carryOut(
  rule: Rule,
  { clientToken, mayWrite, serviceWrites }: Pick<RightsQuestion, 'clientToken' | 'mayWrite' | 'serviceWrites'>,
): Rights {
  switch (rule) {
    case 'none':
      return none
    case 'client':
      return clientToken === undefined ? none : { use: 'client', token: clientToken }
    case 'service':
      return service
    case 'service-then-client':
      return clientToken === undefined ? service : { use: 'service', otherwise: clientToken }
    case 'service-if-writer':
      return mayWrite && serviceWrites ? service : none
  }
}
