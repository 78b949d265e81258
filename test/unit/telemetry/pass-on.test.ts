import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import { expect } from 'chai'
import fc from 'fast-check'
import { passOn } from '../../../src/telemetry/pass-on.ts'

/** Bytes in pieces, cut anywhere: within a character, too. */
function cutAt(text: string, places: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text)
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end))
}

describe('what workers write', () => {
  it('reaches the log in whole lines, each once and in order, however their pipes cut it', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\n', ' '))
    const worker = fc.tuple(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), fc.boolean())
    await fc.assert(
      fc.asyncProperty(fc.array(worker, { minLength: 1, maxLength: 3 }), async (workers) => {
        let log = ''
        const sources = workers.map(([lines, cuts, isCut], index) => {
          const said = lines.map((text) => `${index}:${text}`)
          // The last line of one that is killed has no end.
          const text = said.length === 0 ? '' : `${said.join('\n')}${isCut ? '' : '\n'}`
          const source = new PassThrough()
          passOn(source, { write: (written) => (log += written) })
          return { said, source, chunks: cutAt(text, cuts) }
        })
        for (let turn = 0; sources.some(({ chunks }) => turn < chunks.length); turn++)
          for (const { source, chunks } of sources) {
            const chunk = chunks[turn]
            if (chunk !== undefined && chunk.length > 0) source.write(chunk)
            await new Promise((resolve) => setImmediate(resolve))
          }
        for (const { source } of sources) source.end()
        await Promise.all(sources.map(({ source }) => finished(source)))
        const written = log.split('\n').slice(0, -1)
        expect(log === '' || log.endsWith('\n')).to.equal(true)
        for (const [index, { said }] of sources.entries())
          expect(written.filter((one) => one.startsWith(`${index}:`))).to.deep.equal(said)
        expect(written).to.have.length(sources.reduce((sum, { said }) => sum + said.length, 0))
      }),
      { numRuns: 200 },
    )
  })

  it('is not held back without a bound where a line never ends', async () => {
    const source = new PassThrough()
    let bytes = 0
    passOn(source, { write: (text) => (bytes += text.length) })
    for (let written = 0; written < 64; written++) source.write(Buffer.alloc(64 * 1024, 'x'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(bytes).to.be.at.least(3 * 1024 * 1024)
    source.destroy(new Error('killed'))
  })
})
