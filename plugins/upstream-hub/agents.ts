import { type AgentOptions, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'

/** A connection that is kept open: without one, every request costs a TCP and a TLS handshake. */
export function createAgent(protocol: string): HttpAgent {
  const options: AgentOptions = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 256, scheduling: 'lifo' }
  return protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options)
}
