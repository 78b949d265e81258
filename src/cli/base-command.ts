import { Command, Flags } from '@oclif/core'
import { type Config, type FlagValues, loadConfig } from '../config/index.ts'
import { describeError, UsageFailure } from '../hub/index.ts'

/** Exit codes: 0 done, 1 failed or problems found, 2 bad input. */
export const exitCodes = { failure: 1, usage: 2 } as const

/** What every command has: where the configuration is, and one way to end badly. */
export abstract class BaseCommand extends Command {
  static override baseFlags = {
    config: Flags.string({ description: 'YAML configuration file (MIRRORFACE_CONFIG)', helpGroup: 'GLOBAL' }),
    'local-directory': Flags.string({
      description: 'directory of the mirrored repositories (MIRRORFACE_LOCAL_DIRECTORY)',
      helpGroup: 'GLOBAL',
    }),
    debug: Flags.boolean({ description: 'print stack traces', helpGroup: 'GLOBAL' }),
  }

  /** The configuration with this command's flags on top. */
  protected async loadConfig(flags: FlagValues, file: string | undefined): Promise<Config> {
    return (await loadConfig({ flags, environment: process.env, file })).config
  }

  /** One sentence on stderr; a stack only if asked for. */
  protected override async catch(error: Error & { oclif?: { exit?: number } }): Promise<void> {
    if (error.oclif?.exit === 0) return
    if (this.argv.includes('--debug')) process.stderr.write(`${error.stack ?? ''}\n`)
    const isUsage = error instanceof UsageFailure || error.oclif?.exit === exitCodes.usage
    process.stderr.write(`mirrorface: ${describeError(error)}\n`)
    this.exit(isUsage ? exitCodes.usage : exitCodes.failure)
  }

  protected print(text: string): void {
    process.stdout.write(`${text}\n`)
  }

  protected printJson(value: unknown): void {
    this.print(JSON.stringify(value, undefined, 2))
  }
}
