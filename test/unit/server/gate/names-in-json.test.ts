import { expect } from 'chai'
import { Failure, type Method } from '../../../../src/hub/index.ts'
import type { Gate } from '../../../../src/server/gate/index.ts'
import { runs } from '../../../support/runs.ts'
import { seededRandom } from '../../../support/seeded-random.ts'
import { gateWith, requestTo } from './fixture.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const rounds = Number(process.env.FUZZ_NAMES ?? runs(4_000))

/** What is sent on, or the refusal. */
async function passed(gate: Gate, method: Method, url: string, body: string): Promise<string | Failure> {
  try {
    const admission = await gate.admit(requestTo(gate, { method, url, body }))
    return Buffer.from(admission.body?.bytes ?? []).toString('utf8')
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error
  }
}

const everyType = (glob: string) => ['', 'datasets/', 'spaces/', 'kernels/', 'buckets/'].map((type) => type + glob)
const denying = gateWith({ deny: everyType('evil/*') })
const allowing = gateWith({ allow: everyType('org/*') })

const bases: readonly [Method, string, Record<string, unknown>][] = [
  ['POST', '/api/repos/create', { name: 'x', organization: 'org' }],
  ['POST', '/api/repos/create', { name: 'org/x', type: 'space', private: true }],
  ['DELETE', '/api/repos/delete', { name: 'x', organization: 'org', type: 'dataset' }],
  ['POST', '/api/repos/move', { fromRepo: 'org/x', toRepo: 'org/y', type: 'model' }],
  ['POST', '/api/repos/restore', { repoId: 'org/x' }],
  ['POST', '/api/spaces/org/s/duplicate', { repository: 'org/x', hardware: 'cpu-basic' }],
  ['POST', '/api/models/org/m/lfs-files/duplicate', { target: { type: 'model', name: 'org/m' }, files: [] }],
]

const namespaceKeys = [
  'organization',
  'organisation',
  'owner',
  'namespace',
  'org',
  'orgName',
  'user',
  'author',
  'Owner',
]
const nameKeys = [
  'name',
  'repo',
  'repoId',
  'repo_id',
  'repository',
  'repositoryName',
  'fromRepo',
  'toRepo',
  'from_repo',
].concat('sourceRepoId', 'templateRepoId', 'template', 'target', 'source', 'repoUrl')
const wrappings: readonly ((value: string) => unknown)[] = [
  (value) => value,
  (value) => [value],
  (value) => [[value], 'org/z'],
  (value) => ({ name: value }),
  (value) => ({ type: 'dataset', id: value }),
  (value) => [{ name: value.split('/').at(-1), owner: value.split('/')[0] }],
]

describe(`repositories that JSON names (seed ${seed})`, () => {
  it('are none that is denied, however keys, slashes, lists and duplicates are combined', async () => {
    const random = seededRandom(seed)
    const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value
    const statuses = { passed: 0, refused: 0 }
    for (let round = 0; round < rounds; round++) {
      const [method, url, base] = pick(bases)
      const entries = Object.entries(base).map(([key, value]) => JSON.stringify({ [key]: value }).slice(1, -1))
      const isEvil = random() < 0.8
      for (let count = 1 + Math.floor(random() * 2); count > 0; count--) {
        const who = isEvil ? 'evil' : 'org'
        const entry =
          random() < 0.4
            ? { [pick(namespaceKeys)]: pick([who, [who], [[who]]]) }
            : { [pick(nameKeys)]: pick(wrappings)(pick([`${who}/x`, `${who}/y`])) }
        entries.splice(Math.floor(random() * (entries.length + 1)), 0, JSON.stringify(entry).slice(1, -1))
      }
      const body = `{${entries.join(',')}}`
      for (const gate of [denying, allowing]) {
        const outcome = await passed(gate, method, url, body)
        if (typeof outcome === 'string') {
          statuses.passed++
          expect(outcome, `${method} ${url} ${body}`).not.to.contain('evil')
        } else {
          statuses.refused++
          expect(outcome.status, `${method} ${url} ${body}: ${outcome.message}`).to.be.oneOf([400, 403])
          if (!isEvil) expect(outcome.status, `${method} ${url} ${body}: ${outcome.message}`).to.equal(400)
        }
      }
    }
    // A gate that refused everything would pass, too.
    expect(statuses.passed).to.be.greaterThan(rounds / 10)
    expect(statuses.refused).to.be.greaterThan(rounds / 2)
  })

  it('are those of the cases that were found', async () => {
    for (const [url, body] of [
      ['/api/repos/create', { name: 'org/x', organization: 'evil' }],
      ['/api/repos/create', { name: 'x', organization: 'org', owner: 'evil' }],
      ['/api/repos/create', { name: 'x', namespace: 'evil' }],
      ['/api/repos/create', { name: 'x', organization: 'org', template: ['evil/x'] }],
      ['/api/repos/copy', { from: 'evil/x', to: 'org/x' }],
      ['/api/spaces/org/s/duplicate', { repository: 'evil/x', type: 'dataset' }],
    ] as const)
      for (const gate of [denying, allowing])
        expect(await passed(gate, 'POST', url, JSON.stringify(body)), JSON.stringify(body)).to.have.property(
          'status',
          403,
        )
    // Whose they would be depends on the token.
    for (const [url, body] of [
      ['/api/repos/move', { fromRepo: 'x', toRepo: 'org/x' }],
      ['/api/repos/move', { fromRepo: 'org/x', toRepo: 'x' }],
      ['/api/spaces/org/s/duplicate', { repository: 'x' }],
      ['/api/repos/create', { name: 'x', organization: { name: 'org' } }],
      ['/api/repos/create', { name: 'datasets/evil/x' }],
      ['/api/repos/create', { name: 'x', organization: 'org', templateRepo: 'https://hub.example/evil/x' }],
      ['/api/repos/copy', { force: true }],
    ] as const)
      expect(await passed(denying, 'POST', url, JSON.stringify(body)), JSON.stringify(body)).to.have.property(
        'status',
        400,
      )
    // Nothing but the body names it.
    expect(requestTo(gateWith(), { url: '/api/repos/create?organization=evil&name=x' }).target.canonical).to.equal(
      '/api/repos/create',
    )
  })
})
