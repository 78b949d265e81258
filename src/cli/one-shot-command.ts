import { BaseCommand } from './base-command.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import type { FailureReport } from './explain-failure.ts'
import { interruption } from './interruption.ts'

/** What a document says of a failure. */
export type ReportedError = Pick<FailureReport, 'code' | 'message'>

/**
 * A command that ends by itself: an interruption ends it within a second, and `--json` prints exactly one
 * document, however it ends.
 */
export abstract class OneShotCommand extends BaseCommand {
  #documentPrinted = false

  async run(): Promise<void> {
    interruption.signal.throwIfAborted()
    await interruption.bound(this.perform(interruption.signal))
  }

  /** The command's work. Rejects when `signal` is aborted; it may be abandoned soon after, wherever it stands. */
  protected abstract perform(signal: AbortSignal): Promise<void>

  /** What an interrupted run has achieved, and what to do next, as the second half of a sentence. */
  protected achieved(): string {
    return 'nothing was changed'
  }

  /** The document of a run that failed, with what is known so far. */
  protected documentOfFailure(error: ReportedError): unknown {
    return { error }
  }

  protected override explain(error: unknown): FailureReport {
    const report = super.explain(error)
    if (report.code !== 'Interrupted') return report
    return { ...report, message: `${report.message}: ${this.achieved()}` }
  }

  protected override async catch(error: Error): Promise<void> {
    const { signal } = interruption
    // The cursor may be hidden by a bar that nobody came to stop.
    if (signal.aborted && process.stderr.isTTY) process.stderr.write('\r\u001b[K\u001b[?25h')
    if (!this.#documentPrinted && this.#wantsJson()) {
      const { code, message } = this.explain(error)
      this.printJson(this.documentOfFailure({ code, message }))
    }
    await super.catch(error)
  }

  protected override printJson(value: unknown): void {
    this.#documentPrinted = true
    super.printJson(value)
  }

  /** The exit code of a run that did its work. */
  protected finishWith(code: ExitCode): void {
    process.exitCode = code
  }

  /** Also where the flags could not be parsed. */
  #wantsJson(): boolean {
    const end = this.argv.indexOf('--')
    return (end === -1 ? this.argv : this.argv.slice(0, end)).includes('--json')
  }
}

/** A command that only looks: failing to look is no verdict on what is there. */
export abstract class InspectingCommand extends OneShotCommand {
  protected override readonly failureCode = exitCodes.badInput
}
