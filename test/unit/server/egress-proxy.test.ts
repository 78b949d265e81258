import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect } from 'chai'
import { StandInHub } from '../../hub/index.ts'
import { runMirrorFace, startMirrorFace, temporaryFolder } from '../../support/processes.ts'

/** A proxy as companies have at their border: whole URLs (RFC 9112 §3.2.2), and tunnels by CONNECT. */
async function startProxy() {
  const passed: string[] = []
  const server = createServer((asked, answer) => {
    passed.push(asked.url ?? '')
    const onward = request(asked.url ?? '', { method: asked.method, headers: asked.headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    asked.pipe(onward)
  })
  server.on('connect', ({ url }, socket) => {
    passed.push(url ?? '')
    const { hostname, port } = new URL(`http://${url}`)
    const onward = connect(Number(port), hostname, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    onward.pipe(socket).pipe(onward)
    for (const end of [onward, socket]) end.on('error', () => end.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    passed,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

describe('a proxy between the mirror and the Hub', () => {
  for (const [what, settings, isUsed] of [
    ['is gone through where the environment names one', {}, true],
    ['is left out for hosts in NO_PROXY', { NO_PROXY: '127.0.0.1,127.0.0.2' }, false],
  ] as const) {
    it(what, async () => {
      using proxy = await startProxy()
      await using folder = await temporaryFolder()
      const hub = await new StandInHub().start()
      hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'a', 'w.safetensors': Buffer.alloc(300_000, 1) })
      const environment = { HTTP_PROXY: proxy.url, MIRRORFACE_UPSTREAM_URL: hub.url, ...settings }
      const taken = () => proxy.passed.splice(0).length > 0

      const mirrored = await runMirrorFace(['mirror', 'org/model', '--local-directory', folder.path], environment)
      expect(mirrored.code, mirrored.stderr).to.equal(0)
      expect(taken(), 'mirror').to.equal(isUsed)
      expect((await runMirrorFace(['doctor', '--local-directory', folder.path], environment)).stdout).to.match(
        /answers/,
      )
      expect(taken(), 'doctor').to.equal(isUsed)

      const args = ['--local-directory', `${folder.path}/none`, '--redirects', 'follow', '--follow-hosts', '127.0.0.2']
      const server = await startMirrorFace(args, environment)
      for (const path of ['/api/models/org/model', '/api/models?search=x', '/org/model/resolve/main/w.safetensors']) {
        const answer = await fetch(server.endpoint + path)
        expect(answer.status, path).to.equal(200)
        await answer.arrayBuffer()
        expect(taken(), path).to.equal(isUsed)
      }
      await server.stop()
      await hub.stop()
    })
  }
})
