/**
 * An independent reading of what an upstream received: how a server built of `new URL` and a router that ignores case
 * would take it. It shares no code with the parser that it judges.
 */
export interface Received {
  readonly method: string
  readonly target: string
  readonly body: string
}

/** What the mirror in front of the upstream is to uphold. */
export interface Rules {
  readonly isDenied: (name: string) => boolean
  /** `undefined`: every repository that is not denied. */
  readonly isAllowed: ((name: string) => boolean) | undefined
  readonly readOnly: boolean
}

const types = new Set(['datasets', 'spaces', 'kernels', 'buckets'])
const pickle = /\.(?:bin|pt|pth|pkl|pickle|ckpt|joblib|dill)(?:\.(?:gz|bz2|xz|lzma|z|zst|zip|tar))*$/i

/** Why the request should never have come; `undefined`: it may. */
export function violation(received: Received, rules: Rules): string | undefined {
  const { method, target } = received
  if (!/^\/(?!\/)[!-~]*$/.test(target)) return 'no plain path'
  const url = new URL(target, 'http://hub')
  if (url.pathname + url.search !== target) return 'another URL once it is parsed'
  if (target.includes('#')) return 'a fragment'
  for (const segments of readings(url.pathname)) {
    const names = namedBy(segments)
    // A name is a name however often it is decoded; a file's may have an escape in it.
    const denied = [...names, ...names.map(decode)].find(rules.isDenied)
    if (denied !== undefined) return `names ${denied}, which is denied`
    if (rules.isAllowed !== undefined && !names.some(rules.isAllowed) && !isEverybodys(segments))
      return `names nothing that is allowed (${names.join(', ')})`
    if (asksForPickle(segments)) return 'a pickle file'
    if (rules.readOnly && writes(method, segments, url.searchParams, received.body)) return 'a write'
  }
  return undefined
}

/** Decoded segments in lower case: encoded slashes as a part of them and as slashes, backslashes too, dots walked. */
function readings(pathname: string): string[][] {
  const encoded = pathname.split('/').filter((segment) => segment !== '')
  const once = encoded.map(decode)
  const split = once.join('/')
  const collapsed = new URL(
    `http://hub/${once.map((part) => part.split('/').map(encodeURIComponent).join('/')).join('/')}`,
  )
  return [
    once,
    split.split('/'),
    split.replaceAll('\\', '/').split('/'),
    collapsed.pathname.split('/').map(decode),
  ].map((segments) => segments.filter((segment) => segment !== '').map((segment) => segment.toLowerCase()))
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Ids as policies spell them, at the place where the Hub's routes have them: of one segment, and of two. */
function namedBy(segments: readonly string[]): string[] {
  const { type, from } = placeOfId(segments)
  const [first, second, third] = segments.slice(from)
  if (first === undefined) return []
  const prefix = type === '' ? '' : `${type}/`
  const one = `${prefix}${first.replace(/\.git$/, '')}`
  if (second === undefined) return from > 0 ? [one] : []
  const two = `${prefix}${first}/${second.replace(/\.git$/, '')}`
  // `gpt2/resolve/main/f` is a file of `gpt2`; `org/resolve/resolve/main/f` may be one of either.
  if (third === undefined) return [two]
  const behindOne = fit(segments, from + 1)
  const behindTwo = fit(segments, from + 2)
  if (behindOne === 'exact' && behindTwo === 'exact') return [one, two]
  return behindTwo === 'exact' || behindOne === 'none' || (behindOne === 'loose' && behindTwo === 'loose')
    ? [two]
    : [one]
}

/** Routes that take so many segments behind them, or any number. */
const exactRoutes: Record<string, Record<string, number>> = {
  api: { revision: 1, tree: 1, commits: 1, 'paths-info': 1, 'xet-read-token': 1, 'xet-write-token': 0 },
  v2: { manifests: 1, blobs: 1 },
  web: { resolve: 2, raw: 2 },
}
const looseRoutes: Record<string, readonly string[]> = {
  api: ['discussions', 'branch', 'commit', 'preupload', 'settings'],
  v2: [],
  web: ['blob', 'tree', 'settings'],
}

function fit(segments: readonly string[], at: number): 'exact' | 'loose' | 'none' {
  const [first = '', word = '', next = ''] = [segments[0], segments[at], segments[at + 1]]
  const area = first === 'api' || first === 'v2' ? first : 'web'
  const operands = exactRoutes[area]?.[word]
  if (operands !== undefined && segments.length - at > operands) return 'exact'
  if (area === 'web' && word === 'info' && (next === 'refs' || next === 'lfs')) return 'exact'
  return looseRoutes[area]?.includes(word) === true ? 'loose' : 'none'
}

function placeOfId(segments: readonly string[]): { type: string; from: number } {
  const [first = '', second = '', third = ''] = segments
  if (first === 'api' && second === 'resolve-cache') return { type: third === 'models' ? '' : third, from: 3 }
  if (first === 'api') return { type: second === 'models' ? '' : second, from: 2 }
  if (first === 'v2') return { type: '', from: 1 }
  return types.has(first) ? { type: first, from: 1 } : { type: '', from: 0 }
}

function isEverybodys([first, second, ...rest]: readonly string[]): boolean {
  if (first !== 'api') return false
  return second === 'telemetry' || ((second === 'whoami-v2' || second === 'validate-yaml') && rest.length === 0)
}

function asksForPickle(segments: readonly string[]): boolean {
  const isFile = segments.some((segment, index) => index > 0 && /^(?:resolve|raw|resolve-cache)$/.test(segment))
  return isFile && pickle.test(segments.at(-1) ?? '')
}

function writes(method: string, segments: readonly string[], query: URLSearchParams, body: string): boolean {
  const last = segments.at(-1) ?? ''
  if (method === 'GET' || method === 'HEAD') {
    const behind = segments.slice(placeOfId(segments).from + 1)
    const isGit = [0, 1].some((length) => behind.slice(length).join('/') === 'info/refs')
    const asksToPush = isGit && [...query].some(([, value]) => value === 'git-receive-pack')
    return asksToPush || behind.slice(0, 2).includes('xet-write-token')
  }
  if (method !== 'POST') return true
  if (last === 'git-upload-pack' || segments[4] === 'paths-info' || segments[3] === 'paths-info') return false
  if (segments[1] === 'validate-yaml' || segments[1] === 'telemetry') return false
  return !(segments.slice(-4).join('/') === 'info/lfs/objects/batch' && body.includes('"download"'))
}
