import { Command, Errors, Flags } from '@oclif/core'
import { type Config, type FlagValues, type LoadedConfig, loadConfig } from '../config/index.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { explainFailure, type FailureReport } from './explain-failure.ts'
import { onRuntimeWarning } from './runtime-warnings.ts'

type GlobalFlags = Partial<
  Record<'config' | 'local-directory' | 'gcs-bucket' | 'gcs-mount' | 'gcs-endpoint', string | undefined>
> & { readonly storage?: string[] | undefined }

/** What every command has: where the configuration is, and one way to end badly. */
export abstract class BaseCommand extends Command {
  /** Of a failure that is neither bad input nor an interruption. */
  protected readonly failureCode: ExitCode = exitCodes.failed

  static override baseFlags = {
    config: Flags.string({ description: 'YAML configuration file (MIRRORFACE_CONFIG)', helpGroup: 'GLOBAL' }),
    storage: Flags.string({
      description:
        'storage by URL: file:///directory, gs://bucket/prefix, s3://bucket/prefix, az://account/container/prefix, gcs-mount:///directory; again for another to ask after it (MIRRORFACE_STORAGE)',
      helpGroup: 'GLOBAL',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'local-directory': Flags.string({
      description: 'the same as --storage file:… (MIRRORFACE_LOCAL_DIRECTORY)',
      helpGroup: 'GLOBAL',
    }),
    'gcs-bucket': Flags.string({
      description: 'the same as --storage gs://name[/prefix] (MIRRORFACE_GCS_BUCKET)',
      helpGroup: 'GLOBAL',
    }),
    'gcs-mount': Flags.string({
      description: 'the same as --storage gcs-mount:… (MIRRORFACE_GCS_MOUNT)',
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
    // Whoever read it has gone: there is nobody to be told. Of standard output oclif says the same.
    process.stderr.on('error', () => undefined)
    onRuntimeWarning((warning, isKnown) => {
      if (!isKnown) process.stderr.write(`mirrorface: warning: ${warning.message}\n`)
    })
  }

  /** The configuration with this command's flags on top, those that every command has included. */
  protected async loadConfig(flags: GlobalFlags, more: FlagValues = {}): Promise<Config> {
    return (await this.loadConfigWithOrigins(flags, more)).config
  }

  protected async loadConfigWithOrigins(flags: GlobalFlags, more: FlagValues = {}): Promise<LoadedConfig> {
    const own = {
      storages: flags.storage,
      localDirectory: flags['local-directory'],
      gcsBucket: flags['gcs-bucket'],
      gcsMount: flags['gcs-mount'],
      gcsEndpoint: flags['gcs-endpoint'],
    }
    return await loadConfig({ flags: { ...own, ...more }, environment: process.env, file: flags.config })
  }

  /** One sentence on stderr, a stack only if asked for, and the exit code. */
  protected override async catch(error: Error): Promise<void> {
    if (error instanceof Errors.ExitError) throw error
    const report = this.explain(error)
    if (this.argv.includes('--debug')) process.stderr.write(`${error.stack ?? ''}\n`)
    process.stderr.write(`mirrorface: ${report.message}\n`)
    this.exit(report.exitCode)
  }

  protected explain(error: unknown): FailureReport {
    return explainFailure(error, this.failureCode, Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags }))
  }

  protected print(text: string): void {
    process.stdout.write(`${text}\n`)
  }

  protected printJson(value: unknown): void {
    this.print(JSON.stringify(value, undefined, 2))
  }
}
