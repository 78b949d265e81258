import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'

/** An emulator with what it lacks. */
export interface ConditionalRemovals extends AsyncDisposable {
  readonly url: string
}

/**
 * A proxy before the GCS emulator, which ignores the condition of a removal: it compares the
 * generation itself. Changes pass one at a time, so that nothing comes between comparing and removing.
 */
export async function withConditionalRemovals(emulator: string): Promise<ConditionalRemovals> {
  let last: Promise<unknown> = Promise.resolve()
  const server = createServer((incoming, response) => {
    const answer = async () => {
      if (await isRefused(emulator, incoming)) {
        incoming.resume()
        response.writeHead(412, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ error: { code: 412, message: 'conditionNotMet' } }))
      } else await forward(emulator, incoming, response)
    }
    const failed = () => response.destroy()
    if (incoming.method === 'GET') void answer().catch(failed)
    else last = last.then(answer).catch(failed)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function isRefused(emulator: string, { method, url = '' }: IncomingMessage): Promise<boolean> {
  const target = new URL(url, emulator)
  const wanted = target.searchParams.get('ifGenerationMatch')
  if (method !== 'DELETE' || wanted === null) return false
  const found = await fetch(emulator + target.pathname)
  if (!found.ok) return false // the emulator says that it is not there
  const { generation } = (await found.json()) as { generation?: string }
  return generation !== wanted
}

async function forward(emulator: string, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  if (response.destroyed) return
  const { method, headers } = incoming
  const outgoing = request(new URL(incoming.url ?? '', emulator), { method, headers })
  outgoing.on('error', () => undefined) // told by the wait for its response, or there is nobody to tell
  // A client that was killed sends no more, and waits for nothing: the next change must not wait for it.
  response.once('close', () => {
    if (!response.writableFinished) outgoing.destroy(new Error('the client has gone'))
  })
  incoming.pipe(outgoing)
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  if (response.destroyed) return
  const closed = once(response, 'close')
  response.writeHead(answer.statusCode ?? 502, answer.headers)
  answer.pipe(response)
  await closed
}
