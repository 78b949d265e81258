/** What a process tells its caller; the table in README.md is checked against the commands by `exit-codes.test.ts`. */
export const exitCodes = {
  done: 0,
  /** Problems were found, or the command failed. */
  failed: 1,
  /** Bad input, or (commands that only look) nothing could be checked. */
  badInput: 2,
  /** Interrupted, or some of several repositories failed: what was done is kept. */
  partlyDone: 3,
  /** `EX_TEMPFAIL`: another process took over this run's claim; running it again is safe. */
  claimLost: 75,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
