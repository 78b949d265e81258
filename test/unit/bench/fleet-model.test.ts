import { expect } from 'chai'
import { simulateLoads } from '../../../bench/fleet-model.ts'

const alone = { clients: 1, gigabytes: 100, clientRate: 2, over: 0 }
const pod = { pods: 1, podRate: 4, sharedRate: Number.POSITIVE_INFINITY }

describe('the model of a fleet', () => {
  it('lets a client alone go at its own pace', () => {
    expect(simulateLoads(pod, alone)).to.deep.equal({ median: 50, last: 50 })
  })

  it('shares a pod alike', () => {
    expect(simulateLoads(pod, { ...alone, clients: 8 }).last).to.be.closeTo((8 * 100) / 4, 1e-6)
  })

  it('grows with pods until what lies behind them is the limit', () => {
    const many = { ...alone, clients: 64 }
    expect(simulateLoads({ ...pod, pods: 8 }, many).last).to.be.closeTo(200, 1e-6)
    expect(simulateLoads({ ...pod, pods: 8, sharedRate: 16 }, many).last).to.be.closeTo(400, 1e-6)
  })

  it('moves as many bytes as it is asked for, however clients arrive', () => {
    const spread = simulateLoads(pod, { ...alone, clients: 10, over: 30 })
    expect(spread.last).to.be.within(50, 250)
    expect(spread.median).to.be.at.most(spread.last)
  })
})
