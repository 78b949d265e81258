import type { Config } from '../config/index.ts'
import { newSealSecret } from '../server/index.ts'

/** Has workers seal with one secret where none is configured: a client's next request may reach another worker. */
export function shareSealSecret(config: Config): void {
  if (config.sealSecrets.length === 0) process.env.MIRRORFACE_SEAL_SECRETS = newSealSecret()
}
