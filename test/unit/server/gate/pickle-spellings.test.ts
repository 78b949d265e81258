import { expect } from 'chai'
import fc from 'fast-check'
import { isPickle } from '../../../../src/server/gate/pickle-names.ts'
import { runs } from '../../../support/runs.ts'
import { statusOf } from './fixture.ts'

const endings = ['bin', 'pt', 'pth', 'pkl', 'pickle', 'ckpt', 'joblib', 'dill']
  // What loaders unpack by themselves, and checkpoints that are no archive in spite of their name.
  .concat('pkl.gz', 'pickle.bz2', 'joblib.xz', 'pkl.zst', 'pth.tar', 'pt.tar.gz')
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
        fc.array(fc.record({ isUpper: fc.boolean(), isEncoded: fc.boolean() }), { minLength: 16, maxLength: 16 }),
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

  it('are those too that become one where they are kept, or are read', async () => {
    const ends = [
      ...['.', '..', '...', '%2E', '%2e.', '%20', '%20%20', '.%20', '%20.', '.%20.'],
      // Encoded again, and once more.
      ...['%252E', '%2520', '%252E%2520', '%25252e', '%2500', '%252500', '%2500x', '%2500.json', '%250a', '%257F.txt'],
      ...['::$DATA', ':$DATA', '%3A%3A$DATA', ':stream', '%253A%253A$DATA', '.::$DATA', '%20:x'],
      // A query or a fragment to who decodes it again.
      ...['%23', '%3F', '%23x.json', '%3Fdownload=true', '%2523', '%253Fx', '.%23', '%20%3Fx'],
      // Refused by whoever parses.
      ...['%00', '%00x', '%0A', '%09', '%7F', '%1F.json', '%00.safetensors'],
      // Blanks of other alphabets.
      ...['%C2%A0', '%E3%80%80', '%E2%80%89.'],
    ]
    for (const pickleFiles of ['refuse', 'allow'] as const)
      for (const route of routes)
        for (const ending of endings)
          for (const end of ends) {
            const url = route.replace('P', () => `a/m.${ending}${end}`)
            const isControl = /^%(?:[01][0-9A-F]|7F)/.test(end)
            const status = await statusOf({ pickleFiles }, url)
            if (pickleFiles === 'refuse') expect(status, url).to.equal(isControl ? 400 : 403)
            else expect(status, url).to.equal(isControl ? 400 : 200)
          }
  })

  it('are told in time, however often a name is encoded', () => {
    for (const count of [1, 1_000, 30_000]) {
      expect(isPickle(`m%${'25'.repeat(count)}2ebin`)).to.equal(true)
      expect(isPickle(`m.bin%${'25'.repeat(count)}20`)).to.equal(true)
      // What nobody looks through may be one; targets of such names are refused before.
      expect(isPickle(`m%${'25'.repeat(count)}2ejson`)).to.equal(count > 3)
      expect(isPickle(`m.json%${'25'.repeat(count)}`)).to.equal(count > 3)
    }
  })

  it('are none that only look like one', async () => {
    for (const name of [
      'm.binx',
      'model.tar.gz',
      'm.bin.index.json',
      'bin.gz',
      'm.onnx.data',
      'm.bin.json',
      'm.bin.x.',
      'm.bin%20x',
      'bin',
      'bin.',
      '.%20bin.',
      'm.bin..txt',
      'a:m',
      'm.bin%252Ejson',
    ])
      for (const route of routes) {
        const url = route.replace('P', () => `a/${name}`)
        expect(await statusOf({ pickleFiles: 'refuse' }, url), url).to.equal(200)
      }
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
