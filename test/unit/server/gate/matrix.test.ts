import { expect } from 'chai'
import { Failure } from '../../../../src/hub/index.ts'
import type { Rights } from '../../../../src/plugin/index.ts'
import { type Admission, authorityOf } from '../../../../src/server/gate/index.ts'
import { strided } from '../../../support/runs.ts'
import { type Asked, gateWith, ListedLibrary, RecordingUpstream, requestTo } from './fixture.ts'
import {
  answerAsHub,
  type Configuration,
  clients,
  configurations,
  fullTraits,
  info,
  type Outcome,
  ownTokens,
  repositoryOf,
  requests,
  type Visibility,
  visibilities,
} from './matrix-cases.ts'
import { assertCompared, assertInvariants } from './matrix-invariants.ts'

/**
 * Every combination of docs/credentials.md, put to the gate itself. What must hold is said here in sentences about
 * outcomes, and not as another copy of the tables.
 */

/** For mutants, a part of it: some configurations of each kind, and each request in its turn, with every client. */
function* questions(access: Configuration['access']): Generator<[Configuration, Asked]> {
  for (const [turn, configuration] of [...strided(configurations(access), 7)].entries())
    for (const asked of strided(requests, 5, turn)) yield [configuration, asked]
}

describe('the matrix of credentials', function () {
  this.timeout(240_000)

  for (const access of ['open', 'hub', 'tokens'] as const) {
    it(`holds with access: ${access} (fault 28)`, async () => {
      let combinations = 0
      for (const [configuration, asked] of questions(access)) {
        const outcomes = new Map<string, Outcome>()
        for (const client of Object.keys(clients)) {
          const outcome = await outcomeOf(configuration, asked, client)
          outcomes.set(client, outcome)
          combinations++
          try {
            assertInvariants(configuration, asked, client, outcome)
          } catch (error) {
            throw new Error(
              `${client} asks ${asked.method ?? 'GET'} ${asked.url} with ${JSON.stringify(configuration)}`,
              { cause: error },
            )
          }
        }
        assertCompared(configuration, outcomes)
      }
      console.log(`      ${combinations} combinations`)
    })
  }
})

/** A gate is made for each configuration once; what the Hub said of one client is known to it afterwards, as in life. */
let made:
  | { configuration: Configuration; gate: ReturnType<typeof gateWith>; upstreams: RecordingUpstream[] }
  | undefined

async function outcomeOf(configuration: Configuration, asked: Asked, client: string): Promise<Outcome> {
  if (made?.configuration !== configuration) {
    const upstreams = configuration.traits.map((traits) => new RecordingUpstream(fullTraits(traits), answerAsHub))
    const library = new ListedLibrary(
      ...visibilities.map((one) => ({ repository: repositoryOf(one), info: info(one) })),
    )
    made = {
      configuration,
      upstreams,
      gate: gateWith({ ...configuration, upstreams, library, accessTokens: ownTokens }),
    }
  }
  const { gate, upstreams } = made
  let admission: Admission | undefined
  let refusal: Outcome['refusal']
  try {
    const url = asked.url.replace('V', 'private')
    admission = await gate.admit(requestTo(gate, { ...asked, url, authorization: clients[client] }))
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    refusal = { status: error.status, code: error.code, message: error.message }
  }
  const shown: Visibility[] = []
  const pulled: Partial<Record<Visibility, Rights>> = {}
  for (const visibility of visibilities) {
    const repository = repositoryOf(visibility)
    const pullRights = await admission?.pullRightsFor(repository)
    if (pullRights !== undefined) pulled[visibility] = pullRights
    if ((await admission?.library.find(repository, 'main')) !== undefined) shown.push(visibility)
  }
  for (const [index, upstream] of upstreams.entries()) {
    // The gate's own questions: to the authority, with the client's rights or none.
    if (upstream.asked.length > 0) expect(upstream.traits).to.equal(authorityOf(upstreams)?.traits, String(index))
    for (const { rights, purpose } of upstream.asked) {
      expect(purpose).to.equal('mirror')
      expect(rights.use).to.not.equal('service')
    }
    upstream.asked.length = 0
  }
  const rights = admission === undefined ? [] : upstreams.map(({ traits }) => (admission as Admission).rightsAt(traits))
  return { admission, refusal, rights, shown, pulled }
}
