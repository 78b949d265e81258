import { type StandInHub, syntheticContent } from '../hub/index.ts'

/**
 * Public repositories that the tests read at the Hub itself, as far as the tests know what is in
 * them; their content is made up.
 */
export function addProductionRepositories(hub: StandInHub): void {
  const attributes = { '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n' }
  const weights = { 'pytorch_model.bin': syntheticContent(65_074) }

  const dummy = hub.add({ type: 'model', id: 'julien-c/dummy-unknown' })
  const config = { 'config.json': 'x'.repeat(851) }
  const former = 'f2c752cfc5c0ab6f4bdec59acea69eefbee381c2'
  dummy.commit({ ...attributes, ...config, ...weights }, { title: 'add the model', id: former })
  const older = '44c70f043cfe8162efc274ff531575e224a0e6f0'
  dummy.commit({ ...attributes, ...config, ...weights }, { title: 'an older one', id: older })
  dummy.commit({ ...attributes, 'config.json': 'x'.repeat(496), 'README.md': '# Dummy', ...weights })
  dummy.commit({ ...attributes, ...config }, { ref: 'refs/pr/1', title: 'a pull request' })

  hub.add({ type: 'model', id: 'hf-internal-testing/dummy-renamed' }).commit({ ...attributes, ...config })
  hub.renamed.set('models/hf-internal-testing/dummy-will-be-renamed', 'hf-internal-testing/dummy-renamed')

  const layout = hub.add({ type: 'model', id: 'hf-internal-testing/hfh-cache-layout' })
  const files = (...numbers: number[]) =>
    Object.fromEntries(numbers.map((number) => [`file_${number}.txt`, `File ${number}\n`]))
  layout.commit({ ...attributes, ...files(0) })
  layout.branches.set('file-2', layout.commit({ ...attributes, ...files(0, 1, 2) }, { ref: 'refs/pr/1' }))
  layout.branches.set('file-3', layout.commit({ ...attributes, ...files(0, 1, 3) }, { ref: 'refs/pr/1' }))
  layout.otherRefs.clear()

  const gpt2 = hub.add({ type: 'model', id: 'openai-community/gpt2' })
  const card = { 'README.md': '---\nlicense: mit\ntags:\n- exbert\n---\n\n# GPT-2\n' }
  gpt2.commit({ ...attributes, ...card, ...config, 'model.safetensors': syntheticContent(100_000, 2) })
  hub.renamed.set('models/gpt2', 'openai-community/gpt2')

  const xet = hub.add({ type: 'model', id: 'celinah/dummy-xet-testing', xet: true })
  xet.commit({ ...attributes, 'dummy.txt': 'regular', 'dummy.safetensors': syntheticContent(300_000, 3) })

  const chat = hub.add({ type: 'model', id: 'openchat/openchat_3.5' })
  chat.commit({ ...attributes, ...config })
  for (const number of [1, 2]) chat.commit({ ...attributes, ...card }, { ref: `refs/pr/${number}` })

  const admin = hub.add({ type: 'dataset', id: 'bigcode/admin' })
  admin.commit({ ...attributes, ...card })
  admin.commit({ ...attributes, 'default/train/0000.parquet': 'PAR1' }, { ref: 'refs/convert/parquet' })

  const kernel = hub.add({ type: 'kernel', id: 'kernels-community/relu' })
  const benchmark = { 'benchmarks/benchmark.py': 'print()\n', 'build/torch-universal/relu/__init__.py': '' }
  const v1 = kernel.commit({ ...attributes, ...benchmark }, { title: 'first version' })
  kernel.branches.set('v1', v1)
  kernel.commit({ ...attributes, ...card, ...benchmark })

  for (const [type, id] of [
    ['model', 't5-small'],
    ['model', 'Qwen/Qwen3-0.6B'],
    ['model', 'zai-org/GLM-5.2'],
    ['dataset', 'rajpurkar/squad'],
    ['dataset', 'HuggingFaceFW/fineweb'],
    ['dataset', 'openai/gsm8k'],
    ['dataset', 'lhoestq/custom_squad'],
    ['space', 'mteb/leaderboard'],
    ['space', 'gradio/theme_builder'],
    ['space', 'gradio/hello_world'],
    ['space', 'gradio/calculator'],
    ['space', 'multimodalart/dreambooth-training'],
    ['space', 'black-forest-labs/FLUX.1-dev'],
  ] as const)
    hub.add({ type, id }).commit({ ...attributes, ...card, ...config })
}
