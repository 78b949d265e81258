import { createHash } from 'node:crypto'
import type { Config } from '../config/index.ts'

/**
 * This deployment's name in `Via`. Replicas and workers must share it, or a request could go round between them; two
 * mirrors in a chain must not, or the second would take the first's requests for its own. So it is made of what
 * replicas have in common and mirrors in a chain have not: where they send what they lack.
 */
export function deploymentName({ upstreams, publicUrl }: Config): string {
  const leads = upstreams.map(({ plugin, name, url }) => [plugin, name, url])
  const digest = createHash('sha256')
    .update(JSON.stringify([publicUrl, leads]))
    .digest('hex')
  return `mirrorface-${digest.slice(0, 16)}`
}
