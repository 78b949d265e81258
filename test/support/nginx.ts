import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './emulator.ts'
import { temporaryFolder } from './processes.ts'

export interface Nginx extends AsyncDisposable {
  readonly url: string
  /** The master process, whose children are the workers. */
  readonly pid: number
}

/** Starts the real nginx with one worker and one `server` block of this content. */
export async function startNginx(server: string, options: { address?: string } = {}): Promise<Nginx> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const address = options.address ?? '127.0.0.1'
  const config = join(folder.path, 'nginx.conf')
  await writeFile(
    config,
    `daemon off; user root; worker_processes 1; pid ${folder.path}/pid; error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path ${folder.path}/body; proxy_temp_path ${folder.path}/proxy;
  fastcgi_temp_path ${folder.path}/f; uwsgi_temp_path ${folder.path}/u; scgi_temp_path ${folder.path}/s;
  server { listen ${address}:${port}; ${server} }
}
`,
  )
  const child = spawn('nginx', ['-p', folder.path, '-c', config], { stdio: ['ignore', 'ignore', 'inherit'] })
  for (let attempt = 0; !(await accepts(address, port)); attempt++) {
    if (attempt === 100 || child.exitCode !== null) throw new Error('nginx does not start')
    await delay(50)
  }
  return {
    url: `http://${address}:${port}`,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      await closed
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function accepts(address: string, port: number): Promise<boolean> {
  const socket = connect(port, address)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false // not listening yet
  } finally {
    socket.destroy()
  }
}
