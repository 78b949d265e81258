import { createServer } from 'node:http'
import { describeError } from '../hub/index.ts'
import { listen } from './listen.ts'

export interface MetricsServer {
  readonly port: number
  close(): Promise<void>
}

/** Prometheus' text format (0.0.4) at `/metrics`, on a port of its own. */
export async function startMetricsServer(
  render: () => Promise<string>,
  host: string,
  port: number,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url?.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('The metrics are at /metrics\n')
      return
    }
    render().then(
      (text) => response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      (error: unknown) => response.writeHead(500, { 'Content-Type': 'text/plain' }).end(`${describeError(error)}\n`),
    )
  })
  const { address, close } = await listen(server, host, port)
  return { port: address.port, close: () => close(0) }
}
