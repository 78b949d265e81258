import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { get, type RequestOptions } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { expect } from 'chai'
import { replaceFile, TestAuthority } from '../../support/certificates.ts'
import { runMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { type Stage, setStage } from '../../support/server.ts'

/** More than the kernel's buffers of both ends hold. */
const weights = randomBytes(40_000_000)
const path = '/mirror/org/model/resolve/main/w.safetensors'

interface Secure extends AsyncDisposable {
  readonly stage: Stage
  readonly authority: TestAuthority
  /** What the server reads. */
  readonly files: { readonly cert: string; readonly key: string }
  readonly options: RequestOptions
  /** A connection with its handshake done. */
  connect(): Promise<TLSSocket>
}

async function setSecure(args: readonly string[] = [], environment: Record<string, string> = {}): Promise<Secure> {
  const folder = await temporaryFolder()
  const authority = await TestAuthority.create(folder.path)
  const issued = await authority.issue('first', 'IP:127.0.0.1')
  const files = { cert: join(folder.path, 'served.pem'), key: join(folder.path, 'served.key') }
  await copyFile(issued.cert, files.cert)
  await copyFile(issued.key, files.key)
  const stage = await setStage(
    (hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': weights, 'config.json': Buffer.from('{}') })
    },
    ['--tls-cert', files.cert, '--tls-key', files.key, ...args],
    environment,
  )
  await stage.mirror('org/model')
  const { hostname, port } = new URL(stage.server.url)
  const ca = await readFile(authority.certificate)
  return {
    stage,
    authority,
    files,
    options: { hostname, port, ca, agent: false },
    connect: async () => {
      const socket = connectTls({ host: hostname, port: Number(port), ca })
      await once(socket, 'secureConnect')
      return socket
    },
    [Symbol.asyncDispose]: async () => {
      await stage[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function fetchBytes(options: RequestOptions): Promise<{ bytes: Buffer; name: string | undefined }> {
  const [response] = await once(get(options), 'response')
  const name = (response.socket as TLSSocket).getPeerCertificate().subject?.CN
  return { bytes: await buffer(response), name: [name].flat()[0] }
}

async function nameServed({ options }: Secure): Promise<string | undefined> {
  return (await fetchBytes({ ...options, path: '/health' })).name
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await holds()) return
    await delay(100)
  }
  throw new Error(`not in 30 s: ${what}`)
}

describe('HTTPS', function () {
  this.timeout(90_000)

  for (const workers of ['1', '2'])
    it(`gives stored and passed-on files whole, and URLs that say https; workers: ${workers}`, async () => {
      // The kernel's copy is on by default: it must not put plain bytes into an encrypted connection.
      await using secure = await setSecure(['--workers', workers])
      const { options, stage } = secure
      for (let round = 0; round < 3; round++)
        expect((await fetchBytes({ ...options, path })).bytes.equals(weights)).to.equal(true)
      stage.hub.add({ type: 'model', id: 'org/passed' }).commit({ 'text.txt': Buffer.from('passed on') })
      const passed = await fetchBytes({ ...options, path: '/mirror/org/passed/raw/main/text.txt' })
      expect(passed.bytes.toString()).to.equal('passed on')
      const [tree] = await once(get({ ...options, path: '/mirror/api/models/org/model/tree/main?limit=1' }), 'response')
      tree.resume()
      expect(tree.headers.link).to.match(/^<https:\/\/127\.0\.0\.1:\d+\/mirror\/api\/models\/org\/model\/tree\//)
      expect(stage.server.log.find(({ msg }) => String(msg).startsWith('listening'))?.msg).to.contain('=https://')
    })

  it('takes a renewed certificate without dropping a connection, and keeps the former while the files disagree', async () => {
    await using secure = await setSecure()
    const { authority, files, options, stage } = secure
    expect(await nameServed(secure)).to.equal('first')
    const [running] = await once(get({ ...options, path }), 'response')
    running.pause()
    const renewed = await authority.issue('second', 'IP:127.0.0.1')
    await replaceFile(files.cert, renewed.cert)
    const complaints = () => stage.server.log.filter(({ msg }) => msg === 'the former TLS certificate stays in use')
    await until('the mismatch is logged', () => complaints().length > 0)
    expect(await nameServed(secure), 'only one of both files is there').to.equal('first')
    await replaceFile(files.key, renewed.key)
    await until('the new certificate is served', async () => (await nameServed(secure)) === 'second')
    expect(complaints()).to.have.length(1)
    expect((await buffer(running)).equals(weights)).to.equal(true)
    await until('it is logged', () => stage.server.log.some(({ msg }) => msg === 'the TLS certificate was replaced'))
  })

  it('stops within the grace period beside handshakes that never end, idle connections and a running download', async () => {
    await using secure = await setSecure(['--grace-period', '20000'])
    const { options, stage } = secure
    const { hostname, port } = new URL(stage.server.url)
    const silent = connect(Number(port), hostname)
    await once(silent, 'connect')
    const idle = await secure.connect()
    const [running] = await once(get({ ...options, path }), 'response')
    running.pause()
    const ended = Promise.all([once(silent, 'close'), once(idle, 'close')])
    const stopped = stage.server.stop()
    silent.resume()
    idle.resume()
    await ended
    expect((await buffer(running)).equals(weights)).to.equal(true)
    const { code, stderr } = await stopped
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' })
  })

  it('disconnects a reader that stopped', async () => {
    await using secure = await setSecure([], { MIRRORFACE_SEND_TIMEOUT: '1000' })
    const socket = await secure.connect()
    socket.on('error', () => undefined)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: stopped\r\n\r\n`)
    socket.pause()
    const line = () => secure.stage.server.log.find(({ request, seconds }) => request === 'stopped' && seconds)
    await until('it is cut', () => line() !== undefined)
    expect(line()?.err).to.have.property('code', 'ReaderStopped')
    socket.destroy()
  })

  it('survives plain HTTP and garbage on its port', async () => {
    await using secure = await setSecure()
    const { hostname, port } = new URL(secure.stage.server.url)
    for (const sent of ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', '\x16\x03\x01\x00\x05hello', '\0'.repeat(100)]) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      socket.end(sent, 'latin1')
      socket.resume()
      await once(socket, 'close')
    }
    expect(await nameServed(secure)).to.equal('first')
  })

  it('names what is wrong with its files', async () => {
    await using folder = await temporaryFolder()
    const authority = await TestAuthority.create(folder.path)
    const one = await authority.issue('one', 'IP:127.0.0.1')
    const other = await authority.issue('other', 'IP:127.0.0.1')
    const garbage = join(folder.path, 'garbage.pem')
    await writeFile(garbage, 'no certificate')
    const cases: [string[], RegExp][] = [
      [['--tls-cert', one.cert], /tlsCert is set alone/],
      [['--tls-key', one.key], /tlsKey is set alone/],
      [['--tls-cert', join(folder.path, 'none.pem'), '--tls-key', one.key], /tlsCert: .*none\.pem can't be read/],
      [['--tls-cert', one.cert, '--tls-key', join(folder.path, 'none.key')], /tlsKey: .*none\.key can't be read/],
      [['--tls-cert', one.cert, '--tls-key', other.key], /can't be used: .*the key of this very certificate/],
      [['--tls-cert', garbage, '--tls-key', one.key], /can't be used/],
    ]
    for (const [flags, expected] of cases)
      for (const workers of ['1', '2']) {
        const { code, stderr, stdout } = await runMirrorFace([
          ...['serve', '--port', '0', '--metrics-port', '0', '--local-directory', folder.path, '--offline'],
          ...['--workers', workers, ...flags],
        ])
        expect({ flags, code, text: stderr + stdout }).to.have.property('code', 2)
        expect(stderr + stdout).to.match(expected)
      }
  })
})
