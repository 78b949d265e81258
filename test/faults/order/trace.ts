import { readFile } from 'node:fs/promises'

/** A system call that succeeded, with the lines of the trace where it began and ended: two calls may overlap. */
export interface Call {
  readonly name: string
  readonly start: number
  readonly end: number
  /** Paths, of arguments and of descriptors, in order; absolute. */
  readonly paths: readonly string[]
  /** What was written. */
  readonly bytes: Buffer
  /** Where it was written; `undefined`: at the end. */
  readonly position: number | undefined
  /** `O_RDONLY|O_CLOEXEC`; empty where there are none. */
  readonly flags: string
}

/** What strace is told: every call that changes or syncs a file, and `open`, strings whole and in hex. */
export const straceArguments = [
  ...['-f', '-qq', '-y', '-xx', '-s', '4000000', '--seccomp-bpf'],
  '-e',
  `trace=${[
    ...['open', 'openat', 'creat', 'write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'ftruncate', 'fallocate'],
    ...['fsync', 'fdatasync', 'rename', 'renameat', 'renameat2', 'link', 'linkat', 'unlink', 'unlinkat'],
    ...['mkdir', 'mkdirat', 'copy_file_range', 'sendfile'],
  ].join(',')}`,
]

const writing = new Set(['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'])

/** The calls of a trace that are about something below `root`, in the order in which they began. */
export async function readTrace(path: string, root: string): Promise<Call[]> {
  const calls: Call[] = []
  /** By thread. */
  const unfinished = new Map<string, { text: string; start: number }>()
  for (const [line, text] of (await readFile(path, 'latin1')).split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(text) ?? []
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)?.[1]
    const begun = resumed === undefined ? { text: '', start: line } : unfinished.get(thread)
    if (begun === undefined) continue
    const whole = begun.text + (resumed ?? rest)
    if (whole.endsWith('<unfinished ...>')) {
      unfinished.set(thread, { text: whole.slice(0, -'<unfinished ...>'.length), start: begun.start })
      continue
    }
    unfinished.delete(thread)
    const call = parseCall(whole, begun.start, line)
    if (call?.paths.some((one) => one === root || one.startsWith(`${root}/`)) === true) calls.push(call)
  }
  return calls.sort((one, other) => one.start - other.start)
}

function parseCall(text: string, start: number, end: number): Call | undefined {
  const [, name = '', args = '', result = '-1'] = /^(\w+)\((.*)\) += (-?\d+)/s.exec(text) ?? []
  if (name === '' || Number(result) < 0) return undefined
  const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)]
  if (strings.some(([, , cut]) => cut !== undefined)) throw new Error(`strace cut what was written: ${name}`)
  const ofArguments = strings.map(([, hex = '']) => unhex(hex))
  const ofDescriptors = [...args.matchAll(/(?:^|, )\d+<((?:\\x[0-9a-f]{2})+)/g)].map(([, hex = '']) =>
    unhex(hex).toString(),
  )
  if (!writing.has(name)) {
    const paths = [...ofDescriptors, ...ofArguments.map(String)]
    const flags = /, (O_[A-Z_|]+)/.exec(args)?.[1] ?? ''
    return { name, start, end, paths, bytes: Buffer.alloc(0), position: undefined, flags }
  }
  const bytes = Buffer.concat(ofArguments).subarray(0, Number(result))
  const position = name.startsWith('p') ? Number(/, (\d+) *$/.exec(args)?.[1]) : undefined
  return { name, start, end, paths: ofDescriptors, bytes, position, flags: '' }
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}
