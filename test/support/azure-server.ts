import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { BlobServiceClient, type ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import { freePort } from './emulator.ts'
import { temporaryFolder } from './processes.ts'

export const azureAccount = 'mirror'
export const azureCredentials = { AZURE_STORAGE_KEY: Buffer.from('mirror-account-key').toString('base64') } as const

/** Azurite: a server of the Blob service's protocol, with an account of its own. */
export interface AzureServer extends AsyncDisposable {
  /** The address of the account's blobs. */
  readonly url: string
  makeContainer(name: string): Promise<ContainerClient>
}

export async function startAzureServer(): Promise<AzureServer> {
  const script = fileURLToPath(new URL('../../.cache/node/azurite/node_modules/.bin/azurite-blob', import.meta.url))
  if (!existsSync(script)) throw new Error(`${script} is missing: run scripts/install-emulators.sh`)
  const port = await freePort()
  const folder = await temporaryFolder()
  const args = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', folder.path]
  const env = { ...process.env, AZURITE_ACCOUNTS: `${azureAccount}:${azureCredentials.AZURE_STORAGE_KEY}` }
  const child = spawn(process.execPath, [script, ...args, '--silent', '--skipApiVersionCheck', '--disableTelemetry'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  })
  const url = `http://127.0.0.1:${port}/${azureAccount}`
  for (let attempt = 0; ; attempt++) {
    // Whoever signs nothing is refused: that it says so is enough.
    const isUp = await fetch(url).then(
      () => true,
      () => false,
    )
    if (isUp) break
    if (attempt === 400 || child.exitCode !== null) throw new Error('Azurite does not start')
    await delay(50)
  }
  const credential = new StorageSharedKeyCredential(azureAccount, azureCredentials.AZURE_STORAGE_KEY)
  const service = new BlobServiceClient(url, credential)
  return {
    url,
    makeContainer: async (name) => (await service.createContainer(name)).containerClient,
    [Symbol.asyncDispose]: async () => {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
      await folder[Symbol.asyncDispose]()
    },
  }
}
