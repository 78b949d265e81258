import type { Target } from '../../hub/index.ts'

/** The path to log: as it is policed, without what opens something. */
export function loggedPath(prefix: string, target: Target): string {
  return prefix + (target.operation === 'follow' ? '/-/follow/(sealed)' : target.pathname)
}

/** The path of a target that could not be parsed: no longer than a log line should be, and without query and seal. */
export function loggedTarget(raw: string): string {
  const [path = ''] = raw.replace(/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/, '').split(/[?#]/, 1)
  return path.slice(0, 1000).replace(/(follow(?:\/|%2f)).*/i, '$1(sealed)')
}
