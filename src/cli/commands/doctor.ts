import { Flags } from '@oclif/core'
import { BaseCommand, exitCodes } from '../base-command.ts'
import { examine, type Finding } from '../examine.ts'

const marks: Readonly<Record<Finding['state'], string>> = { good: 'ok  ', doubtful: 'warn', bad: 'FAIL' }

export default class Doctor extends BaseCommand {
  static override summary = 'Check configuration, storages, permissions, mount, Hub and clock, and say what to do.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --gcs-mount /mnt/models --json',
  ]
  static override flags = {
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    token: Flags.string({ description: 'access token (HF_TOKEN, or what `hf auth login` saved)' }),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Doctor)
    const config = await this.loadConfig(flags, { upstreamUrl: flags['upstream-url'] })
    const findings = await examine(config, flags.token)
    if (flags.json) this.printJson(findings)
    else
      for (const { state, subject, message, advice } of findings)
        this.print(`${marks[state]}  ${subject}: ${message}${advice === undefined ? '' : `\n      ${advice}`}`)
    if (findings.some(({ state }) => state === 'bad')) this.exit(exitCodes.failure)
  }
}
