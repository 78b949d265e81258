import { expect } from 'chai'
import { Failure, type Method, parseTarget } from '../../../../src/hub/index.ts'
import { bodyReaderOf, type CheckedBody, checkBody } from '../../../../src/server/gate/named-in-body.ts'

const create = '/api/repos/create'
const move = '/api/repos/move'
const duplicate = '/api/spaces/org/s/duplicate'
const filesDuplicate = '/api/models/org/m/lfs-files/duplicate'
const batch = '/api/buckets/org/b/batch'
const lfs = '/org/m.git/info/lfs/objects/batch'
const targetOf = (url: string) => parseTarget(url, '').target

/** What a body of this route says; a value is sent as JSON. */
function checked(
  url: string,
  given: unknown,
  contentType: string | undefined = 'application/json',
  contentEncoding?: string,
): CheckedBody {
  const target = targetOf(url)
  const read = bodyReaderOf('POST', target)
  if (read === undefined) throw new Error(`no body of ${url} is read`)
  const bytes =
    given instanceof Uint8Array ? given : Buffer.from(typeof given === 'string' ? given : JSON.stringify(given))
  return checkBody(bytes, { target, contentType, contentEncoding }, read)
}

function failureOf(...given: Parameters<typeof checked>): Failure {
  try {
    checked(...given)
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error(`it was understood: ${JSON.stringify(given)}`)
}

describe('which bodies are read', () => {
  it('are those of the routes that name repositories there, by any method that may have one', () => {
    for (const [url, isRead] of [
      ...[
        create,
        move,
        '/api/repos/delete',
        '/api/repos/restore',
        '/API/Repos/x',
        duplicate,
        filesDuplicate,
        batch,
        lfs,
      ].map((url) => [url, true] as const),
      ...[
        ...['/api/models/org/m/lfs-files', '/api/models/org/m/lfs-files/x', '/api/models/org/m/commit/duplicate'],
        ...[
          '/api/models/org/m/settings',
          '/api/other/repos',
          '/x/repos/create',
          '/api/models/org/m/batch',
          '/api/models/org/m/tag/batch',
          '/api/whoami-v2',
        ],
        ...['/api/buckets/org/b/paths-info', '/api/models/org/m/commit/main', '/api/models/org/m/branch/batch'],
      ].map((url) => [url, false] as const),
    ]) {
      for (const [method, mayHaveBody] of [
        ...(['POST', 'PUT', 'PATCH', 'DELETE'] as const).map((one) => [one, true] as const),
        ...(['GET', 'HEAD'] as const).map((one) => [one, false] as const),
      ] satisfies (readonly [Method, boolean])[])
        expect(bodyReaderOf(method, targetOf(url)) !== undefined, `${method} ${url}`).to.equal(isRead && mayHaveBody)
    }
  })
})

describe('a query beside a body that names repositories', () => {
  it('is not sent, for the Hub might read the name from there', () => {
    const routes = [create, move, '/api/repos/delete', '/api/repos/restore', duplicate, filesDuplicate, batch]
    for (const url of [...routes, '/api/models/org/m/duplicate', '/api/models/org/m/LFS-files/Duplicate'])
      for (const query of ['?repository=evil/x', '?name=x&organization=evil', '?x']) {
        const { query: sent, canonical } = targetOf(url + query)
        expect(bodyReaderOf('POST', targetOf(url)), url).not.to.equal(undefined)
        expect([sent, canonical.includes('?')], url + query).to.deep.equal(['', false])
      }
  })
})

describe('what a body names', () => {
  it('is of the type that is stated, or of the route’s', () => {
    const x = 'org/x'
    for (const [url, body, ...expected] of [
      [create, { name: 'x', organization: 'org' }, 'model org/x'],
      [create, { name: 'x', organization: 'org', type: 'dataset' }, 'dataset org/x'],
      [create, { name: x, type: 'kernel' }, 'kernel org/x'],
      ['/api/repos/delete', { name: x, type: 'bucket' }, 'bucket org/x'],
      [move, { fromRepo: x, toRepo: 'org/y', type: 'space' }, 'space org/x', 'space org/y'],
      ['/api/repos/restore', { name: x }, 'model org/x'],
      [duplicate, { repository: 'org/copy' }, 'space org/copy'],
      [duplicate, { repository: 'org/copy', type: 'dataset' }, 'space org/copy', 'dataset org/copy'],
      [filesDuplicate, { target: { name: x } }, 'model org/x'],
      [filesDuplicate, { target: { name: x, type: 'dataset' } }, 'dataset org/x'],
      [batch, { sourceRepoType: 'dataset', sourceRepoId: x }, 'dataset org/x'],
      [batch, { sourceRepoId: 'gpt2' }, 'model gpt2'],
      [batch, { sourceRepoId: null }],
      [batch, '{"a":1}\r\n \t\r\n\n{"sourceRepoId":"a/b"}', 'model a/b'],
      [lfs, { operation: 'upload', objects: [] }],
    ] as const)
      expect(
        checked(url, body).repositories.map(({ type, id }) => `${type} ${id}`),
        JSON.stringify(body),
      ).to.deep.equal(expected)
  })

  it('is sent on as JSON in one line, or as lines where there may be many', () => {
    for (const [url, body, sent] of [
      [create, '{\n  "name": "org/x"\n}', '{"name":"org/x"}'],
      [duplicate, '{\n"repository":\n"a/b"}', '{"repository":"a/b"}'],
      [batch, '{"a":1}\n\n{ "b": 2 }', '{"a":1}\n{"b":2}\n'],
      [lfs, '{"operation":"upload",\n"objects":[]}', '{"operation":"upload","objects":[]}'],
    ] as const)
      expect(Buffer.from(checked(url, body).body.bytes ?? '').toString()).to.equal(sent)
    const lfsBatch = { operation: 'upload', objects: [{ oid: 'a' }, { oid: 'b' }] }
    expect(checked(lfs, lfsBatch).lfs).to.deep.equal({ operation: 'upload', oids: ['a', 'b'] })
  })
})

describe('a body that cannot be understood', () => {
  it('is refused with the place of what is wrong', () => {
    for (const [url, body, place] of [
      [create, {}, 'it names no repository'],
      [create, 5, 'it names no repository'],
      [create, { name: 'x' }, 'name is'],
      ['/api/repos/restore', { name: 'x' }, 'name is'],
      [create, { name: 'org/x', type: 'unknown' }, 'type: expected one of model'],
      [create, { name: '../x' }, 'names no repository'],
      [duplicate, {}, 'it names no repository'],
      [filesDuplicate, { target: {} }, 'it names no repository'],
      [lfs, {}, 'operation: '],
      [lfs, { operation: 'delete', objects: [] }, 'operation: '],
      [lfs, { operation: 'upload' }, 'objects: expected a list'],
      [lfs, { operation: 'upload', objects: {} }, 'objects: expected a list'],
      [lfs, { operation: 'upload', objects: [{ oid: 'a' }, {}] }, 'objects: expected a list'],
      [lfs, { operation: 'upload', objects: [{ oid: 'a' }, { oid: 1 }] }, 'objects: expected a list'],
      [lfs, { operation: 'upload', objects: [null] }, 'objects: expected a list'],
    ] as const) {
      const failure = failureOf(url, body)
      expect(failure.status).to.equal(400)
      expect(failure.message, JSON.stringify(body)).to.include(place)
    }
    expect(failureOf(lfs, { operation: 'delete', objects: [] }).cause).to.be.instanceOf(Error)
  })

  it('is refused where it is no JSON, or no UTF-8', () => {
    for (const [body, reason] of [
      ['x', 'not JSON'],
      ['{}{}', 'not JSON'],
      [Buffer.from([0x22, 0xff, 0x22]), 'not UTF-8'],
    ] as const) {
      const failure = failureOf(create, body)
      expect([failure.status, failure.cause instanceof Error]).to.deep.equal([400, true])
      expect(failure.message).to.include(reason)
    }
  })

  it('is refused as any other type, or in another charset', () => {
    const good = { name: 'org/x' }
    for (const type of [
      ...['application/json', 'APPLICATION/JSON', 'application/vnd.git-lfs+json', 'application/x-ndjson'],
      ...['application/json;charset=utf-8', 'application/json \t; \tcharset="UTF-8" \t'],
      ...['application/json  ;  charset=utf-8'],
    ])
      expect(checked(create, good, type).repositories, type).to.have.length(1)
    for (const type of [
      ...['xapplication/json', 'application/jsonx', 'application/xjson', 'application/x.y json', 'text/json', ''],
      ...[
        'application/json; charset=utf-8x',
        'application/json; x charset=utf-8',
        'application/json;charset=utf-7',
        'application/json; charset=utf8',
      ],
      ...['application/json;', 'application/json; charset=utf-8;'],
    ]) {
      const failure = failureOf(create, good, type)
      expect(failure.status).to.equal(400)
      expect(failure.message).to.include(`its type is ${type},`)
    }
  })

  it('is refused compressed, which the refusal says', () => {
    const good = { name: 'org/x' }
    for (const coding of ['identity', ' Identity ', 'IDENTITY'])
      expect(checked(create, good, undefined, coding).repositories, coding).to.have.length(1)
    for (const coding of ['gzip', 'deflate', 'identity, gzip', '']) {
      const failure = failureOf(create, good, undefined, coding)
      expect(failure.status).to.equal(400)
      expect(failure.message, coding).to.include(`its Content-Encoding is ${coding};`)
    }
  })
})
