import { expect } from 'chai'
import type { Method } from '../../../../src/hub/index.ts'
import { authorityOf } from '../../../../src/server/gate/index.ts'
import type { Asked } from './fixture.ts'
import { type Configuration, fullTraits, kinds, type Outcome, readableAtHub, visibilities } from './matrix-cases.ts'

/** What must hold of one client's request. */
export function assertInvariants(configuration: Configuration, asked: Asked, client: string, outcome: Outcome): void {
  const { access, readOnly, traits, serveNonPublic } = configuration
  const { admission, refusal, rights, shown, pulled } = outcome
  const method: Method = asked.method ?? 'GET'
  const kind = kinds.get(asked) ?? 'account'
  const isOwn = client.includes('own')
  const isHub = client === 'poor' || client.startsWith('rich')
  const token = client === 'poor' ? 'hf_poor' : 'hf_rich'
  const authority = authorityOf(traits.map((one) => ({ traits: fullTraits(one) })))?.traits.name

  if (refusal !== undefined) {
    expect(refusal.status).to.be.oneOf([401, 403])
    // A refusal says nothing of what is stored: it is made before anything is looked up.
    expect(refusal.message).to.not.match(/stored|mirrored here/)
  }
  if (kind === 'own') return void expect(refusal).to.equal(undefined)

  // No own token leaves; no client's token goes anywhere but where it is taken.
  expect(JSON.stringify([rights, pulled])).to.not.match(/own/)
  rights.forEach((right, index) => {
    const upstream = fullTraits(traits[index] ?? {})
    const sent = right.use === 'client' ? right.token : right.use === 'service' ? right.otherwise : undefined
    if (sent !== undefined) {
      expect(isHub).to.equal(true)
      expect(sent).to.equal(token)
      expect(upstream.clientTokens ?? upstream.name === authority).to.equal(true)
    }
    if (right.use !== 'service') return
    // The service's rights: never unasked, never where the Hub decides, never for lists and accounts.
    expect(upstream.hasServiceToken).to.equal(true)
    expect(access).to.not.equal('hub')
    expect(kind).to.be.oneOf(['read', 'write'])
    if (access === 'tokens') expect(isOwn).to.equal(true)
    if (kind === 'write') {
      expect(access).to.equal('tokens')
      expect(client).to.match(/writes/)
      expect(upstream.serviceWrites).to.equal(true)
      expect(readOnly).to.equal(false)
    }
  })
  for (const pullRights of Object.values(pulled)) {
    expect(kind).to.equal('read')
    if (access === 'hub') expect(pullRights.use).to.not.equal('service')
    // What everybody reads afterwards is not fetched with one client's rights.
    else expect(pullRights.use).to.not.equal('client')
  }
  // Whoever waits for a download gets it, whoever began it.
  if (access === 'hub') expect(shown).to.include.members(Object.keys(pulled))

  // Who may not pass does not, and who may does.
  const mayChange = kind === 'write' || (kind === 'account' && method !== 'GET' && method !== 'HEAD')
  if (readOnly && mayChange) expect(admission).to.equal(undefined)
  if (access !== 'tokens') expect(refusal === undefined).to.equal(!(readOnly && mayChange))
  else if (!isOwn) expect(refusal?.status).to.equal(401)
  else {
    const covers = client !== 'own-reads-other'
    const everything = client.endsWith('all')
    const passes = {
      read: covers,
      list: everything || asked.url.includes('validate') || (asked.url.includes('overview') && covers),
      write: covers && client.includes('writes') && !readOnly,
      account: asked.url.includes('whoami') || (asked.url.includes('auth-check') && covers),
      capability: false,
    }[kind]
    expect(refusal?.status).to.equal(passes ? undefined : 403)
  }

  // A token gets what it is for, or nothing would ever be answered.
  if (admission !== undefined && kind === 'read') {
    rights.forEach((right, index) => {
      const upstream = fullTraits(traits[index] ?? {})
      const isTaken = isHub && (upstream.clientTokens ?? upstream.name === authority)
      if (upstream.hasServiceToken && access !== 'hub')
        expect(right).to.deep.equal(isTaken ? { use: 'service', otherwise: token } : { use: 'service' })
      else expect(right).to.deep.equal(isTaken ? { use: 'client', token } : { use: 'none' })
    })
  }

  // What is stored is shown to whom it belongs.
  if (admission !== undefined) {
    expect(admission.isPublic).to.equal(access === 'open' && kind === 'read')
    if (access === 'open') expect(shown).to.deep.equal(serveNonPublic ? visibilities : ['public'])
    if (access === 'tokens') expect(shown).to.deep.equal(visibilities)
    if (access === 'hub') {
      const first = traits.map(fullTraits).find(({ name }) => name === authority)
      const isAsked = isHub && first !== undefined && (first.clientTokens ?? true)
      expect(shown).to.deep.equal(readableAtHub[isAsked ? token : 'none'])
    }
  }
}

/** What must hold between clients. */
export function assertCompared({ access }: Configuration, outcomes: ReadonlyMap<string, Outcome>): void {
  const none = comparable(outcomes.get('none'))
  for (const [client, outcome] of outcomes) {
    // What is no token of anybody's counts as none; an own one does where it opens nothing.
    const countsAsNone = client === 'jwt' || client === 'password' || (client.includes('own') && access !== 'tokens')
    if (countsAsNone) expect(comparable(outcome), client).to.equal(none)
  }
  expect(comparable(outcomes.get('rich by git'))).to.equal(comparable(outcomes.get('rich')))
}

function comparable(outcome: Outcome | undefined): string {
  return JSON.stringify([outcome?.refusal, outcome?.rights, outcome?.shown, outcome?.pulled])
}
