import type { Asked } from './asked.ts'

const exposed =
  'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash'

/** Sets what browsers ask for: the Hub echoes the page's origin, and varies by it. Returns whether it was a preflight, and answered. */
export function setCors({ hub, request, response }: Asked): boolean {
  response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? hub.url)
  response.setHeader('Access-Control-Expose-Headers', exposed)
  response.setHeader('Vary', 'Origin')
  if (request.method !== 'OPTIONS') return false
  response.writeHead(204, {
    'Access-Control-Allow-Methods': 'GET,HEAD,PUT,PATCH,POST,DELETE',
    'Access-Control-Allow-Headers': request.headers['access-control-request-headers'] ?? '*',
    'Access-Control-Max-Age': '86400',
  })
  response.end()
  return true
}
