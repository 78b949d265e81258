import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { startNginx } from '../support/nginx.ts'
import { setStage } from '../support/server.ts'

/** What the plugin's README tells people to put into nginx is what is tested. */
async function readmeLocations(upstream: string, directory: string): Promise<string> {
  const readme = await readFile(new URL('../../plugins/storage-local/README.md', import.meta.url), 'utf8')
  const snippet = /```nginx\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  return snippet.replaceAll('http://mirrorface:8000', upstream).replaceAll('/data/mirror/', `${directory}/`)
}

describe('delivery by the nginx in front', () => {
  it('lets nginx send the bytes, with the headers that clients need', async () => {
    const weights = syntheticContent(5_000_000, 3)
    await using stage = await setStage(
      (hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': weights, 'odd name %20.txt': 'odd' })
      },
      ['--delivery', 'accel'],
    )
    await stage.mirror('org/model')
    await using nginx = await startNginx(await readmeLocations(stage.server.url, stage.directory))
    const url = `${nginx.url}/mirror/org/model/resolve/main/w.safetensors`
    const whole = await fetch(url)
    expect(whole.status).to.equal(200)
    expect(whole.headers.get('etag')).to.equal(`"${weights.sha256}"`)
    expect(whole.headers.get('x-repo-commit')).to.match(/^[0-9a-f]{40}$/)
    expect(whole.headers.get('content-disposition')).to.include('w.safetensors')
    const bytes = Buffer.from(await whole.arrayBuffer())
    expect(createHash('sha256').update(bytes).digest('hex')).to.equal(weights.sha256)
    const part = await fetch(url, { headers: { range: 'bytes=1000-1999' } })
    expect(part.status).to.equal(206)
    expect(part.headers.get('content-range')).to.equal('bytes 1000-1999/5000000')
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1000, 2000))).to.equal(true)
    const head = await fetch(url, { method: 'HEAD' })
    expect(head.headers.get('content-length')).to.equal('5000000')
    expect(await (await fetch(`${nginx.url}/mirror/org/model/resolve/main/odd%20name%20%2520.txt`)).text()).to.equal(
      'odd',
    )
    const unchanged = await fetch(url, { headers: { 'if-none-match': `"${weights.sha256}"` } })
    expect(unchanged.status).to.equal(304)
    const sent = stage.server.log.filter(({ path }) => String(path).endsWith('w.safetensors'))
    expect(Math.max(...sent.map(({ bytes: count }) => Number(count)))).to.equal(0)
    // The location is internal: nobody can ask for a blob past the mirror.
    const { sha256 } = weights
    expect((await fetch(`${nginx.url}/mirrorface-files/blobs/sha256/${sha256.slice(0, 2)}/${sha256}`)).status).to.equal(
      404,
    )
  })
})
