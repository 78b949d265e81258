import { UsageFailure } from '../hub/index.ts'
import type { PluginReference } from '../plugin/registry.ts'
import type { Config } from './settings.ts'

/** Settings that are right by themselves and contradict each other. Throws a {@link UsageFailure} that says what to do. */
export function assertConsistent(config: Config): void {
  const { access, accessTokens, upstreams, pullThrough, pickleFiles, port, metricsPort, tlsCert, tlsKey } = config
  // Port 0 stands for any free one.
  if (port === metricsPort && port !== 0)
    throw new UsageFailure(`port and metricsPort are both ${port}: give the metrics a port of their own`)
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageFailure(
      `${tlsCert === undefined ? 'tlsKey' : 'tlsCert'} is set alone: HTTPS needs both tlsCert and tlsKey`,
    )
  if (access === 'tokens' && accessTokens.length === 0)
    throw new UsageFailure('access: tokens accepts nobody without a token: list at least one under accessTokens')
  if (access === 'hub' && upstreams.length === 0)
    throw new UsageFailure('access: hub asks the Hub about each client, and there is no upstream: use access: tokens')

  const authorities = upstreams.filter(({ authority }) => authority === true)
  if (authorities.length > 1)
    throw new UsageFailure(
      `upstreams: ${authorities.map(titleOf).join(' and ')} are both the authority: leave authority: true with one of them`,
    )
  const authority = authorities[0] ?? upstreams.find((upstream) => upstream.authority !== false)
  if (authority === undefined && upstreams.length > 0 && (access === 'hub' || pullThrough))
    throw new UsageFailure(
      `${access === 'hub' ? 'access: hub' : 'pullThrough'} needs an upstream that is the authority, and authority: false says that none is`,
    )
  if (access === 'hub' && authority?.clientTokens === false)
    throw new UsageFailure(
      `access: hub asks ${titleOf(authority)} with clients' tokens, and its clientTokens: false forbids that: remove one of them`,
    )
  for (const upstream of upstreams) {
    if (upstream.serviceWrites === true && !hasServiceToken(upstream))
      throw new UsageFailure(`upstreams: ${titleOf(upstream)} has serviceWrites: true and no token to write with`)
    if (upstream.xet === true && pickleFiles !== 'allow')
      throw new UsageFailure(
        `upstreams: ${titleOf(upstream)} has xet: true, which lets clients fetch files past pickleFiles: ${pickleFiles}`,
      )
  }
}

/** What whoever starts the server should know about its configuration: one sentence each. */
export function startWarnings(config: Config): string[] {
  const { access, upstreams, publicUrl, serveNonPublic } = config
  const withService = upstreams.filter(hasServiceToken).map(titleOf)
  const warnings: string[] = []
  if (access === 'open' && withService.length > 0)
    warnings.push(
      `Everybody who reaches this server reads what the service token of ${withService.join(' and ')} may read: set access: tokens to limit that.`,
    )
  if (access === 'open' && serveNonPublic)
    warnings.push('serveNonPublic: everybody who reaches this server reads the private and gated repositories in it.')
  if (publicUrl === undefined && (access !== 'open' || withService.length > 0))
    warnings.push(
      'publicUrl is not set: requests for any host name are answered, so that a web page whose name was rebound to this server can use it (DNS rebinding). Set publicUrl to the address that clients use.',
    )
  return warnings
}

function hasServiceToken({ token }: PluginReference): boolean {
  return typeof token === 'string' && token !== ''
}

function titleOf({ name, url, plugin }: PluginReference): string {
  return [name, url, plugin].find((title) => typeof title === 'string') ?? plugin
}
