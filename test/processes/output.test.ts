import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { cleanEnvironment, run, temporaryFolder } from '../support/processes.ts'
import { answers, bin, freePort, ProcessGroup, until } from './process-group.ts'

describe('what a server writes to', function () {
  this.timeout(60_000)

  for (const workers of ['1', '2'])
    for (const format of ['json', 'text']) {
      const start = async (directory: string) => {
        const port = await freePort()
        const group = new ProcessGroup([
          ...['--host', '127.0.0.1', '--port', String(port), '--metrics-port', '0', '--offline', '--workers', workers],
          ...['--local-directory', directory, '--log-level', 'trace', '--log-format', format, '--grace-period', '500'],
        ])
        return { port, group }
      }
      const load = async (port: number, requests: number) => {
        for (let count = 0; count < requests; count++) expect(await answers(port), `request ${count}`).to.equal(true)
      }

      it(`may go: stdout and stderr are closed, workers: ${workers}, ${format} (fault 37)`, async () => {
        await using folder = await temporaryFolder()
        const { port, group: started } = await start(folder.path)
        await using group = started
        await until('it serves', () => answers(port))
        const before = group.members()
        group.child.stdout?.destroy()
        group.child.stderr?.destroy()
        await load(port, 30)
        // Warnings and errors of the runtime go there too.
        group.child.kill('SIGHUP')
        await delay(1_500)
        await load(port, 30)
        await until('it has reloaded', () => group.members().length === before.length)
        expect(group.members()[0], 'the primary').to.equal(before[0])
        group.child.kill('SIGTERM')
        expect(await group.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
        expect(await group.leftAfter(1_000)).to.deep.equal([])
      })

      it(`may stall: a full pipe holds neither requests nor the end, workers: ${workers}, ${format} (fault 37)`, async () => {
        await using folder = await temporaryFolder()
        const { port, group: started } = await start(folder.path)
        await using group = started
        await until('it serves', () => answers(port))
        group.child.stdout?.pause()
        group.child.stderr?.pause()
        await load(port, 400)
        // Workers that start meanwhile change nothing about it.
        group.child.kill('SIGHUP')
        await delay(1_000)
        await load(port, 400)
        group.child.kill('SIGTERM')
        expect(await group.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
        expect(await group.leftAfter(1_000)).to.deep.equal([])
      })
    }

  it('may be gone before the server starts', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    await using group = new ProcessGroup([
      ...['--host', '127.0.0.1', '--port', String(port), '--metrics-port', '0', '--offline', '--workers', '2'],
      ...['--local-directory', folder.path],
    ])
    group.child.stdout?.destroy()
    group.child.stderr?.destroy()
    await until('it serves', () => answers(port))
    group.child.kill('SIGTERM')
    expect(await group.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
  })

  it('may be cut by another command: those of the command line end in silence', async () => {
    await using folder = await temporaryFolder()
    for (const command of [
      'config',
      'config --json',
      'list',
      'list --json',
      '--help',
      'serve --help',
      'mirror --help',
      'verify',
    ]) {
      const line = `"$0" "$1" ${command} --local-directory ${folder.path} 2>"$2" | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`
      const errors = join(folder.path, 'stderr')
      const bare = command.includes('--help') ? line.replace(/ --local-directory \S+/, '') : line
      const { stdout } = await run('bash', ['-c', `${bare}; cat "$2"`, process.execPath, bin, errors])
      expect(stdout, command).to.match(/^(?:0|141|2)\n$/)
    }
  })

  it('is told of an error that nothing caught as a line of the log, without secrets', async () => {
    await using folder = await temporaryFolder()
    const plugin = join(folder.path, 'plugin.mjs')
    const local = new URL('../../dist/plugins/storage-local/index.js', import.meta.url).href
    await writeFile(
      plugin,
      `import local from ${JSON.stringify(local)}
      setTimeout(() => { throw new Error('thrown with password-of-the-bucket') }, 1500)
      export default { ...local, options: local.options.loose(), name: 'mine' }\n`,
    )
    const config = join(folder.path, 'c.yaml')
    await writeFile(
      config,
      `storages: [{plugin: ${plugin}, directory: ${folder.path}/data, password: password-of-the-bucket}]\noffline: true\nport: 0\nmetricsPort: 0\nhost: 127.0.0.1\n`,
    )
    const child = spawn(process.execPath, [bin, 'serve', '--config', config], { env: cleanEnvironment() })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk
      })
    const [code] = await once(child, 'close')
    expect(code).to.equal(1)
    expect(output).to.match(/"err":\{"name":"Error","message":"thrown with \(hidden\)","stack":"Error: /)
    expect(output).not.to.include('password-of-the-bucket')
  })
})
