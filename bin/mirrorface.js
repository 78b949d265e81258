#!/usr/bin/env -S node --max-semi-space-size=16
import * as nodeModule from 'node:module'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 20)) {
  await import('./older-node.js')
} else {
  // Compiling what a command loads takes longer than most commands: it is kept from run to run.
  nodeModule.enableCompileCache()
  const { execute } = await import('@oclif/core')
  await execute({ dir: import.meta.url })
}
