import type { PluginKind } from './define.ts'
import { loadDefinition, type PluginReference } from './registry.ts'

/**
 * The values of options that a plugin's schema marks with `.meta({ secret: true })`. Rejects where
 * the plugin cannot be loaded.
 */
export async function secretOptionsOf(kind: PluginKind, reference: PluginReference): Promise<Map<string, string>> {
  const { options } = await loadDefinition(kind, reference.plugin)
  const shape = 'shape' in options && options.shape instanceof Object ? options.shape : {}
  const secrets = new Map<string, string>()
  for (const [name, schema] of Object.entries(shape)) {
    const value = reference[name]
    if (typeof value === 'string' && isMarked(schema)) secrets.set(name, value)
  }
  return secrets
}

/** A plugin may bring a copy of zod of its own, so that nothing is an instance of ours. */
function isMarked(schema: unknown): boolean {
  if (!(schema instanceof Object)) return false
  const meta: unknown = 'meta' in schema && typeof schema.meta === 'function' ? schema.meta() : undefined
  if (meta instanceof Object && 'secret' in meta && meta.secret === true) return true
  // What is optional or has a default is wrapped.
  return 'unwrap' in schema && typeof schema.unwrap === 'function' && isMarked(schema.unwrap())
}
