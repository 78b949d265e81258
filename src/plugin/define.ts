import type { z } from 'zod'
import type { Storage } from './storage.ts'
import type { Upstream } from './upstream.ts'

export type PluginKind = 'storage' | 'upstream'

/** The part of a bunyan logger that plugins use: fields first, then the message. */
export interface PluginLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What the host lends a plugin. */
export interface PluginContext {
  readonly logger: PluginLogger
}

export interface PluginDefinition<Options, Instance> {
  readonly kind: PluginKind
  readonly name: string
  /** Checked before `create`; a mistake is reported with the plugin's and the option's name. */
  readonly options: z.ZodType<Options>
  /** Opens what the plugin needs. It may reject with a `Failure`; its message reaches the operator. */
  create(options: Options, context: PluginContext): Promise<Instance>
}

/**
 * The options that a storage's URL says by its place; its query parameters are the others. The URL has `//`, neither
 * credentials nor a fragment, and decodes. Throws a `UsageFailure` that says what to write instead.
 */
export type UrlReader = (url: URL) => Readonly<Record<string, unknown>>

export type StoragePlugin<Options> = PluginDefinition<Options, Storage> & {
  readonly kind: 'storage'
  /** By scheme, without its colon: for `x`, `--storage x://…` is this plugin, as the package `mirrorface-storage-x`. */
  readonly urls?: Readonly<Record<string, UrlReader>>
}
export type UpstreamPlugin<Options> = PluginDefinition<Options, Upstream> & { readonly kind: 'upstream' }

/** Types a plugin's definition; a plugin's module has it as its default export. */
export function definePlugin<Options>(definition: StoragePlugin<Options>): StoragePlugin<Options>
export function definePlugin<Options>(definition: UpstreamPlugin<Options>): UpstreamPlugin<Options>
export function definePlugin<Options>(
  definition: StoragePlugin<Options> | UpstreamPlugin<Options>,
): StoragePlugin<Options> | UpstreamPlugin<Options> {
  return definition
}
