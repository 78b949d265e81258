import { z } from 'zod'
import { describeError, Failure, isRepositoryId, repositoryTypes, UsageFailure } from '../hub/index.ts'

const missesSchema = z.object({
  misses: z.array(
    z.object({
      type: z.enum(repositoryTypes),
      id: z.string().refine(isRepositoryId, 'not a repository id'),
      requests: z.int().nonnegative(),
      /** Body bytes. */
      bytes: z.int().nonnegative(),
      lastAt: z.iso.datetime(),
    }),
  ),
})
export type CountedMiss = z.infer<typeof missesSchema>['misses'][number]

/** What a running server was asked for and did not have, most requests first. */
export async function fetchMisses(server: string, signal: AbortSignal): Promise<CountedMiss[]> {
  if (!URL.canParse(server)) throw new UsageFailure(`"${server}" is no URL: expected http://host:8000`)
  const url = new URL('/-/misses', server)
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) })
    if (!response.ok) throw new Error(`it answered ${response.status}; its setting "page" must be on`)
    return missesSchema.parse(await response.json()).misses
  } catch (error) {
    throw new Failure('ServerUnreachable', 502, `${url.href} gives no list of misses: ${describeError(error)}`, {
      cause: error,
    })
  }
}
