import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { loadConfig, type SettingName, settings } from '../../src/config/index.ts'
import { temporaryFolder } from '../support/processes.ts'
import { answers, freePort, ProcessGroup, until } from './process-group.ts'

const odd = [0, 1, 7, 2 ** 31 - 1, 2 ** 31, -1, Number.NaN, '', 1e15] as const

/** These name other services or places, where any answer but a clear one is another suite's matter. */
const elsewhere = new Set<SettingName>([
  'gcsBucket',
  'gcsEndpoint',
  'gcsMount',
  'storages',
  'upstreams',
  'host',
  'port',
  'metricsPort',
  'workers',
  'localDirectory',
])

describe('a server with odd settings', function () {
  this.timeout(300_000)

  it('starts and serves, or says in one sentence what is wrong', async () => {
    await using folder = await temporaryFolder()
    const all: { name: SettingName; value: unknown; isTaken: boolean }[] = []
    for (const name of Object.keys(settings) as SettingName[])
      for (const value of elsewhere.has(name) ? [] : odd) {
        const isTaken = await loadConfig({ flags: { [name]: value }, environment: {} }).then(
          () => true,
          () => false,
        )
        // Those that loading takes can be together in one server; `odd-settings.test.ts` sees to the others.
        if (isTaken) all.push({ name, value, isTaken })
      }
    const byName = Map.groupBy(all, ({ name }) => name)
    const most = Math.max(...[...byName.values()].map(({ length }) => length))
    for (let turn = 0; turn < most; turn++) {
      const chosen = Object.fromEntries(
        [...byName].map(([name, cases]) => [name, cases[turn % cases.length]?.value] as const),
      )
      const port = await freePort()
      const config = join(folder.path, 'c.yaml')
      await writeFile(
        config,
        stringify({
          offline: true,
          ...chosen,
          host: '127.0.0.1',
          port,
          metricsPort: 0,
          localDirectory: join(folder.path, 'data'),
        }),
      )
      await using group = new ProcessGroup(['--config', config])
      await until(
        `it serves with ${JSON.stringify(chosen)}\n${group.output}`,
        async () => group.child.exitCode !== null || (await answers(port)),
      )
      if (group.child.exitCode !== null) {
        expect(group.output.trim().split('\n'), group.output).to.have.length(1)
        expect(group.output).to.match(/^mirrorface: /)
        continue
      }
      for (let count = 0; count < 3; count++) expect(await answers(port)).to.equal(true)
      group.child.kill('SIGTERM')
      expect(await group.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
      expect(group.output).not.to.match(/TimeoutOverflowWarning|TimeoutNegativeWarning|TypeError/)
    }
  })

  for (const [variable, value] of [
    ['MIRRORFACE_ALLOW', ''],
    ['MIRRORFACE_DENY', ''],
    ['MIRRORFACE_TRUSTED_PROXIES', ''],
    ['MIRRORFACE_FOLLOW_HOSTS', ''],
    ['MIRRORFACE_REFRESH_AFTER', '7'],
    ['MIRRORFACE_REFRESH_AFTER', '1'],
    ['MIRRORFACE_REFRESH_AFTER', '9999'],
    ['MIRRORFACE_GRACE_PERIOD', String(24 * 24 * 3600 * 1000)],
  ] as const)
    it(`${variable}='${value}' serves`, async () => {
      await using folder = await temporaryFolder()
      const port = await freePort()
      await using group = new ProcessGroup(
        ['--host', '127.0.0.1', '--port', String(port), '--metrics-port', '0', '--local-directory', folder.path],
        { [variable]: value, MIRRORFACE_UPSTREAM_URL: 'http://127.0.0.1:9' },
      )
      await until(`it serves\n${group.output}`, () => answers(port), 10_000)
      group.child.kill('SIGTERM')
      expect(await group.endsWithin(20_000)).to.deep.equal({ code: 0, signal: null })
    })
})
