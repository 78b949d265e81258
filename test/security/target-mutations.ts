/** Numbers that are the same for the same seed (mulberry32). */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)]
    if (picked === undefined) throw new Error('nothing to pick from')
    return picked
  }
}

const commit = '0123456789abcdef0123456789abcdef01234567'

/** Every route that can name a repository (`ID`), with the methods that clients use there. */
const routes: readonly (readonly [methods: string, template: string])[] = [
  ['GET HEAD', '/ID/resolve/main/FILE'],
  ['GET HEAD', '/ID/raw/main/FILE'],
  ['GET HEAD', '/ID/blob/main/FILE'],
  ['GET', '/ID/tree/main'],
  ['GET', '/ID'],
  ['GET', '/ID/settings'],
  ['GET HEAD', `/ID/resolve/${commit}/a/FILE`],
  ['GET', '/ID/resolve/refs%2Fpr%2F1/FILE'],
  ['GET', '/ID/resolve/refs/convert/parquet/FILE'],
  ['GET HEAD', '/datasets/ID/resolve/main/FILE'],
  ['GET', '/spaces/ID/raw/main/FILE'],
  ['GET', '/kernels/ID/resolve/main/FILE'],
  ['GET', '/buckets/ID/resolve/a/FILE'],
  ['GET HEAD', `/api/resolve-cache/models/ID/${commit}/FILE`],
  ['GET', `/api/resolve-cache/datasets/ID/${commit}/a/FILE`],
  ['GET', '/api/models/ID'],
  ['GET', '/api/datasets/ID'],
  ['GET', '/api/models/ID/revision/main'],
  ['GET', '/api/models/ID/tree/main/a?recursive=true'],
  ['GET', '/api/spaces/ID/tree/main'],
  ['GET', '/api/models/ID/refs'],
  ['GET', '/api/models/ID/commits/main'],
  ['GET', '/api/models/ID/discussions'],
  ['GET', '/api/models/ID/settings'],
  ['POST', '/api/models/ID/paths-info/main'],
  ['GET', '/api/models/ID/xet-read-token/main'],
  ['GET', '/api/models/ID/xet-write-token/main'],
  ['POST', '/api/models/ID/commit/main'],
  ['POST DELETE', '/api/models/ID/branch/b'],
  ['POST', '/api/datasets/ID/preupload/main'],
  ['PUT', '/api/models/ID/settings'],
  ['GET', '/api/kernels/ID/tree/main'],
  ['GET', '/api/buckets/ID/tree'],
  ['POST', '/api/buckets/ID/batch'],
  ['GET', '/v2/ID/manifests/latest'],
  ['GET', `/v2/ID/blobs/sha256:${'0'.repeat(64)}`],
  ['GET', '/ID.git/info/refs?service=git-upload-pack'],
  ['GET', '/ID/info/refs?service=git-receive-pack'],
  ['POST', '/ID.git/git-upload-pack'],
  ['POST', '/datasets/ID/git-receive-pack'],
  ['POST', '/ID.git/info/lfs/objects/batch'],
  ['POST', '/ID/info/lfs/locks/verify'],
  ['GET', '/api/models?search=x'],
  ['GET', '/api/whoami-v2'],
  ['POST', '/api/repos/create'],
  ['DELETE', '/api/repos/delete'],
]

const files = [
  'config.json',
  'pytorch_model.bin',
  'a b.PT',
  'model.safetensors',
  'x.pkl',
  'x.joblib',
  'x.pkl.gz',
] as const

/** One request's method and target, made from `ids`: a route, misspelled up to three times. */
export function anyRequest(dice: Dice, ids: readonly string[]): { method: string; target: string } {
  const [methods, template] = dice.pick(routes)
  let target = template.replaceAll('ID', dice.pick(ids)).replaceAll('FILE', encodeURIComponent(dice.pick(files)))
  for (let count = dice.below(4); count > 0; count--) target = dice.pick(mutations)(target, dice, ids)
  const method =
    dice.below(10) === 0 ? dice.pick(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']) : dice.pick(methods.split(' '))
  return { method, target: dice.below(2) === 0 ? `/mirror${target}` : target }
}

type Mutation = (target: string, dice: Dice, ids: readonly string[]) => string

/** Puts `text` where a slash is. */
function atSlash(target: string, dice: Dice, text: string): string {
  const slashes = [...target.matchAll(/\//g)].map(({ index }) => index)
  const at = slashes.length === 0 ? 0 : dice.pick(slashes)
  return target.slice(0, at) + text + target.slice(at + 1)
}

function atAny(target: string, dice: Dice, change: (character: string) => string): string {
  const at = dice.below(target.length)
  return target.slice(0, at) + change(target[at] ?? '') + target.slice(at + 1)
}

function percent(character: string): string {
  return [...Buffer.from(character, 'latin1')].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
}

/** UTF-8, as the wire has it: each byte as one character. */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

const mutations: readonly Mutation[] = [
  // Dot segments, bare and encoded.
  (target, dice) =>
    atSlash(target, dice, dice.pick(['/./', '/x/../', '/%2e/', '/x/%2e%2e/', '/x/.%2E/', '/../', '/%2E%2e/'])),
  (target, dice) =>
    atSlash(target, dice, dice.pick(['/x%2F..%2F', '/%2e%2f', '/x/..%2f', '/x%2f%2e%2e/', '/;/', '/..;/', '/x/..\\'])),
  // Out of an allowed repository into another.
  (target, dice, ids) =>
    `/${dice.pick(ids)}/resolve/main/${dice.pick(['../../../..', '%2e%2e/%2e%2e/%2e%2e/%2e%2e', '..%2F..%2F..%2F..'])}${target}`,
  (target, dice, ids) => `/${dice.pick(ids)}${target}`,
  (target, dice) => `${dice.pick(['/api/models/ok/repo/..', '/x/..', '/api/..', '/ok%2F..'])}${target}`,
  // Slashes.
  (target, dice) =>
    atSlash(
      target,
      dice,
      dice.pick(['//', '///', '%2F', '%2f', '\\', '%5C', '%5c', '/%2F', '%252F', '%c0%af', bytes('／')]),
    ),
  (target, dice) => target + dice.pick(['/', '//', '%2F', '/.', '/..', '%20', '%00', '.']),
  (target) => `/${target}`,
  // Encodings of a character: once, twice, in upper case, overlong.
  (target, dice) => atAny(target, dice, percent),
  (target, dice) => atAny(target, dice, (character) => percent(character).toUpperCase()),
  (target, dice) => atAny(target, dice, (character) => percent(character).replace('%', '%25')),
  (target, dice) =>
    atAny(
      target,
      dice,
      (character) => `%c${character < '@' ? 0 : 1}%${(0x80 + (character.charCodeAt(0) & 0x3f)).toString(16)}`,
    ),
  (target, dice) => target.replaceAll(/[a-z]/g, (character) => (dice.below(3) === 0 ? percent(character) : character)),
  // Letters.
  (target, dice) => atAny(target, dice, (character) => character.toUpperCase()),
  (target, dice) =>
    target.replaceAll(/[a-z]/g, (character) => (dice.below(2) === 0 ? character.toUpperCase() : character)),
  (target, dice) =>
    target.replace(dice.pick(['e', 'i', 'o', 'k', 's']), bytes(dice.pick(['е', 'і', 'ο', '\u212a', 'ſ', 'ｅ', '․']))),
  // Characters that end or split something for somebody.
  (target, dice) =>
    atAny(
      target,
      dice,
      (character) =>
        character +
        dice.pick(['#', ';', '?', '\\', '%23', '%3f', '%3B', '&', '@', ':', "'", '"', '^', '{', '|', '`', '<']),
    ),
  (target, dice) =>
    atAny(
      target,
      dice,
      (character) =>
        character +
        dice.pick(['%00', '%0d%0a', '%0a', '%09', '\t', '\u0001', '\u007f', '%', '%z', '%ff', '\u00ff', bytes('é')]),
    ),
  (target, dice) =>
    atSlash(
      target,
      dice,
      dice.pick(['/;x=y/', '/.git/', '.git/', '/models/', '/resolve/', '/datasets/', '/api/', '/-/']),
    ),
  // Absolute-form, and what looks like it.
  (target, dice) =>
    `${dice.pick(['http://elsewhere', 'HTTP://a:1', 'http://a@b', 'https://x', 'http://', '//elsewhere', 'http:/', 'ftp://a', 'x'])}${target}`,
  // The prefix.
  (target, dice) =>
    `${dice.pick(['/mirror', '/mirror/', '/Mirror', '/%6dirror', '/mirror/.', '/mirror/..', '/mirror%2F', '/mirrorx', '/x/../mirror'])}${target}`,
  // Other routes' words, and queries.
  (target, dice) =>
    target.replace(
      /resolve|raw|tree|models|datasets|info/,
      dice.pick(['resolve', 'raw', 'blob', 'RAW', 'models', 'spaces', 'kernels', 'info']),
    ),
  (target, dice) =>
    target +
    dice.pick([
      '?',
      '?a=b',
      '?download=true',
      '?service=git-receive-pack',
      '&service=git-receive-pack',
      '?x=/../..',
      "?q='^<",
    ]),
  (target, dice) =>
    `${dice.pick(['/api', '/datasets', '/v2', '/api/models', '/api/resolve-cache/models', '/spaces', '/models'])}${target}`,
]
