import { expect } from 'chai'
import { carriesSecret } from '../../plugins/upstream-hub/cache/signed-url.ts'
import { forwardedHeaders } from '../../plugins/upstream-hub/request-headers.ts'
import { Failure, ifMatchNames, ifNoneMatchNames, parseRange, parseTarget, type Target } from '../../src/hub/index.ts'
import { assertNoLoop, upstreamHeaders } from '../../src/server/answers/upstream-request.ts'
import { failureReply } from '../../src/server/failure-reply.ts'
import { AccessTokens } from '../../src/server/gate/access-tokens.ts'
import { allowedOriginFor } from '../../src/server/gate/cross-origin.ts'
import { isExpectedHost } from '../../src/server/gate/host-check.ts'
import { identify } from '../../src/server/gate/identify.ts'
import { checkBody } from '../../src/server/gate/named-in-body.ts'
import { isPickle } from '../../src/server/gate/pickle-names.ts'
import { RepositoryGlobs } from '../../src/server/gate/repository-globs.ts'
import { RepositoryPolicy } from '../../src/server/gate/repository-policy.ts'
import { loggedPath, loggedTarget } from '../../src/server/observe/logged-path.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { Redactor } from '../../src/telemetry/redact.ts'

const small = 8_000
const growth = 4
/** Milliseconds of CPU below which a measurement says nothing. */
const noise = 60
/** Linear is 4, quadratic 16. */
const steepest = 10

const tokens = new AccessTokens([{ token: 'mf_0123456789abcdef0123456789abcdef', repositories: ['**'], write: false }])
const redactor = new Redactor(['aaaaaaaaaaaaaaaab', 'secret/with:signs'])
const globs = Array.from({ length: 20 }, (_, index) => `*-${index}*/*-secret-*${index}`)
const denying = new RepositoryPolicy([], globs)
const repositoryGlobs = new RepositoryGlobs(globs)
const logger = createLogger('trace', 'json', { write: () => undefined }, redactor)
const textLogger = createLogger('trace', 'text', { write: () => undefined }, redactor)
const targetOf = (text: string): Target | undefined => settle(() => parseTarget(text, '/mirror').target)
const other = parseTarget('/api/whoami-v2', '').target

/** What is thrown is an answer as well. */
function settle<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    failureReply(error)
    logger.warn({ err: error }, 'request failed')
    return undefined
  }
}

const contentType = 'application/json'
const readNothing = () => ({ repositories: [] })

/** Everything of the border that takes text of a client's. */
const border: Record<string, (text: string) => unknown> = {
  'Authorization, bare': (text) => identify({ authorization: text }, '', options),
  'Authorization, bearer': (text) => identify({ authorization: `Bearer ${text}` }, '', options),
  'Authorization, basic': (text) =>
    identify({ authorization: `Basic ${Buffer.from(text).toString('base64')}` }, '', options),
  'target, bare': (text) => targetOf(text),
  'target, a path': (text) => targetOf(`/${text}`),
  'target, a query': (text) => targetOf(`/api/models/org/model?${text}`),
  'target, a file': (text) => targetOf(`/org/model/resolve/main/${text}`),
  'target, a revision': (text) => targetOf(`/org/model/resolve/${text}/file`),
  'target, an API route': (text) => targetOf(`/api/models/org/model/tree/main/${text}`),
  ...Object.fromEntries(
    [
      ...['/org/model/blob/main/', '/org/model/tree/main/', '/org/model/raw/main/', '/org/model/commit/', '/api/'],
      ...['/kernels/org/model/blob/main/', '/buckets/org/b/resolve/', '/api/buckets/org/b/', '/v2/org/m/manifests/'],
      ...['/org/model.git/info/lfs/', '/api/resolve-cache/models/org/m/main/', '/-/follow/', '/api/repos/'],
    ].map((route) => [`target, ${route}`, (text: string) => targetOf(route + text)]),
  ),
  'target, an absolute form': (text) => targetOf(`http://${text}/org/model`),
  'path for the log': (text) => {
    loggedTarget(text)
    loggedTarget(`/-/follow/${text}`)
    const target = targetOf(`/api/${text}`)
    return target && loggedPath('/mirror', target)
  },
  policy: (text) => {
    for (const path of [`/${text}`, `/api/models/${text}`, `/${text.replaceAll(/[^a-z]/gi, '/')}`]) {
      const target = targetOf(path)
      if (target !== undefined) settle(() => denying.assertTarget(target, false))
    }
  },
  globs: (text) => {
    repositoryGlobs.matches(text.slice(0, 200))
    repositoryGlobs.matchesNamespace(text.slice(0, 200))
  },
  Host: (text) => settle(() => isExpectedHost(text, 'https://mirror.example/')),
  Origin: (text) =>
    allowedOriginFor('read', text, {
      access: 'tokens',
      hasServiceToken: true,
      serveNonPublic: true,
      corsOrigins: ['https://a.example'],
    }),
  Range: (text) => [parseRange(text, 1e6), parseRange(`bytes=${text}`, 1e6), parseRange(`bytes=1-${text}`, 1e6)],
  'entity tags': (text) => [ifNoneMatchNames(text, 'etag'), ifMatchNames(text, 'etag'), ifMatchNames(`"${text}`, 'e')],
  Via: (text) => settle(() => assertNoLoop({ via: `${text}, 1.1 mirror, ${text}` }, 'mirror')),
  'headers that are sent on': (text) => {
    const headers = { 'accept-encoding': text, 'x-hf-a': text, via: text, cookie: text, 'content-type': text }
    forwardedHeaders(upstreamHeaders(headers, 'mirror'), 'id')
  },
  'Content-Type': (text) => {
    const read = () => ({ repositories: [] })
    for (const type of [text, `application/${text}`, `application/json${text}`, `application/json; charset=${text}`])
      settle(() => checkBody(Buffer.from('{}'), { target: other, contentType: type, contentEncoding: undefined }, read))
  },
  'name of a file, for what it becomes': (text) => [isPickle(text), isPickle(`${text}.bin`), isPickle(`m.bin${text}`)],
  'JSON of a client': (text) => {
    for (const json of [text, `{"${text}":1}`, `[${text}]`])
      settle(() =>
        checkBody(Buffer.from(json), { target: other, contentType, contentEncoding: undefined }, readNothing),
      )
  },
  redactor: (text) => redactor.redact(`${text} ://`),
  'log, a field': (text) => logger.info({ path: text, nested: { text, list: [text] } }, 'request'),
  'log, an error': (text) =>
    textLogger.warn({ err: new Error(`not understood: ${text}`, { cause: new TypeError(text) }) }, text),
  'query that carries a secret': (text) => {
    carriesSecret(text)
    carriesSecret(`${text}=1`)
    carriesSecret(text.replaceAll(/[^a-z]/gi, '='))
  },
}
const options = { accessTokens: tokens, clientTokenPatterns: [/^hf_/] }

const units = [
  ...[
    ' ',
    '\t',
    'a',
    'A',
    '0',
    '/',
    '//',
    '-',
    '.',
    '+',
    '=',
    ',',
    ';',
    ':',
    '"',
    '&',
    '?',
    '@',
    '%',
    '%20',
    '%25',
    '25',
    '%2e',
    '\\\\',
    '[',
    '{}',
    '1,',
    '%0A',
    '%2F',
    '%252',
  ],
  ...[
    'a/',
    'a.',
    'a-',
    'a ',
    ' a',
    'a=',
    'a&',
    '=&',
    '/-',
    'W/"',
    '",',
    '"a",',
    '1.1 a,',
    '1-,',
    '://',
    'a://',
    'x-',
    'x-a',
  ],
  ...[
    'token',
    'key',
    'api-key',
    'access-key',
    'sig',
    '&token',
    '?key=',
    'basic ',
    'bearer ',
    'cookie:',
    'cookie ',
    'hf_',
  ],
  ...['AKIA', 'ya29.', 'x-token', '-----BEGIN ', 'PRIVATE KEY', '-----BEGIN PRIVATE KEY-----', 'refs/', 'refs%2Fpr%2F'],
  ...[
    'resolve/',
    'tree/main/',
    'datasets/',
    'api/',
    '.git/',
    'org/model/',
    'follow/',
    'a-0',
    '-secret-',
    'json+',
    '\u00e9',
  ],
]
const frames: readonly ((body: string) => string)[] = [
  (body) => body,
  (body) => `a ${body}!`,
  (body) => `Bearer ${body}"x`,
  (body) => `${body}%0A=1`,
  (body) => `x${body}\u00a0x`,
  (body) => `hf_${body}://@`,
  (body) => `%${body}2e`,
]

function cpuOf(work: () => unknown): number {
  const start = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

/** The least of several: what else runs in the process can only add. */
function leastCpu(work: () => unknown, runs: number): number {
  return Math.min(...Array.from({ length: runs }, () => cpuOf(work)))
}

describe('time that text of a client takes', () => {
  for (const [name, work] of Object.entries(border))
    it(`grows with its length and no faster: ${name}`, () => {
      for (const unit of units)
        for (const frame of frames) {
          const textOf = (length: number) => frame(unit.repeat(Math.ceil(length / unit.length)))
          const long = textOf(small * growth)
          // Nearly all end here: what is quick for the long text needs no comparison.
          if (cpuOf(() => work(long)) < noise) continue
          const slow = leastCpu(() => work(long), 3)
          if (slow < noise) continue
          const short = textOf(small)
          const quick = leastCpu(() => work(short), 3)
          const shown = `${JSON.stringify(frame(unit))}: ${quick} ms, and ${slow} ms for ${growth} times as much`
          expect(slow, shown).to.be.below(Math.max(quick, noise / steepest) * steepest)
        }
    })
})
