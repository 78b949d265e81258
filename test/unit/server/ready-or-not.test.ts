import { expect } from 'chai'
import { readinessOf } from '../../../src/server/observe/readiness.ts'

const health = (storage: string, ready: boolean) => (ready ? { storage, ready } : { storage, ready, reason: 'x' })

describe('readiness of a server', () => {
  it('is whether requests can be answered, and names what is down', () => {
    for (const accepting of [true, false])
      for (const upstreams of [0, 1, 2])
        for (const states of [[], [true], [false], [true, false], [false, true], [false, false], [true, true]]) {
          const storages = states.map((ready, index) => health(`s${index}`, ready))
          const about = JSON.stringify({ accepting, upstreams, states })
          const { status, canAnswer, down } = readinessOf(storages, { accepting, upstreams })
          const expected = states.flatMap((ready, index) => (ready ? [] : [`s${index}`]))
          expect(down, about).to.deep.equal(expected)
          expect(canAnswer, about).to.equal(accepting && (upstreams > 0 || expected.length === 0))
          expect(status === 'ready', about).to.equal(accepting && expected.length === 0)
          expect(status === 'stopping', about).to.equal(!accepting)
          expect(canAnswer, about).to.equal(status === 'ready' || status === 'degraded')
        }
  })
})
