import { isNamespace, isRepositoryId, type NamedRepository, quoted } from '../../hub/index.ts'
import { invalidBody } from './refusals.ts'

type RepositoryType = NamedRepository['type']

/** How an object of a body is read. */
export interface NamingRules {
  /** Of its repositories, where it states no type; with `isTypeFixed` whatever it states. */
  readonly type: RepositoryType
  readonly isTypeFixed?: true
  /** It describes a repository itself, so that `name`, `id` and `type` are that one's. */
  readonly isRepository: boolean
  /** What a name without a namespace is: that of a canonical repository, or one of whoever asks, whom only the Hub knows. */
  readonly bare: 'canonical' | 'refused'
}

type Role = 'namespace' | 'type' | 'own-name' | 'mention'

/**
 * What a key means, its letters in lower case: the Hub reads one of several spellings, and which may change. The first
 * that matches counts.
 */
const roles: readonly (readonly [key: RegExp, role: Role, onlyInRepository?: true])[] = [
  [/^(?:name|id)$/, 'own-name', true],
  [/^type$/, 'type', true],
  [/repo(?:sitory)?types?$/, 'type'],
  [/^(?:from|to|source|target)?(?:repo(?:sitory)?)(?:id|name)?$/, 'own-name'],
  [/(?:repo(?:sitory)?|template)(?:id|name|url|path|slug)?s?$/, 'mention'],
  [/^(?:from|to|source|src|target|destination|dest|dst)$/, 'mention'],
  [/(?:organi[sz]ation|org|owner|namespace|user|author)(?:id|name)?$/, 'namespace'],
  // Whole: a `resourceGroupId` is none.
  [/^(?:ns|workspace|team|group)(?:id|name)?$/, 'namespace'],
]

const types: readonly RepositoryType[] = ['model', 'dataset', 'space', 'kernel', 'bucket']
/** What a mention without a type may be of. */
const mentionable = ['model', 'dataset', 'space'] as const

/**
 * What one body may say. Clients name a repository or two, with one namespace; a bucket's batch names a few, over and
 * over. Whatever stands deeper is read with the namespaces around it, so that few must be few everywhere.
 */
const mostNamespaces = 16
const mostPairs = 20_000
const mostRepositories = 1_000

/**
 * Every repository that a reader of this JSON could take it to name, each once: of each namespace and name that stand
 * beside one another, whichever of them would win. Throws a 400 for what can't be told.
 */
export function namesIn(value: unknown, rules: NamingRules): NamedRepository[] {
  const named = new Named()
  collect(value, rules, [], named)
  return named.repositories
}

function collect(value: unknown, rules: NamingRules, outside: readonly string[], named: Named): void {
  if (Array.isArray(value)) for (const one of value) collect(one, rules, outside, named)
  if (!(value instanceof Object) || Array.isArray(value)) return
  const found = new Found(outside)
  const below: [inner: object, rules: NamingRules][] = []
  for (const [key, inner] of Object.entries(value)) {
    const role = roleOf(key, rules.isRepository)
    for (const one of Array.isArray(inner) ? inner.flat(Number.POSITIVE_INFINITY) : [inner]) {
      if (one instanceof Object) {
        if (role === 'namespace' || role === 'type') throw invalidBody(`${quoted(key)} must be a string`)
        const isRepository = role === 'own-name' || role === 'mention'
        below.push([one, { type: rules.type, isRepository, bare: isRepository ? rules.bare : 'canonical' }])
      } else if (role !== undefined && one !== null && one !== '' && typeof one !== 'boolean')
        found.add(role, key, String(one))
    }
  }
  found.tell(rules, named)
  for (const [inner, innerRules] of below) collect(inner, innerRules, found.namespaces, named)
}

function roleOf(key: string, isRepository: boolean): Role | undefined {
  const letters = key.toLowerCase().replace(/[^a-z]/g, '')
  return roles.find(
    ([pattern, , onlyInRepository]) => (isRepository || !onlyInRepository) && pattern.test(letters),
  )?.[1]
}

/** What a whole body names. */
class Named {
  readonly #byKey = new Map<string, NamedRepository>()
  #pairs = 0

  get repositories(): NamedRepository[] {
    return [...this.#byKey.values()]
  }

  /** To be called before pairs of a namespace and a name are made. */
  assertRoom(pairs: number): void {
    this.#pairs += pairs
    if (this.#pairs > mostPairs) throw invalidBody(`it names repositories more than ${mostPairs} times`)
  }

  add(repository: NamedRepository): void {
    this.#byKey.set(`${repository.type} ${repository.id}`, repository)
    if (this.#byKey.size > mostRepositories) throw invalidBody(`it names more than ${mostRepositories} repositories`)
  }
}

/** What one object says. */
class Found {
  readonly #namespaces: Set<string>
  readonly #types = new Set<RepositoryType>()
  readonly #names: { readonly key: string; readonly name: string; readonly isOwn: boolean }[] = []

  /** @param outside namespaces that stand beside an object which this one is a part of */
  constructor(outside: readonly string[]) {
    this.#namespaces = new Set(outside)
  }

  get namespaces(): string[] {
    return [...this.#namespaces]
  }

  add(role: Role, key: string, text: string): void {
    if (role === 'namespace') {
      if (!isNamespace(text)) throw invalidBody(`${quoted(key)}: ${JSON.stringify(quoted(text))} is no namespace`)
      this.#namespaces.add(text)
      if (this.#namespaces.size > mostNamespaces)
        throw invalidBody(`it gives more than ${mostNamespaces} namespaces in one place`)
    } else if (role === 'type') {
      const type = types.find((one) => one === text)
      if (type === undefined) throw invalidBody(`${quoted(key)}: expected one of ${types.join(', ')}`)
      this.#types.add(type)
    } else this.#names.push({ key, name: text, isOwn: role === 'own-name' })
  }

  tell({ type, isTypeFixed, bare }: NamingRules, named: Named): void {
    const stated = [...this.#types]
    const own = stated.length === 0 || isTypeFixed ? [type, ...stated] : stated
    named.assertRoom(this.#names.length * Math.max(1, this.#namespaces.size))
    for (const { key, name, isOwn } of this.#names) {
      const isFull = name.includes('/')
      const given = [...this.#namespaces].map((namespace) => `${namespace}/${name.slice(name.indexOf('/') + 1)}`)
      if (isOwn && !isFull && given.length === 0 && bare === 'refused')
        throw invalidBody(
          `${quoted(key)} is ${JSON.stringify(quoted(name))}, without a namespace: give the full name, namespace/name, or \`organization\``,
        )
      const ids = isFull || given.length === 0 ? [name, ...given] : given
      const wrong = ids.find((id) => !isRepositoryId(id))
      if (wrong !== undefined)
        throw invalidBody(`${quoted(key)}: ${JSON.stringify(quoted(wrong))} names no repository; give namespace/name`)
      for (const id of ids) for (const of of isOwn ? own : [...mentionable, ...stated]) named.add({ type: of, id })
    }
  }
}
