import { Flags } from '@oclif/core'
import { fetchMisses } from '../fetch-misses.ts'
import { formatBytes, formatTable } from '../format.ts'
import { InspectingCommand } from '../one-shot-command.ts'

export default class Misses extends InspectingCommand {
  static override summary = 'List what clients wanted of a running server and it did not have.'
  static override description =
    'Reads, counted since the server started, of what is not mirrored meanwhile: the 500 repositories wanted most. `mirrorface mirror --from-misses` mirrors them.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --server http://mirrorface:8000',
    '<%= config.bin %> <%= command.id %> --server http://mirrorface:8000 --sort bytes --json',
  ]
  static override flags = {
    server: Flags.string({ description: "the server's URL", default: 'http://127.0.0.1:8000' }),
    sort: Flags.option({
      options: ['requests', 'bytes'] as const,
      description: 'order',
      default: 'requests' as const,
    })(),
    limit: Flags.integer({ description: 'at most so many', min: 1, default: 50 }),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  protected async perform(signal: AbortSignal): Promise<void> {
    const { flags } = await this.parse(Misses)
    const misses = (await fetchMisses(flags.server, signal))
      .toSorted((a, b) => b[flags.sort] - a[flags.sort])
      .slice(0, flags.limit)
    if (flags.json) return this.printJson({ misses })
    if (misses.length === 0) return this.print('nothing was missed')
    const rows = misses.map(({ type, id, requests, bytes, lastAt }) => [
      type,
      id,
      String(requests),
      formatBytes(bytes),
      lastAt,
    ])
    this.print(formatTable(['TYPE', 'REPOSITORY', 'REQUESTS', 'BYTES', 'LAST'], rows))
  }
}
