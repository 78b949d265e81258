import type { HubSource } from '../transfer/index.ts'
import { packageVersion } from './package-version.ts'

/** Parts of 4 MiB that a run may hold in memory: what bounds it whatever the size of the files. */
const partsInMemory = 8

/** The Hub as a source of repositories, with the token that was given or that its own clients saved. */
export async function openHub(
  endpoint: string,
  token: string | undefined,
  connections: number,
): Promise<HubSource & AsyncDisposable> {
  // Loaded only here: a command that asks no Hub starts in half the time without it.
  const { defaultRetryPolicy, findToken, NetworkHubClient, HubSource, PartMemory } = await import(
    '../transfer/index.ts'
  )
  const client = new NetworkHubClient({
    endpoint,
    token: token ?? (await findToken(process.env)),
    retries: defaultRetryPolicy,
    connections,
    userAgent: `mirrorface/${packageVersion()}`,
  })
  return Object.assign(new HubSource(client, new PartMemory(partsInMemory)), {
    [Symbol.asyncDispose]: () => client.close(),
  })
}
