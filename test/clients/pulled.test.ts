import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { pythonOf } from '../support/model.ts'
import { run, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { setStage } from '../support/server.ts'

const script = fileURLToPath(new URL('scripts/snapshot_digests.py', import.meta.url))
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** What huggingface_hub gets, with nothing in its cache. */
async function snapshots(environment: string, endpoint: string, revisions: readonly string[]): Promise<unknown> {
  await using home = await temporaryFolder()
  const settings = { HOME: home.path, HF_HOME: home.path, HF_ENDPOINT: endpoint, HF_HUB_DISABLE_TELEMETRY: '1' }
  const { code, stdout, stderr } = await run(pythonOf(environment), [script, 'org/model', ...revisions], settings)
  expect(code, stderr).to.equal(0)
  return JSON.parse(stdout)
}

describe('a repository that huggingface_hub has pulled', function () {
  this.timeout(240_000)

  for (const environment of ['hub-0.20', 'hub-0.36', 'hub-1'])
    it(`is loaded again after a restart, with the Hub down or offline (${environment})`, async () => {
      const weights = syntheticContent(3_000_000, 3)
      let commit = ''
      await using stage = await setStage(
        (hub) => {
          const repository = hub.add({ type: 'model', id: 'org/model' })
          commit = repository.commit({ 'config.json': '{}', 'sub/empty.txt': '', 'w.safetensors': weights })
          repository.tags.set('v1', commit)
        },
        ['--pull-through', '--follow-hosts', '127.0.0.2'],
      )
      const files = { 'config.json': sha256('{}'), 'sub/empty.txt': sha256(''), 'w.safetensors': weights.sha256 }
      const refs = { main: commit, v1: commit }
      const first = await snapshots(environment, stage.server.endpoint, ['main'])
      expect(first).to.deep.equal({ snapshots: [files], sha: [commit], refs })
      await stage.server.stop()
      await stage.hub.stop()
      for (const args of [['--upstream-url', stage.hub.url], ['--offline']]) {
        const server = await startMirrorFace(['--local-directory', stage.directory, ...args])
        try {
          const again = await snapshots(environment, server.endpoint, ['main', 'v1', commit])
          expect(again, args[0]).to.deep.equal({
            snapshots: [files, files, files],
            sha: [commit, commit, commit],
            refs,
          })
        } finally {
          await server.stop()
        }
      }
    })
})
