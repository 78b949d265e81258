import { EnvHttpProxyAgent, fetch } from 'undici'
import { formatTarget } from '../hub/index.ts'

/** Milliseconds that the Hub may take to say whom a token belongs to. */
const timeout = 10_000

/** Whether the Hub knows a token, and what time it is there. Rejects where it can't be reached. */
export async function askWhoIAm(
  endpoint: string,
  token: string | undefined,
): Promise<{ status: number; date: string | undefined }> {
  const dispatcher = new EnvHttpProxyAgent()
  try {
    const response = await fetch(endpoint.replace(/\/+$/, '') + formatTarget({ operation: 'whoami' }).canonical, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(timeout),
      dispatcher,
    })
    await response.body?.cancel()
    return { status: response.status, date: response.headers.get('date') ?? undefined }
  } finally {
    await dispatcher.close()
  }
}
