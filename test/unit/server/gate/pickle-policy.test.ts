import { expect } from 'chai'
import {
  type Asked,
  declined,
  gateWith,
  json,
  ListedLibrary,
  RecordingUpstream,
  requestTo,
  statusOf,
} from './fixture.ts'

const sha256 = 'f'.repeat(64)
const pickleSha256 = '9'.repeat(64)

describe('pickle files', () => {
  const files = (...paths: string[]) =>
    paths.map((rfilename) => ({ rfilename, lfs: { sha256: rfilename.endsWith('.bin') ? pickleSha256 : sha256 } }))
  const hubWith = (...paths: string[]) => new RecordingUpstream({}, () => json(200, { siblings: files(...paths) }))
  const oidUrl = (oid: string) => `/-/lfs/models/org/model/${oid}`
  const batch = (oid: string): Asked => ({
    method: 'POST',
    url: '/org/model.git/info/lfs/objects/batch',
    body: { operation: 'download', objects: [{ oid, size: 1 }] },
  })

  it('are refused by path, wherever a path can stand', async () => {
    const pickleFiles = 'refuse'
    for (const path of ['model.bin', 'a/b/MODEL.PT', 'x.ckpt', 'x.pkl', 'x.pickle', 'x.pth', '%6dodel.b%69n']) {
      for (const route of [
        '/org/model/resolve/main/P',
        '/org/model/raw/main/P',
        `/api/resolve-cache/models/org/model/${'a'.repeat(40)}/P`,
        '/org/model/blob/main/P',
        '/buckets/org/b/resolve/P',
        '/kernels/org/k/resolve/main/P',
      ])
        expect(await statusOf({ pickleFiles }, route.replace('P', path)), route + path).to.equal(403)
    }
    for (const url of [
      '/org/model/resolve/main/model.safetensors',
      '/org/model/resolve/main/bin',
      '/api/models/org/model.bin',
    ])
      expect(await statusOf({ pickleFiles }, url), url).to.equal(200)
  })

  it('are refused in every case and however often a character of their ending is encoded', async () => {
    const gate = gateWith({ pickleFiles: 'refuse' })
    const commit = 'a'.repeat(40)
    const routes = ['/org/m/resolve/main/P', '/org/m/raw/main/P', '/org/m/blob/main/P', '/buckets/org/b/resolve/P']
      .concat('/kernels/org/k/resolve/main/P', '/datasets/org/d/resolve/main/P')
      .concat(`/api/resolve-cache/models/org/m/${commit}/P`, `/org/m/resolve/${commit}/a/P`)
    for (const route of routes)
      for (const ending of ['.bin', '.pt', '.pth', '.pkl', '.pickle', '.ckpt'])
        for (const spelled of [ending, ending.toUpperCase()])
          for (let index = 0; index < spelled.length; index++)
            for (const times of ['', '25', '2525']) {
              const encoded = `%${times}${spelled.charCodeAt(index).toString(16)}`
              const url = route.replace('P', `x${spelled.slice(0, index)}${encoded}${spelled.slice(index + 1)}`)
              const outcome = await gate.admit(requestTo(gate, { url })).catch((error: unknown) => error)
              expect(outcome, url).to.have.property('status', 403)
            }
  })

  it('are refused without a question where the files of a repository are not listed for the mirror', async () => {
    const upstream = hubWith('model.bin')
    for (const url of [
      '/buckets/org/b/resolve/model.bin',
      '/kernels/org/k/resolve/main/model.bin',
      '/org/model/settings/model.bin',
      '/api/unknown/model.bin',
    ])
      expect(await statusOf({ pickleFiles: 'refuse-if-safetensors', upstreams: [upstream] }, url), url).to.equal(403)
    expect(upstream.asked).to.have.length(0)
  })

  it('are refused together with what would bring them along', async () => {
    for (const pickleFiles of ['refuse', 'refuse-if-safetensors'] as const) {
      for (const asked of [
        '/org/model.git/info/refs?service=git-upload-pack',
        { url: '/org/model.git/git-upload-pack', method: 'POST' as const, body: 'x' },
        '/api/models/org/model/xet-read-token/main',
      ])
        expect(await statusOf({ pickleFiles }, asked), JSON.stringify(asked)).to.equal(403)
    }
  })

  it('asked for by their hash are what `main` says that they are; what it does not know is refused', async () => {
    const upstreams = [hubWith('model.bin', 'model.safetensors')]
    for (const ask of [oidUrl, batch, (oid: string) => `/v2/org/model/blobs/sha256:${oid}`]) {
      for (const pickleFiles of ['refuse', 'refuse-if-safetensors'] as const) {
        expect(await statusOf({ pickleFiles, upstreams }, ask(sha256))).to.equal(200)
        expect(await statusOf({ pickleFiles, upstreams }, ask(pickleSha256))).to.equal(403)
        expect(await statusOf({ pickleFiles, upstreams }, ask('1'.repeat(64)))).to.equal(403)
      }
      const onlyPickles = [hubWith('model.bin')]
      expect(
        await statusOf({ pickleFiles: 'refuse-if-safetensors', upstreams: onlyPickles }, ask(pickleSha256)),
      ).to.equal(200)
    }
  })

  it('are refused where there are safetensors, stored or not, by what the client may see', async () => {
    const url = '/org/model/resolve/main/model.bin'
    const pickleFiles = 'refuse-if-safetensors'
    const stored = (...paths: string[]) =>
      new ListedLibrary({ repository: { type: 'model', id: 'org/model' }, files: paths.map((path) => ({ path })) })
    const upstreams = [hubWith('model.bin')]
    expect(await statusOf({ pickleFiles, upstreams, library: stored('model.bin', 'a.SafeTensors') }, url)).to.equal(403)
    expect(await statusOf({ pickleFiles, upstreams, library: stored('model.bin') }, url)).to.equal(200)
    expect(await statusOf({ pickleFiles, upstreams: [hubWith('model.bin', 'a.safetensors')] }, url)).to.equal(403)
    expect(await statusOf({ pickleFiles, upstreams }, url)).to.equal(200)
    expect(await statusOf({ pickleFiles, upstreams: [] }, url)).to.equal(200) // nothing but what is stored can be sent
  })

  it('are refused for now where the files cannot be listed, and the Hub is asked once a minute', async () => {
    const url = '/org/model/resolve/main/model.bin'
    const pickleFiles = 'refuse-if-safetensors'
    for (const answer of [
      () => declined,
      () => json(429, {}),
      () => json(500, {}),
      () => json(200, { siblings: 1 }),
      () => Promise.reject(new Error('x')),
    ])
      expect(await statusOf({ pickleFiles, upstreams: [new RecordingUpstream({}, answer)] }, url)).to.equal(503)
    expect(
      await statusOf(
        {
          pickleFiles,
          upstreams: [new RecordingUpstream({}, () => json(404, {}, [['x-error-code', 'RevisionNotFound']]))],
        },
        url,
      ),
    ).to.equal(404)
    const upstream = hubWith('model.bin')
    const gate = gateWith({ pickleFiles, upstreams: [upstream] })
    for (let index = 0; index < 20; index++) await gate.admit(requestTo(gate, { url, authorization: 'Bearer hf_a' }))
    const asked = ['expand%5B%5D=sha', 'blobs=true'] // where it is, and what its files are
    expect(upstream.asked.map(({ target }) => target.query)).to.deep.equal(asked)
    // With the client's own rights, and not shared with another's.
    expect(upstream.asked[0]?.rights).to.deep.equal({ use: 'client', token: 'hf_a' })
    await gate.admit(requestTo(gate, { url }))
    expect(upstream.asked).to.have.length(4)
  })
})
