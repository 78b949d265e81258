import type { OperationOptions, Storage } from '../plugin/index.ts'
import { changeObject, type Stamped } from './change-object.ts'
import type { Claim } from './manifest.ts'

/** An object in which runs claim blobs before they name them: a manifest, or a journal entry. */
export interface ClaimedObject extends Stamped {
  /** It consists of claims only: to readers it is absent. */
  readonly pending?: true | undefined
  /** By run. */
  readonly claims?: Readonly<Record<string, Claim>> | undefined
}

/** The object less a run's claim. */
export function withoutClaim<T extends ClaimedObject>(object: T, run: string): T {
  const claims = Object.fromEntries(Object.entries(object.claims ?? {}).filter(([name]) => name !== run))
  return { ...object, claims: Object.keys(claims).length === 0 ? undefined : claims }
}

export interface BreakClaimOptions<T> extends OperationOptions {
  readonly storage: Storage
  readonly key: string
  parse(key: string, text: string): T
  /** Whose claim. */
  readonly run: string
  /** Who takes it out. */
  readonly by: string
}

/** Takes a run's claim out of an object, which goes where it consists of nothing else. */
export async function breakClaim<T extends ClaimedObject>({ run, by, ...change }: BreakClaimOptions<T>): Promise<void> {
  await changeObject<T>({
    ...change,
    run: by,
    decide: (current) => {
      if (current?.claims?.[run] === undefined) return 'keep'
      const without = withoutClaim(current, run)
      return without.pending === true && without.claims === undefined ? 'remove' : { write: without }
    },
  })
}
