import { buffer } from 'node:stream/consumers'
import { type Rewrite, rewriteUrl } from './answer-headers.ts'
import { type HubAnswer, withoutHeaders } from './hub-answer.ts'
import type { WholeAnswer } from './json-answer.ts'

/** Where MirrorFace fetches what clients of a closed network can't reach: `/-/follow/<URL in base64url>`. */
export const followPath = '/-/follow/'

const bodyHeaders = new Set(['content-length', 'content-encoding', 'transfer-encoding'])

export function isLfsBatch(method: string | undefined, target: string): boolean {
  return method === 'POST' && target.split('?', 1)[0]?.endsWith('/info/lfs/objects/batch') === true
}

/**
 * A Git LFS batch answer whose URLs lead through the mirror: those at the Hub always, downloads from
 * its CDN where redirects are followed (git-lfs api/batch.md).
 */
export async function rewriteLfsBatch(answer: HubAnswer, rewrite: Rewrite, follows: boolean): Promise<WholeAnswer> {
  const bytes = await buffer(answer.body)
  const text = bytes.toString('utf8')
  let json = bytes
  if (answer.status === 200 && text.startsWith('{')) {
    const batch = JSON.parse(text)
    for (const object of Array.isArray(batch.objects) ? batch.objects : []) {
      for (const [action, value] of Object.entries(object?.actions ?? {})) {
        const link = value as { href?: unknown }
        if (typeof link.href !== 'string') continue
        const href = rewriteUrl(link.href, rewrite)
        link.href = href === link.href && follows && action === 'download' ? followUrl(href, rewrite.mirror) : href
      }
    }
    json = Buffer.from(JSON.stringify(batch))
  }
  return {
    ...answer,
    headers: [...withoutHeaders(answer.headers, bodyHeaders), 'Content-Length', String(json.length)],
    json,
  }
}

function followUrl(url: string, mirror: string): string {
  return `${mirror}${followPath}${Buffer.from(url).toString('base64url')}`
}

/** The URL behind a `/-/follow/` path; `undefined` for any other path. */
export function followedUrl(target: string): URL | undefined {
  if (!target.startsWith(followPath)) return undefined
  const url = Buffer.from(target.slice(followPath.length), 'base64url').toString('utf8')
  return URL.canParse(url) ? new URL(url) : undefined
}
