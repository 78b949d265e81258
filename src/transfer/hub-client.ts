import type { Readable } from 'node:stream'
import { describeError, ListingTooLarge } from '../hub/index.ts'
import { HubUnreachable } from './hub-failure.ts'
import { isRetryableStatus, Retryable, type RetryPolicy, retryAfter, withRetries } from './retry.ts'

/** The first value of each header, by its name in lower case. */
export type HubHeaders = Readonly<Record<string, string | undefined>>

/** A response whose body must be read or destroyed. */
export interface HubResponse {
  readonly status: number
  readonly headers: HubHeaders
  readonly body: Readable
  /** The URL that gave it, where redirects led away from the place that was asked. {@link HubClient.get} takes it. */
  readonly ledTo: string | undefined
}

/** A way to the Hub. A place is a path at the Hub with its query, or what an earlier response {@link HubResponse.ledTo}. */
export interface HubClient {
  /** The Hub's URL: what manifests record as the origin. */
  readonly endpoint: string
  readonly retries: RetryPolicy
  /** One GET, redirects followed. Rejects with {@link Retryable} where the same may succeed later, else with a {@link HubUnreachable}. */
  get(place: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HubResponse>
  /** The place of a URL that a response to `place` names in its `Link`. */
  linked(url: string, place: string): string
}

export type Refuse = (status: number, headers: HubHeaders) => Error

/** The largest JSON that is read, in bytes. */
const largestJson = 256 * 1024 * 1024

/**
 * A JSON answer and its headers, asked for as often as the client's policy says; `refuse` makes the error of any other
 * answer. One of more bytes than `largest` is a {@link ListingTooLarge}: it would be no smaller the next time.
 */
export async function fetchJson(
  client: HubClient,
  place: string,
  signal: AbortSignal,
  refuse: Refuse,
  largest = largestJson,
): Promise<{ body: unknown; headers: HubHeaders }> {
  return await withRetries(client.retries, signal, async () => {
    const response = await client.get(place, {}, signal)
    if (response.status !== 200) {
      discardBody(response)
      const refusal = refuse(response.status, response.headers)
      throw isRetryableStatus(response.status) ? new Retryable(refusal, retryAfter(response.headers)) : refusal
    }
    try {
      return { body: await readJson(response.body, largest), headers: response.headers }
    } catch (error) {
      if (error instanceof ListingTooLarge) throw error
      const reason = `${pathOf(place)} broke off or is no JSON: ${describeError(error)}`
      throw new Retryable(new HubUnreachable(client.endpoint, reason, { cause: error }))
    }
  })
}

/** Reads away a body that nobody wants, if it is short; its connection can be used again then. */
export function discardBody({ body, headers }: HubResponse): void {
  body.on('error', () => undefined)
  if (Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) <= 65_536) body.resume()
  else body.destroy()
}

async function readJson(body: Readable, largest: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    const bytes: Buffer = chunk
    size += bytes.length
    if (size > largest) throw new ListingTooLarge(largest)
    chunks.push(bytes)
  }
  return JSON.parse(Buffer.concat(chunks, size).toString('utf8'))
}

function pathOf(place: string): string {
  return new URL(place, 'http://hub').pathname
}
