import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { manifestKey } from '../../../src/mirror/layout.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { setStage } from '../../support/server.ts'

describe('a commit that was mirrored again', () => {
  it('is shown as it was stored last, whatever was said of it before', async () => {
    await using stage = await setStage(
      (hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{}' })
      },
      ['--offline'],
    )
    await stage.mirror('org/model')
    const api = '/api/models/org/model'
    const { sha } = (await (await stage.get(api)).json()) as { sha: string }
    const path = join(stage.directory, manifestKey({ type: 'model', id: 'org/model' }, sha))
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { info: object }
    const random = seededRandom(20261125)
    for (let round = 0; round < 6; round++) {
      const isPrivate = random() < 0.5
      const info = { ...manifest.info, private: isPrivate, pipeline_tag: `tag-${round}` }
      await writeFile(`${path}.new`, JSON.stringify({ ...manifest, info }))
      await rename(`${path}.new`, path)
      for (const url of [api, `${api}/revision/${sha}`]) {
        const seen = async () => {
          const response = await stage.get(url)
          const body = await response.text()
          return response.status === 200 && !isPrivate
            ? body.includes(`tag-${round}`)
            : isPrivate && response.status >= 400
        }
        const end = performance.now() + 10_000
        while (!(await seen()) && performance.now() < end) await delay(25)
        expect(await seen(), `${url} in round ${round}`).to.equal(true)
      }
    }
  })
})
