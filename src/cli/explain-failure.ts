import { Errors } from '@oclif/core'
import { closestName, didYouMean } from '../config/closest-name.ts'
import { describeError, Failure, UsageFailure } from '../hub/index.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { interruption } from './interruption.ts'

/** A failure as the command line reports it: one sentence, a stable code, and what the process exits with. */
export interface FailureReport {
  readonly code: string
  readonly message: string
  readonly exitCode: ExitCode
}

/** The code of `ClaimLost` in src/mirror, which is not loaded for this. */
const claimLost = 'ClaimLost'

/**
 * `otherwise` is the exit code of a failure that is neither bad input nor an interruption; `flags` are the names
 * that may be suggested for a misspelt one.
 */
export function explainFailure(
  error: unknown,
  otherwise: ExitCode = exitCodes.failed,
  flags: readonly string[] = [],
): FailureReport {
  if (error instanceof UsageFailure) return { code: error.code, message: error.message, exitCode: exitCodes.badInput }
  if (error instanceof Errors.CLIError)
    return { code: 'BadInput', message: explainParserError(error, flags), exitCode: exitCodes.badInput }
  // Whatever fails once the run was told to stop fails because of that.
  if (interruption.signal.aborted)
    return { code: 'Interrupted', message: describeError(interruption.signal.reason), exitCode: exitCodes.partlyDone }
  const code = error instanceof Failure ? error.code : 'Unexpected'
  return { code, message: describeError(error), exitCode: code === claimLost ? exitCodes.claimLost : otherwise }
}

/** The parser's messages span several lines: the rule, then what violated it, then a hint. */
function explainParserError(error: Error, flags: readonly string[]): string {
  const lines = error.message
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('See more help'))
  const message = lines.join(' ').replace(/^Parsing (--\S+) /, '$1: ')
  const unknown = 'flags' in error && Array.isArray(error.flags) ? String(error.flags[0]) : undefined
  const suggestion = unknown === undefined ? undefined : closestName(unknown.replace(/^-+/, ''), flags)
  return message + didYouMean(suggestion === undefined ? undefined : `--${suggestion}`)
}
