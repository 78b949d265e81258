import { expect } from 'chai'
import type { Rights } from 'mirrorface/plugin'
import { credentialsOf, noCredentials } from '../../../plugins/upstream-hub/credentials.ts'
import { askWithRights } from '../../../plugins/upstream-hub/rights.ts'
import { answerOf, bodyOf, declinedBy, streamBody, textBody, upstreamRequest } from '../../conformance/index.ts'
import { type Logged, openHub, startServer } from './stage.ts'

type Who = 'none' | 'service' | 'client'
interface Said {
  readonly status: number
  readonly code?: string
}

const tokens: Readonly<Record<string, Who>> = { 'Bearer hf_service': 'service', 'Bearer hf_client': 'client' }
const said = {
  ok: { status: 200 },
  unauthorized: { status: 401 },
  noRepository: { status: 404, code: 'RepoNotFound' },
  noCode: { status: 404 },
  gated: { status: 403, code: 'GatedRepo' },
  noEntry: { status: 404, code: 'EntryNotFound' },
  noRevision: { status: 404, code: 'RevisionNotFound' },
  broken: { status: 500 },
} as const satisfies Record<string, Said>

/** What docs/credentials.md says: who is asked in turn, and whose answer the client gets (`undefined`: 502). */
function oracle(
  rights: Rights,
  hub: Readonly<Record<Who, Said>>,
  hasToken: boolean,
  isRepeatable: boolean,
): { asked: Who[]; given: Who | undefined } {
  if (rights.use === 'client') return { asked: ['client'], given: 'client' }
  if (rights.use === 'none' || !hasToken) return { asked: ['none'], given: 'none' }
  const mayTryClient = rights.otherwise !== undefined && isRepeatable
  const refusesRepository = ({ status, code }: Said) =>
    status === 401 || status === 403 || (status === 404 && code !== 'EntryNotFound' && code !== 'RevisionNotFound')
  if (hub.service.status === 401) {
    if (!isRepeatable) return { asked: ['service'], given: undefined }
    if (mayTryClient && refusesRepository(hub.none)) return { asked: ['service', 'none', 'client'], given: 'client' }
    return { asked: ['service', 'none'], given: hub.none.status === 401 ? undefined : 'none' }
  }
  if (mayTryClient && refusesRepository(hub.service)) return { asked: ['service', 'client'], given: 'client' }
  return { asked: ['service'], given: 'service' }
}

describe('whose rights the Hub is asked with', () => {
  const everyRights: readonly Rights[] = [
    { use: 'none' },
    { use: 'client', token: 'hf_client' },
    { use: 'service' },
    { use: 'service', otherwise: 'hf_client' },
  ]
  const bodies = {
    none: () => undefined,
    'at hand': () => textBody('{}'),
    once: () => streamBody(2, [Buffer.from('{}')]),
  }
  for (const rights of everyRights)
    for (const hasToken of [true, false])
      for (const [body, makeBody] of Object.entries(bodies)) {
        it(`${JSON.stringify(rights)}, ${hasToken ? 'a' : 'no'} service token, body ${body}`, async () => {
          const answers: Record<Who, Said> = { none: said.ok, service: said.ok, client: said.ok }
          const asked: Who[] = []
          await using server = await startServer((request, response) => {
            const who = request.headers.authorization === undefined ? 'none' : tokens[request.headers.authorization]
            if (who === undefined) throw new Error('an unknown token')
            asked.push(who)
            const { status, code } = answers[who]
            request.resume().once('end', () => {
              response
                .writeHead(status, { 'X-Who': who, ...(code !== undefined && { 'X-Error-Code': code }) })
                .end('{}')
            })
          })
          const lines: Logged[] = []
          const hub = await openHub(
            { url: server.url, retries: 0, breakerFailures: 1000, ...(hasToken && { token: 'hf_service' }) },
            lines,
          )
          let number = 0
          for (const service of Object.values(said))
            for (const none of [said.ok, said.unauthorized, said.gated, said.noEntry])
              for (const client of [said.ok, said.noRepository]) {
                Object.assign(answers, { service, none, client })
                asked.length = 0
                // Metadata in turn with what is passed on; each target is new, so that nothing comes from the cache.
                const path =
                  body === 'none' && number++ % 2 === 0 ? `/api/models/o/n?x=${number}` : '/api/models/o/n/commit/main'
                const request = upstreamRequest(path, {
                  method: body === 'none' ? 'GET' : 'POST',
                  rights,
                  body: makeBody(),
                })
                const expected = oracle(rights, answers, hasToken, body !== 'once')
                const about = JSON.stringify(answers)
                if (expected.given === undefined) {
                  const declined = await declinedBy(hub, request)
                  expect(declined.status, about).to.equal(502)
                  expect(declined.reason).to.include('"token"').and.not.include('hf_service')
                  expect(lines.some(({ level, message }) => level === 'error' && message.includes('token'))).to.equal(
                    true,
                  )
                } else {
                  const answer = await answerOf(hub, request)
                  expect(Object.fromEntries(answer.headers)['x-who'], about).to.equal(expected.given)
                  expect(answer.status).to.equal(answers[expected.given].status)
                  // The service's own 401 is the mirror's trouble.
                  expect(answer.status === 401 && expected.given === 'service').to.equal(false)
                }
                expect(asked, about).to.deep.equal(expected.asked)
              }
          expect(JSON.stringify(lines)).not.to.include('hf_')
          await hub.close()
        })
      }

  it('are not kept when the service token was refused: a valid one is used at once', async () => {
    let isValid = false
    await using server = await startServer((request, response) => {
      const isService = request.headers.authorization === 'Bearer hf_service'
      response.writeHead(isService && !isValid ? 401 : 200).end(isService ? 'service' : 'anonymous')
    })
    const hub = await openHub({ url: server.url, token: 'hf_service', metadataFreshFor: 60_000 })
    const ask = async () =>
      String(await bodyOf(await answerOf(hub, upstreamRequest('/api/models/o/n', { rights: { use: 'service' } }))))
    expect(await ask()).to.equal('anonymous')
    isValid = true
    expect(await ask()).to.equal('service')
    await hub.close()
  })
})

describe('an answer that decides whose rights are tried next', () => {
  it('is given, or let go of, each once', async () => {
    const service = credentialsOf('service', 'hf_service')
    const statuses = [200, 401, 403]
    for (const ofService of statuses)
      for (const ofNobody of statuses)
        for (const isRepeatable of [true, false])
          for (const otherwise of [undefined, 'hf_client']) {
            const made: object[] = []
            const dropped: object[] = []
            const rights: Rights = { use: 'service', ...(otherwise !== undefined && { otherwise }) }
            const given = await askWithRights({
              ...{ rights, service, isRepeatable, onServiceRefused: () => undefined },
              ask: async (credentials) => {
                const status = credentials === service ? ofService : credentials === noCredentials ? ofNobody : 200
                const answer = { status, headers: [] }
                made.push(answer)
                return answer
              },
              drop: (answer) => dropped.push(answer),
            }).catch(() => undefined)
            const left = made.filter((answer) => !dropped.includes(answer))
            expect(left).to.deep.equal(given === undefined ? [] : [given.answer])
            expect(new Set(dropped).size).to.equal(dropped.length)
          }
  })
})
