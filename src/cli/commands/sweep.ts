import { Flags } from '@oclif/core'
import { UsageFailure } from '../../hub/index.ts'
import { sweepStorage } from '../../mirror/index.ts'
import { formatBytes } from '../format.ts'
import { OneShotCommand } from '../one-shot-command.ts'
import { openExistingStorage } from '../open-storage.ts'

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export default class Sweep extends OneShotCommand {
  static override summary = 'Free content that no mirrored revision needs.'
  static override description =
    'Says what it would free; --yes frees it. What is younger than the grace period stays, for a mirror run under way may be about to need it.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --yes --grace 2d',
  ]
  static override flags = {
    yes: Flags.boolean({ description: 'free it' }),
    grace: Flags.string({ description: 'keep what is younger: 30m, 24h, 7d', default: '24h' }),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  #removes = false

  protected async perform(signal: AbortSignal): Promise<void> {
    const { flags } = await this.parse(Sweep)
    const grace = parseDuration(flags.grace)
    this.#removes = flags.yes
    const storage = await openExistingStorage(await this.loadConfig(flags))
    const swept = await sweepStorage(storage, { dryRun: !flags.yes, grace, signal })
    await storage.close()
    if (flags.json) this.printJson({ ...swept, dryRun: !flags.yes })
    else {
      const young = swept.spared === 0 ? '' : `; ${swept.spared} more are younger than ${flags.grace}`
      this.print(
        `${flags.yes ? 'freed' : 'would free'} ${formatBytes(swept.bytes)} in ${swept.blobs} blobs${young}${flags.yes ? '' : ' (--yes frees them)'}`,
      )
    }
  }

  protected override achieved(): string {
    return this.#removes ? 'what was freed stays freed; run it again for the rest' : super.achieved()
  }
}

function parseDuration(text: string): number {
  const match = /^(\d+)([smhd])$/.exec(text)
  if (match === null)
    throw new UsageFailure(`--grace: expected a number and s, m, h or d, such as 24h; found "${text}"`)
  return Number(match[1]) * (units[match[2] ?? ''] ?? 0)
}
