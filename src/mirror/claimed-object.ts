import type { OperationOptions, Storage } from '../plugin/index.ts'
import { changeObject, type Stamped } from './change-object.ts'
import type { Claim } from './manifest.ts'

/** An object in which runs have claims, each by its name. */
interface Claimed extends Stamped {
  readonly claims?: Readonly<Record<string, unknown>> | undefined
}

/** An object in which runs claim blobs before they name them: a manifest, or a journal entry. */
export interface ClaimedObject extends Claimed {
  /** It consists of claims only: to readers it is absent. */
  readonly pending?: true | undefined
  readonly claims?: Readonly<Record<string, Claim>> | undefined
}

/** The object less a run's claim. */
export function withoutClaim<T extends Claimed>(object: T, run: string): T {
  const claims = Object.fromEntries(Object.entries(object.claims ?? {}).filter(([name]) => name !== run))
  return { ...object, claims: Object.keys(claims).length === 0 ? undefined : claims }
}

/** Whether an object in which blobs are claimed holds nothing else, and no claim any more. */
export function isEmptyObject({ pending, claims }: ClaimedObject): boolean {
  return pending === true && claims === undefined
}

export interface BreakClaimOptions<T> extends OperationOptions {
  readonly storage: Storage
  readonly key: string
  parse(key: string, text: string): T
  /** Whether the object goes, for nothing is left of it. */
  isEmpty(object: T): boolean
  /** Whose claim. */
  readonly run: string
  /** Who takes it out. */
  readonly by: string
}

/** Takes a run's claim out of an object, which goes where that leaves nothing; resolves to whether it was still there. */
export async function breakClaim<T extends Claimed>({
  run,
  by,
  isEmpty,
  ...change
}: BreakClaimOptions<T>): Promise<boolean> {
  let wasThere = false
  await changeObject<T>({
    ...change,
    run: by,
    decide: (current) => {
      wasThere = current?.claims?.[run] !== undefined
      if (current === undefined || !wasThere) return 'keep'
      const without = withoutClaim(current, run)
      return isEmpty(without) ? 'remove' : { write: without }
    },
  })
  return wasThere
}
