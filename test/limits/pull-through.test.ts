import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { temporaryFolder } from '../support/processes.ts'
import { setStage } from '../support/server.ts'
import { peakMemory } from './peak-memory.ts'

const clients = 1000
/** Bytes of the file that all want; `npm run test:large` makes it 1 GB. */
const size = Number(process.env.LARGE_PULL_BYTES ?? 16_000_000)
/** A client that hashes costs a second a gigabyte, so of a large file only some do. */
const hashing = Math.min(clients, Math.ceil(16_000_000_000 / size))

describe('pull-through for a fleet', function () {
  this.timeout(1_800_000)

  it(`gives ${clients} clients a missing file of ${size / 1e6} MB from one download, in under 400 MiB`, async () => {
    const content = syntheticContent(size, 77)
    await using spool = await temporaryFolder()
    await using stage = await setStage(
      (hub) => void hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': content }),
      ['--pull-through', '--spool-directory', spool.path, '--follow-hosts', '127.0.0.2'],
    )
    const started = performance.now()
    const download = async (index: number) => {
      const asked = request(`${stage.server.endpoint}/org/model/resolve/main/w.safetensors`, { agent: false }).end()
      const [response] = await once(asked, 'response')
      const hash = index < hashing ? createHash('sha256') : undefined
      let bytes = 0
      for await (const chunk of response) {
        bytes += chunk.length
        hash?.update(chunk)
      }
      expect(bytes).to.equal(size)
      if (hash !== undefined) expect(hash.digest('hex')).to.equal(content.sha256)
    }
    await Promise.all(Array.from({ length: clients }, (_, index) => download(index)))
    const peak = await peakMemory(stage.server.child.pid ?? 0)
    const rate = (size * clients) / 1e6 / (performance.now() - started)
    console.log(`      peak ${peak.toFixed(0)} MiB, ${rate.toFixed(1)} GB/s`)
    const spans = stage.hub.requestsOf('cdn').map(({ headers }) => headers.range)
    expect(new Set(spans).size, 'no byte is asked for twice').to.equal(spans.length)
    expect(peak).to.be.within(30, 400)
  })
})
