import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { startMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { type Stage, setStage } from '../../support/server.ts'

const repositories = { public: 'org/shown', private: 'org/hidden', gated: 'org/closed', denied: 'org/denied' } as const
type Visibility = keyof typeof repositories
const visibilities: readonly Visibility[] = ['public', 'private', 'gated', 'denied']

/** What a client without credentials may see. */
const modes: readonly { readonly settings: string; readonly shown: readonly Visibility[] }[] = [
  { settings: 'access: open', shown: ['public'] },
  { settings: 'access: open\nserveNonPublic: true', shown: ['public', 'private', 'gated'] },
  { settings: 'access: hub', shown: ['public'] },
  { settings: 'access: tokens\naccessTokens: [{token: team-a-token}]', shown: [] },
]

describe('the page', () => {
  let stage: Stage
  before(async () => {
    stage = await setStage((hub) => {
      const files = { 'config.json': '{}' }
      hub.add({ type: 'model', id: repositories.public }).commit(files)
      hub.add({ type: 'model', id: repositories.private, private: true }).commit(files)
      hub.add({ type: 'model', id: repositories.gated, gated: 'manual' }).commit(files)
      hub.add({ type: 'model', id: repositories.denied }).commit(files)
    })
    for (const id of Object.values(repositories)) await stage.mirror(id, '--token', 'hf_valid')
  })
  after(async () => await stage[Symbol.asyncDispose]())

  for (const { settings, shown } of modes)
    it(`names what anybody may see, and tells nothing of the rest: ${settings.replaceAll('\n', ', ')}`, async () => {
      await using folder = await temporaryFolder()
      const config = join(folder.path, 'config.yaml')
      await writeFile(config, `${settings}\npage: true\ndeny: [${repositories.denied}]\n`)
      const server = await startMirrorFace(
        ['--local-directory', stage.directory, '--upstream-url', stage.hub.url, '--config', config],
        {},
      )
      try {
        // Whoever looks first, with whatever rights, the page is that of anybody.
        for (const authorization of ['Bearer hf_valid', 'Bearer team-a-token', undefined]) {
          const headers = authorization === undefined ? {} : { authorization }
          const ask = async (path: string) => await fetch(server.url + path, { headers })
          for (const visibility of visibilities) {
            const path = `${repositories[visibility]}/resolve/main/config.json`
            await (await fetch(`${server.endpoint}/${path}`, { headers })).arrayBuffer()
          }
          for (const page of ['/', '/-/misses']) {
            const text = await (await ask(page)).text()
            const named = visibilities.filter((visibility) => text.includes(repositories[visibility]))
            expect(named, page).to.deep.equal(page === '/' ? shown : [])
          }
          for (const visibility of visibilities) {
            const answer = await ask(`/-/repositories/models/${repositories[visibility]}`)
            expect([visibility, answer.status]).to.deep.equal([visibility, shown.includes(visibility) ? 200 : 404])
            expect((await answer.text()).includes('config.json')).to.equal(shown.includes(visibility))
          }
        }
      } finally {
        await server.stop()
      }
    })
})
