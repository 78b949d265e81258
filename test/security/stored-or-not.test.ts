import { connect } from 'node:net'
import { expect } from 'chai'
import { runMirrorFace } from '../support/processes.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { type Stage, setStage } from '../support/server.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const rounds = Number(process.env.FUZZ_STORED ?? 150)
/** Of one length, so that no length tells them apart. */
const [stored, unknown, absent] = ['org/stored', 'org/hidden', 'org/absent']

const routes = ['/api/models/ID', '/api/models/ID/revision/main', '/api/models/ID/revision/none', '/api/models/ID/refs']
  .concat('/api/models/ID/tree/main?recursive=true', '/api/models/ID/tree/main/none', '/api/models/ID/commits/main')
  .concat('/ID/resolve/main/a.txt', '/ID/resolve/main/none.txt', '/ID/resolve/COMMIT/a.txt', '/ID/raw/main/a.txt')
  .concat('/api/resolve-cache/models/ID/COMMIT/a.txt', '/api/models/ID/auth-check', '/api/models/ID/treesize/main')
  .concat('/api/models/ID/xet-read-token/main', '/v2/ID/manifests/latest', '/ID.git/info/refs?service=git-upload-pack')

/** Every byte of a response, less what is different each time. */
async function responseTo(port: number, lines: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  socket.write(`${[...lines, 'Host: mirror', 'Connection: close', '', ''].join('\r\n')}`)
  let received = ''
  for await (const chunk of socket) received += chunk
  return received.replaceAll(/^((?:x-(?:upstream-)?request-id|date|age): ).*$/gim, '$1…')
}

describe(`whether a private repository is stored (seed ${seed})`, function () {
  this.timeout(60_000)
  let stage: Stage
  let commit = ''

  before(async () => {
    stage = await setStage(
      (hub) => {
        for (const id of [stored, unknown])
          commit = hub.add({ type: 'model', id, private: true }).commit({ 'a.txt': 'the same' })
      },
      ['--access', 'hub'],
    )
    const where = ['--local-directory', stage.directory, '--upstream-url', stage.hub.url]
    const mirrored = await runMirrorFace(['mirror', stored, ...where], { HF_TOKEN: 'hf_valid' })
    expect(mirrored.code, mirrored.stderr).to.equal(0)
  })
  after(async () => await stage[Symbol.asyncDispose]())

  it('is not to be told from any response, nor from what the Hub was asked', async () => {
    const random = seededRandom(seed)
    const port = Number(new URL(stage.server.url).port)
    const asked = async (id: string, route: string, method: string, authorization: string | undefined) => {
      const before = stage.hub.requestsOf('hub').length
      const response = await responseTo(port, [
        `${method} ${route.replace('ID', id).replace('COMMIT', commit)} HTTP/1.1`,
        ...(authorization === undefined ? [] : [`Authorization: Bearer ${authorization}`]),
      ])
      const questions = stage.hub.requestsOf('hub').slice(before)
      return JSON.stringify([response, questions.map((one) => `${one.method} ${one.url}`)], null, 1).replaceAll(
        id,
        'ID',
      )
    }
    for (let round = 0; round < rounds; round++) {
      const route = routes[Math.floor(random() * routes.length)] ?? ''
      const method = random() < 0.3 ? 'HEAD' : 'GET'
      const who = random() < 0.5 ? undefined : `hf_stranger${Math.floor(random() * 5)}`
      const answers = []
      // Who may read it fills the caches.
      if (random() < 0.2) for (const id of [stored, unknown]) await asked(id, route, method, 'hf_valid')
      for (const id of [stored, unknown, absent]) answers.push(await asked(id, route, method, who))
      expect(answers[0], `${method} ${route} ${who}`).to.equal(answers[1])
      expect(answers[2], `${method} ${route} ${who}, of one that is not at the Hub`).to.equal(answers[1])
    }
  })
})
