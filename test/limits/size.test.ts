import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { StandInHub } from '../hub/index.ts'
import { runMirrorFace, temporaryFolder } from '../support/processes.ts'

/** Files of the repository. With 100,000 `mirror` takes more than the limit still: see bench/README.md. */
const count = Number(process.env.SIZE_FILES ?? 5000)

const preload = fileURLToPath(new URL('./watch-event-loop.ts', import.meta.url))

describe(`a repository of ${count} files`, function () {
  this.timeout(3_600_000)

  it('is mirrored, copied, listed, checked and swept in under 300 MiB', async () => {
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    const files = Array.from({ length: count }, (_, index) => [`folder-${index % 1000}/${index}.txt`, `${index}\n`])
    hub.add({ type: 'model', id: 'org/model' }).commit(Object.fromEntries(files))
    const storage = ['--local-directory', join(folder.path, 'storage')]
    const copy = ['--local-directory', join(folder.path, 'copy')]
    const watched = async (...args: string[]) => {
      const kept = join(folder.path, String(performance.now()))
      await mkdir(kept)
      const begun = performance.now()
      const finished = await runMirrorFace(args, {
        MIRRORFACE_UPSTREAM_URL: hub.url,
        NODE_OPTIONS: `--import=${preload}`,
        EVENT_LOOP_FOLDER: kept,
      })
      const seconds = (performance.now() - begun) / 1000
      expect(finished.code, finished.stderr).to.equal(0)
      const names = await readdir(kept)
      expect(names).to.have.length(1)
      const { peak, longest } = JSON.parse(await readFile(join(kept, names[0] ?? ''), 'utf8'))
      console.log(
        `      ${args.slice(0, 2).join(' ')}: ${seconds.toFixed(1)} s, peak ${peak.toFixed(0)} MiB, held ${longest.toFixed(0)} ms`,
      )
      expect(peak, args.join(' ')).to.be.within(30, 300)
      return finished.stdout
    }
    try {
      await watched('mirror', 'org/model', ...storage)
      await watched('mirror', 'org/model', '--source', join(folder.path, 'storage'), ...copy)
      await watched('list', ...storage)
      expect(await watched('verify', '--quick', ...copy)).to.match(/^sound: 1 repositories/)
      await watched('remove', 'org/model', ...copy)
      await watched('sweep', '--yes', '--grace', '0s', ...copy)
      expect((await readdir(join(folder.path, 'copy', 'blobs'), { recursive: true })).join()).not.to.match(
        /[0-9a-f]{64}/,
      )
    } finally {
      await hub.stop()
    }
  })
})
