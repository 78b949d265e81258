import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { z } from 'zod'

/** This package's version, for metrics and the `User-Agent`. */
export function packageVersion(): string {
  const path = findPackageJSON('..', import.meta.url)
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(path ?? '', 'utf8'))).version
}
