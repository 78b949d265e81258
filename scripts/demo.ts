/**
 * The whole product in one command, without internet: a stand-in Hub with a real model, a mirror of
 * it, a real client, and then the same client with the Hub switched off.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StandInHub } from '../test/hub/index.ts'
import { addModel, modelId, pythonOf } from '../test/support/model.ts'
import { run, runMirrorFace, startMirrorFace, temporaryFolder } from '../test/support/processes.ts'

const say = (text: string) => console.log(`\n\u001b[1m${text}\u001b[0m`)
const check = fileURLToPath(new URL('../test/clients/scripts/transformers_check.py', import.meta.url))

await using folder = await temporaryFolder()
const storage = join(folder.path, 'storage')

say('1. A stand-in for the Hugging Face Hub starts, with a small real model on it.')
const hub = await new StandInHub().start()
await addModel(hub)
console.log(`   ${hub.url} has ${modelId}`)

say(`2. mirrorface mirror ${modelId}: the model is copied into storage, every hash compared.`)
const mirrored = await runMirrorFace(['mirror', modelId, '--local-directory', storage, '--upstream-url', hub.url])
console.log(`   ${mirrored.stdout.trim()}`)
const verified = await runMirrorFace(['verify', '--local-directory', storage])
console.log(`   mirrorface verify: ${verified.stdout.trim()}`)

say('3. mirrorface serve: clients only set HF_ENDPOINT.')
const server = await startMirrorFace(['--local-directory', storage, '--upstream-url', hub.url])
console.log(`   HF_ENDPOINT=${server.endpoint}`)

say('4. transformers loads the model through MirrorFace.')
const before = hub.requests.length
await load()
console.log(`   the Hub was asked ${hub.requests.length - before} times`)

say('5. The Hub is switched off, and a new machine (an empty cache) loads the model again.')
await hub.stop()
await load()

say('6. What is not mirrored gets a clear answer instead of a hang.')
const response = await fetch(`${server.endpoint}/org/other/resolve/main/config.json`)
console.log(`   ${response.status} ${response.headers.get('x-error-message')}`)
await server.stop()
console.log('\nThat is all: the Hub may fail, the deployment does not.')

async function load(): Promise<void> {
  await using home = await temporaryFolder()
  const finished = await run(pythonOf('hub-2'), [check, modelId], { HF_ENDPOINT: server.endpoint, HF_HOME: home.path })
  if (finished.code !== 0) throw new Error(finished.stderr)
  const { version, tokens, tensors } = JSON.parse(finished.stdout)
  console.log(
    `   transformers ${version}: "mirror, mirror on the wall" is ${JSON.stringify(tokens)}; ${tensors} tensors loaded`,
  )
}
