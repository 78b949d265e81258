import type { Storage } from 'mirrorface/plugin'

/** A storage to examine. For one that is read-only, `put` places objects by another way. */
export interface StorageFixture {
  readonly storage: Storage
  /** How another process opens the same storage: the URL of the plugin's module, and its options. */
  readonly plugin?: { readonly url: string; readonly options: object }
  put(key: string, content: Buffer): Promise<void>
  dispose(): Promise<void>
}
