import { join } from 'node:path'
import { expect } from 'chai'
import { StandInHub } from '../hub/index.ts'
import { runMirrorFace, temporaryFolder } from '../support/processes.ts'
import { refusalOf, violationsOf } from './credentials-invariants.ts'
import {
  accessTokens,
  type Configuration,
  clientToken,
  poorToken,
  type Question,
  type Reply,
  serviceTokens,
  setTokenStage,
} from './token-stage.ts'

/**
 * docs/credentials.md on the wire: a real server in front of Hubs that record who was said to ask. What must hold is
 * said in sentences about what they and the client received.
 */

const clients: Readonly<Record<string, string | undefined>> = {
  none: undefined,
  jwt: 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.x',
  password: `Basic ${Buffer.from('alice:secret').toString('base64')}`,
  poor: `Bearer ${poorToken}`,
  rich: `Bearer ${clientToken}`,
  git: `Basic ${Buffer.from(`user:${clientToken}`).toString('base64')}`,
  ...Object.fromEntries(accessTokens.map(({ token }) => [token, `Bearer ${token}`])),
}

const stored = ['public', 'gated', 'private']
const questions: readonly Question[] = [
  ...stored.flatMap((name): Question[] => [
    { kind: 'read', path: `/org/${name}/resolve/main/config.json` },
    // A file, and repositories, that are not mirrored.
    { kind: 'read', path: `/org/${name}-absent/resolve/main/config.json` },
    { kind: 'read', path: `/api/models/org/${name}` },
  ]),
  { kind: 'read', path: '/org/private.git/info/refs?service=git-upload-pack' },
  {
    kind: 'read',
    method: 'POST',
    path: '/org/private.git/info/lfs/objects/batch',
    body: { operation: 'download', objects: [] },
  },
  { kind: 'list', path: '/api/models?search=x' },
  { kind: 'write', path: '/org/private.git/info/refs?service=git-receive-pack' },
  { kind: 'write', path: '/api/models/org/private/xet-write-token/main' },
  {
    kind: 'write',
    method: 'POST',
    path: '/org/private.git/info/lfs/objects/batch',
    body: { operation: 'upload', objects: [] },
  },
  { kind: 'write', method: 'POST', path: '/api/models/org/private/commit/main', body: {} },
  { kind: 'write', method: 'POST', path: '/api/repos/create', body: { name: 'new', organization: 'org' } },
  { kind: 'account', path: '/api/whoami-v2' },
  { kind: 'account', path: '/api/models/org/private/settings' },
  { kind: 'account', path: '/api/jobs/org' },
  { kind: 'own', path: '/health' },
]

const configurations: readonly Configuration[] = (['open', 'hub', 'tokens'] as const).flatMap((access) => [
  { access, upstreams: [{}] },
  { access, upstreams: [{ token: serviceTokens[0] }] },
  { access, upstreams: [{ token: serviceTokens[0], serviceWrites: true }], readOnly: true },
  { access, upstreams: [{ token: serviceTokens[0], serviceWrites: true }, { token: serviceTokens[1] }] },
  { access, upstreams: [{ token: serviceTokens[0] }, { authority: true, clientTokens: true }] },
  { access, upstreams: [{}, { token: serviceTokens[1], clientTokens: true }], serveNonPublic: true },
])

describe('credentials on the wire', function () {
  this.timeout(180_000)
  let storage: { path: string } & AsyncDisposable

  before(async () => {
    storage = await temporaryFolder()
    const hub = await new StandInHub().start()
    hub.tokens.add(clientToken)
    for (const name of stored) {
      const traits = { private: name === 'private', gated: name === 'gated' }
      hub.add({ type: 'model', id: `org/${name}`, ...traits }).commit({ 'config.json': `stored ${name}` })
      const args = ['mirror', `org/${name}`, '--token', 'hf_valid', '--upstream-url', hub.url]
      const finished = await runMirrorFace([...args, '--local-directory', join(storage.path, 'storage')])
      if (finished.code !== 0) throw new Error(finished.stderr)
    }
    await hub.stop()
  })
  after(async () => await storage[Symbol.asyncDispose]())

  for (const configuration of configurations) {
    it(JSON.stringify(configuration), async () => {
      await using stage = await setTokenStage(configuration, storage.path)
      const failures: string[] = []
      const replies = new Map<string, Reply>()
      for (const question of questions) {
        for (const [client, authorization] of Object.entries(clients)) {
          const row = { configuration, question, client, ...(await stage.ask(question, authorization)) }
          replies.set(`${question.method} ${question.path} ${client}`, row.reply)
          for (const violated of violationsOf(row))
            failures.push(
              `${client} asks ${question.method ?? 'GET'} ${question.path} (${row.reply.status}): ${violated}`,
            )
        }
        failures.push(...(await stage.originViolations(question)))
      }
      for (const client of Object.keys(clients)) {
        for (const name of stored) {
          const [here, there] = [name, `${name}-absent`].map((id) =>
            replies.get(`undefined /org/${id}/resolve/main/config.json ${client}`),
          )
          // Whoever is refused what is mirrored is told what would be said if it were not.
          if (here !== undefined && there !== undefined && here.status >= 400 && refusalOf(here) !== refusalOf(there))
            failures.push(
              `${client} is told apart org/${name} and what is not mirrored: ${refusalOf(here)} / ${refusalOf(there)}`,
            )
        }
      }
      if (!/own-|hf_|eyJ/.test(stage.server.output())) return report(failures)
      report([...failures, 'a token is in the log'])
    })
  }
})

function report(failures: readonly string[]): void {
  const shown = failures.slice(0, Number(process.env.SHOWN_FAILURES ?? 20)).join('\n        ')
  expect(failures.length, `${failures.length} violations:\n        ${shown}\n`).to.equal(0)
}
