import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { startMirrorFace, temporaryFolder } from '../../support/processes.ts'

describe("the Python MirrorFace's layout", () => {
  it('is served as it is', async () => {
    await using folder = await temporaryFolder()
    const content = Buffer.from('{"from": "python"}')
    const sha512 = createHash('sha512').update(content).digest('hex')
    const commit = 'c'.repeat(40)
    await mkdir(join(folder.path, 'blob'))
    await mkdir(join(folder.path, 'manifest'))
    await writeFile(join(folder.path, 'blob', sha512), content)
    const full = {
      manifest: {
        manifest_type: 'full',
        revision_hash: commit,
        files: { 'config.json': sha512, 'sub/other.json': sha512 },
      },
    }
    await writeFile(join(folder.path, 'manifest', `org--model__${commit}.json`), JSON.stringify(full))
    await writeFile(
      join(folder.path, 'manifest', 'org--model__main.json'),
      JSON.stringify({ manifest: { manifest_type: 'redirect', revision_hash: commit } }),
    )
    const server = await startMirrorFace(['--local-directory', folder.path, '--offline'])
    const response = await fetch(`${server.endpoint}/org/model/resolve/main/config.json`)
    expect(await response.text()).to.equal(content.toString())
    expect(response.headers.get('x-repo-commit')).to.equal(commit)
    expect(response.headers.get('etag')).to.equal(`"${sha512}"`)
    expect((await fetch(`${server.endpoint}/org/model/resolve/${commit}/sub/other.json`)).status).to.equal(200)
    const tree = (await (
      await fetch(`${server.endpoint}/api/models/org/model/tree/main?recursive=true`)
    ).json()) as Array<{ path: string; size: number }>
    expect(tree.map(({ path, size }) => [path, size])).to.deep.equal([
      ['sub', 0],
      ['config.json', content.length],
      ['sub/other.json', content.length],
    ])
    const absent = await fetch(`${server.endpoint}/org/model/resolve/main/absent`)
    expect(absent.headers.get('x-error-code')).to.equal('EntryNotFound')
    await server.stop()
  })
})
