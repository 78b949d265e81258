import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { StandInHub } from '../hub/index.ts'
import { runMirrorFace, type ServerProcess, startMirrorFace, temporaryFolder } from './processes.ts'

/** A stand-in Hub, a storage and a server: what most tests of the whole need. */
export interface Stage extends AsyncDisposable {
  readonly hub: StandInHub
  readonly directory: string
  readonly server: ServerProcess
  /** Runs `mirrorface mirror` into the server's storage. */
  mirror(...args: string[]): Promise<void>
  /** Fetches from the server, below the prefix. */
  get(path: string, init?: RequestInit): Promise<Response>
}

export async function setStage(
  prepare: (hub: StandInHub) => void | Promise<void>,
  args: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<Stage> {
  const folder = await temporaryFolder()
  const hub = await new StandInHub().start()
  await prepare(hub)
  const directory = join(folder.path, 'storage')
  const server = await startMirrorFace(['--local-directory', directory, '--upstream-url', hub.url, ...args], {
    MIRRORFACE_REFRESH_AFTER: '200',
    ...environment,
  })
  return {
    hub,
    directory,
    server,
    mirror: async (...more) => {
      const finished = await runMirrorFace([
        'mirror',
        ...more,
        '--local-directory',
        directory,
        '--upstream-url',
        hub.url,
      ])
      if (finished.code !== 0) throw new Error(`mirror failed: ${finished.stderr}`)
    },
    get: (path, init) => fetch(`${server.endpoint}${path}`, { redirect: 'manual', ...init }),
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      await hub.stop()
      await rm(folder.path, { recursive: true, force: true })
    },
  }
}
