import { expect } from 'chai'
import fc from 'fast-check'
import { createLogger, type LogFormat } from '../../../src/telemetry/logger.ts'
import { Redactor } from '../../../src/telemetry/redact.ts'

const formats: readonly LogFormat[] = ['json', 'text']
const runs = Number(process.env.FUZZ_RUNS ?? 5_000)
const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)

function logged(format: LogFormat, log: (logger: ReturnType<typeof createLogger>) => void, secrets: string[] = []) {
  const lines: string[] = []
  log(createLogger('trace', format, { write: (text) => lines.push(text) }, new Redactor(secrets)))
  return lines.join('')
}

const nested = () =>
  new Error('outer', {
    cause: new AggregateError(
      [
        new TypeError('first'),
        new Error('second', { cause: Object.assign(new Error('deep'), { code: 'ECONNRESET' }) }),
      ],
      'several',
    ),
  })

describe('the log', () => {
  it('shows an error with its stack, its causes and the members of an aggregate, in JSON', () => {
    const { err, msg } = JSON.parse(logged('json', (logger) => logger.error({ err: nested() }, 'failed')))
    expect(msg).to.equal('failed')
    expect(err).to.include({ name: 'Error', message: 'outer' })
    expect(err.stack).to.match(/^Error: outer\n +at /)
    expect(err.cause).to.include({ name: 'AggregateError', message: 'several' })
    expect(err.cause.errors[0]).to.include({ name: 'TypeError', message: 'first' })
    expect(err.cause.errors[1].cause).to.include({ message: 'deep', code: 'ECONNRESET' })
    expect(err.cause.errors[1].cause.stack).to.match(/^Error: deep\n +at /)
  })

  it('shows them in text', () => {
    const text = logged('text', (logger) => logger.error({ err: nested() }, 'failed'))
    expect(text).to.match(/ERROR failed\nError: outer\n +at /)
    expect(text).to.match(/caused by: AggregateError: several\n/)
    expect(text).to.match(/one of: TypeError: first\n/)
    expect(text).to.match(/caused by: Error: deep\n/)
  })

  it('shows what is thrown that is no error, and survives what cannot be shown', () => {
    const circular: Record<string, unknown> = {}
    circular.self = circular
    const cyclic = new Error('cyclic')
    cyclic.cause = cyclic
    const throwing = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('no')
      },
    })
    let deep: unknown = 'end'
    for (let depth = 0; depth < 100_000; depth++) deep = { deep }
    const values = [
      'text',
      1n,
      null,
      undefined,
      Symbol('s'),
      () => 1,
      circular,
      cyclic,
      throwing,
      deep,
      new Map([[1, 2]]),
      Buffer.alloc(9),
      {
        toJSON: () => {
          throw new Error('no')
        },
      },
    ]
    for (const format of formats)
      for (const value of values)
        expect(
          logged(format, (logger) => logger.warn({ err: value, other: value }, 'odd')),
          String(format),
        ).to.match(/odd/)
  })

  const letters = fc.string({
    unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'),
    minLength: 24,
    maxLength: 40,
  })
  /** Where a secret that nobody knew beforehand may stand: a client's, or one that a service made up. */
  const unknownPlaces: readonly ((secret: string) => unknown)[] = [
    (secret) => ({ authorization: `Bearer ${secret}` }),
    (secret) => ({ headers: { Authorization: secret, Cookie: `session=${secret}; a=b` } }),
    (secret) => ({ headers: { 'X-Api-Key': secret, 'x-amz-security-token': secret } }),
    (secret) => ({ options: [{ plugin: 's3', secretAccessKey: secret, accountKey: secret, password: secret }] }),
    (secret) => ({ url: `https://user:${secret}@host/path` }),
    (secret) => ({ url: `https://${secret}@host/path` }),
    (secret) => ({ url: new URL(`https://user:${secret}@host/path`) }),
    (secret) => ({ location: `https://cdn/x?X-Amz-Signature=${secret}&X-Amz-Date=1&X-Amz-Credential=${secret}` }),
    (secret) => ({ location: `https://cdn/x?Expires=1&Signature=${secret}&Key-Pair-Id=${secret}&Policy=${secret}` }),
    (secret) => ({ location: `https://acc.blob/x?sv=1&sig=${secret}&access_token=${secret}` }),
    (secret) => ({ err: new Error(`GET https://u:${secret}@host/x?token=${secret} failed with Bearer ${secret}`) }),
    (secret) => ({ err: new Error('x', { cause: new Error(`authorization: Basic ${secret}`) }) }),
    (secret) => ({ err: new AggregateError([new Error(`cookie: a=${secret}; b=${secret}`)], 'x') }),
    (secret) => ({
      err: Object.assign(new Error('x'), { config: { headers: { a: secret } }, response: { body: secret } }),
    }),
    (secret) => ({ err: Object.assign(new Error('x'), { path: `/x?signature=${secret}` }) }),
    (secret) => ({ reason: `hf_${secret} and AKIA1234567890ABCDEF` }),
    (secret) => ({ reason: `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----` }),
    (secret) => new Map([['token', secret]]),
  ]
  /** Where one may stand that the configuration has named. */
  const knownPlaces: readonly ((secret: string) => unknown)[] = [
    (secret) => ({ reason: `it said ${secret}, twice: ${secret}` }),
    (secret) => ({ [secret]: 1 }),
    (secret) => ({ a: { b: [{ c: `x${secret}x` }] } }),
    (secret) => ({ err: new Error(secret, { cause: secret }) }),
    (secret) => ({ err: Object.assign(new Error('x'), { name: secret, code: secret }) }),
    (secret) => ({ path: `/x/${encodeURIComponent(secret)}` }),
    (secret) => ({ json: JSON.stringify({ a: { b: secret } }) }),
  ]

  it(`tells no secret, wherever it stands: ${runs} runs`, () => {
    const level = fc.constantFrom('trace', 'debug', 'info', 'warn', 'error', 'fatal')
    const noise = fc.oneof(fc.string(), fc.integer(), fc.object({ maxDepth: 2 }))
    fc.assert(
      fc.property(
        letters,
        level,
        fc.constantFrom(...formats),
        fc.constantFrom(...unknownPlaces),
        noise,
        (secret, at, format, place, other) => {
          const text = logged(format, (logger) =>
            logger[at as 'info']({ ...(place(secret) as object), noise: other, nested: place(secret) }, 'x'),
          )
          expect(text).not.to.include(secret)
        },
      ),
      { numRuns: runs, seed },
    )
    fc.assert(
      fc.property(
        fc.oneof(letters, fc.string({ minLength: 8, unit: 'grapheme-ascii' })),
        level,
        fc.constantFrom(...formats),
        fc.constantFrom(...knownPlaces),
        (secret, at, format, place) => {
          fc.pre(
            !'"name":"mirrorface","hostname","pid","level","msg","time","v":0'.includes(secret) &&
              secret.trim() !== '' &&
              !/^(.)\1*$/.test(secret),
          )
          const text = logged(format, (logger) => logger[at as 'info'](place(secret) as object, `message ${secret}`), [
            secret,
          ])
          expect(text.replaceAll('(hidden)', '')).not.to.include(secret)
          expect(text.replaceAll('(hidden)', '')).not.to.include(JSON.stringify(secret).slice(1, -1))
        },
      ),
      { numRuns: runs, seed },
    )
  })

  it('leaves ordinary lines as they are', () => {
    const fields = {
      request: '7c8e',
      client: '127.0.0.1',
      method: 'GET',
      path: '/org/model/resolve/main/tokenizer.json',
      repository: 'org/hf_transfer',
      key: 'blobs/sha256/ab/abcd',
      bytes: 7,
      url: 'https://huggingface.co/api?limit=5&cursor=abc',
      err: undefined,
    }
    const record = JSON.parse(logged('json', (logger) => logger.info(fields, 'request')))
    const { err: _, ...expected } = fields
    expect(record).to.include(expected)
  })

  it('cuts long texts, wherever they stand, and says so', () => {
    const long = 'x/'.repeat(20_000)
    const err = new Error(`not understood: ${long}`, { cause: { path: long, [long]: 1 } })
    for (const format of formats) {
      const line = logged(format, (logger) => logger.warn({ path: long, list: [long], err }, long))
      expect(line.length).to.be.below(30_000)
      expect(line).to.include('… (cut: 40000 characters)')
      expect(line).to.include('logger.test.ts') // a stack has its frames
    }
  })

  it('shows no half of a secret that a cut falls into', () => {
    const secret = 'Zq7-'.repeat(500)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_048 }), fc.constantFrom(...formats), (before, format) => {
        const path = `${'-'.repeat(before)}${secret}${'-'.repeat(3_000)}`
        expect(logged(format, (logger) => logger.info({ path }, 'request'), [secret])).to.not.include('Zq7')
      }),
      { seed, numRuns: Math.min(runs, 300) },
    )
  })
})
