import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { TestAuthority } from '../support/certificates.ts'
import { pythonOf } from '../support/model.ts'
import { run, runMirrorFace, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { closeNetwork } from './network.ts'

const script = fileURLToPath(new URL('scripts/snapshot_digests.py', import.meta.url))
const weights = syntheticContent(3_000_000, 5)
const table = `import polars, sys; polars.DataFrame({'n': list(range(5000))}).write_parquet(sys.argv[1])`
const total = `import polars; print(polars.scan_parquet('hf://datasets/org/data/table.parquet').sum().collect().item())`

// The recipe of docs/operating.md: the name of the Hub leads to the mirror, which has a certificate for it.
describe('clients whose host is a constant, where its name leads to the mirror', function () {
  this.timeout(120_000)

  it('read what is mirrored at https://huggingface.co, with the Hub off, and trust the company alone', async () => {
    await using folder = await temporaryFolder()
    const authority = await TestAuthority.create(folder.path)
    const issued = await authority.issue('huggingface.co', 'DNS:huggingface.co')
    const parquet = join(folder.path, 'table.parquet')
    await run(pythonOf('polars'), ['-c', table, parquet])
    const hub = await new StandInHub().start()
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{}', 'w.safetensors': weights })
    hub.add({ type: 'dataset', id: 'org/data' }).commit({ 'table.parquet': await readFile(parquet) })
    const storage = join(folder.path, 'storage')
    for (const what of [['org/model'], ['org/data', '--type', 'dataset']]) {
      const into = ['--local-directory', storage, '--upstream-url', hub.url]
      const mirrored = await runMirrorFace(['mirror', ...what, ...into])
      expect(mirrored.code, mirrored.stderr).to.equal(0)
    }
    await hub.stop()

    using network = closeNetwork(78)
    network.resolve('huggingface.co')
    const server = await startMirrorFace(
      [
        ...['--local-directory', storage, '--offline', '--port', '443', '--public-url', 'https://huggingface.co'],
        ...['--tls-cert', issued.cert, '--tls-key', issued.key],
      ],
      {},
      network.hostAddress,
    )
    try {
      const enter = async (command: readonly string[], trust: Record<string, string>) => {
        const home = join(folder.path, `home-${createHash('sha256').update(command.join()).digest('hex')}`)
        await mkdir(home, { recursive: true })
        const [first = '', ...rest] = [...network.enter, ...command]
        return await run(first, rest, { HOME: home, HF_HOME: home, HF_HUB_DISABLE_TELEMETRY: '1', ...trust })
      }
      const trust = { SSL_CERT_FILE: authority.certificate, REQUESTS_CA_BUNDLE: authority.certificate }
      const config = 'https://huggingface.co/org/model/resolve/main/config.json'
      const curl = await enter(['curl', '-sSfL', '--cacert', authority.certificate, config], {})
      expect(curl.stdout, curl.stderr).to.equal('{}')
      expect((await enter(['curl', '-sSfL', config], {})).code, 'an authority that is not trusted').to.equal(60)
      for (const environment of ['hub-0.36', 'hub-1', 'hub-2']) {
        const python = await enter([pythonOf(environment), script, 'org/model', 'main'], trust)
        expect(python.code, python.stderr).to.equal(0)
        expect(JSON.parse(python.stdout).snapshots).to.deep.equal([
          { 'config.json': createHash('sha256').update('{}').digest('hex'), 'w.safetensors': weights.sha256 },
        ])
      }
      const polars = await enter([pythonOf('polars'), '-c', total], trust)
      expect(polars.stdout.trim(), polars.stderr).to.equal(String((4999 * 5000) / 2))
    } finally {
      await server.stop()
    }
  })
})
