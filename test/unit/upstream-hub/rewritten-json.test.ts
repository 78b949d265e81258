import { Readable } from 'node:stream'
import { expect } from 'chai'
import { bodyOfBytes, HubFailure, parseTarget, ReadingBudget } from 'mirrorface/plugin'
import type { WholeAnswer } from '../../../plugins/upstream-hub/cache/cached-answer.ts'
import {
  isReadableJson,
  largestRewritten,
  readJson,
  rewriteJson,
  withJson,
} from '../../../plugins/upstream-hub/rewrite/json-answer.ts'
import {
  type LfsRewrite,
  rewriteLfsBatch,
  withoutXetTransfer,
} from '../../../plugins/upstream-hub/rewrite/lfs-batch.ts'
import { refuseXetToken, withoutXetJson } from '../../../plugins/upstream-hub/rewrite/xet.ts'
import { streamBody } from '../../conformance/index.ts'

const json = (text: string, type = 'application/json'): WholeAnswer => ({
  status: 200,
  headers: [['content-type', type]],
  body: Buffer.from(text),
})
const textOf = ({ body }: WholeAnswer) => Buffer.from(body).toString('utf8')

describe('JSON answers', () => {
  for (const [type, isJson] of [
    ['application/json', true],
    ['APPLICATION/JSON; charset=utf-8', true],
    ['application/vnd.git-lfs+json', true],
    ['application/x.y-z+json;a', true],
    ['application/jsonp', false],
    ['application/x-ndjson', false],
    ['text/json', false],
    ['xapplication/json', false],
    ['', false],
  ] as const)
    it(`are known by their type: ${type}`, () => {
      expect(isReadableJson([['content-type', type]])).to.equal(isJson)
      for (const [encoding, isReadable] of [
        ['identity', true],
        ['Identity', true],
        ['gzip', false],
        ['', false],
      ] as const) {
        const headers = [['content-type', type] as const, ['content-encoding', encoding] as const]
        expect(isReadableJson(headers), encoding).to.equal(isJson && isReadable)
      }
    })

  it('are none without a type', () => void expect(isReadableJson([])).to.equal(false))

  it('are read if they are small enough, and stay streams otherwise', async () => {
    const budget = new ReadingBudget(10)
    const whole = json('{}')
    expect(await readJson(whole, budget)).to.equal(whole)
    const read = await readJson({ headers: [], body: Readable.from([Buffer.from('{}')]), more: 1 }, budget)
    expect(read).to.deep.equal({ headers: [], body: Buffer.from('{}'), more: 1 })
    const large = Readable.from([Buffer.from('{}')])
    const headers = [['content-length', String(largestRewritten + 1)] as const]
    expect((await readJson({ headers, body: large }, budget)).body).to.equal(large)
  })

  it('are rewritten value by value, and their tag becomes weak', () => {
    const revive = (_key: string, value: unknown) => (value === 1 ? 2 : value)
    const headers = [
      ...[
        ['content-type', 'application/json'],
        ['etag', '"e"'],
        ['content-length', '7'],
        ['content-md5', 'x'],
      ],
      ...[
        ['digest', 'x'],
        ['x-a', 'b'],
        ['content-encoding', 'identity'],
      ],
    ].map(([name = '', value = '']) => [name, value] as const)
    const rewritten = rewriteJson({ ...json('{"ä":1}'), headers }, revive)
    expect(textOf(rewritten)).to.equal('{"ä":2}')
    expect(rewritten.headers).to.deep.equal([
      ['content-type', 'application/json'],
      ['x-a', 'b'],
      ['content-length', '8'],
      ['etag', 'W/"e"'],
    ])
    expect(withJson({ ...json(''), headers: [['etag', 'W/"e"']] }, 1).headers).to.deep.equal([
      ['content-length', '1'],
      ['etag', 'W/"e"'],
    ])
    expect(withJson({ ...json(''), headers: [] }, 1).headers).to.deep.equal([['content-length', '1']])
  })

  it('stay as they are where they are none', () => {
    for (const answer of [json(''), json('no JSON'), json('{"a":1}', 'text/plain')])
      expect(rewriteJson(answer, () => 2)).to.equal(answer)
  })

  it('lose the fields that offer Xet, and are the same where there are none', () => {
    for (const [text, expected] of [
      ['[{"xetHash":"h","a":1}]', '[{"a":1}]'],
      ['{"xetEnabled":true,"b":{"xetHash":1}}', '{"b":{}}'],
    ] as const)
      expect(textOf(withoutXetJson(json(text)))).to.equal(expected)
    const none = json('{ "xethash": 1 }')
    expect(withoutXetJson(none)).to.equal(none)
    // Bytes that lie somewhere in a larger buffer.
    const around = Buffer.from('xetHash{ "a": 1 }xetHash')
    const inside = { ...json(''), body: around.subarray(7, 17) }
    expect(withoutXetJson(inside)).to.equal(inside)
  })

  it('with tokens for Xet are refused, with the way to do without', () => {
    const { target } = parseTarget('/api/models/o/n/xet-read-token/main', '')
    expect(() => refuseXetToken(target))
      .to.throw(HubFailure, 'HF_HUB_DISABLE_XET=1')
      .with.include({
        ...{ status: 403, code: 'XetUnavailable' },
      })
    expect(() => refuseXetToken(parseTarget('/api/models/o/n', '').target)).not.to.throw()
  })
})

describe('LFS batches', () => {
  const rewrite: LfsRewrite = {
    toClient: (url) => `client:${url}`,
    toObject: (oid, size) => (oid === 'own' ? `object:${oid}:${size}` : undefined),
    isServices: false,
  }
  const rewritten = (objects: unknown, given: Partial<LfsRewrite> = {}) => {
    const answer = rewriteLfsBatch(json(JSON.stringify({ transfer: 'basic', objects })), { ...rewrite, ...given })
    return answer === undefined ? undefined : JSON.parse(textOf(answer))
  }

  it('lead where the client can go, headers that are URLs included', () => {
    const download = { href: 'a', more: 1, header: { A: 'https://x', b: 'http://y', c: 'ftp://z', d: 'see https://x' } }
    expect(
      rewritten([
        { oid: 'o', actions: { download, verify: { href: 'v' } } },
        { oid: 'p', error: 1 },
      ]),
    ).to.deep.equal({
      transfer: 'basic',
      objects: [
        {
          oid: 'o',
          actions: {
            download: {
              ...{ href: 'client:a', more: 1 },
              header: { A: 'client:https://x', b: 'client:http://y', c: 'ftp://z', d: 'see https://x' },
            },
            verify: { href: 'client:v' },
          },
        },
        { oid: 'p', error: 1 },
      ],
    })
  })

  it("lead to the mirror's own objects for downloads alone", () => {
    const actions = { download: { href: 'a', header: {} }, upload: { href: 'b' } }
    expect(rewritten([{ oid: 'own', size: 7, actions }, { actions }]).objects).to.deep.equal([
      { oid: 'own', size: 7, actions: { download: { href: 'object:own:7' }, upload: { href: 'client:b' } } },
      { actions: { download: { href: 'client:a', header: {} }, upload: { href: 'client:b' } } },
    ])
    expect(rewritten([{ oid: 'own', actions }]).objects[0].actions.download.href).to.equal('object:own:0')
  })

  it("hand out no authorization that is the service's", () => {
    const header = { Authorization: 'x', AUTHORIZATION: 'y', other: 1 }
    const given = (isServices: boolean) => rewritten([{ actions: { x: { href: 'a', header } } }], { isServices })
    expect(given(true).objects[0].actions.x.header).to.deep.equal({ other: 1 })
    expect(given(false).objects[0].actions.x.header).to.deep.equal(header)
  })

  it('are not understood where they are something else', () => {
    for (const objects of [1, [1], [{ oid: 1 }], [{ size: 'x' }], [{ actions: { a: {} } }]])
      expect(rewritten(objects), JSON.stringify(objects)).to.equal(undefined)
    expect(rewritten([{ actions: { a: { href: 'a', header: 1 } } }])).to.equal(undefined)
    expect(rewriteLfsBatch(json('{"objects":[]}', 'text/plain'), rewrite)).to.equal(undefined)
    expect(rewriteLfsBatch(json('no JSON'), rewrite)).to.equal(undefined)
  })

  it('are asked for without Xet, where that can be read', () => {
    const asked = (text: string) => {
      const body = bodyOfBytes(Buffer.from(text))
      const without = withoutXetTransfer(body)
      return without === body ? 'same' : Buffer.from(without.bytes ?? []).toString()
    }
    expect(asked('{"a":1,"transfers":["xet","basic"]}')).to.equal('{"a":1,"transfers":["basic"]}')
    for (const text of ['x', '1', 'null', '{}', '{"transfers":1}']) expect(asked(text), text).to.equal('same')
    const arriving = streamBody(1, [])
    expect(withoutXetTransfer(arriving)).to.equal(arriving)
  })
})
