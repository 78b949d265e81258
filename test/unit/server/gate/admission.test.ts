import { Readable } from 'node:stream'
import { expect } from 'chai'
import { Failure, HubFailure, parseTarget, type Repository } from '../../../../src/hub/index.ts'
import type { RequestBody } from '../../../../src/plugin/index.ts'
import {
  type Asked,
  type GateOptions,
  gateWith,
  json,
  ListedLibrary,
  RecordingUpstream,
  requestTo,
  statusOf,
} from './fixture.ts'

const org: Repository = { type: 'model', id: 'org/m' }
const evil: Repository = { type: 'model', id: 'evil/m' }
const own = { authorization: 'Bearer own-token' }
const accessTokens = [{ token: 'own-token', repositories: ['org/*'], write: true }]

async function refusalOf(options: GateOptions, asked: Asked): Promise<string> {
  const gate = gateWith(options)
  return await gate.admit(requestTo(gate, asked)).then(
    () => 'it passed',
    (error: Error) => error.message,
  )
}

describe('the host that is asked', () => {
  const publicUrl = 'https://mirror.example'
  const isRefused = (gate: ReturnType<typeof gateWith>, host: string | undefined): boolean => {
    try {
      gate.assertHost(host)
      return false
    } catch (error) {
      if (error instanceof HubFailure && error.status === 421) return true
      throw error
    }
  }

  it('is the public one, an address, or this machine, wherever there is something to take', () => {
    const serving = new RecordingUpstream({ hasServiceToken: true })
    for (const [options, isChecked] of [
      [{ access: 'hub', publicUrl }, true],
      [{ access: 'tokens', publicUrl }, true],
      [{ access: 'open', publicUrl, upstreams: [serving] }, true],
      [{ access: 'open', publicUrl }, false],
      [{ access: 'hub' }, false],
    ] as const) {
      const gate = gateWith(options)
      for (const round of [1, 2]) {
        for (const host of [
          undefined,
          'mirror.example',
          'mirror.example:443',
          'localhost:80',
          '127.0.0.1',
          '[::1]:8080',
        ])
          expect(isRefused(gate, host), `${host} ${round}`).to.equal(false)
        for (const host of [
          ...['evil.example', 'mirror.example.evil', 'mirror.example:444', '', 'mirror.example/x', 'mirror.example?x'],
          ...['x@mirror.example', 'mirror example'],
        ])
          expect(isRefused(gate, host), `${host} ${round}`).to.equal(isChecked)
      }
    }
  })
})

describe('what is sealed', () => {
  it('belongs to a repository', () => {
    const gate = gateWith()
    const { traits } = new RecordingUpstream()
    const sealing = (url: string) => gate.sealFor(parseTarget(url, '').target, 'read', traits)
    expect(sealing('/api/whoami-v2')).to.equal(undefined)
    expect(sealing('/org/m/resolve/main/f')?.('https://cdn.example/f')).to.match(/^\/-\/follow\/[\w-]+$/)
  })
})

describe('an admission', () => {
  it('to this server’s own pages shows everybody what is anybody’s, whoever looks', async () => {
    const library = new ListedLibrary(
      { repository: org },
      { repository: evil },
      { repository: { ...org, id: 'org/p' }, info: { private: true } },
    )
    const readable = new RecordingUpstream({}, ({ rights }) =>
      rights.use === 'client' ? json(200, { _id: '1' }) : json(401, {}),
    )
    const shownTo = async (options: GateOptions, authorization: string): Promise<string[]> => {
      const gate = gateWith({ library, upstreams: [readable], ...options })
      const admission = await gate.admit(requestTo(gate, { url: '/', authorization }))
      expect(admission.kind).to.equal('own')
      const found = await Promise.all(
        ['org/m', 'evil/m', 'org/p'].map(async (id) =>
          (await admission.library.find({ type: 'model', id }, 'main')) === undefined ? [] : [id],
        ),
      )
      return found.flat()
    }
    expect(await shownTo({ access: 'open' }, 'Bearer hf_a')).to.deep.equal(['org/m', 'evil/m'])
    expect(await shownTo({ access: 'open', deny: ['evil/*'] }, 'Bearer hf_a')).to.deep.equal(['org/m'])
    expect(await shownTo({ access: 'open', allow: ['evil/*'] }, 'Bearer hf_a')).to.deep.equal(['evil/m'])
    expect(await shownTo({ access: 'hub' }, 'Bearer hf_a')).to.deep.equal([])
    expect(await shownTo({ access: 'tokens', accessTokens }, own.authorization)).to.deep.equal([])
  })

  it('asks about what is not stored as about what is, so that no question tells', async () => {
    for (const stored of [[], [{ repository: org, info: { _id: '1' } }]]) {
      const upstream = new RecordingUpstream({}, () => json(403, {}))
      const gate = gateWith({ access: 'hub', library: new ListedLibrary(...stored), upstreams: [upstream] })
      const admission = await gate.admit(requestTo(gate, { url: '/org/m/resolve/main/f' }))
      expect(await admission.library.find(org, 'main')).to.equal(undefined)
      expect(upstream.asked.map(({ target }) => target.operation)).to.deep.equal(['info'])
    }
  })

  it('shows nothing where nobody can be asked', async () => {
    const library = new ListedLibrary({ repository: org })
    const gate = gateWith({ access: 'hub', library, upstreams: [] })
    const admission = await gate.admit(requestTo(gate, { url: '/org/m/resolve/main/f' }))
    expect(await admission.library.find(org, 'main')).to.equal(undefined)
  })

  it('is not given for what a token does not cover, which the refusal names', async () => {
    const options = { access: 'tokens', accessTokens } as const
    for (const [asked, named] of [
      [{ url: '/evil/m/resolve/main/f' }, 'cover evil/m'],
      [
        { url: '/api/repos/move', method: 'POST', body: { fromRepo: 'org/m', toRepo: 'evil/m' } },
        'cover org/m, evil/m',
      ],
    ] as const)
      expect(await refusalOf(options, { ...asked, ...own })).to.include(named)
    expect(await statusOf(options, { url: '/api/telemetry/x', ...own })).to.equal(200)
    expect(await statusOf(options, { url: '/api/organizations/org/overview', ...own })).to.equal(200)
    expect(await statusOf(options, { url: '/api/organizations/evil/overview', ...own })).to.equal(403)
  })

  it('lets a read-only mirror be looked at, by HEAD too', async () => {
    for (const method of ['GET', 'HEAD'] as const)
      expect(await statusOf({ readOnly: true }, { method, url: '/api/models/org/m/settings' })).to.equal(200)
  })

  it('for an upload does not depend on what its content is', async () => {
    const objects = [{ oid: 'a'.repeat(64), size: 1 }]
    const batch = (operation: string): Asked => ({
      method: 'POST',
      url: '/org/m.git/info/lfs/objects/batch',
      body: { operation, objects },
    })
    expect(await statusOf({ pickleFiles: 'refuse', upstreams: [] }, batch('upload'))).to.equal(200)
    expect(await statusOf({ pickleFiles: 'refuse', upstreams: [] }, batch('download'))).to.equal(403)
  })
})

describe('a body', () => {
  const url = '/api/repos/create'

  it('is passed on unread where nothing is decided by it', async () => {
    let wasTaken = false
    const body: RequestBody = {
      ...{ length: 1, bytes: undefined, isSpent: false },
      take: () => {
        wasTaken = true
        return Readable.from([])
      },
    }
    const gate = gateWith()
    for (const [method, path] of [
      ['POST', url],
      ['POST', '/api/models/org/m/commit/main'],
    ] as const)
      expect((await gate.admit({ ...requestTo(gate, { method, url: path }), body })).body).to.equal(body)
    expect(wasTaken).to.equal(false)
  })

  it('that is needed is there, and a mebibyte at most', async () => {
    const options = { access: 'tokens', accessTokens } as const
    expect(await refusalOf(options, { method: 'POST', url, ...own })).to.include('there is none')
    const empty = JSON.stringify({ name: 'org/m', pad: '' }).length
    for (const [more, status] of [
      [0, 200],
      [1, 413],
    ] as const) {
      const bytes = Buffer.from(JSON.stringify({ name: 'org/m', pad: 'x'.repeat(1024 * 1024 - empty + more) }))
      const body: RequestBody = {
        length: undefined,
        bytes: undefined,
        isSpent: false,
        take: () => Readable.from([bytes]),
      }
      const gate = gateWith(options)
      const request = requestTo(gate, { method: 'POST', url, contentType: 'application/json', ...own })
      const found = await gate.admit({ ...request, body }).then(
        () => 200,
        (error: unknown) => (error instanceof Failure ? error.status : error),
      )
      expect(found).to.equal(status)
    }
  })
})
