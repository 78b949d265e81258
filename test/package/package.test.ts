import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { startNginx } from '../support/nginx.ts'
import { run, temporaryFolder } from '../support/processes.ts'
import { type Stage, setStage } from '../support/server.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** What a stranger does: installs the packed tarballs elsewhere, and uses what is installed. */
describe('the packages, as they are published', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let stage: Stage
  const installed = (...args: string[]) =>
    run(process.execPath, [join(folder.path, 'node_modules/mirrorface/bin/mirrorface.js'), ...args], {}, folder.path)

  before(async () => {
    folder = await temporaryFolder()
    for (const place of [root, join(root, 'examples/plugin-storage-http')]) {
      const packed = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder.path], {}, place)
      expect(packed.code, packed.stderr).to.equal(0)
    }
    const tarballs = (await readdir(folder.path)).map((name) => `./${name}`)
    expect(tarballs).to.have.length(2)
    await writeFile(join(folder.path, 'package.json'), '{"name": "elsewhere", "private": true, "type": "module"}')
    const done = await run('npm', ['install', '--no-audit', '--no-fund', ...tarballs, 'mocha@12'], {}, folder.path)
    expect(done.code, done.stderr).to.equal(0)
    stage = await setStage((hub) => {
      hub
        .add({ type: 'model', id: 'org/model' })
        .commit({ 'config.json': '{"a": 1}', 'w.safetensors': Buffer.alloc(300_000, 7) })
    })
    await stage.mirror('org/model')
  })
  after(async () => {
    await stage[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  it('hold no tests, sources or secrets', async () => {
    const inside = await readdir(join(folder.path, 'node_modules/mirrorface'))
    expect(inside.toSorted()).to.deep.equal([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin',
      'dist',
      'oclif.manifest.json',
      'package.json',
    ])
  })

  it('give the command line', async () => {
    expect((await installed('--version')).stdout).to.match(/^mirrorface\/\d+\.\d+\.\d+ /)
    const listed = await installed('list', '--local-directory', stage.directory)
    expect(listed.stdout, listed.stderr).to.match(/org\/model/)
  })

  it('load the example plugin by its name, and serve from it', async () => {
    await using nginx = await startNginx(
      `location /mirror/ { alias ${stage.directory}/; autoindex on; autoindex_format json; }`,
    )
    const config = join(folder.path, 'c.yaml')
    await writeFile(config, `storages:\n  - {plugin: mirrorface-storage-http, url: "${nginx.url}/mirror/"}\n`)
    const listed = await installed('list', '--config', config)
    expect(listed.stdout, listed.stderr).to.match(/org\/model/)
    const byUrl = await installed('list', '--storage', `${nginx.url}/mirror/`)
    expect(byUrl.stdout, byUrl.stderr).to.equal(listed.stdout)
    const verified = await installed('verify', '--config', config)
    expect(verified.stdout, verified.stderr).to.match(/^sound: 1 repositories, 1 manifests, 1 refs, 2 blobs/m)
    await writeFile(config, 'storages:\n  - {plugin: mirrorface-storage-http, url: nonsense}\n')
    const wrong = await installed('list', '--config', config)
    expect(wrong.stderr).to.match(/storage plugin "mirrorface-storage-http": .*url/)
    expect(wrong.code).to.equal(2)
  })

  it('let the example plugin pass the conformance suite', async () => {
    const data = join(folder.path, 'data')
    await mkdir(data)
    await using nginx = await startNginx(`location / { root ${data}; autoindex on; autoindex_format json; }`)
    const test = join(folder.path, 'conformance.test.mjs')
    await writeFile(
      test,
      `import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describeStorage } from 'mirrorface/conformance'
import plugin from 'mirrorface-storage-http'

let count = 0
describeStorage('http', async () => {
  const name = 'storage-' + count++
  await mkdir(join('data', name))
  const storage = await plugin.create(plugin.options.parse({ url: '${nginx.url}/' + name }))
  return {
    storage,
    put: async (key, content) => {
      await mkdir(dirname(join('data', name, key)), { recursive: true })
      await writeFile(join('data', name, key), content)
    },
    dispose: () => rm(join('data', name), { recursive: true }),
  }
})
`,
    )
    const passed = await run(process.execPath, ['node_modules/mocha/bin/mocha.js', test], {}, folder.path)
    expect(passed.code, passed.stdout).to.equal(0)
    expect(passed.stdout).to.match(/\d\d passing/)
  })
})
