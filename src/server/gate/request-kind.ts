import { type Method, type RequestKind, requestKindOf, type Target } from '../../hub/index.ts'

/** The kind of a request at this server: a page that is not shown is a route like any other. */
export function kindOf(
  method: Method,
  target: Target,
  { page, lfsOperation }: { readonly page: boolean; readonly lfsOperation?: 'download' | 'upload' | undefined },
): RequestKind {
  if (!page && (target.operation === 'page' || target.operation === 'misses')) return 'account'
  return requestKindOf(method, target, lfsOperation)
}
