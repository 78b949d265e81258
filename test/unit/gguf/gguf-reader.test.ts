import { rejects } from 'node:assert/strict'
import { expect } from 'chai'
import fc from 'fast-check'
import { GgufReader, type GgufSource, GgufUnreadable } from '../../../src/gguf/index.ts'
import { ggufOf } from '../../support/gguf.ts'

const chatml =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"

function sourceOf(bytes: Buffer, key = 'k'): GgufSource & { readonly reads: [number, number][] } {
  const reads: [number, number][] = []
  return {
    key,
    path: 'model.gguf',
    size: bytes.length,
    reads,
    read: async (start, end) => {
      reads.push([start, end])
      return bytes.subarray(start, end + 1)
    },
  }
}

describe('GgufReader', function () {
  this.timeout(60_000)

  it('reads architecture, size and a template that Ollama understands, once for all who ask', async () => {
    const source = sourceOf(ggufOf({ architecture: 'qwen2', template: chatml, weights: 1_000_000 }))
    const reader = new GgufReader()
    const asked = await Promise.all(Array.from({ length: 5 }, () => reader.facts(source)))
    for (const facts of asked) expect(facts).to.equal(asked[0])
    expect(asked[0]).to.include({ architecture: 'qwen2', parameters: 1_000_000 })
    expect(asked[0]?.template).to.contain('<|im_start|>').and.to.contain('{{')
    expect(asked[0]?.stop).to.include('<|im_end|>')
    expect(source.reads, 'of the weights only what the first read had').to.have.length(1)
    expect(reader.known(source)).to.equal(asked[0])
  })

  it('reads a header as long as those of real models without holding up the process', async () => {
    const tokens = Array.from({ length: 150_000 }, (_, index) => `token-${index}`)
    const source = sourceOf(ggufOf({ tokens, template: chatml }))
    const before = process.threadCpuUsage()
    const facts = await new GgufReader().facts(source)
    const { user, system } = process.threadCpuUsage(before)
    expect((user + system) / 1000, 'milliseconds of this thread').to.be.below(100)
    expect(facts.parameters).to.equal(4096)
  })

  it('fails clearly, and soon, for whatever is no header', async () => {
    const reader = new GgufReader()
    const sound = ggufOf({ template: chatml })
    let number = 0
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.nat(sound.length - 4097).map((length) => sound.subarray(0, length)),
          fc.tuple(fc.nat(300), fc.uint8Array({ minLength: 1, maxLength: 16 })).map(([at, bytes]) => {
            const damaged = Buffer.from(sound)
            damaged.set(bytes, at)
            return damaged
          }),
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.concat([Buffer.from('GGUF'), bytes])),
        ),
        async (bytes) => {
          try {
            expect(await reader.facts(sourceOf(bytes, `k${number++}`))).to.have.property('architecture')
          } catch (error) {
            expect(error).to.be.instanceOf(GgufUnreadable)
          }
        },
      ),
      { numRuns: 40, seed: 20261201 },
    )
  })

  it('ends a header that says it is endless', async () => {
    const endless = Buffer.alloc(100)
    endless.write('GGUF')
    endless.writeUInt32LE(3, 4)
    endless.writeBigUInt64LE(2n ** 40n, 8)
    endless.writeBigUInt64LE(2n ** 40n, 16)
    const source = {
      ...sourceOf(endless),
      size: 2 ** 40,
      read: async (s: number, e: number) => new Uint8Array(e - s + 1),
    }
    await rejects(new GgufReader().facts(source), GgufUnreadable)
  })

  it('translates no template that never ends, and goes on with the next model', async () => {
    const loop = '{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}'
    const reader = new GgufReader()
    await rejects(reader.facts(sourceOf(ggufOf({ template: loop }), 'loop')), GgufUnreadable)
    const again = sourceOf(ggufOf({ template: loop }), 'loop')
    await rejects(reader.facts(again), GgufUnreadable)
    expect(again.reads, 'it is not tried again for a while').to.deep.equal([])
    expect(await reader.facts(sourceOf(ggufOf(), 'next'))).to.include({ template: undefined })
  })

  it("keeps nothing of a storage's failure, which is not the file's", async () => {
    const reader = new GgufReader()
    const source = sourceOf(ggufOf())
    const failing = { ...source, read: () => Promise.reject(new Error('the bucket is down')) }
    await rejects(reader.facts(failing), /the bucket is down/)
    expect(await reader.facts(source)).to.have.property('architecture', 'llama')
  })
})
