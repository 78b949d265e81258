import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { temporaryFolder } from '../support/processes.ts'
import { freePort, ProcessGroup, sendSignal, until } from './process-group.ts'
import { choose, randomFrom } from './random.ts'

const seed = Number(process.env.SIGNAL_SEED ?? 20_261_125)
const seconds = Number(process.env.COUNTER_SECONDS ?? 20)

/** Counters and histograms of Prometheus' text, each line by its name and labels. */
function countersOf(text: string): Map<string, number> {
  const counted = new Set([...text.matchAll(/^# TYPE (\S+) (?:counter|histogram)$/gm)].map(([, name]) => name))
  const values = new Map<string, number>()
  for (const [, series = '', name = '', value] of text.matchAll(/^((\w+)(?:\{.*\})?) (\S+)$/gm))
    if (counted.has(name) || counted.has(name.replace(/_(?:bucket|sum|count)$/, ''))) values.set(series, Number(value))
  return values
}

describe('counters of several workers (fault 19)', function () {
  this.timeout((seconds + 60) * 1_000)

  it(`never fall, whichever worker is killed, replaced or restarted: ${seconds} s from seed ${seed}`, async () => {
    await using folder = await temporaryFolder()
    const random = randomFrom(seed)
    const [port, metricsPort] = [await freePort(), await freePort()]
    await using group = new ProcessGroup([
      ...['--host', '127.0.0.1', '--port', String(port), '--metrics-port', String(metricsPort), '--workers', '3'],
      ...['--offline', '--local-directory', folder.path, '--log-level', 'error', '--grace-period', '500'],
    ])
    const scrape = async () => {
      const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`, { signal: AbortSignal.timeout(5_000) })
      const text = await response.text()
      expect(response.status, text).to.equal(200)
      return countersOf(text)
    }
    await until('it serves', () =>
      scrape().then(
        () => true,
        () => false,
      ),
    )
    let isOver = false
    const agent = new Agent({ keepAlive: false })
    const client = async () => {
      while (!isOver) {
        const path = choose(random, ['/health', '/api/models/org/x', '/org/y/resolve/main/f', '/ready', '/'])
        try {
          const [response] = (await once(
            get(`http://127.0.0.1:${port}${path}`, { agent, signal: AbortSignal.timeout(2_000) }),
            'response',
          )) as [IncomingMessage]
          await response.resume().toArray()
        } catch {
          // Its worker was killed.
        }
        await delay(5)
      }
    }
    const killer = async () => {
      while (!isOver) {
        await delay(random() * 800)
        const victims = group.workers()
        if (victims.length === 0) continue
        if (random() < 0.2) sendSignal(group.pid, 'SIGHUP')
        else sendSignal(choose(random, victims), choose(random, ['SIGKILL', 'SIGKILL', 'SIGTERM']))
      }
    }
    const running = Promise.all([client(), client(), client(), client(), killer()])
    const fallen: string[] = []
    let before = new Map<string, number>()
    const end = performance.now() + seconds * 1_000
    while (performance.now() < end) {
      const now = await scrape()
      for (const [series, value] of before) {
        const found = now.get(series) ?? 0
        // Sums of seconds are added up in another order each time.
        if (found < value - Math.abs(value) * 1e-9) fallen.push(`${series}: ${value} → ${found}`)
      }
      before = now
      await delay(50)
    }
    isOver = true
    await running
    expect([...before].find(([series]) => series.startsWith('mirrorface_total_requests'))?.[1]).to.be.greaterThan(100)
    expect(fallen.slice(0, 10), `${fallen.length} counters fell`).to.deep.equal([])
  })
})
