import { isIP, connect as open } from 'node:net'
import { buildConnector } from 'undici'
import { UpstreamTimeout } from '../transport/failures.ts'
import { type RedirectGuard, refusedAddress } from './redirect-guard.ts'

/**
 * Opens sockets only to addresses that the guard lets through. The peer's address is checked when TCP is connected, before
 * TLS begins: what a resolver says once and what a socket connects to later need not be the same.
 */
export function guardedConnect(guard: RedirectGuard, connectTimeout: number): buildConnector.connector {
  const startTls = buildConnector({ timeout: connectTimeout, allowH2: false })
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '')
    const port = Number(options.port || (options.protocol === 'https:' ? 443 : 80))
    const socket = open({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      ...(isIP(host) === 0 && { lookup: guard.lookup }),
    })
    const timer = setTimeout(
      () => socket.destroy(new UpstreamTimeout(`no connection within ${connectTimeout} ms`)),
      connectTimeout,
    )
    const onError = (error: Error) => {
      clearTimeout(timer)
      callback(error, null)
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.removeListener('error', onError)
      const address = socket.remoteAddress ?? ''
      if (!guard.mayConnect(options.hostname, address)) {
        socket.on('error', () => undefined)
        socket.destroy()
        callback(refusedAddress(options.hostname, address), null)
      } else if (options.protocol === 'https:') startTls({ ...options, httpSocket: socket }, callback)
      else callback(null, socket)
    })
  }
}
