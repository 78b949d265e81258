import { expect } from 'chai'
import fc from 'fast-check'
import { chooseGguf, NoSuchGguf } from '../../../src/gguf/index.ts'

const labels = ['Q2_K', 'Q3_K_M', 'IQ4_XS', 'Q4_0', 'Q4_K_M', 'Q5_K_S', 'Q6_K', 'Q8_0', 'BF16', 'F16'] as const
const paths = labels.map((label) => `Tiny-Model-${label}.gguf`)

function anyCase(text: string): fc.Arbitrary<string> {
  return fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map((upper) => [...text].map((one, at) => (upper[at] ? one.toUpperCase() : one.toLowerCase())).join(''))
}

describe('chooseGguf', () => {
  it('finds every model by its quantisation, name and path, in any case', () => {
    const model = fc.tuple(fc.constantFrom(...labels), fc.constantFrom('', 'gguf/', 'UD/')).chain(([label, folder]) => {
      const path = `${folder}Tiny-Model-${label}.gguf`
      const tags = [label, path, `Tiny-Model-${label}.gguf`, `Tiny-Model-${label}`]
      return fc.tuple(fc.constant(path), fc.constant(label), fc.constantFrom(...tags).chain(anyCase))
    })
    fc.assert(
      fc.property(model, fc.shuffledSubarray(paths), ([path, label, tag], others) => {
        const all = [...others.filter((other) => !other.includes(`-${label}.`)), path, 'README.md', 'mmproj-F16.gguf']
        const chosen = chooseGguf(all, tag)
        expect(chosen).to.deep.equal({ path, quantization: label, isSharded: false, projector: 'mmproj-F16.gguf' })
      }),
    )
  })

  it('takes Q4_K_M for the latest, else the nearest that is smaller, else what there is', () => {
    expect(chooseGguf(paths, 'latest').quantization).to.equal('Q4_K_M')
    expect(chooseGguf(['m-Q8_0.gguf', 'm-IQ4_XS.gguf', 'm-Q2_K.gguf'], 'Latest').quantization).to.equal('IQ4_XS')
    expect(chooseGguf(['m-Q8_0.gguf', 'm-F16.gguf'], 'latest').quantization).to.equal('Q8_0')
    expect(chooseGguf(['weights.gguf'], 'latest')).to.include({ path: 'weights.gguf', quantization: undefined })
  })

  it('knows dynamic quantisations under both names, and the first part of a sharded model', () => {
    expect(chooseGguf(['m-UD-Q4_K_XL.gguf'], 'q4_k_xl').path).to.equal('m-UD-Q4_K_XL.gguf')
    expect(chooseGguf(['m-UD-Q4_K_XL.gguf'], 'ud-q4_k_xl').path).to.equal('m-UD-Q4_K_XL.gguf')
    const parts = ['Q8_0/m-Q8_0-00002-of-00002.gguf', 'Q8_0/m-Q8_0-00001-of-00002.gguf']
    expect(chooseGguf(parts, 'q8_0')).to.include({ path: parts[1], isSharded: true })
  })

  it('says what there is where a tag stands for nothing', () => {
    expect(() => chooseGguf(paths, 'q9_x')).to.throw(NoSuchGguf, /q9_x: it has Q2_K, /)
    expect(() => chooseGguf(['mmproj-F16.gguf', 'model.safetensors'], 'latest')).to.throw(NoSuchGguf, /no GGUF model/)
  })
})
