import { expect } from 'chai'
import fc from 'fast-check'
import { runs } from '../../../support/runs.ts'
import { statusOf } from './fixture.ts'

const endings = ['bin', 'pt', 'pth', 'pkl', 'pickle', 'ckpt']
const routes = [
  '/org/model/resolve/main/P',
  '/datasets/org/data/resolve/refs%2Fpr%2F1/P',
  '/org/model/raw/main/P',
  '/org/model/blob/main/P',
  `/api/resolve-cache/models/org/model/${'a'.repeat(40)}/P`,
  '/buckets/org/b/resolve/P',
  '/kernels/org/k/resolve/main/P',
]

describe('spellings of pickle files', () => {
  it('are refused, refused as malformed, or name another file, but none is let through', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...endings),
        fc.constantFrom(...routes),
        fc.array(fc.record({ isUpper: fc.boolean(), isEncoded: fc.boolean() }), { minLength: 12, maxLength: 12 }),
        fc.constantFrom('', '?download=true', '?x=.json', '#.json'),
        async (ending, route, spelled, rest) => {
          const name = [...`m.${ending}`].map((letter, index) => {
            const { isUpper = false, isEncoded = false } = spelled[index] ?? {}
            const written = isUpper ? letter.toUpperCase() : letter
            return isEncoded ? `%${written.charCodeAt(0).toString(16)}` : written
          })
          const url = route.replace('P', () => `a/${name.join('')}`) + rest
          expect(await statusOf({ pickleFiles: 'refuse' }, url), url).to.be.oneOf([400, 403])
        },
      ),
      { numRuns: runs(250), seed: 20261125 },
    )
  })

  it('gain nothing by Xet, whose content has no path', async () => {
    for (const url of [
      '/api/models/org/model/xet-read-token/main',
      '/API/models/org/model/xet-read-token/main',
      `/v1/reconstructions/${'a'.repeat(64)}`,
      `/reconstructions/${'a'.repeat(64)}`,
      `/v2/reconstructions/${'a'.repeat(64)}`,
      '/api/buckets/org/b/xet-read-token',
      '/reconstructions?file_id=a',
      `/v1/xorbs/default/${'a'.repeat(64)}`,
    ])
      expect(await statusOf({ pickleFiles: 'refuse' }, url), url).to.equal(403)
    for (const url of ['/chunks/m/resolve/main/m.safetensors', '/v1/chunks/resolve/main/m.safetensors', '/xorbs/m'])
      expect(await statusOf({ pickleFiles: 'refuse' }, url), url).to.equal(200)
  })
})
