import { readdir, readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { ZodError } from 'zod'
import { deepestJson, Failure, type Method, parseClientJson, parseTarget } from '../../src/hub/index.ts'
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

describe(`JSON that means harm (seed ${seed})`, function () {
  this.timeout(120_000)

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
