import { type OperationOptions, retryTransient as repeat } from 'mirrorface/plugin'
import { isTransient } from './gcs-errors.ts'

/** {@link repeat} for what this service's client calls its errors. */
export async function retryTransient<T>(
  act: (earlier: number) => Promise<T>,
  options: OperationOptions = {},
): Promise<T> {
  return await repeat(act, isTransient, options)
}
