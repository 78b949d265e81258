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

/** Names of repositories in a body, each counted once; clients send one or two, or some for a batch. */
const mostNames = 1000
/** Namespaces that stand beside a name; clients send one. */
const mostNamespaces = 10

const noNamespaces: ReadonlySet<string> = new Set()

/**
 * Every repository that a reader of this JSON could take it to name: of each namespace and name that stand beside one
 * another, whichever of them would win. Throws a 400 for what can't be told.
 */
export function namesIn(value: unknown, rules: NamingRules): NamedRepository[] {
  const named = new Named()
  collect(value, rules, noNamespaces, named)
  return named.repositories
}

function collect(value: unknown, rules: NamingRules, outside: ReadonlySet<string>, named: Named): void {
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
  for (const [inner, rulesBelow] of below) collect(inner, rulesBelow, found.namespaces, named)
}

/** The repositories of a whole body, each once. */
class Named {
  readonly #names = new Set<string>()
  readonly #found = new Map<string, NamedRepository>()

  get repositories(): NamedRepository[] {
    return [...this.#found.values()]
  }

  add(type: RepositoryType, id: string): void {
    this.#names.add(id)
    if (this.#names.size > mostNames) throw invalidBody(`it names more than ${mostNames} repositories`)
    const key = `${type} ${id}`
    if (!this.#found.has(key)) this.#found.set(key, { type, id })
  }
}

function roleOf(key: string, isRepository: boolean): Role | undefined {
  const letters = key.toLowerCase().replace(/[^a-z]/g, '')
  return roles.find(
    ([pattern, , onlyInRepository]) => (isRepository || !onlyInRepository) && pattern.test(letters),
  )?.[1]
}

/** What one object says. */
class Found {
  #namespaces: ReadonlySet<string>
  readonly #types = new Set<RepositoryType>()
  readonly #names = new Map<string, { readonly key: string; readonly name: string; readonly isOwn: boolean }>()

  /** @param outside namespaces that stand beside an object which this one is a part of */
  constructor(outside: ReadonlySet<string>) {
    this.#namespaces = outside
  }

  get namespaces(): ReadonlySet<string> {
    return this.#namespaces
  }

  add(role: Role, key: string, text: string): void {
    if (role === 'namespace') {
      if (!isNamespace(text)) throw invalidBody(`${quoted(key)}: ${JSON.stringify(quoted(text))} is no namespace`)
      // Nearly every object has none of its own.
      this.#namespaces = new Set(this.#namespaces).add(text)
      if (this.#namespaces.size > mostNamespaces)
        throw invalidBody(`it has more than ${mostNamespaces} namespaces in one place`)
    } else if (role === 'type') {
      const type = types.find((one) => one === text)
      if (type === undefined) throw invalidBody(`${quoted(key)}: expected one of ${types.join(', ')}`)
      this.#types.add(type)
    } else this.#names.set(`${role} ${text}`, { key, name: text, isOwn: role === 'own-name' })
  }

  tell({ type, isTypeFixed, bare }: NamingRules, named: Named): void {
    const stated = [...this.#types]
    const own = stated.length === 0 || isTypeFixed ? [type, ...stated] : stated
    for (const { key, name, isOwn } of this.#names.values()) {
      const of = new Set(isOwn ? own : [...mentionable, ...stated])
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
      for (const id of ids) for (const one of of) named.add(one, id)
    }
  }
}
