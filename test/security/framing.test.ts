import { connect } from 'node:net'
import { expect } from 'chai'
import { type Stage, setStage } from '../support/server.ts'

/** Status and whether the connection was closed, of what is sent on it; nothing more is sent. */
async function responseTo(port: number, head: readonly string[], body = ''): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1').on('error', () => undefined)
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  let received = ''
  for await (const chunk of socket) {
    received += chunk
    if (/\r\n\r\n/.test(received)) break
  }
  socket.destroy()
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1])
}

describe('the framing of requests', () => {
  let stage: Stage
  let port: number

  before(async () => {
    stage = await setStage((hub) => void hub.add({ type: 'model', id: 'org/m' }).commit({ 'a.txt': 'a' }))
    await stage.mirror('org/m')
    port = Number(new URL(stage.server.url).port)
  })
  after(async () => await stage[Symbol.asyncDispose]())

  const chunked = '1\r\nx\r\n0\r\n\r\n'
  for (const route of ['/org/m/resolve/main/a.txt', '/api/models/org/other', '/health'])
    it(`is the one of RFC 9112, or refused: ${route}`, async () => {
      for (const [coding, status] of [
        ['chunked', 'answered'],
        ['Chunked', 'answered'],
        ['gzip, chunked', 501],
        ['identity, chunked', 501],
        ['chunked, chunked', 501],
      ] as const) {
        const given = await responseTo(
          port,
          [`POST ${route} HTTP/1.1`, 'Host: m', `Transfer-Encoding: ${coding}`],
          chunked,
        )
        if (status === 'answered') expect(given, coding).to.not.equal(501)
        else expect(given, coding).to.be.oneOf([400, status])
      }
      for (const hosts of [
        ['Host: a', 'Host: b'],
        ['Host: a', 'host: a'],
        ['HOST: a', 'Accept: */*', 'Host: b'],
      ])
        expect(await responseTo(port, [`GET ${route} HTTP/1.1`, ...hosts]), hosts.join()).to.equal(400)
    })

  for (const route of ['/org/m/resolve/main/a.txt', '/api/models/org/other', '/health'])
    it(`of HTTP/1.0 has no chunks, and what comes behind some is no request (RFC 9112 §6.1): ${route}`, async () => {
      for (const method of ['GET', 'POST'])
        for (const body of [chunked, '0\r\n\r\n']) {
          const socket = connect(port, '127.0.0.1').on('error', () => undefined)
          socket.setEncoding('latin1')
          socket.write(
            `${method} ${route} HTTP/1.0\r\nHost: m\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${body}` +
              'GET /health HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n',
          )
          let received = ''
          for await (const piece of socket) received += piece
          expect(received.match(/^HTTP\/1\.1 \d{3}/gm), method).to.deep.equal(['HTTP/1.1 400'])
        }
    })

  for (const method of ['GET', 'HEAD'])
    it(`has no body of a ${method} go to the Hub, which may take it for another client's request`, async () => {
      const smuggled = 'GET /api/whoami-v2 HTTP/1.1\r\nHost: h\r\n\r\n'
      const before = stage.hub.requests.length
      const routes = [
        '/api/models/org/other',
        '/org/other/resolve/main/a.txt',
        '/org/other/raw/main/a.txt',
        '/api/daily_papers',
      ]
      for (const route of [
        ...routes,
        '/org/other.git/info/refs?service=git-upload-pack',
        '/api/models/org/other/unheard/of',
      ])
        for (const [framing, body] of [
          [`Content-Length: ${smuggled.length}`, smuggled],
          ['Transfer-Encoding: chunked', `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`],
        ] as const)
          expect(await responseTo(port, [`${method} ${route} HTTP/1.1`, 'Host: m', framing], body)).to.be.within(
            200,
            499,
          )
      const seen = stage.hub.requests.slice(before)
      expect(seen).to.not.be.empty
      for (const { url, headers } of seen) {
        expect(url).to.not.include('whoami')
        expect(headers, url).to.not.have.any.keys('content-length', 'transfer-encoding')
      }
    })

  it('has an end to what is read past, also where the reply is one of a moment ago', async () => {
    const route = '/org/m/resolve/main/a.txt'
    for (let count = 0; count < 3; count++) expect((await stage.get(route)).status).to.equal(200)
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.resume()
    socket.write(`GET ${route} HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n`)
    let isClosed = false
    void closed.then(() => {
      isClosed = true
    })
    const piece = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536), Buffer.from('\r\n')])
    let sent = 0
    const feed = setInterval(() => {
      sent += piece.length
      socket.write(piece)
    }, 5)
    try {
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 20_000))])
    } finally {
      clearInterval(feed)
      socket.destroy()
    }
    expect(isClosed, `still read after ${sent} bytes`).to.equal(true)
  }).timeout(30_000)
})
