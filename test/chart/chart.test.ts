import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { parseAllDocuments } from 'yaml'
import { loadConfig } from '../../src/config/index.ts'
import { freePort } from '../support/emulator.ts'
import { run, temporaryFolder } from '../support/processes.ts'
import { setStage } from '../support/server.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const helm = join(root, '.cache/bin/helm')
const chart = join(root, 'helm')
const cases = readdirSync(join(chart, 'ci')).map((name) => name.replace('-values.yaml', ''))

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: Record<string, unknown>
  readonly data?: Record<string, string>
}

const valuesOf = (name: string) => ['-f', join(chart, 'ci', `${name}-values.yaml`)]
const template = (...args: string[]) => run(helm, ['template', 'release', chart, '--kube-version', '1.34', ...args])
async function render(...args: string[]): Promise<Manifest[]> {
  const { stdout, stderr, code } = await template(...args)
  expect(code, stderr).to.equal(0)
  return parseAllDocuments(stdout).map((document) => document.toJS())
}

describe('the chart', () => {
  for (const name of cases) {
    it(`renders what Kubernetes takes, as before: ${name}`, async () => {
      const linted = await run(helm, ['lint', chart, '--strict', '--kube-version', '1.34', ...valuesOf(name)])
      expect(linted.code, linted.stdout).to.equal(0)
      const { stdout } = await template(...valuesOf(name))
      await using folder = await temporaryFolder()
      const file = join(folder.path, 'rendered.yaml')
      await writeFile(file, stdout)
      const validated = await run(join(root, '.cache/python/chart/bin/kubernetes-validate'), ['--strict', file])
      expect(validated.code, validated.stdout + validated.stderr).to.equal(0)
      const snapshot = join(root, 'test/chart/snapshots', `${name}.yaml`)
      // UPDATE_SNAPSHOTS=1 writes them anew; the diff is then for a person to judge.
      if (process.env.UPDATE_SNAPSHOTS === '1') await writeFile(snapshot, stdout)
      expect(stdout).to.equal(await readFile(snapshot, 'utf8'))
    })

    it(`gives the server a configuration that it understands: ${name}`, async () => {
      await using folder = await temporaryFolder()
      const manifests = await render(...valuesOf(name))
      const file = join(folder.path, 'config.yaml')
      const map = manifests.find(({ kind, data }) => kind === 'ConfigMap' && data?.['config.yaml'] !== undefined)
      await writeFile(file, map?.data?.['config.yaml'] ?? '')
      const deployment = manifests.find(({ kind }) => kind === 'Deployment') as unknown as {
        spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } }
      }
      const env = deployment.spec.template.spec.containers[0]?.env ?? []
      const environment = Object.fromEntries(
        env.map(({ name: variable, value }) => [variable, value ?? 'from-a-secret']),
      )
      const { config } = await loadConfig({ flags: {}, environment, file })
      expect(config.port).to.equal(8000)
      expect(config.storages[0]?.plugin).to.equal(
        { fuse: 'gcs-mount', everything: 'gcs-mount', bucket: 'gcs', pvc: 'local' }[name],
      )
    })
  }

  for (const [what, args, message] of [
    ['no bucket', [], /bucketName is required/],
    [
      'a misspelt value',
      ['--set', 'bucketName=models', '--set', 'relicas=3'],
      /additional properties 'relicas' not allowed/,
    ],
    ['a wrong type', ['--set', 'bucketName=models', '--set', 'replicas=many'], /replicas/],
    ['no such storage', ['--set', 'bucketName=models', '--set', 'storage.mode=s3'], /storage\/mode/],
    ['a bad bucket name', ['--set', 'bucketName=Models_'], /bucketName/],
    ['a setting that the chart makes', ['--set', 'bucketName=models', '--set', 'config.port=1'], /config/],
    [
      'a mirror job without repositories',
      ['--set', 'bucketName=models', '--set', 'mirror.enabled=true'],
      /repositories/,
    ],
    ['a bad schedule', ['--set', 'bucketName=models', '--set', 'verify.schedule=daily'], /schedule/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const { code, stderr } = await template(...args)
      expect(code).to.not.equal(0)
      expect(stderr).to.match(message)
    })
  }

  it('is described in its README as it is', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [
      join(root, 'scripts/write-chart-readme.ts'),
      '--check',
    ])
    expect(code, stdout + stderr).to.equal(0)
  })

  it('has alert rules and a dashboard that a real Prometheus understands, on metrics that exist', async () => {
    await using folder = await temporaryFolder()
    const rules = join(chart, 'files/alerts.yaml')
    const checked = await run('promtool', ['check', 'rules', rules])
    expect(checked.code, checked.stderr).to.equal(0)
    await using stage = await setStage((hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'a' })
    })
    await stage.mirror('org/model')
    for (const path of [
      '/api/models/org/model',
      '/org/model/resolve/main/a.txt',
      '/api/models/org/other',
      '/api/models/org/model/tree/main',
    ]) {
      await (await stage.get(path)).arrayBuffer()
    }
    await fetch(`${stage.server.url}/ready`)
    const port = await freePort()
    const config = join(folder.path, 'prometheus.yml')
    const target = new URL(stage.server.metricsUrl).host
    await writeFile(
      config,
      `global: {scrape_interval: 1s}\nrule_files: [${rules}]\nscrape_configs: [{job_name: mirrorface, static_configs: [{targets: ["${target}"]}]}]\n`,
    )
    const prometheus = spawn(
      'prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${folder.path}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=error',
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    )
    const query = async (expression: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`)
      return (await answer.json()) as { status: string; error?: string; data: { result: unknown[] } }
    }
    try {
      for (let attempt = 0; ; attempt++) {
        const up = await query('mirrorface_build_info').catch(() => undefined)
        if (up?.data.result.length === 1) break
        if (attempt === 100) throw new Error('Prometheus scraped nothing')
        await delay(200)
      }
      const dashboard = JSON.parse(await readFile(join(chart, 'files/dashboard.json'), 'utf8'))
      const alerts = [...(await readFile(rules, 'utf8')).matchAll(/expr: (.*)/g)].map(
        ([, expression]) => expression ?? '',
      )
      const shown: string[] = dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
        targets.map(({ expr }) => expr),
      )
      for (const expression of [...shown, ...alerts]) {
        const { status, error } = await query(expression)
        expect(status, `${expression}: ${error}`).to.equal('success')
        for (const [metric] of expression.matchAll(/mirrorface_[a-z_]+/g)) {
          const family = metric.replace(/_(?:bucket|count|sum)$/, '')
          const { data } = await query(`count({__name__=~"${family}.*"})`)
          // A counter of failures has no series before the first failure; the server declares it all the same.
          if (data.result.length === 0) {
            const declared = await (await fetch(stage.server.metricsUrl)).text()
            expect(declared, metric).to.include(`# TYPE ${family} `)
          }
        }
      }
    } finally {
      prometheus.kill('SIGKILL')
    }
  })
})
