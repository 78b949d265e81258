import { resolve } from 'node:path'
import type { z } from 'zod'
import { UsageFailure } from '../hub/failure.ts'
import { PluginFailure } from './errors.ts'
import { builtInSchemes, describeIssues, loadDefinition, type PluginReference } from './registry.ts'

/**
 * The storage that a URL names: `file:///models`, `gs://bucket/prefix?signedUrlLifetime=600`. The plugin that registers
 * the scheme reads the place; query parameters are its other options. A path that begins with `/`, `./` or `../` is a
 * directory's `file:` URL. Rejects with a {@link UsageFailure} that says what to write instead, and opens nothing.
 */
export async function readStorageUrl(text: string): Promise<PluginReference> {
  const url = parseStorageUrl(isPath(text) ? fileUrl(resolve(text)) : text)
  const scheme = url.protocol.slice(0, -1)
  const plugin = builtInSchemes[scheme] ?? `mirrorface-storage-${scheme}`
  const { urls = {}, options } = await definitionFor(scheme, plugin)
  const read = urls[scheme]
  if (read === undefined) throw new UsageFailure(`${plugin} is no plugin for ${scheme}: URLs`)
  const place = read(url)
  const parameters = Object.fromEntries(url.searchParams)
  for (const name of url.searchParams.keys()) {
    if (url.searchParams.getAll(name).length > 1) throw new UsageFailure(`${name} is given twice in one URL`)
    if (name in place) throw new UsageFailure(`${name} is said by the URL itself: remove it behind the "?"`)
  }
  return { plugin, ...place, ...typed(options, place, parameters) }
}

/** The directory that `scheme:///directory` names. */
export function directoryOf(url: URL): { directory: string } {
  if (url.host !== '')
    throw new UsageFailure(
      `${url.href} names a host: write a directory as ${url.protocol}///${url.host}${url.pathname}`,
    )
  return { directory: decodeURIComponent(url.pathname) }
}

/** The bucket and the prefix, `''` for none, that `scheme://bucket/prefix` names. */
export function bucketOf(url: URL): { bucket: string; prefix: string } {
  if (url.hostname === '' || url.port !== '')
    throw new UsageFailure(
      `${url.href} names no bucket: write ${url.protocol}//bucket or ${url.protocol}//bucket/prefix`,
    )
  const segments = decodeURIComponent(url.pathname).split('/')
  return { bucket: decodeURIComponent(url.hostname), prefix: segments.filter((segment) => segment !== '').join('/') }
}

function fileUrl(path: string): string {
  return `file://${path.split('/').map(encodeURIComponent).join('/')}`
}

function isPath(text: string): boolean {
  return /^(?:\/|\.\.?(?:\/|$))/.test(text)
}

function parseStorageUrl(text: string): URL {
  const shown = JSON.stringify(text.slice(0, 200).replace(/\?.*/s, '')) // options may be secrets
  const examples = 'file:///directory, gs://bucket/prefix, s3://bucket/prefix, az://account/container'
  if (!/^[a-z][a-z0-9+.-]*:/i.test(text))
    throw new UsageFailure(`${shown} is no storage URL: write ${examples}, or a directory as ./name`)
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text))
    throw new UsageFailure(`${shown} is no storage URL: expected scheme://place, such as ${examples}`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    throw new UsageFailure(
      'a storage URL holds no credentials: give them by the environment, as the plugin’s README says',
    )
  if (url.hash !== '') throw new UsageFailure(`${shown}: write "#" in a name as %23`)
  if (/%(?![0-9a-f]{2})/i.test(text) || !isDecodable(url.pathname))
    throw new UsageFailure(`${shown}: write "%" in a name as %25`)
  return url
}

function isDecodable(text: string): boolean {
  try {
    return !decodeURIComponent(text).includes('\0')
  } catch {
    return false
  }
}

async function definitionFor(scheme: string, plugin: string): ReturnType<typeof loadDefinition> {
  try {
    return await loadDefinition('storage', plugin)
  } catch (error) {
    const known = Object.keys(builtInSchemes)
    if (known.includes(scheme) || !(error instanceof PluginFailure)) throw error
    throw new UsageFailure(
      `no storage plugin for ${scheme}: URLs: built in are ${known.join(', ')}; others come from a package ${plugin}`,
      { cause: error },
    )
  }
}

/** Parameters are text; those for which the plugin's schema wants a number or a boolean become one. */
function typed(
  options: z.ZodType,
  place: Readonly<Record<string, unknown>>,
  parameters: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const values: Record<string, unknown> = { ...parameters }
  const checked = options.safeParse({ ...place, ...parameters })
  for (const issue of checked.error?.issues ?? []) {
    const name = String(issue.path[0])
    const text = parameters[name]
    if (text === undefined || issue.code !== 'invalid_type') continue
    if (issue.expected === 'boolean' && /^(?:true|false)$/.test(text)) values[name] = text === 'true'
    else if (/^(?:number|int)$/.test(issue.expected) && /^\d+$/.test(text)) values[name] = Number(text)
  }
  const again = options.safeParse({ ...place, ...values })
  if (!again.success) throw new UsageFailure(describeIssues(again.error))
  return values
}
