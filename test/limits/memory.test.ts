import { once } from 'node:events'
import { request } from 'node:http'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { spawnMirrorFace, temporaryFolder } from '../support/processes.ts'
import { setStage } from '../support/server.ts'
import { peakMemory } from './peak-memory.ts'

describe('memory', function () {
  this.timeout(300_000)

  it('mirroring 2 GB stays under 300 MiB', async () => {
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    const repository = hub.add({ type: 'model', id: 'org/large' })
    repository.commit(
      Object.fromEntries(
        Array.from({ length: 5 }, (_, index) => [`shard-${index}.safetensors`, syntheticContent(400_000_000, index)]),
      ),
    )
    const child = spawnMirrorFace(['mirror', 'org/large', '--local-directory', folder.path], {
      MIRRORFACE_UPSTREAM_URL: hub.url,
    })
    let peak = 0
    const watch = setInterval(
      () =>
        void peakMemory(child.pid ?? 0).then(
          (memory) => (peak = Math.max(peak, memory || 0)),
          () => clearInterval(watch),
        ),
      50,
    )
    let errors = ''
    child.stderr?.on('data', (chunk) => (errors += chunk))
    const [code] = await once(child, 'close')
    clearInterval(watch)
    await hub.stop()
    expect(code, errors).to.equal(0)
    console.log(`      peak ${peak.toFixed(0)} MiB`)
    expect(peak).to.be.within(30, 300)
  })

  it('a server with 64 downloads in flight stays under 250 MiB', async () => {
    const content = syntheticContent(200_000_000, 9)
    await using stage = await setStage(
      (hub) => void hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': content }),
    )
    await stage.mirror('org/model')
    const downloads = Array.from({ length: 64 }, async () => {
      const asked = request(`${stage.server.endpoint}/org/model/resolve/main/w.safetensors`, { agent: false }).end()
      const [response] = await once(asked, 'response')
      let bytes = 0
      for await (const chunk of response) bytes += chunk.length
      return bytes
    })
    expect(new Set(await Promise.all(downloads))).to.deep.equal(new Set([200_000_000]))
    const peak = await peakMemory(stage.server.child.pid ?? 0)
    console.log(`      peak ${peak.toFixed(0)} MiB`)
    expect(peak).to.be.within(30, 250)
  })
})
