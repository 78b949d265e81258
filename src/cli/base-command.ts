import { Command, Flags } from '@oclif/core'
import { type Config, type FlagValues, loadConfig } from '../config/index.ts'
import { describeError, UsageFailure } from '../hub/index.ts'
import { LostClaim } from '../mirror/index.ts'
import { onRuntimeWarning } from './runtime-warnings.ts'

/** Exit codes: 0 done, 1 failed or problems found, 2 bad input, 75 lost its claim: run it again. */
export const exitCodes = { failure: 1, usage: 2, lostClaim: 75 } as const

type GlobalFlags = Partial<
  Record<'config' | 'local-directory' | 'gcs-bucket' | 'gcs-mount' | 'gcs-endpoint', string | undefined>
>

/** What every command has: where the configuration is, and one way to end badly. */
export abstract class BaseCommand extends Command {
  static override baseFlags = {
    config: Flags.string({ description: 'YAML configuration file (MIRRORFACE_CONFIG)', helpGroup: 'GLOBAL' }),
    'local-directory': Flags.string({
      description: 'directory of the mirrored repositories (MIRRORFACE_LOCAL_DIRECTORY)',
      helpGroup: 'GLOBAL',
    }),
    'gcs-bucket': Flags.string({
      description: 'bucket of the mirrored repositories, name[/prefix] (MIRRORFACE_GCS_BUCKET)',
      helpGroup: 'GLOBAL',
    }),
    'gcs-mount': Flags.string({
      description: 'where that bucket is mounted (MIRRORFACE_GCS_MOUNT)',
      helpGroup: 'GLOBAL',
    }),
    'gcs-endpoint': Flags.string({
      description: 'address of a GCS emulator (MIRRORFACE_GCS_ENDPOINT)',
      helpGroup: 'GLOBAL',
    }),
    debug: Flags.boolean({ description: 'print stack traces', helpGroup: 'GLOBAL' }),
  }

  protected override async init(): Promise<void> {
    await super.init()
    onRuntimeWarning((warning, isKnown) => {
      if (!isKnown) process.stderr.write(`mirrorface: warning: ${warning.message}\n`)
    })
  }

  /** The configuration with this command's flags on top, those that every command has included. */
  protected async loadConfig(flags: GlobalFlags, more: FlagValues = {}): Promise<Config> {
    const own = {
      localDirectory: flags['local-directory'],
      gcsBucket: flags['gcs-bucket'],
      gcsMount: flags['gcs-mount'],
      gcsEndpoint: flags['gcs-endpoint'],
    }
    return (await loadConfig({ flags: { ...own, ...more }, environment: process.env, file: flags.config })).config
  }

  /** One sentence on stderr; a stack only if asked for. */
  protected override async catch(error: Error & { oclif?: { exit?: number } }): Promise<void> {
    if (error.oclif?.exit === 0) return
    if (this.argv.includes('--debug')) process.stderr.write(`${error.stack ?? ''}\n`)
    process.stderr.write(`mirrorface: ${describeError(error)}\n`)
    this.exit(exitCodeOf(error))
  }

  protected print(text: string): void {
    process.stdout.write(`${text}\n`)
  }

  protected printJson(value: unknown): void {
    this.print(JSON.stringify(value, undefined, 2))
  }
}

function exitCodeOf(error: Error & { oclif?: { exit?: number } }): number {
  if (error instanceof LostClaim) return exitCodes.lostClaim
  return error instanceof UsageFailure || error.oclif?.exit === exitCodes.usage ? exitCodes.usage : exitCodes.failure
}
