import { connect } from 'node:net'
import { expect } from 'chai'
import { seededRandom } from '../../support/seeded-random.ts'
import { type Stage, setStage } from '../../support/server.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const rounds = Number(process.env.FUZZ_EXPECTATIONS ?? 120)

interface Exchange {
  /** Status lines in the order in which they came. */
  readonly statuses: readonly number[]
  /** Whether the client was told to send its body before it had an answer. */
  readonly wasToldToSend: boolean
}

/** A client that sends its body when it is told to, and never otherwise; ends with the first final response. */
async function exchange(port: number, head: readonly string[], body: string): Promise<Exchange> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  socket.write(
    `${[...head, 'Host: mirror', 'Expect: 100-continue', `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n`,
  )
  let received = ''
  let wasToldToSend = false
  for await (const chunk of socket) {
    received += chunk
    if (!wasToldToSend && received.startsWith('HTTP/1.1 100')) {
      wasToldToSend = true
      socket.write(body)
    }
    if (statusesIn(received).some((status) => status >= 200)) break
  }
  socket.destroy()
  return { statuses: statusesIn(received), wasToldToSend }
}

function statusesIn(received: string): number[] {
  return [...received.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status))
}

describe(`Expect: 100-continue (seed ${seed})`, () => {
  let stage: Stage

  before(async () => {
    stage = await setStage((hub) => void hub.add({ type: 'model', id: 'org/m' }).commit({ 'a.txt': 'a' }), [], {
      MIRRORFACE_READ_ONLY: 'true',
      MIRRORFACE_DENY: 'evil/*',
    })
    await stage.mirror('org/m')
  })
  after(async () => await stage[Symbol.asyncDispose]())

  const refused: readonly [request: string, status: number][] = [
    ['POST /api/models/org/m/commit/main', 403],
    ['POST /org/m.git/git-receive-pack', 403],
    ['PUT /api/models/org/m/settings', 403],
    ['POST /api/repos/create', 403],
    ['POST /api/models/evil/m/paths-info/main', 403],
    ['POST /evil/m.git/info/lfs/objects/batch', 403],
    ['POST /org/m%ff', 400],
    ['PROPFIND /org/m', 405],
    ['PATCH /-/misses', 405],
  ]
  const read: readonly [request: string, type: string, body: string][] = [
    ['POST /api/models/org/m/paths-info/main', 'application/json', '{"paths":["a.txt"]}'],
    ['POST /api/models/org/other/paths-info/main', 'application/json', '{"paths":["a.txt"]}'],
    ['POST /org/m.git/info/lfs/objects/batch', 'application/vnd.git-lfs+json', '{"operation":"download","objects":[]}'],
  ]

  it('is answered 100 only where the request may pass and its body is read', async () => {
    const random = seededRandom(seed)
    const port = Number(new URL(stage.server.url).port)
    for (let round = 0; round < rounds; round++) {
      const isRefused = random() < 0.7
      if (isRefused) {
        const [request, status] = refused[Math.floor(random() * refused.length)] ?? ['', 0]
        const body = 'x'.repeat([1, 300, 70_000, 2_000_000][Math.floor(random() * 4)] ?? 0)
        const seen = await exchange(port, [`${request} HTTP/1.1`], body)
        expect(seen.statuses, `${request}, ${body.length} bytes`).to.deep.equal([status])
      } else {
        const [request, type, body] = read[Math.floor(random() * read.length)] ?? ['', '', '']
        const seen = await exchange(port, [`${request} HTTP/1.1`, `Content-Type: ${type}`], body)
        expect(seen.statuses.slice(0, 2), request).to.have.lengthOf(2)
        expect(seen.statuses[0], request).to.equal(100)
        expect(seen.statuses[1], request).not.to.equal(408)
      }
    }
  })

  it('leaves no connection on which a body that never came could be a request', async () => {
    const port = Number(new URL(stage.server.url).port)
    const socket = connect(port, '127.0.0.1')
    socket.setEncoding('latin1')
    const smuggled = 'GET /health HTTP/1.1\r\nHost: mirror\r\n\r\n'
    const lines = ['POST /api/repos/create HTTP/1.1', 'Host: mirror', 'Expect: 100-continue']
    socket.write(`${lines.join('\r\n')}\r\nContent-Length: ${smuggled.length}\r\n\r\n`)
    let received = ''
    let isSent = false
    for await (const chunk of socket) {
      received += chunk
      if (isSent) continue
      isSent = true
      socket.write(smuggled)
    }
    expect(statusesIn(received)).to.deep.equal([403])
    expect(received).to.match(/\r\nconnection: close\r\n/i)
  })
})
