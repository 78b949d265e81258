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
function checked(url: string, given: unknown, contentType: string | undefined = 'application/json'): CheckedBody {
  const target = targetOf(url)
  const read = bodyReaderOf('POST', target)
  if (read === undefined) throw new Error(`no body of ${url} is read`)
  const bytes =
    given instanceof Uint8Array ? given : Buffer.from(typeof given === 'string' ? given : JSON.stringify(given))
  return checkBody(bytes, contentType, target, read)
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
      ...[create, move, '/api/repos/delete', duplicate, filesDuplicate, batch, lfs].map((url) => [url, true] as const),
      ...[
        ...['/api/models/org/m/lfs-files', '/api/models/org/m/lfs-files/x', '/api/models/org/m/commit/duplicate'],
        ...['/api/models/org/m/settings', '/api/models/org/m/batch', '/api/models/org/m/tag/batch', '/api/whoami-v2'],
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

describe('what a body names', () => {
  it('is a repository of every type that there is, a model where none is said', () => {
    for (const [given, type] of [
      ...(['model', 'dataset', 'space', 'kernel', 'bucket'] as const).map((one) => [one, one] as const),
      ...[null, undefined].map((one) => [one, 'model'] as const),
    ]) {
      const id = 'org/x'
      const named = [{ type, id }]
      expect(checked(create, { name: 'x', organization: 'org', type: given }).repositories).to.deep.equal(named)
      expect(checked(create, { name: id, type: given }).repositories).to.deep.equal(named)
      expect(checked(create, { name: id, organization: 'evil', type: given }).repositories).to.deep.equal(named)
      expect(checked('/api/repos/delete', { name: id, type: given }).repositories).to.deep.equal(named)
      expect(checked(move, { fromRepo: id, toRepo: 'org/y', type: given }).repositories).to.deep.equal([
        ...named,
        { type, id: 'org/y' },
      ])
      expect(checked(filesDuplicate, { target: { type: given, name: id } }).repositories).to.deep.equal(named)
      const change = { sourceRepoType: given, sourceRepoId: id }
      expect(checked(batch, change).repositories).to.deep.equal(named)
    }
    expect(checked(duplicate, { repository: 'org/copy' }).repositories).to.deep.equal([
      { type: 'space', id: 'org/copy' },
    ])
    expect(checked(batch, { sourceRepoId: null }).repositories).to.deep.equal([])
    expect(checked(batch, '{"a":1}\r\n \t\r\n\n{"sourceRepoId":"a/b"}').repositories).to.deep.equal([
      { type: 'model', id: 'a/b' },
    ])
  })

  it('is whatever is called a repository, of each type, however deep', () => {
    const all = (['model', 'dataset', 'space'] as const).map((type) => ({ type, id: 'a/b' }))
    for (const [key, isOne] of [
      ...['repo', 'Repository', 'repoId', 'repo_id', 'repository_name', 'templateRepoName', 'REPOSITORYID'].map(
        (one) => [one, true] as const,
      ),
      ...['repos', 'repoUrl', 'description', 'id', 'fromRepo', 'sourceRepoId'].map((one) => [one, false] as const),
    ]) {
      for (const more of [{ [key]: 'a/b' }, { x: { [key]: 'a/b' } }, { x: [1, null, [{ [key]: 'a/b' }]] }]) {
        const { repositories } = checked(create, { name: 'org/x', ...more })
        expect(repositories, JSON.stringify(more)).to.deep.equal([
          { type: 'model', id: 'org/x' },
          ...(isOne ? all : []),
        ])
      }
    }
  })

  it('is sent on as JSON in one line, or as lines where there may be many', () => {
    const pretty = '{\n  "name": "org/x"\n}'
    expect(Buffer.from(checked(create, pretty).body.bytes ?? '').toString()).to.equal('{"name":"org/x"}')
    expect(Buffer.from(checked(duplicate, '{\n"repository":\n"a/b"}').body.bytes ?? '').toString()).to.equal(
      '{"repository":"a/b"}',
    )
    const lfsBatch = '{"operation":"upload",\n"objects":[{"oid":"a"},{"oid":"b"}]}'
    expect(checked(lfs, lfsBatch).lfs).to.deep.equal({ operation: 'upload', oids: ['a', 'b'] })
  })
})

describe('a body that cannot be understood', () => {
  it('is refused with the place of what is wrong', () => {
    for (const [url, body, place] of [
      [create, { name: 1 }, 'name'],
      [create, { name: 'org/x', type: 'unknown' }, 'type'],
      [move, { fromRepo: 'org/x' }, 'toRepo'],
      [duplicate, {}, 'repository'],
      [filesDuplicate, {}, 'target'],
      [filesDuplicate, { target: {} }, 'target.name'],
      [filesDuplicate, { target: { name: 'a/b', type: 'unknown' } }, 'target.type'],
      [batch, { sourceRepoId: 5 }, 'sourceRepoId'],
      [batch, { sourceRepoType: 'unknown' }, 'sourceRepoType'],
      [lfs, { operation: 'delete', objects: [] }, 'operation'],
      [lfs, { operation: 'upload', objects: [{ oid: 'a' }, {}] }, 'objects.1.oid'],
    ] as const) {
      const failure = failureOf(url, body)
      expect(failure.status).to.equal(400)
      expect(failure.message.slice(failure.message.indexOf(` ${place}: `))).to.match(/^ [\w.]+: .{5}/)
      expect(failure.cause).to.be.instanceOf(Error)
    }
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

  it('is refused where a name is none, or whose it is cannot be told', () => {
    for (const organization of [undefined, null, ''])
      expect(failureOf(create, { name: 'x', organization }).message).to.include('`organization`')
    const long = failureOf(create, { name: `a/b/${'c'.repeat(1_000)}` }).message
    expect(long).to.include('"a/b/cc').and.include('names no repository')
    expect(long.length).to.be.lessThan(400)
    for (const name of ['../x', 'a/b/c', '/x', 'a/'])
      expect(failureOf(create, { name }).message, name).to.include('names no repository')
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
})
