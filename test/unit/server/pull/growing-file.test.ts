import { rejects } from 'node:assert/strict'
import { readdir, readlink, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { FileTruncated } from '../../../../src/server/delivery/send-file.ts'
import { GrowingFile } from '../../../../src/server/pull/growing-file.ts'
import { temporaryFolder } from '../../../support/processes.ts'

describe('GrowingFile', () => {
  it('fails for every reader when another process cuts it, rather than waiting for bytes that never come', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'spooled')
    const growing = await GrowingFile.create(path, 3_000_000, () => undefined)
    await growing.append(Buffer.alloc(2_500_000))
    const content = growing.content(0)
    expect((await content.next()).value?.length).to.equal(1024 * 1024)
    await truncate(await openedFrom(path), 1024 * 1024)
    await rejects(content.next(), FileTruncated)
    expect(await growing.read(Buffer.alloc(10), 0, 10, 2_000_000)).to.include({ bytesRead: 0 })
    await growing.release()
  })
})

/** The name by which the kernel still knows a file of this process that has been unlinked. */
async function openedFrom(path: string): Promise<string> {
  for (const descriptor of await readdir('/proc/self/fd')) {
    const opened = `/proc/self/fd/${descriptor}`
    const target = await readlink(opened).catch(() => '')
    if (target.startsWith(path)) return opened
  }
  throw new Error(`${path} is not open`)
}
