import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { StandInHub } from '../../hub/index.ts'
import { run, runMirrorFace, temporaryFolder } from '../../support/processes.ts'

const bin = fileURLToPath(new URL('../../../bin/mirrorface.js', import.meta.url))

describe('mirrorface doctor', () => {
  it('finds nothing wrong where nothing is', async () => {
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    const finished = await runMirrorFace([
      'doctor',
      '--local-directory',
      folder.path,
      '--upstream-url',
      hub.url,
      '--token',
      'hf_valid',
    ])
    await hub.stop()
    expect(finished.stdout).to.match(/^ok {4}storage local: can be written to, on condition$/m)
    expect(finished.stdout).to.match(/^ok {4}hub .*: accepts the token$/m)
    expect(finished.stdout).to.match(/^ok {4}clock: agrees/m)
    expect(finished.stdout).to.match(/^warn {2}storage local: was never verified\n {6}run mirrorface verify$/m)
    expect(finished.code).to.equal(0)
  })

  it('says what is wrong, and what to do', async () => {
    const finished = await runMirrorFace([
      'doctor',
      '--gcs-mount',
      '/etc',
      '--upstream-url',
      'http://127.0.0.1:9',
      '--json',
    ])
    const bad = JSON.parse(finished.stdout).filter(({ state }: { state: string }) => state === 'bad')
    expect(bad.map(({ subject }: { subject: string }) => subject)).to.deep.equal([
      'storage gcs-mount',
      'hub http://127.0.0.1:9',
    ])
    expect(bad[0].message).to.match(/is gcsfuse running\?/)
    expect(finished.code).to.equal(1)
  })

  it('notices a refused token', async () => {
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    const finished = await runMirrorFace([
      'doctor',
      '--local-directory',
      folder.path,
      '--upstream-url',
      hub.url,
      '--token',
      'hf_wrong',
    ])
    await hub.stop()
    expect(finished.stdout).to.match(/^FAIL {2}hub .*: refuses the token \(401\)$/m)
    expect(finished.code).to.equal(1)
  })

  for (const [upstreams, message] of [
    ['[{plugin: hubb}]', /^FAIL {2}upstream hubb: upstream plugin "hubb" cannot be loaded/m],
    ['[{plugin: hub, ur: "http://x"}]', /^FAIL {2}upstream hub: .*Unrecognized key: "ur"/m],
    ['[{plugin: hub, url: 7}]', /^FAIL {2}upstream hub: .*url: /m],
    ['[{plugin: hub, followPrivate: ["ten"]}]', /^FAIL {2}upstream hub: .*followPrivate\.0: /m],
  ] as const)
    it(`fails where serve does: upstreams: ${upstreams}`, async () => {
      await using folder = await temporaryFolder()
      const file = join(folder.path, 'c.yaml')
      await writeFile(file, `upstreams: ${upstreams}\nlocalDirectory: ${folder.path}\nport: 0\nmetricsPort: 0\n`)
      const examined = await runMirrorFace(['doctor', '--config', file])
      expect(examined.stdout).to.match(message)
      expect(examined.code).to.equal(2)
      expect((await runMirrorFace(['serve', '--config', file])).code).to.not.equal(0)
    })
})

describe('mirrorface config', () => {
  it('says where each value comes from, and hides secrets', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'c.yaml')
    await writeFile(
      file,
      'port: 8001\nupstreams: [{plugin: hub, url: "http://h", token: hf_hidden}]\naccessTokens: [{token: very-secret}]\n',
    )
    const finished = await runMirrorFace(['config', '--config', file, '--local-directory', '/x'], {
      MIRRORFACE_LOG_LEVEL: 'debug',
      MIRRORFACE_UPSTREAM_TOKEN: 'hf_also_hidden',
    })
    expect(finished.stdout).to.match(/^port\s+8001\s+file$/m)
    expect(finished.stdout).to.match(/^logLevel\s+debug\s+environment$/m)
    expect(finished.stdout).to.match(/^localDirectory\s+\/x\s+flag$/m)
    expect(finished.stdout).to.match(/^upstreamToken\s+\(hidden\)\s+environment$/m)
    expect(finished.stdout).to.not.match(/hf_|very-secret/)
    const yaml = await runMirrorFace(['config', '--config', file, '--yaml'])
    expect(yaml.stdout).to.match(/^port: 8001$/m)
    // A file that is fed back must not have a placeholder for a token.
    expect(yaml.stdout).to.match(/^# accessTokens is left out/m)
    expect(yaml.stdout.replaceAll(/^#.*$/gm, '')).to.not.match(/hidden|token/i)
    const json = JSON.parse((await runMirrorFace(['config', '--json'])).stdout)
    expect(json.port).to.deep.equal({ value: 8000, origin: 'default' })
    expect(json.storages.origin).to.equal('derived')
  })
})

describe('the command line', () => {
  it('has examples in the help of every command', async () => {
    for (const command of ['serve', 'mirror', 'list', 'verify', 'remove', 'sweep', 'misses', 'doctor', 'config']) {
      const { stdout, code } = await runMirrorFace([command, '--help'])
      expect(code).to.equal(0)
      expect(stdout, command).to.match(/EXAMPLES\n {2}\$ mirrorface/)
    }
  })

  it('runs by its first line, by whatever Node is on the PATH of a newcomer', async () => {
    const outside = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
    const finished = await run(bin, ['--version'], { PATH: outside.join(delimiter) })
    expect(finished.stdout, finished.stderr).to.match(/^mirrorface\/\d+\.\d+\.\d+ .*node-v(?:2[2-9]|[3-9]\d)/)
    expect((await run(bin, ['verify', '--nonsense'], { PATH: outside.join(delimiter) })).code).to.equal(2)
  })

  it('completes commands and flags in a shell', async () => {
    await using folder = await temporaryFolder()
    const environment = { XDG_CACHE_HOME: folder.path, SHELL: '/bin/bash' }
    const script = await runMirrorFace(['autocomplete', 'script', 'bash'], environment)
    expect(script.stdout).to.match(/MIRRORFACE_AC_BASH/)
  })

  it('colours nothing where NO_COLOR is set, nor in a pipe', async () => {
    const { stdout } = await runMirrorFace(['--help'], { NO_COLOR: '1' })
    expect(stdout).to.not.include('\u001b[')
  })
})
