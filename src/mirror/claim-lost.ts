import { Failure } from '../hub/index.ts'

/**
 * Another process took away this run's claim: it removed what the run was mirroring, or judged the run dead.
 * What was stored stays; running it again is safe. The command line exits with 75 (`EX_TEMPFAIL`).
 */
export class ClaimLost extends Failure {
  constructor(subject: string, options?: ErrorOptions) {
    super('ClaimLost', 409, `${subject}: the claim was lost (removed meanwhile, or judged dead); run it again`, options)
  }
}
