import { expect } from 'chai'
import fc from 'fast-check'
import { sharedHeaders } from '../../../plugins/upstream-hub/request-headers.ts'
import { answerOf, bodyOf, upstreamRequest } from '../../conformance/index.ts'
import { openHub, parseRequests, rawHeader, startRawServer } from './stage.ts'

const seed = 20261125

describe('questions whose answers are shared', () => {
  it('are asked with nothing that one client chose, beyond what tells answers apart', () => {
    const name = fc.constantFrom(
      'x-hf-a',
      'accept-language',
      'user-agent',
      'content-type',
      'if-range',
      'accept',
      'cookie',
    )
    const sent = fc.dictionary(name, fc.string({ maxLength: 2_000 }))
    fc.assert(
      fc.property(sent, sent, (one, other) => {
        const accept = fc.sample(fc.constantFrom('*/*', 'application/json'), { numRuns: 1, seed })[0] ?? ''
        const [first, second] = [one, other].map((headers) => sharedHeaders({ ...headers, accept }))
        expect(first).to.deep.equal(second)
      }),
      { numRuns: 2_000, seed },
    )
  })

  it('are not refused to all for the header of one', async () => {
    // A Hub that takes no more than 8 KiB of headers.
    await using server = await startRawServer((socket, received) => {
      const text = received.toString('latin1')
      if (!text.endsWith('\r\n\r\n') || 'answered' in socket) return
      Object.assign(socket, { answered: true })
      const status = text.length > 8192 ? '431 Too Large' : '200 OK'
      socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`)
    })
    const hub = await openHub({ url: server.url })
    const ask = async (headers: Record<string, string>) => {
      const answer = await answerOf(hub, upstreamRequest('/api/models/o/n', { headers }))
      await bodyOf(answer)
      return answer.status
    }
    const large = 'a'.repeat(20_000)
    const attacks = [{ 'x-hf-a': large }, { 'user-agent': large }, { via: `1.1 ${large}` }, { accept: large }]
    const [alone, ...together] = await Promise.all([...attacks, {}, {}, {}].map(ask).toReversed())
    expect([alone, ...together].slice(0, 3)).to.deep.equal([200, 200, 200])
    for (const request of server.received.flatMap((bytes) => parseRequests(bytes)))
      expect((rawHeader(request, 'x-hf-a') ?? '').length).to.equal(0)
    await hub.close()
  })
})
