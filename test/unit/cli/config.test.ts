import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { loadConfig, startWarnings } from '../../../src/config/index.ts'
import { runMirrorFace, startMirrorFace, temporaryFolder } from '../../support/processes.ts'

describe('configuration', () => {
  it('puts flags over environment over file over defaults', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'c.yaml')
    await writeFile(file, 'port: 1\nhost: 1.1.1.1\nprefix: /hub\nlogLevel: debug\n')
    const { config, origins } = await loadConfig({
      flags: { port: '3' },
      environment: { MIRRORFACE_PORT: '2', MIRRORFACE_HOST: '2.2.2.2' },
      file,
    })
    expect(config).to.include({
      port: 3,
      host: '2.2.2.2',
      prefix: '/hub',
      logLevel: 'debug',
      metricsPort: 9000,
      upstreamUrl: 'https://huggingface.co',
    })
    expect(origins).to.include({ port: 'flag', host: 'environment', prefix: 'file', metricsPort: 'default' })
  })

  it('makes one storage and one upstream of the simple settings', async () => {
    const { config } = await loadConfig({
      flags: {},
      environment: { MIRRORFACE_LOCAL_DIRECTORY: '/data', MIRRORFACE_UPSTREAM_URL: 'http://hub' },
    })
    expect(config.storages).to.deep.equal([{ plugin: 'local', directory: '/data' }])
    expect(config.upstreams).to.deep.equal([{ plugin: 'hub', url: 'http://hub' }])
    expect((await loadConfig({ flags: { offline: true }, environment: {} })).config.upstreams).to.deep.equal([])
  })

  it('takes an empty variable for a setting that is not set, or for an empty list', async () => {
    const { config } = await loadConfig({
      flags: {},
      environment: {
        MIRRORFACE_ALLOW: '',
        MIRRORFACE_DENY: 'a/*,,b/*',
        MIRRORFACE_PUBLIC_URL: '',
        MIRRORFACE_PORT: '',
      },
    })
    expect(config).to.include({ publicUrl: undefined, port: 8000 })
    expect(config.allow).to.deep.equal([])
    expect(config.deny).to.deep.equal(['a/*', 'b/*'])
  })

  it('overlooks what Kubernetes says of a service called mirrorface', async () => {
    const environment = {
      MIRRORFACE_PORT: 'tcp://10.0.0.1:8000',
      MIRRORFACE_SERVICE_HOST: '10.0.0.1',
      MIRRORFACE_PORT_8000_TCP_ADDR: '10.0.0.1',
    }
    expect((await loadConfig({ flags: {}, environment })).config.port).to.equal(8000)
  })

  for (const [what, content, message] of [
    ['an unknown key', 'prot: 8000', /"prot" is not a setting; did you mean port\?/],
    ['a key that resembles none', 'token: x', /"token" is not a setting; mirrorface config lists them/],
    ['one port twice', 'port: 8177\nmetricsPort: 8177', /port and metricsPort are both 8177: give the metrics/],
    ['a wrong type', 'port: many', /c\.yaml: port: expected a whole number/],
    ['a port that is none', 'port: 70000', /c\.yaml: port: /],
    ['broken YAML', 'a: [', /c\.yaml is not valid YAML/],
    ['a list', '- a', /expected settings as "name: value" lines/],
    [
      'an unknown plugin',
      'storages: [{plugin: nowhere}]',
      /storage plugin "nowhere" cannot be loaded: .*Built in are: local/,
    ],
    [
      'a wrong option',
      'storages: [{plugin: local, directroy: x}]',
      /storage plugin "local": directory: .*expected string/,
    ],
    [
      'a duration that no timer can wait for',
      'refreshAfter: 2147483648',
      /refreshAfter: expected at most 2073600000 ms/,
    ],
    ['access by tokens without tokens', 'access: tokens', /list at least one under accessTokens/],
    ['access by a Hub that is not asked', 'access: hub\noffline: true', /there is no upstream: use access: tokens/],
    [
      'two authorities',
      'upstreams: [{plugin: hub, name: a, authority: true}, {plugin: hub, name: b, authority: true}]',
      /a and b are both the authority/,
    ],
    [
      'an authority that may not be asked about clients',
      'access: hub\nupstreams: [{plugin: hub, name: a, clientTokens: false}]',
      /asks a with clients' tokens, and its clientTokens: false forbids that/,
    ],
    [
      'no authority for pull-through',
      'pullThrough: true\nupstreams: [{plugin: hub, authority: false}]',
      /pullThrough needs an upstream that is the authority/,
    ],
    [
      'writes without a token',
      'upstreams: [{plugin: hub, name: a, serviceWrites: true}]',
      /a has serviceWrites: true and no token to write with/,
    ],
    ['an origin with a path', 'corsOrigins: ["https://a.example/x"]', /corsOrigins.*expected an origin/],
    ['a short secret', 'sealSecrets: [short]', /sealSecrets.*at least 32 characters/],
    ['an upstream where a storage belongs', 'storages: [{plugin: ./plugins/upstream-hub/index.ts}]', /plugin/],
  ] as const) {
    it(`says what is wrong: ${what} (fault 21)`, async () => {
      await using folder = await temporaryFolder()
      const file = join(folder.path, 'c.yaml')
      await writeFile(file, content)
      // `list` ends by itself: were the mistake overlooked, no server would be left running.
      const finished = await runMirrorFace(['list', '--config', file], { XDG_DATA_HOME: folder.path })
      expect(finished.stderr).to.match(message)
      expect(finished.stderr.trim().split('\n')).to.have.length(1)
      expect(finished.code).to.be.oneOf([1, 2])
      if (what !== 'an unknown plugin' && !what.startsWith('an upstream')) expect(finished.code).to.equal(2)
    })
  }

  it('warns whoever starts it of what it opens', async () => {
    const warningsWith = async (environment: NodeJS.ProcessEnv) =>
      startWarnings((await loadConfig({ flags: {}, environment })).config).join('\n')
    expect(await warningsWith({})).to.equal('')
    const service = await warningsWith({ MIRRORFACE_UPSTREAM_TOKEN: 'hf_service' })
    expect(service).to.match(/Everybody who reaches this server reads what the service token of .* may read/)
    expect(service).to.match(/publicUrl is not set/)
    expect(service).to.not.match(/hf_service/)
    expect(await warningsWith({ MIRRORFACE_ACCESS: 'hub' })).to.match(/^publicUrl is not set/)
    expect(await warningsWith({ MIRRORFACE_ACCESS: 'hub', MIRRORFACE_PUBLIC_URL: 'https://m.example' })).to.equal('')
    expect(await warningsWith({ MIRRORFACE_SERVE_NON_PUBLIC: 'true' })).to.match(/^serveNonPublic: everybody/)
  })

  it('says what is wrong: a bad proxy', async () => {
    const environment = { MIRRORFACE_TRUSTED_PROXIES: 'nonsense', MIRRORFACE_PORT: '0', MIRRORFACE_METRICS_PORT: '0' }
    const finished = await runMirrorFace(['serve', '--offline'], environment)
    expect(finished.stderr).to.match(/trustedProxies: invalid IP address/)
    expect(finished.code).to.equal(2)
  })

  it('says that a file is missing, a variable misspelt, a port taken (fault 21)', async () => {
    expect((await runMirrorFace(['list', '--config', '/nonexistent.yaml'])).stderr).to.match(
      /\/nonexistent\.yaml cannot be read: no such file/,
    )
    const misspelt = await runMirrorFace(['list'], { MIRRORFACE_PROT: '1' })
    expect(misspelt.stderr).to.match(/MIRRORFACE_PROT is not a setting; did you mean MIRRORFACE_PORT\?/)
    expect(misspelt.code).to.equal(2)
    await using folder = await temporaryFolder()
    const server = await startMirrorFace(['--local-directory', folder.path])
    const taken = await runMirrorFace([
      'serve',
      '--local-directory',
      folder.path,
      '--host',
      '127.0.0.1',
      '--port',
      new URL(server.url).port,
      '--metrics-port',
      '0',
    ])
    await server.stop()
    expect(taken.stderr).to.match(/cannot listen on 127\.0\.0\.1:\d+: the port is taken/)
    expect(taken.code).to.equal(1)
  })

  it('loads a storage plugin by path', async () => {
    await using folder = await temporaryFolder()
    const plugin = join(folder.path, 'plugin.mjs')
    const local = new URL('../../../dist/plugins/storage-local/index.js', import.meta.url).href
    await writeFile(plugin, `import local from ${JSON.stringify(local)}\nexport default { ...local, name: 'mine' }\n`)
    const file = join(folder.path, 'c.yaml')
    await writeFile(file, `storages:\n  - plugin: ${plugin}\n    directory: ${folder.path}/data\n`)
    const finished = await runMirrorFace(['list', '--config', file])
    expect(finished.stdout).to.match(/nothing is mirrored yet/)
  })
})
