import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { type Stage, setStage } from '../../support/server.ts'

type Line = Readonly<Record<string, unknown>>

/** A request, and the lines before its own that say who answered and why: each with these fields. */
interface Case {
  readonly name: string
  readonly path: string
  readonly init?: RequestInit
  readonly lines: readonly Readonly<Record<string, unknown>>[]
}

const anybody = { msg: 'admitted', kind: 'read', client: 'without a credential' }
const absent = { msg: 'not from the library', reason: 'no such revision is mirrored, as far as this client may see' }
const info = { msg: 'upstream asked', upstream: 'hub', method: 'GET', path: '/api/models/org/other', as: 'none' }

/** In this order. */
const cases: readonly Case[] = [
  { name: 'this server itself', path: '/health', lines: [{ ...anybody, kind: 'own' }] },
  { name: 'the library', path: '/api/models/org/model', lines: [anybody] },
  {
    name: 'the Hub, what no storage has',
    path: '/api/models/org/other',
    lines: [
      anybody,
      absent,
      { ...info, from: 'asked', status: 200 },
      { msg: 'upstream answered', status: 200, as: 'none' },
    ],
  },
  {
    name: 'what the Hub said before',
    path: '/api/models/org/other',
    lines: [anybody, absent, { ...info, from: 'kept' }, { msg: 'upstream answered', status: 200 }],
  },
  {
    name: 'the Hub, whose refusal it is',
    path: '/api/models/org/nowhere',
    init: { headers: { authorization: 'Bearer hf_unknown_to_the_hub' } },
    lines: [
      { ...anybody, client: 'with a token of the Hub' },
      absent,
      { msg: 'upstream asked', path: '/api/models/org/nowhere', as: 'client', from: 'asked', status: 401 },
      { msg: 'upstream answered', status: 401, as: 'client' },
    ],
  },
  {
    name: 'the Hub, what was left out',
    path: '/org/model/resolve/main/w.bin',
    lines: [
      anybody,
      { msg: 'not from the library', reason: 'the content was left out when the revision was mirrored' },
      { msg: 'upstream asked', from: 'asked', status: 302 },
      { msg: 'upstream answered', status: 302 },
    ],
  },
  {
    name: 'the Hub, what is not for this client',
    path: '/api/models/org/secret',
    lines: [
      anybody,
      {
        msg: 'stored, but not for this client',
        repository: 'org/secret',
        reason: 'it was not public when it was stored',
      },
      absent,
      { msg: 'upstream asked', from: 'asked', status: 401 },
      { msg: 'upstream answered', status: 401 },
    ],
  },
  {
    name: 'the Hub, what only it can answer',
    path: '/api/whoami-v2',
    init: { headers: { authorization: 'Bearer hf_valid' } },
    lines: [
      { msg: 'admitted', kind: 'account' },
      { msg: 'not from the library', reason: 'nothing that is mirrored answers this' },
      { msg: 'upstream asked', path: '/api/whoami-v2', from: 'asked' },
      { msg: 'upstream answered', as: 'client' },
    ],
  },
]

async function stageAt(level: string, ...args: string[]): Promise<Stage> {
  const stage = await setStage(
    (hub) => {
      hub
        .add({ type: 'model', id: 'org/model' })
        .commit({ 'config.json': '{"a":1}', 'w.bin': syntheticContent(2_000_000, 5) })
      hub.add({ type: 'model', id: 'org/other' }).commit({ 'config.json': '{"b":1}' })
      hub.add({ type: 'model', id: 'org/secret', private: true }).commit({ 'config.json': '{"c":1}' })
    },
    args,
    { MIRRORFACE_LOG_LEVEL: level },
  )
  await stage.mirror('org/model', '--exclude', '*.bin')
  await stage.mirror('org/secret', '--token', 'hf_valid')
  return stage
}

/** The lines of a request, once its own has come. */
async function linesOf({ server }: Stage, id: string): Promise<readonly Line[]> {
  for (;;) {
    const lines = server.log.filter(({ request }) => request === id)
    if (lines.some(({ msg }) => msg === 'request' || msg === 'request failed')) return lines
    await delay(25)
  }
}

describe('the log', function () {
  this.timeout(60_000)

  it('says at debug who answered each request, and why', async () => {
    await using stage = await stageAt('debug')
    for (const [index, { name, path, init = {}, lines }] of cases.entries()) {
      const id = `case-${index}`
      await (await stage.get(path, { ...init, headers: { ...init.headers, 'x-request-id': id } })).arrayBuffer()
      const found = (await linesOf(stage, id)).slice(0, -1)
      const told = `${name}: ${JSON.stringify(found, undefined, 1)}`
      expect(
        found.map(({ msg }) => msg),
        told,
      ).to.deep.equal(lines.map(({ msg }) => msg))
      for (const [at, line] of lines.entries()) expect(found[at], told).to.include(line)
    }
  })

  for (const [name, args, path, line] of [
    [
      'why nothing is pulled',
      ['--pull-through'],
      '/org/other/resolve/main/nothing.bin',
      { msg: 'not pulled', path: 'nothing.bin', reason: 'the Hub lists no such file' },
    ],
    [
      'where a redirect led',
      ['--redirects', 'follow', '--follow-hosts', '127.0.0.2'],
      '/org/model/resolve/main/w.bin',
      { msg: 'redirect followed', status: 206 },
    ],
  ] as const)
    it(`says at debug ${name}`, async () => {
      await using stage = await stageAt('debug', ...args)
      await (await stage.get(path, { headers: { 'x-request-id': 'one' } })).arrayBuffer()
      const lines = await linesOf(stage, 'one')
      expect(
        lines.find(({ msg }) => msg === line.msg),
        JSON.stringify(lines),
      ).to.include(line)
    })

  it('says at debug that a reply is given again', async () => {
    await using stage = await stageAt('debug')
    const ask = async (id: string) => {
      await (await stage.get('/api/models/org/model', { headers: { 'x-request-id': id } })).arrayBuffer()
    }
    const isAgain = async (id: string) => {
      await ask('before')
      await ask(id)
      return (await linesOf(stage, id)).some(({ msg }) => msg === 'answered as a moment ago')
    }
    // A moment is short, and this machine may be busy.
    for (let count = 0; !(await isAgain(`again-${count}`)); count++);
  })

  it('has one line a request at info', async () => {
    await using stage = await stageAt('info')
    for (const [index, { path, init = {} }] of cases.entries()) {
      const id = `case-${index}`
      await (await stage.get(path, { ...init, headers: { ...init.headers, 'x-request-id': id } })).arrayBuffer()
      expect(await linesOf(stage, id), path).to.have.length(1)
    }
  })
})
