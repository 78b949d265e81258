import { expect } from 'chai'
import { setStage } from '../../support/server.ts'

const repositories = { 'org/public': {}, 'org/private': { private: true }, 'org/gated': { gated: 'auto' } } as const

describe('the page for whoever reaches the server', () => {
  for (const access of ['open', 'hub'] as const)
    for (const servesNonPublic of [false, true])
      it(`shows what is public${servesNonPublic ? ', and the rest where serveNonPublic says so' : ' only'} (access: ${access})`, async () => {
        await using stage = await setStage(
          (hub) => {
            for (const [id, traits] of Object.entries(repositories))
              hub.add({ type: 'model', id, ...traits }).commit({ [`${id.slice(4)}-file.txt`]: 'x' })
          },
          ['--access', access, '--page'],
          { MIRRORFACE_SERVE_NON_PUBLIC: String(servesNonPublic) },
        )
        for (const id of Object.keys(repositories)) await stage.mirror(id, '--token', 'hf_valid')
        const overview = await (await fetch(stage.server.url)).text()
        for (const id of Object.keys(repositories)) {
          const isShown = id === 'org/public' || servesNonPublic
          expect(overview.includes(id), `${id} in the overview`).to.equal(isShown)
          const page = await fetch(`${stage.server.url}/-/repositories/models/${id}`)
          expect(page.status, id).to.equal(isShown ? 200 : 404)
          expect((await page.text()).includes(`${id.slice(4)}-file.txt`), id).to.equal(isShown)
        }
      })
})
