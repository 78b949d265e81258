import { join } from 'node:path'
import { expect } from 'chai'
import { type HubRepository, StandInHub } from '../hub/index.ts'
import { addModel, modelId } from '../support/model.ts'
import { run, type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { clients } from './clients.ts'

const inChain = ['huggingface_hub 1.x, without Xet', 'huggingface_hub 2.x, with hf_xet', 'git clone, git lfs pull']

describe('real clients of a chain of three mirrors (fault 39)', function () {
  this.timeout(240_000)
  for (const redirects of ['pass', 'follow']) {
    describe(redirects, () => {
      const hub = new StandInHub()
      const mirrors: ServerProcess[] = []
      let folder: Awaited<ReturnType<typeof temporaryFolder>>
      let repository: HubRepository

      before(async () => {
        folder = await temporaryFolder()
        await hub.start()
        repository = await addModel(hub)
        Object.assign(repository.traits, { xet: true })
        const followed = ['--redirects', redirects, '--follow-hosts', new URL(hub.cdnUrl).host]
        for (let index = 0; index < 3; index++) {
          const upstream = mirrors[0]?.endpoint ?? hub.url
          const directory = join(folder.path, String(index))
          mirrors.unshift(
            await startMirrorFace(['--local-directory', directory, '--upstream-url', upstream, ...followed]),
          )
        }
      })

      after(async () => {
        for (const mirror of mirrors) await mirror.stop()
        await hub.stop()
        await folder[Symbol.asyncDispose]()
      })

      for (const client of clients.filter(({ name }) => inChain.includes(name))) {
        it(`${client.name}: ${client.does}`, async () => {
          const endpoint = mirrors[0]?.endpoint ?? ''
          const commit = repository.branches.get('main') ?? ''
          const files = [...(repository.commits.get(commit)?.files.values() ?? [])]
          await using home = await temporaryFolder()
          await client.use({
            endpoint,
            model: modelId,
            digests: Object.fromEntries(files.map((file) => [file.path, file.content.sha256])),
            commit,
            datasets: [],
            home: home.path,
            run: async (command, args, environment = {}) => {
              const finished = await run(command, args, {
                HOME: home.path,
                HF_HOME: join(home.path, 'hf'),
                HF_ENDPOINT: endpoint,
                HF_HUB_DISABLE_TELEMETRY: '1',
                ...environment,
              })
              expect(finished.code, `${command} ${args.join(' ')}\n${finished.stderr}\n${finished.stdout}`).to.equal(0)
              return finished
            },
          })
          // Nobody goes past the first of them, and everything goes through all.
          expect(mirrors[1]?.log.some(({ msg }) => msg === 'request')).to.equal(true)
        })
      }
    })
  }
})
