import { expect } from 'chai'
import { InvalidTarget, parseTarget, type Target } from '../../../src/hub/index.ts'
import { anyRequest, Dice } from '../../security/target-mutations.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const rounds = Number(process.env.FUZZ_ENCODINGS ?? 30_000)
const ids = ['ok/repo', 'evil/denied', 'gpt2', 'ok/models']
const opaque = [
  '/api/telemetry/a/b',
  '/v2/a',
  '/v2/ok/repo/a/b',
  '/api/papers/a',
  '/api/quicksearch/a',
  '/unknown/a/b/c',
]
  .concat('/api/unknown/ok/repo', '/api/models/ok/repo/settings/a', '/api/models/ok/repo/discussions/a')
  .concat('/ok/repo.git/info/lfs/locks/a', '/api/organizations/ok/overview', '/buckets/ok/b/a', '/-/a/b')

function read(target: string): Target | undefined {
  try {
    return parseTarget(target, '/mirror').target
  } catch (error) {
    if (!(error instanceof InvalidTarget)) throw error
    return undefined
  }
}

/** Encodes some characters once, some twice, some three times. */
function encoded(target: string, dice: Dice): string {
  return [...target]
    .map((character, index) => {
      if (index === 0 || dice.below(6) > 0 || !/[a-z0-9./]/i.test(character)) return character
      return `%${'25'.repeat(dice.below(3))}${character.charCodeAt(0).toString(16)}`
    })
    .join('')
}

/** Where a file's name, which may have an escape in it, is all that a second decoding changes. */
function sameRoute(one: Target, other: Target): boolean {
  const named = ({ operation, readings, pair }: Target) => JSON.stringify([operation, readings, pair])
  return named(one) === named(other)
}

describe(`targets decoded again (seed ${seed})`, () => {
  it('are of the same route and repository, on every route', () => {
    const dice = new Dice(seed)
    let accepted = 0
    for (let round = 0; round < rounds; round++) {
      const { target: made } = dice.below(2) === 0 ? anyRequest(dice, ids) : { target: dice.pick(opaque) }
      const sent = encoded(/^[!-~]*$/.test(made) ? made : dice.pick(opaque), dice)
      const target = read(sent)
      if (target === undefined) continue
      accepted++
      const again = target.pathname.replaceAll('%25', '%')
      if (again === target.pathname) continue
      const other = read(again)
      // A reading that nobody has, such as of a file with a control character, leads nowhere.
      if (other !== undefined) expect(sameRoute(target, other), `${sent}: ${target.pathname}`).to.equal(true)
      expect(again.split(/\/|%2f|%5c/i), sent).not.to.include('..')
    }
    expect(accepted).to.be.greaterThan(rounds / 10)
  })

  it('are refused but for the names of files', () => {
    for (const path of [
      '/api/telemetry/%2561',
      '/api/telemetry/%252e%252e%252fmodels%252fevil%252fdenied',
      '/v2/ok/repo/manifests/%252e%252e',
      '/v2/ok/repo/%2561/b',
      '/api/models/ok/repo/discussions/%252e%252e%252f%252e%252e',
      '/api/models/ok/repo/revision/%252e%252e%252fx',
      '/api/quicksearch/%2561',
      '/ok/repo/%2572esolve/main/f',
      '/ok/repo/resolve/main/%252e%252e/f',
      '/ok/repo/resolve/main/a%25252f..%25252ff',
    ])
      expect(() => parseTarget(path, ''), path).to.throw('percent-encoded twice')
    for (const path of ['/ok/repo/resolve/main/https%253A%252F%252Fa.b', '/ok/repo/resolve/main/100%25'])
      expect(parseTarget(path, '').target.pathname, path).to.equal(path)
    // An encoded slash parts segments for policies, and stays encoded.
    const { target } = parseTarget('/api/telemetry/a%2Fb', '')
    expect(target).to.deep.include({ pathname: '/api/telemetry/a%2Fb', segments: ['api', 'telemetry', 'a', 'b'] })
  })
})
