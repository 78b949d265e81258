import { describeError, formatRepository } from '../hub/index.ts'
import { formatBytes } from './format.ts'
import type { MirrorRunReport } from './mirror-run.ts'

/** Results on stdout by `print`, failures on stderr. */
export function mirrorReport(print: (line: string) => void): MirrorRunReport {
  return {
    planned({ request, listing, present, missing, leftOut }) {
      const bytes = missing.reduce((sum, file) => sum + file.size, 0)
      print(`${request.repository.id}@${request.revision} is ${listing.commit}`)
      for (const file of missing) print(`  would fetch ${file.path} (${formatBytes(file.size)})`)
      print(
        `  ${missing.length} files to fetch (${formatBytes(bytes)}), ${present.length} here already, ${leftOut.length} left out`,
      )
    },
    mirrored({ request }, { commit, files, bytes, downloadedFiles, downloadedBytes }) {
      const fetched =
        downloadedFiles === 0
          ? 'nothing to fetch'
          : `${downloadedFiles} files fetched (${formatBytes(downloadedBytes)})`
      print(
        `${request.repository.id}@${request.revision} is mirrored at ${commit}: ${fetched}, ${files} files stored (${formatBytes(bytes)})`,
      )
    },
    failed({ repository, revision }, error) {
      process.stderr.write(`mirrorface: ${formatRepository(repository)}@${revision}: ${describeError(error)}\n`)
    },
  }
}
