import { expect } from 'chai'
import { Failure } from '../../../../src/hub/index.ts'
import { type NamingRules, namesIn } from '../../../../src/server/gate/names-in-json.ts'

const whole: NamingRules = { type: 'model', isRepository: true, bare: 'refused' }
const within: NamingRules = { type: 'model', isRepository: false, bare: 'canonical' }

function named(value: unknown, rules: NamingRules = whole): string[] {
  return namesIn(value, rules).map(({ type, id }) => `${type} ${id}`)
}

function reasonOf(value: unknown, rules?: NamingRules): string {
  try {
    return `it names ${named(value, rules).join(', ')}`
  } catch (error) {
    if (error instanceof Failure && error.status === 400) return error.message
    throw error
  }
}

describe('keys that name repositories', () => {
  it('are told by their letters, whole or at an end', () => {
    const own = ['model a/b']
    const mention = ['model a/b', 'dataset a/b', 'space a/b']
    for (const [key, ofWhole, ofPart] of [
      ['name', own, []],
      ['id', own, []],
      ['names', [], []],
      ['rename', [], []],
      ['repo', own, own],
      ['Repository', own, own],
      ['from_repo', own, own],
      ['targetRepoName', own, own],
      ['sourceRepoId', own, own],
      ['otherRepoId', mention, mention],
      ['repos', mention, mention],
      ['repositoryUrls', mention, mention],
      ['template', mention, mention],
      ['from', mention, mention],
      ['destination', mention, mention],
      ['src', mention, mention],
      ['resourceGroupId', [], []],
      ['fromX', [], []],
      ['xfrom', [], []],
      ['repoSize', [], []],
      ['templates2x', [], []],
    ] as const) {
      expect(named({ [key]: 'a/b' }), key).to.deep.equal(ofWhole)
      expect(named({ [key]: 'a/b' }, within), key).to.deep.equal(ofPart)
    }
  })

  it('have the type that stands beside them, under its own name', () => {
    for (const [key, types] of [
      ['type', ['dataset']],
      ['repoType', ['dataset']],
      ['source_repository_types', ['dataset']],
      ['subtype', ['model']],
      ['types', ['model']],
      ['repoTypeX', ['model']],
    ] as const)
      expect(named({ name: 'a/b', [key]: 'dataset' }), key).to.deep.equal(types.map((type) => `${type} a/b`))
    expect(named({ name: 'a/b', type: 'dataset' }, { ...whole, type: 'space', isTypeFixed: true })).to.deep.equal([
      ...['space a/b', 'dataset a/b'],
    ])
  })

  it('have each namespace that stands beside them, or around', () => {
    for (const [key, isOne] of [
      ...[
        'organization',
        'organisationId',
        'org',
        'ownerName',
        'namespace',
        'user',
        'author',
        'targetOrg',
        'ns',
        'team',
        'groupId',
        'workspace',
      ].map((one) => [one, true] as const),
      ...['orgX', 'users2go', 'other'].map((one) => [one, false] as const),
    ]) {
      expect(reasonOf({ name: 'b', [key]: 'a' }), key).to.include(isOne ? 'it names model a/b' : 'without a namespace')
      expect(named({ name: 'x/b', [key]: 'a' }), key).to.deep.equal(isOne ? ['model x/b', 'model a/b'] : ['model x/b'])
      if (isOne) expect(named({ [key]: 'a', repo: { name: 'b' } })).to.deep.equal(['model a/b'])
    }
  })

  it('may stand in lists and objects, and be nothing', () => {
    for (const [value, expected] of [
      [{ name: ['a/b', ['c/d']] }, ['model a/b', 'model c/d']],
      [
        [{ name: 'a/b' }, { name: 'c/d' }],
        ['model a/b', 'model c/d'],
      ],
      [{ repo: { name: 'a/b', type: 'space' } }, ['space a/b']],
      [{ other: { name: 'a/b' } }, []],
      [{ other: { repo: 'gpt2' } }, ['model gpt2']],
      [{ name: '' }, []],
      [{ name: null, repo: false, repoId: true }, []],
      ['a/b', []],
      [5, []],
      [null, []],
    ] as const)
      expect(named(value), JSON.stringify(value)).to.deep.equal(expected)
  })

  it('are refused where nothing tells what they name', () => {
    for (const [value, reason] of [
      [{ name: 'b' }, 'name is "b", without a namespace'],
      [{ repo: { name: 'b' } }, 'without a namespace'],
      [{ name: 5 }, 'without a namespace'],
      [{ name: 'a/b', organization: {} }, 'organization must be a string'],
      [{ name: 'a/b', organization: [{}] }, 'organization must be a string'],
      [{ name: 'a/b', type: {} }, 'type must be a string'],
      [{ name: 'a/b', type: 'other' }, 'type: expected one of model, dataset, space, kernel, bucket'],
      [{ name: 'b', organization: 'a/c' }, 'organization: "a/c" is no namespace'],
      [{ name: 'b', organization: '..' }, 'is no namespace'],
      [{ name: 'a/b/c' }, 'name: "a/b/c" names no repository'],
      [{ name: 'a/..' }, 'names no repository'],
    ] as const)
      expect(reasonOf(value), JSON.stringify(value)).to.include(reason)
  })

  it('are a thousand at most in a body, each counted once, with their namespaces', () => {
    const names = (count: number) => Array.from({ length: count }, (_, index) => `a/n${index}`)
    expect(named({ name: names(1_000) })).to.have.length(1_000)
    expect(reasonOf({ name: names(1_001) })).to.include('more than 1000 repositories')
    const organization = ['x']
    expect(named({ organization, name: names(500) })).to.have.length(1_000)
    expect(reasonOf({ organization, name: names(501) })).to.include('more than 1000 repositories')
    const places = Array.from({ length: 5_000 }, (_, index) => ({ name: `a/n${index % 1_000}` }))
    expect(named({ name: places })).to.have.length(1_000)
    expect(reasonOf({ name: [...places, { name: 'a/other' }] })).to.include('more than 1000 repositories')
  })

  it('have ten namespaces beside them at most', () => {
    const organization = Array.from({ length: 10 }, (_, index) => `x${index}`)
    expect(named({ organization, name: 'n' })).to.have.length(10)
    expect(reasonOf({ organization: [...organization, 'y'], name: 'n' })).to.include('more than 10 namespaces')
    expect(reasonOf({ organization, name: { organization: 'y', name: 'n' } })).to.include('more than 10 namespaces')
  })
})
