import { readdir, readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { ZodError } from 'zod'
import {
  deepestJson,
  Failure,
  type Method,
  mostJsonValues,
  mostKeys,
  parseClientJson,
  parseClientJsonLines,
  parseTarget,
} from '../../src/hub/index.ts'
import { answerPathsInfo } from '../../src/server/answers/paths-info.ts'
import { failureReply } from '../../src/server/failure-reply.ts'
import { bodyReaderOf, checkBody } from '../../src/server/gate/named-in-body.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { Redactor } from '../../src/telemetry/redact.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { ListedLibrary } from '../unit/server/gate/fixture.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const rounds = Number(process.env.FUZZ_JSON ?? 60)
/** Bytes; what is larger is not read. */
const largest = 1024 * 1024
/** Milliseconds of CPU that a body may take, on a busy machine; the longest took half a second. */
const longest = 2_000

/** Bodies of a shape that is cheap to send, `size` bytes or so. */
const shapes: Record<string, (size: number, around: Around) => string> = {
  'lists in lists': (size, around) => around('['.repeat(size / 2) + ']'.repeat(size / 2)),
  'lists that do not end': (size, around) => around('['.repeat(size)),
  'objects in objects': (size, around) => around(`${'{"a":'.repeat(size / 6)}1${'}'.repeat(size / 6)}`),
  'objects below a name': (size, around) => around(`${'{"repo":'.repeat(size / 9)}1${'}'.repeat(size / 9)}`),
  'lists below a name': (size, around) => around(`{"repo":${'['.repeat(size / 2)}"evil/x"${']'.repeat(size / 2)}}`),
  numbers: (size, around) => around(`[${'1,'.repeat(size / 2)}1]`),
  'empty objects': (size, around) => around(`[${'{},'.repeat(size / 3)}{}]`),
  'wrong oids': (size, around) => around(`[${'{"oid":1},'.repeat(size / 10)}{}]`),
  'one key again and again': (size, around) => around(`{${'"a":1,'.repeat(size / 6)}"a":1}`),
  'names beside namespaces': (size, around) =>
    around(
      `{${Array.from({ length: size / 40 }, (_, index) => `"${index}repo":"x","${index}owner":"org"`).join()},"name":"x"}`,
    ),
  'namespaces above names': (size, around) =>
    around(
      `{${Array.from({ length: Math.min(900, size / 50) }, (_, index) => `"${index}owner":"o${index}"`).join()},"name":"x","repos":[${'{"id":"a"},'.repeat(size / 13)}{}]}`,
    ),
  'one long name': (size, around) => around(JSON.stringify({ name: 'x'.repeat(size), organization: 'org' })),
  escapes: (size, around) => around(`"${'\\u005c'.repeat(size / 6)}"`),
  quotes: (size, around) => around('"'.repeat(size)),
  lines: (size) => '[]\n'.repeat(size / 3),
  'lines of objects': (size) => '{"a":{}}\n'.repeat(size / 9),
  'keys that are all different': (size, around) =>
    around(`{${Array.from({ length: size / 10 }, (_, index) => `"${index.toString(36)}":1`).join()}}`),
  'keys that may name something': (size, around) =>
    around(`{${Array.from({ length: size / 16 }, (_, index) => `"${index.toString(36)}repo":null`).join()}}`),
  'names that are all different': (size, around) =>
    around(`{"repos":[${Array.from({ length: size / 12 }, (_, index) => `"o/${index.toString(36)}"`).join()}]}`),
  'objects that name the same': (size, around) => around(`[${'{"repo":"o/x"},'.repeat(size / 15)}{}]`),
  'objects below namespaces': (size, around) =>
    around(
      `{${Array.from({ length: size / 30 }, (_, index) => `"${index}owner":"o${index}"`).join()},"files":[${'{},'.repeat(size / 6)}{}]}`,
    ),
  'objects that name the same below namespaces': (size, around) =>
    around(
      `{${Array.from({ length: 10 }, (_, index) => `"${index}owner":"o${index}"`).join()},"files":[${'{"repo":"x"},'.repeat(size / 13)}{}]}`,
    ),
  'namespaces below namespaces': (size, around) =>
    around(
      `{${Array.from({ length: 9 }, (_, index) => `"${index}owner":"o${index}"`).join()},"files":[${'{"owner":"x"},'.repeat(size / 14)}{}]}`,
    ),
}

type Around = (inner: string) => string
const bare: Around = (inner) => inner
const arounds: readonly Around[] = [
  bare,
  (inner) => `{"paths":${inner}}`,
  (inner) => `{"operation":"download","objects":${inner}}`,
  (inner) => `{"name":"x","organization":"org","files":${inner}}`,
  (inner) => `{"fromRepo":${inner},"toRepo":"org/x"}`,
  (inner) => `{"sourceRepoId":"org/x","path":${inner}}`,
]

const routes: readonly [Method, string][] = [
  ['POST', '/api/repos/create'],
  ['DELETE', '/api/repos/delete'],
  ['POST', '/api/repos/move'],
  ['POST', '/api/repos/copy'],
  ['POST', '/api/spaces/org/s/duplicate'],
  ['POST', '/api/models/org/m/lfs-files/duplicate'],
  ['POST', '/api/buckets/org/b/batch'],
  ['POST', '/org/m.git/info/lfs/objects/batch'],
  ['POST', '/api/models/org/model/paths-info/main'],
]

/** One of those that read in the same way. */
const readers = routes.filter(([, url]) => /create|batch|paths-info/.test(url))

const logger = createLogger('trace', 'json', { write: () => undefined }, new Redactor([]))
const library = new ListedLibrary({ repository: { type: 'model', id: 'org/model' }, files: [{ path: 'a' }] })

async function read(method: Method, url: string, text: string): Promise<void> {
  const { target } = parseTarget(url, '')
  if (target.operation === 'paths-info') {
    const readBody = async () => ({ contentType: 'application/json', text })
    await answerPathsInfo({ target, library, readBody })
    return
  }
  const reader = bodyReaderOf(method, target)
  if (reader === undefined) throw new Error(`${url} has no reader`)
  checkBody(Buffer.from(text), { target, contentType: 'application/json', contentEncoding: undefined }, reader)
}

/** Milliseconds of CPU. */
const mostCpu = 200

/** The least of several: what else runs in the process can only add. It is over with the first that is below the limit. */
async function leastCpu(work: () => Promise<unknown>, runs: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs && least >= mostCpu; run++) {
    const start = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(start)
    least = Math.min(least, (user + system) / 1000)
  }
  return least
}

async function refusal(method: Method, url: string, text: string): Promise<string> {
  const error: unknown = await read(method, url, text).catch((reason: unknown) => reason)
  if (!(error instanceof Failure)) throw new Error(`${method} ${url} takes ${text.slice(0, 100)}`)
  expect(error.status).to.equal(400)
  return error.message
}

/**
 * None begins with a backslash: where one was a key before, V8 (13.6) takes it for another that is spelled with escapes
 * (`{"\\\\":1}`, then twice `{"\\u0022":1}`). What was checked is written anew, so that all see the same.
 */
const fewKeys = ['a', 'b', 'c', '"', '{', 'é', '', ',"a":']

/** An object of few different keys, some of them spelled with escapes, and those that it has twice, at any level. */
function randomObject(random: () => number, depth: number): { text: string; twice: string[] } {
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value
  const seen = new Set<string>()
  const twice: string[] = []
  const members = Array.from({ length: Math.floor(random() * 4) }, () => {
    const key = pick(fewKeys)
    if (seen.has(key)) twice.push(key)
    seen.add(key)
    const spelled =
      random() < 0.5
        ? JSON.stringify(key)
        : `"${[...key].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
    const inner =
      depth === 0 || random() < 0.4
        ? { text: pick(['1', '"a"', '[]', '{}', 'null', '["a",{"a":1}]']), twice: [] }
        : randomObject(random, depth - 1)
    twice.push(...inner.twice)
    return `${spelled}${pick(['', ' '])}:${pick(['', '\n'])}${random() < 0.3 ? `[${inner.text}]` : inner.text}`
  })
  return { text: `{${members.join(pick([',', ' , ']))}}`, twice }
}

describe(`JSON that means harm (seed ${seed})`, function () {
  this.timeout(120_000)

  it('has no more different keys than anything that clients send, in one object or in many', async () => {
    const keys = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => `"k${from + index}":1`).join()
    const around = (inner: string) => `{"name":"x","organization":"org","files":${inner}}`
    for (const [method, url] of routes.filter(([, url]) => /create/.test(url))) {
      await read(method, url, around(`{${keys(0, mostKeys - 3)}}`))
      await read(method, url, around(`[${`{${keys(0, 500)}},`.repeat(100)}{}]`))
      for (const inner of [
        `{${keys(0, mostKeys - 2)}}`,
        `[{${keys(0, mostKeys / 2)}},{${keys(mostKeys / 2, mostKeys / 2)}}]`,
        `[{"k0":{${keys(1, mostKeys)}}}]`,
      ])
        expect(await refusal(method, url, around(inner))).to.include(`more than ${mostKeys} different keys`)
    }
  })

  it('is read or refused, never a failure of the server, and a refusal is small', async () => {
    const random = seededRandom(seed)
    const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value
    for (const [method, url] of routes) {
      const whole = Object.keys(shapes).map((shape) => ({ shape, size: 0.95 * largest, around: bare }))
      const drawn = Array.from({ length: rounds }, () => ({
        shape: pick(Object.keys(shapes)),
        size: Math.floor(largest ** (0.5 + random() / 2)),
        around: pick(arounds),
      }))
      for (const { shape, size, around } of [...whole, ...drawn]) {
        const text = shapes[shape]?.(size, around).slice(0, largest) ?? ''
        const subject = `${method} ${url}: ${shape}, ${text.slice(0, 60)}`
        const before = process.cpuUsage()
        const error = await read(method, url, text).catch((reason: unknown) => reason)
        const { user, system } = process.cpuUsage(before)
        expect((user + system) / 1000, `milliseconds for ${size} bytes: ${subject}`).to.be.lessThan(longest)
        if (error === undefined) continue
        if (!(error instanceof Failure)) throw new Error(subject, { cause: error })
        expect(error.status, subject).to.equal(400)
        expect(error.message.length, subject).to.be.lessThan(1_000)
        // A hundred thousand reasons take longer to make, and to log, than the body took to send.
        if (error.cause instanceof ZodError) expect(error.cause.issues.length, subject).to.be.lessThan(10)
        failureReply(error)
        logger.warn({ err: error }, 'request failed')
      }
    }
  })

  it('costs little, whatever a body of the largest size is made of', async () => {
    for (const [shape, make] of Object.entries(shapes))
      for (const around of arounds) {
        const text = make(largest, around).slice(0, largest)
        for (const [method, url] of readers) {
          const milliseconds = await leastCpu(() => read(method, url, text).catch(() => undefined), 3)
          expect(milliseconds, `${method} ${url}: ${shape}, ${text.slice(0, 60)}`).to.be.below(mostCpu)
        }
      }
  })

  it('has a bounded number of values, over all lines, and of names', async () => {
    const list = (length: number) => `[${Array.from({ length }, () => '1').join()}]`
    expect(parseClientJson(list(mostJsonValues - 1))).to.have.length(mostJsonValues - 1)
    expect(() => parseClientJson(list(mostJsonValues))).to.throw('more than 100000 values')
    expect(parseClientJsonLines('{"a":1}\n\n'.repeat(mostJsonValues / 2))).to.have.length(mostJsonValues / 2)
    expect(() => parseClientJsonLines('{"a":1}\n\n'.repeat(mostJsonValues / 2 + 1))).to.throw('values')
    const named = (count: number) =>
      JSON.stringify({ repos: Array.from({ length: count }, (_, index) => `o/${index % 1001}`) })
    await read('POST', '/api/repos/copy', named(1_000))
    expect(await refusal('POST', '/api/repos/copy', named(2_000))).to.match(/names more than 1000 repositories/)
  })

  it('has no key twice in one object: who reads it would choose', async () => {
    const sound = [
      '{"a":{"b":1},"b":{"a":1}}',
      '[{"a":1},{"a":2}]',
      '{"a":"b","b":["a","a"],"":0," ":1}',
      '{"\\u0061":1,"A":2}',
    ]
    for (const text of sound) expect(parseClientJson(text)).to.deep.equal(JSON.parse(text))
    const random = seededRandom(seed)
    for (let round = 0; round < 2_000; round++) {
      const { text, twice } = randomObject(random, 4)
      if (twice.length === 0) expect(parseClientJson(text), text).to.deep.equal(JSON.parse(text))
      else expect(() => parseClientJson(text), text).to.throw(/^it has the key ".*" twice in one object$/)
    }
    const bodies = [
      '{"name":"org/a","name":"org/b"}',
      '{"name":"org/a","n\\u0061me":"org/b"}',
      '{"name":"org/a", "x":[{"y":1,"y":1}]}',
    ]
    for (const [method, url] of routes)
      for (const body of bodies)
        expect(await refusal(method, url, body), url).to.match(/has the key "(?:name|n\\u0061me|y)" twice/)
  })

  it('is read as deep as clients write, and no deeper, brackets in strings aside', () => {
    const nested = (depth: number, inner = '') => '['.repeat(depth) + inner + ']'.repeat(depth)
    expect(parseClientJson(nested(deepestJson))).to.be.an('array')
    expect(() => parseClientJson(nested(deepestJson + 1))).to.throw('nested deeper')
    expect(() => parseClientJson('{"a":'.repeat(deepestJson + 1))).to.throw('nested deeper')
    for (const text of ['[['.repeat(100), `\\"${'{'.repeat(100)}`, '\\\\', `"${'['.repeat(100)}"`])
      expect(parseClientJson(nested(deepestJson, JSON.stringify(text))), text).to.be.an('array')
    expect(() => parseClientJson(`["\\\\",${nested(deepestJson)}]`)).to.throw('nested deeper')
  })

  it('is parsed in one place only', async () => {
    /** What these parse was made by this server, or by an upstream, and is bounded. */
    const others = ['gate/authority.ts', 'gate/follow-seal.ts']
    const root = new URL('../../src/server/', import.meta.url)
    const parsing: string[] = []
    for (const name of await readdir(root, { recursive: true }))
      if (name.endsWith('.ts') && (await readFile(new URL(name, root), 'utf8')).includes('JSON.parse'))
        parsing.push(name)
    expect(parsing.sort()).to.deep.equal(others)
  })
})
