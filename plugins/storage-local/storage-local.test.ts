import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { describeStorage } from '../../test/conformance/index.ts'
import { openLocalStorage } from './local-storage.ts'

async function openFixture() {
  const directory = await mkdtemp(join(tmpdir(), 'mirrorface-local-'))
  const storage = await openLocalStorage({ directory, create: true })
  return {
    directory,
    storage,
    plugin: { url: new URL('./index.ts', import.meta.url).href, options: { directory } },
    put: async (key: string, content: Buffer) => {
      const path = join(directory, key)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, content)
    },
    dispose: () => rm(directory, { recursive: true, force: true }),
  }
}

describeStorage('local', openFixture)

describe('storage-local', () => {
  it('makes its directory', async () => {
    const fixture = await openFixture()
    const directory = join(fixture.directory, 'a', 'b')
    await (await openLocalStorage({ directory, create: true })).ready()
    await fixture.dispose()
  })

  it('says that the directory is missing if it must not make it', async () => {
    const open = openLocalStorage({ directory: '/nonexistent/mirror', create: false })
    expect((await open.catch((error: Error) => error)) as Error)
      .to.have.property('message')
      .that.matches(/\/nonexistent\/mirror does not exist/)
  })

  it('ends where a directory cannot be made', async () => {
    const open = openLocalStorage({ directory: '/proc/1/mirror', create: true })
    const error = await open.catch((failure: Error) => failure)
    expect(error).to.have.property('code', 'StorageUnavailable')
    expect(error)
      .to.have.property('message')
      .that.matches(/cannot make the directory \/proc\/1\/mirror: ENOENT/)
  })

  it('follows no symbolic link below the directory', async () => {
    const fixture = await openFixture()
    await symlink('/etc/passwd', join(fixture.directory, 'link'))
    await symlink('/etc', join(fixture.directory, 'folder'))
    expect(await fixture.storage.stat('link')).to.equal(undefined)
    expect(await fixture.storage.stat('folder/passwd')).to.equal(undefined)
    expect(await fixture.storage.read('folder/passwd').catch((error: Error) => error)).to.have.property(
      'code',
      'ObjectNotFound',
    )
    expect(await Array.fromAsync(fixture.storage.list(''))).to.deep.equal([])
    await fixture.dispose()
  })
})
