import type { RequestBody } from 'mirrorface/plugin'
import { DirectWire } from '../../../plugins/upstream-hub/transport/direct-wire.ts'
import { Deadline, type Limits } from '../../../plugins/upstream-hub/transport/limits.ts'
import { OutgoingBody } from '../../../plugins/upstream-hub/transport/outgoing-body.ts'
import { ProxiedWire } from '../../../plugins/upstream-hub/transport/proxied-wire.ts'
import type { WireRequest } from '../../../plugins/upstream-hub/transport/wire-request.ts'
import { type Handler, startServer } from './stage.ts'

const limits: Limits = { connectTimeout: 1_000, headersTimeout: 1_000, idleTimeout: 1_000 }
const patient = new Deadline(undefined)

export type WireQuestion = Partial<Omit<WireRequest, 'body'>> & { readonly body?: RequestBody }

/** A request to this server as a wire sends it. */
export function wireRequest(url: string, more: WireQuestion = {}): WireRequest {
  return {
    ...{ method: 'GET', url: `${url}/x?y`, headers: {}, deadline: patient, signal: new AbortController().signal },
    ...more,
    body: more.body === undefined ? undefined : new OutgoingBody(more.body),
  }
}

/** Both wires to one server. */
export async function wiresTo(handler: Handler, given: Partial<Limits> = {}) {
  const server = await startServer(handler)
  const all = { ...limits, ...given }
  const [direct, proxied] = [new DirectWire(all), new ProxiedWire('http:', all)]
  return {
    ...{ server, direct, proxied, wires: [direct, proxied] as const },
    request: (more: WireQuestion) => wireRequest(server.url, more),
    [Symbol.asyncDispose]: async () => {
      proxied.close()
      await direct.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

export async function failureOf(asked: Promise<unknown>): Promise<unknown> {
  return await asked.then(
    () => 'it did not fail',
    (error: unknown) => error,
  )
}
