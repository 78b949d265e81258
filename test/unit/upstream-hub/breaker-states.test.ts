import { mock } from 'node:test'
import { expect } from 'chai'
import type { UpstreamState } from 'mirrorface/plugin'
import { Breaker } from '../../../plugins/upstream-hub/transport/breaker.ts'
import { BreakerOpen } from '../../../plugins/upstream-hub/transport/failures.ts'

/** A breaker whose probes come back when they are told to, and the states that it went through. */
function recorded(failures: number, pause: number) {
  const probes: PromiseWithResolvers<void>[] = []
  const states: UpstreamState[] = []
  const breaker = new Breaker({
    ...{ failures, pause, longestSuspicion: 60_000 },
    probe: () => {
      const probe = Promise.withResolvers<void>()
      probes.push(probe)
      return probe.promise
    },
    onChange: (state) => states.push(state),
  })
  return { breaker, probes, states }
}

const outcomeOf = async (asked: Promise<void>) =>
  await asked.then(
    () => 'entered',
    (error: unknown) => (error instanceof BreakerOpen ? 'kept out' : 'failed'),
  )

describe('the states of the breaker', () => {
  it('are told one by one, each once', async () => {
    const { breaker, probes, states } = recorded(2, 0)
    await breaker.enter() // closed: nothing is asked
    expect(probes).to.have.length(0)
    breaker.connectFailed()
    breaker.connectFailed()
    breaker.connectFailed()
    const entering = breaker.enter()
    probes[0]?.reject(new Error('still down'))
    expect(await outcomeOf(entering)).to.equal('failed')
    const again = breaker.enter()
    probes[1]?.resolve()
    await again
    expect(states).to.deep.equal(['open', 'half-open', 'open', 'half-open', 'closed'])
  })

  it('begin anew when a probe was answered', async () => {
    const { breaker, probes } = recorded(2, 0)
    for (const opened of [1, 2]) {
      breaker.connectFailed()
      expect(breaker.state, `${opened}`).to.equal('closed')
      breaker.connectFailed()
      expect(breaker.state).to.equal('open')
      const entering = breaker.enter()
      probes.at(-1)?.resolve()
      await entering
      expect(breaker.state).to.equal('closed')
    }
  })

  it('stay as they are where the server’s own question fails, or succeeds, while it is closed', async () => {
    const { breaker, probes, states } = recorded(2, 0)
    const down = breaker.probe()
    probes[0]?.reject(new Error('down'))
    expect(await outcomeOf(down)).to.equal('failed')
    const back = breaker.probe()
    probes[1]?.resolve()
    await back
    expect(states).to.deep.equal([])
  })

  it('are not told again by a suspicion that came true before', async () => {
    const { breaker, probes, states } = recorded(2, 60_000)
    breaker.connectFailed()
    breaker.answerFailed('/a')
    breaker.connectFailed()
    const probe = outcomeOf(breaker.probe())
    probes[0]?.reject(new Error('down'))
    await probe
    await new Promise((resolve) => setImmediate(resolve))
    expect(states).to.deep.equal(['open'])
    expect(probes).to.have.length(1)
  })

  it('let wait for a probe that is under way, whatever the pause, and for a second at most', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { breaker, probes } = recorded(1, 60_000)
      breaker.connectFailed()
      const probe = outcomeOf(breaker.probe())
      const patient = outcomeOf(breaker.enter())
      mock.timers.tick(999)
      const late = outcomeOf(breaker.enter())
      mock.timers.tick(1)
      expect(await patient).to.equal('kept out')
      probes[0]?.resolve()
      expect(await late).to.equal('entered')
      expect(await probe).to.equal('entered')
      expect(probes).to.have.length(1)
    } finally {
      mock.timers.reset()
    }
  })
})
