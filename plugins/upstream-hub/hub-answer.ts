import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'

/** The head of the Hub's answer, and its body still to come. */
export interface HubAnswer {
  readonly status: number
  readonly reason: string
  /** Names and values in turn, in the order and spelling in which they came. */
  readonly headers: readonly string[]
  readonly body: Readable
}

export function answerOfMessage(message: IncomingMessage): HubAnswer {
  return {
    status: message.statusCode ?? 502,
    reason: message.statusMessage ?? '',
    headers: message.rawHeaders,
    body: message,
  }
}

export function answerOfResponse(response: Dispatcher.ResponseData): HubAnswer {
  const headers: string[] = []
  for (const [name, value] of Object.entries(response.headers)) {
    for (const one of [value].flat()) if (one !== undefined) headers.push(name, one)
  }
  return { status: response.statusCode, reason: '', headers, body: response.body }
}

/** The first value of a header; names are told apart regardless of case. */
export function headerOf(headers: readonly string[], wanted: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === wanted) return headers[index + 1]
  }
  return undefined
}

/** The headers without those of these names (in lower case). */
export function withoutHeaders(headers: readonly string[], names: ReadonlySet<string>): string[] {
  return headers.filter((_, index) => !names.has(headers[index - (index % 2)]?.toLowerCase() ?? ''))
}

export function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status)
}

/** Ends an answer whose body nobody wants; that it then ends early is no fault. */
export function discard({ body }: Pick<HubAnswer, 'body'>): void {
  body.on('error', () => undefined)
  body.destroy()
}
