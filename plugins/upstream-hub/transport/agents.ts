import { type AgentOptions, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'

/**
 * Keeps connections open: without it, every request costs a TCP and a TLS handshake. Requests go through the proxy
 * that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), on Node 24.5 and newer.
 */
export function createAgent(protocol: string): HttpAgent {
  const options: AgentOptions = {
    keepAlive: true,
    keepAliveMsecs: 30_000,
    maxFreeSockets: 256,
    scheduling: 'lifo',
    proxyEnv: process.env,
  }
  return protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options)
}
