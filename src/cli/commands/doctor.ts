import { Flags } from '@oclif/core'
import { examine } from '../examine.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Finding } from '../finding.ts'
import { OneShotCommand, type ReportedError } from '../one-shot-command.ts'

const marks: Readonly<Record<Finding['state'], string>> = { good: 'ok  ', doubtful: 'warn', bad: 'FAIL' }

export default class Doctor extends OneShotCommand {
  static override summary = 'Check configuration, storages, permissions, mount, Hub and clock, and say what to do.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --storage gcs-mount:///mnt/models --json',
  ]
  static override flags = {
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    token: Flags.string({ description: 'access token (HF_TOKEN, or what `hf auth login` saved)' }),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  readonly #findings: Finding[] = []

  protected async perform(signal: AbortSignal): Promise<void> {
    const { flags } = await this.parse(Doctor)
    const config = await this.loadConfig(flags, { upstreamUrl: flags['upstream-url'] })
    const findings = this.#findings
    for await (const finding of examine(config, flags.token, signal)) findings.push(finding)
    if (flags.json) this.printJson(findings.map(({ isBadInput: _, ...finding }) => finding))
    else
      for (const { state, subject, message, advice } of findings)
        this.print(`${marks[state]}  ${subject}: ${message}${advice === undefined ? '' : `\n      ${advice}`}`)
    if (findings.some(({ isBadInput }) => isBadInput === true)) this.finishWith(exitCodes.badInput)
    else if (findings.some(({ state }) => state === 'bad')) this.finishWith(exitCodes.failed)
  }

  protected override documentOfFailure(error: ReportedError): unknown {
    return [...this.#findings, { error }]
  }
}
