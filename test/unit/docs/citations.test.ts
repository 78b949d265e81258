import { readdir, readFile } from 'node:fs/promises'
import { expect } from 'chai'

const root = new URL('../../../', import.meta.url)

/** A page by its path, and what of it is meant: a rule's number, which the next change of the page moves, or a title. */
const citation = /(?:"([^"\n]+)" of )?(docs\/[a-z-]+\.md)(?:, (?:(rules? \d+)|"([^"\n]+)"))?/g

describe('comments that cite a page', () => {
  it('cite titles that are there, and no numbers', async () => {
    const wrong: string[] = []
    let cited = 0
    for (const folder of ['src/', 'plugins/', 'bin/'])
      for (const name of await readdir(new URL(folder, root), { recursive: true })) {
        if (!name.endsWith('.ts') || name.includes('node_modules')) continue
        const code = await readFile(new URL(folder + name, root), 'utf8')
        for (const [whole, before, page = '', number, behind] of code.matchAll(citation)) {
          const text = await readFile(new URL(page, root), 'utf8').catch(() => undefined)
          const title = before ?? behind
          if (title !== undefined) cited++
          const isThere = title === undefined || text?.includes(`## ${title}\n`) || text?.includes(`**${title}**`)
          if (text === undefined || number !== undefined || !isThere) wrong.push(`${folder}${name}: ${whole}`)
        }
      }
    expect(wrong).to.deep.equal([])
    expect(cited, 'citations that were looked up').to.be.greaterThan(3)
  })
})
