import { Failure } from '../hub/index.ts'

/** Somebody took the run's claim away: its target was removed, or it was judged dead. Running again is safe. */
export class LostClaim extends Failure {
  constructor(key: string, options?: ErrorOptions) {
    super(
      'LostClaim',
      409,
      `lost its claim on ${key}: it was removed meanwhile, or this run was taken for dead; run it again`,
      options,
    )
  }
}
