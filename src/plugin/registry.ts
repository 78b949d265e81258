import { existsSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { describeError, UsageFailure } from '../hub/failure.ts'
import type { PluginContext, PluginDefinition, PluginKind, UrlReader } from './define.ts'
import { PluginFailure } from './errors.ts'
import { type GuardOptions, guardStorage } from './guarded-storage.ts'
import type { Storage } from './storage.ts'
import type { Upstream } from './upstream.ts'

/** One entry of the configuration: which plugin, and its options. */
export interface PluginReference {
  /** A built-in's short name, a package's name, or a path. */
  readonly plugin: string
  readonly [option: string]: unknown
}

/** The plugins that ship with MirrorFace, found by the loader in `plugins/<kind>-<name>`. */
export const builtInPlugins: Readonly<Record<PluginKind, readonly string[]>> = {
  storage: ['local', 'gcs-mount', 'gcs', 's3', 'azure'],
  upstream: ['hub'],
}

/** Which built-in plugin registers a scheme, so that no other has to be loaded to find out. */
export const builtInSchemes: Readonly<Record<string, string>> = {
  file: 'local',
  gs: 'gcs',
  'gcs-mount': 'gcs-mount',
  s3: 's3',
  az: 'azure',
}

const definitionSchema = z.object({
  kind: z.enum(['storage', 'upstream']),
  name: z.string().min(1),
  options: z.custom<z.ZodType>((value) => value instanceof Object && 'safeParse' in value, 'expected a zod schema'),
  create: z.custom<PluginDefinition<unknown, unknown>['create']>(
    (value) => typeof value === 'function',
    'expected a function',
  ),
  urls: z
    .record(
      z.string(),
      z.custom<UrlReader>((value) => typeof value === 'function', 'expected a function'),
    )
    .optional(),
})

export type LoadedDefinition = z.output<typeof definitionSchema>

/** Loads the referenced storage and puts the guards around it. */
export async function openStorage(
  reference: PluginReference,
  context: PluginContext,
  guard: GuardOptions,
): Promise<Storage> {
  const storage = (await openPlugin('storage', reference, context)) as Storage
  return guardStorage(storage, guard)
}

export async function openUpstream(reference: PluginReference, context: PluginContext): Promise<Upstream> {
  return (await openPlugin('upstream', reference, context)) as Upstream
}

async function openPlugin(kind: PluginKind, reference: PluginReference, context: PluginContext): Promise<unknown> {
  const definition = await loadDefinition(kind, reference.plugin)
  return await definition.create(checkOptions(kind, reference, definition), context)
}

/** A reference's options with the plugin's defaults; rejects with what is wrong with them, and opens nothing. */
export async function readPluginOptions(kind: PluginKind, reference: PluginReference): Promise<unknown> {
  return checkOptions(kind, reference, await loadDefinition(kind, reference.plugin))
}

function checkOptions(kind: PluginKind, { plugin, ...given }: PluginReference, { options }: LoadedDefinition): unknown {
  const checked = options.safeParse(given)
  if (!checked.success) throw new UsageFailure(`${kind} plugin "${plugin}": ${describeIssues(checked.error)}`)
  return checked.data
}

export async function loadDefinition(kind: PluginKind, plugin: string): Promise<LoadedDefinition> {
  const specifier = specifierOf(kind, plugin)
  const module = await import(specifier).catch((error: unknown) => {
    throw new PluginFailure(
      `${kind} plugin "${plugin}" cannot be loaded: ${describeError(error)}. Built in are: ${builtInPlugins[kind].join(', ')}; others are named by package or path`,
      { cause: error },
    )
  })
  const definition = definitionSchema.safeParse(module.default)
  if (!definition.success) {
    throw new PluginFailure(
      `${plugin} is no plugin: its default export is not made by definePlugin (${describeIssues(definition.error)})`,
    )
  }
  if (definition.data.kind !== kind) {
    throw new PluginFailure(
      `${plugin} is a plugin of kind ${definition.data.kind}, and stands where a ${kind} is expected`,
    )
  }
  return definition.data
}

function specifierOf(kind: PluginKind, plugin: string): string {
  if (builtInPlugins[kind].includes(plugin)) {
    // From source (tests) the plugins are TypeScript, in the built package JavaScript.
    const extension = import.meta.filename.slice(import.meta.filename.lastIndexOf('.'))
    return new URL(`../../plugins/${kind}-${plugin}/index${extension}`, import.meta.url).href
  }
  if (plugin.startsWith('.') || isAbsolute(plugin)) {
    const path = resolve(plugin)
    if (!existsSync(path)) throw new PluginFailure(`${kind} plugin "${plugin}": no such file`)
    return pathToFileURL(path).href
  }
  return plugin
}

/** A schema's complaints as one sentence: `directory: expected string`. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .map((issue) => (issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`))
    .join('; ')
}
