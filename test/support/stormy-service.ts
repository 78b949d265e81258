import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from './seeded-random.ts'

/** How a call fails. Those that come `after` have taken effect; only the response is lost. */
const weathers = ['429', '503', 'reset', 'hang', 'reset after', 'hang after', 'reset in the body'] as const
type Weather = (typeof weathers)[number]

export interface StormyService extends AsyncDisposable {
  readonly url: string
  /** Share of the calls that fail, from now on. */
  rate: number
  readonly calls: number
  /** By how they failed. */
  readonly failed: ReadonlyMap<Weather, number>
}

/** A proxy before an HTTP service, through which a seeded share of the calls fails in each of the ways. */
export async function startStormyService(service: string, seed: number): Promise<StormyService> {
  const random = seededRandom(seed)
  const failed = new Map<Weather, number>()
  const state = { rate: 0, calls: 0 }
  const server = createServer((incoming, response) => {
    state.calls++
    const draw = random()
    const weather = draw < state.rate ? weathers[Math.floor((draw / state.rate) * weathers.length)] : undefined
    if (weather !== undefined) failed.set(weather, (failed.get(weather) ?? 0) + 1)
    void answer(service, weather, incoming, response).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    failed,
    get rate() {
      return state.rate
    },
    set rate(rate) {
      state.rate = rate
    },
    get calls() {
      return state.calls
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function answer(
  service: string,
  weather: Weather | undefined,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (weather === 'hang') return // until the client gives up
  if (weather === 'reset') {
    incoming.socket.resetAndDestroy()
    return
  }
  if (weather === '429' || weather === '503') {
    incoming.resume()
    await once(incoming, 'end')
    response.writeHead(Number(weather), { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { code: Number(weather), message: 'a storm' } }))
    return
  }
  const { method, headers } = incoming
  const outgoing = request(new URL(incoming.url ?? '', service), { method, headers })
  incoming.pipe(outgoing)
  const [found] = (await once(outgoing, 'response')) as [IncomingMessage]
  if (weather === 'reset after' || weather === 'hang after') {
    found.resume()
    await once(found, 'end')
    if (weather === 'reset after') incoming.socket.resetAndDestroy()
    return
  }
  response.writeHead(found.statusCode ?? 502, found.headers)
  if (weather === 'reset in the body') {
    const [first] = (await once(found, 'data')) as [Buffer]
    response.write(first.subarray(0, Math.ceil(first.length / 2)))
    await delay(1) // so that it leaves before the connection is reset
    incoming.socket.resetAndDestroy()
    found.destroy()
    return
  }
  found.pipe(response)
  await once(response, 'close')
}
