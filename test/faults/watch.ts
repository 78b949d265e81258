import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { ServerProcess } from '../support/processes.ts'

/** What a running server holds. */
export interface Vitals {
  /** MiB. */
  readonly memory: number
  /** Open files and sockets. */
  readonly handles: number
  /** Milliseconds by which the slowest hundredth of the event loop's turns were late, since it was last asked. */
  readonly lag: number
}

export async function vitalsOf({ child, metricsUrl }: ServerProcess): Promise<Vitals> {
  const metrics = await (await fetch(metricsUrl)).text()
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return {
    memory: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024,
    handles: (await readdir(`/proc/${child.pid}/fd`)).length,
    lag: Number(/^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(metrics)?.[1]) * 1000,
  }
}

/** Waits until the server holds about as little as before. */
export async function expectHandlesBack(server: ServerProcess, before: number, seconds: number): Promise<void> {
  let handles = 0
  for (let attempt = 0; attempt < seconds * 10; attempt++) {
    ;({ handles } = await vitalsOf(server))
    if (handles <= before + 5) return
    await delay(100)
  }
  expect(handles, 'open files and sockets').to.be.at.most(before + 5)
}

/** The server lives, answers, and has nothing in its log that nobody caught; a 500 without a cause is none to have. */
export async function expectCalm(server: ServerProcess): Promise<void> {
  expect(server.child.exitCode, server.output().slice(-2000)).to.equal(null)
  expect((await fetch(`${server.url}/health`)).status).to.equal(200)
  // The log itself may be of many megabytes: only what is wrong with it is shown.
  const telling = /.*(?:unhandled|uncaught|MaxListeners|ERR_HTTP_HEADERS_SENT).*/i.exec(server.output())?.[0]
  if (telling !== undefined)
    expect.fail(
      `the log says: ${server.output().slice(server.output().indexOf(telling), server.output().indexOf(telling) + 1500)}`,
    )
  const causeless = server.log.filter(({ status, err }) => status === 500 && err === undefined)
  expect(causeless.slice(0, 3)).to.deep.equal([])
}
