import { Readable } from 'node:stream'
import { expect } from 'chai'
import { Failure, type Method } from '../../../../src/hub/index.ts'
import type { RequestBody } from '../../../../src/plugin/index.ts'
import { seededRandom } from '../../../support/seeded-random.ts'
import { type GateOptions, gateWith, requestTo } from './fixture.ts'

interface Given {
  readonly method?: Method
  readonly url: string
  readonly body?: unknown
  readonly contentType?: string
  readonly contentEncoding?: string
}

const tokens = [
  { token: 'own-writes-org', repositories: ['org/**', 'buckets/org/*', 'spaces/org/*', 'datasets/org/*'], write: true },
]
const byToken = { authorization: 'Bearer own-writes-org' }
const inTokens: GateOptions = { access: 'tokens', accessTokens: tokens }

/** What goes on, or the status of the refusal. */
async function passed(options: GateOptions, given: Given): Promise<string | number> {
  const gate = gateWith(options)
  try {
    const { body } = await gate.admit(requestTo(gate, { method: 'POST', ...given, ...byToken }))
    return body?.bytes === undefined ? '' : Buffer.from(body.bytes).toString('utf8')
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.status
  }
}

describe('bodies that name repositories', () => {
  const create = '/api/repos/create'
  const duplicate = '/api/spaces/org/s/duplicate'
  const filesDuplicate = '/api/models/org/m/lfs-files/duplicate'
  const batch = '/api/buckets/org/b/batch'
  const named: readonly [url: string, body: (org: string) => unknown, method?: Method][] = [
    [create, (organization) => ({ name: 'x', organization })],
    [create, (organization) => ({ name: 'x', organization, type: 'space' })],
    ['/api/repos/delete', (organization) => ({ name: 'x', organization }), 'DELETE'],
    ['/api/repos/move', (organization) => ({ fromRepo: `${organization}/x`, toRepo: 'org/x', type: 'model' })],
    ['/api/repos/move', (organization) => ({ fromRepo: 'org/x', toRepo: `${organization}/x` })],
    [duplicate, (organization) => ({ repository: `${organization}/copy` })],
    [filesDuplicate, (organization) => ({ target: { type: 'model', name: `${organization}/m` }, files: [] })],
    [
      batch,
      (organization) =>
        `{"type":"addFile","path":"a"}\n{"type":"copyFile","sourceRepoType":"model","sourceRepoId":"${organization}/m"}\n`,
    ],
    [create, (organization) => ({ name: 'x', organization: 'org', templateRepoId: `${organization}/m` })],
  ]

  for (const [url, body, method] of named) {
    const contentType = url === batch ? 'application/x-ndjson' : 'application/json'
    it(`${method ?? 'POST'} ${url}: ${JSON.stringify(body('X'))}`, async () => {
      const good = { url, body: body('org'), method: method ?? 'POST', contentType }
      const bad = { ...good, body: body('evil') }
      for (const options of [
        inTokens,
        { deny: ['evil/*', 'spaces/evil/*'] },
        { allow: ['org/*', 'spaces/org/*', 'buckets/org/*', 'datasets/org/*'] },
      ]) {
        expect(await passed(options, good), 'good').to.be.a('string')
        expect(await passed(options, bad), 'bad').to.equal(403)
      }
      // Where nothing is in force it is not read.
      expect(await passed({}, bad)).to.be.a('string')
    })
  }

  it('are sent as they were understood', async () => {
    expect(
      await passed(inTokens, {
        url: create,
        body: '{"n\\u0061me" : "x",\n"organization":"org", "private":true }',
      }),
    ).to.equal('{"name":"x","organization":"org","private":true}')
    expect(
      await passed(inTokens, {
        url: batch,
        contentType: 'application/x-ndjson',
        body: '{"type":"addFile", "path":"a"}\r\n\n {"type":"deleteFile","path":"b"}',
      }),
    ).to.equal('{"type":"addFile","path":"a"}\n{"type":"deleteFile","path":"b"}\n')
  })

  it('are refused where a key comes twice: the Hub may read the other', async () => {
    for (const body of [
      '{"name":"evil/x", "name": "x","organization":"org"}',
      '{"name":"x","organization":"evil","organization":"org"}',
      '{"name":"x","organization":"org","files":[{"a":1,"\\u0061":2}]}',
    ])
      expect(await passed(inTokens, { url: create, body }), body).to.equal(400)
  })

  it('name a repository by what is one, under whatever key', async () => {
    const creating = (more: object) => ({ url: create, body: { name: 'x', organization: 'org', ...more } })
    for (const more of [{ templateRepo: null }, { isPrivateRepo: true }, { description: 'evil/m' }])
      expect(await passed(inTokens, creating(more)), JSON.stringify(more)).to.be.a('string')
    for (const more of [
      { templateRepoId: 'evil/m' },
      { templateRepoId: ['evil/m'] },
      { from: { repo: 'evil/m' } },
      { from: { type: 'dataset', name: 'evil/m' } },
      { all: [{ repo_id: 'evil/m' }] },
      { repoUrl: 'evil/m' },
    ])
      expect(await passed(inTokens, creating(more)), JSON.stringify(more)).to.equal(403)
  })

  it('are refused where they cannot be understood', async () => {
    for (const body of [
      '',
      'x',
      '[]',
      '{}',
      '{"name":1}',
      '{"name":"x"}',
      '{"name":"x","organization":"a/b"}',
      '{"name":"..","organization":"org"}',
      '{"name":"x","organization":"org","type":"unknown"}',
      '\ufeff{"name"',
      '{"name":"x","organization":"org"}{"name":"evil"}',
    ])
      expect(await passed(inTokens, { url: create, body }), body).to.equal(400)
    for (const contentType of [
      'application/x-www-form-urlencoded',
      'text/plain',
      'multipart/form-data; boundary=x',
      'application/jsonp',
      'application/json; charset=utf-7',
      'application/json; charset=utf-8; charset=utf-7',
      'application/json;charset=utf-16',
    ])
      expect(
        await passed(inTokens, { url: create, body: { name: 'x', organization: 'org' }, contentType }),
        contentType,
      ).to.equal(400)
    expect(await passed(inTokens, { url: create })).to.equal(400)
    const tooLarge = JSON.stringify({ name: 'x', organization: 'org', pad: 'x'.repeat(2 ** 20) })
    const gate = gateWith(inTokens)
    for (const length of [tooLarge.length, undefined]) {
      const body: RequestBody = { length, bytes: undefined, isSpent: false, take: () => Readable.from([tooLarge]) }
      const asked = { method: 'POST' as const, url: create, contentType: 'application/json', ...byToken }
      const error = await gate.admit({ ...requestTo(gate, asked), body }).catch((reason: unknown) => reason)
      expect(error).to.have.property('status', 413)
    }
  })

  it('are refused where the Hub would inflate what is read here as it comes', async () => {
    const random = seededRandom(20_261_125)
    const words = ['deflate', 'gzip', 'x-gzip', 'br', 'zstd', 'compress', 'aws-chunked', 'identity', 'none', '']
    const bodies: readonly [GateOptions, Given][] = [
      [{ deny: ['evil/*'] }, { url: create, body: { name: 'x', organization: 'org' } }],
      [{ allow: ['org/*'] }, { url: '/api/repos/move', body: { fromRepo: 'org/a', toRepo: 'org/b' } }],
      [inTokens, { url: batch, body: '{"type":"addFile","path":"a"}\n', contentType: 'application/x-ndjson' }],
      [{}, { url: '/org/m.git/info/lfs/objects/batch', body: { operation: 'download', objects: [] } }],
    ]
    for (let round = 0; round < 30; round++) {
      const codings = Array.from({ length: 1 + Math.floor(random() * 2) }, () => {
        const word = words[Math.floor(random() * words.length)] ?? ''
        return random() < 0.3 ? word.toUpperCase() : word
      })
      const contentEncoding = codings.join(random() < 0.5 ? ', ' : ',')
      for (const [options, given] of bodies) {
        const outcome = await passed(options, { ...given, contentEncoding })
        if (contentEncoding.toLowerCase() === 'identity') expect(outcome, contentEncoding).to.be.a('string')
        else expect(outcome, `${given.url} ${contentEncoding}`).to.equal(400)
      }
    }
    for (const [options, given] of bodies) expect(await passed(options, given), given.url).to.be.a('string')
  })

  it('of LFS say whether it is a download, whatever is in force', async () => {
    const url = '/org/model.git/info/lfs/objects/batch'
    const body = { operation: 'download', objects: [{ oid: 'a'.repeat(64), size: 1 }], transfers: ['basic'] }
    const contentType = 'application/vnd.git-lfs+json; charset=utf-8'
    expect(await passed({}, { url, body, contentType })).to.equal(JSON.stringify(body))
    expect(await passed({}, { url, body: { ...body, operation: 'delete' }, contentType })).to.equal(400)
    expect(await passed({}, { url })).to.equal(400)
    expect(await passed({ readOnly: true }, { url, body: { ...body, operation: 'upload' }, contentType })).to.equal(403)
    expect(
      await passed(
        { readOnly: true },
        { url, body: '{"operation":"download","operation":"upload","objects":[]}', contentType },
      ),
    ).to.equal(400)
    const gate = gateWith(inTokens)
    const admitted = await gate.admit(requestTo(gate, { method: 'POST', url, body, contentType, ...byToken }))
    expect(admitted.kind).to.equal('read')
  })

  it('are not read for clients that may not pass anyway', async () => {
    let wasTaken = false
    const body: RequestBody = {
      length: 10,
      bytes: undefined,
      isSpent: false,
      take: () => {
        wasTaken = true
        return Readable.from([])
      },
    }
    for (const url of ['/org/model.git/info/lfs/objects/batch', create]) {
      const gate = gateWith(inTokens)
      const request = { ...requestTo(gate, { method: 'POST', url }), body }
      const error = await gate.admit(request).catch((reason: unknown) => reason)
      expect(error).to.have.property('status', 401)
    }
    expect(wasTaken).to.equal(false)
  })
})
