import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import fc from 'fast-check'
import { BodyReader, Failure, type RequestBody } from '../../../src/plugin/index.ts'
import { runs } from '../../support/runs.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)

class Sent implements RequestBody {
  readonly bytes = undefined
  readonly length = undefined
  readonly isSpent = false
  readonly stream = new PassThrough({ highWaterMark: 1 << 20 })
  readonly over = new AbortController()
  outcome: number | Uint8Array | undefined

  take(): PassThrough {
    return this.stream
  }

  begin(reader: BodyReader): void {
    reader.read(this, this.over.signal).then(
      (bytes) => {
        this.outcome = bytes
      },
      (error: unknown) => {
        this.outcome = error instanceof Failure ? error.status : 0
      },
    )
  }
}

/** All that happens for one byte has happened by then. */
async function settled(): Promise<void> {
  for (let count = 0; count < 4; count++) await turn()
}

describe(`bodies that are read whole (seed ${seed})`, () => {
  it('take no more together than they may, until their requests are over, whatever is sent in which order', async () => {
    const memory = 100_000
    const largest = 30_000
    const step = fc.record({
      body: fc.nat(7),
      what: fc.constantFrom('send', 'send', 'send', 'send', 'end', 'over'),
      size: fc.nat(12_000),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const reader = new BodyReader({ memory, largest })
        const bodies = new Map<number, Sent>()
        const sent = new Map<Sent, number>()
        for (const { body: number, what, size } of steps) {
          let body = bodies.get(number)
          if (body === undefined) {
            body = new Sent()
            bodies.set(number, body)
            body.begin(reader)
          }
          if (what === 'over') {
            body.over.abort(new Error('over'))
            bodies.delete(number)
          } else if (!body.stream.writableEnded && !body.stream.destroyed) {
            if (what === 'end') body.stream.end()
            else {
              body.stream.write(Buffer.alloc(size, number))
              sent.set(body, (sent.get(body) ?? 0) + size)
            }
          }
          await settled()
          const running = [...bodies.values()]
          const held = running
            .filter(({ outcome }) => typeof outcome !== 'number')
            .reduce((sum, one) => sum + (sent.get(one) ?? 0), 0)
          expect(held).to.be.at.most(memory)
          for (const one of running) {
            const size = sent.get(one) ?? 0
            if (typeof one.outcome === 'number') expect(one.outcome).to.equal(size > largest ? 413 : 503)
            else expect(size).to.be.at.most(largest)
            if (one.outcome instanceof Uint8Array) expect(one.outcome).to.have.length(size)
          }
        }
        for (const body of bodies.values()) body.over.abort(new Error('over'))
        await settled()
        // All of it is there again.
        const last = Array.from({ length: 3 }, () => new Sent())
        for (const body of last) {
          body.begin(reader)
          body.stream.end(Buffer.alloc(largest, 7))
        }
        await settled()
        for (const { outcome } of last) expect(outcome).to.deep.equal(Buffer.alloc(largest, 7))
      }),
      { numRuns: runs(200), seed },
    )
  })

  it('cost what they hold, in pieces however small', async () => {
    const reader = new BodyReader({ memory: 16_384 })
    const body = new Sent()
    body.begin(reader)
    for (let count = 0; count < 8_000; count++) body.stream.write('x')
    body.stream.end()
    await settled()
    expect(body.outcome).to.have.length(8_000)
  })
})
