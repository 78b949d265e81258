#!/usr/bin/env -S node --max-semi-space-size=16
import * as nodeModule from 'node:module'
import { setFlagsFromString } from 'node:v8'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 20)) {
  await import('./older-node.js')
} else {
  // A server catches its signals first of all: one that came while it loads would end it, or be lost.
  if (process.argv[2] === 'serve') (await import('../dist/src/cli/process-signals.js')).processSignals.catch()
  // By how much V8's old generation may grow before it is collected. By default that follows the machine's
  // memory: a thousand clients then leave 100 MiB of garbage lying.
  setFlagsFromString('--heap-growing-percent=30')
  // Compiling what a command loads takes longer than most commands: it is kept from run to run.
  nodeModule.enableCompileCache()
  const { main } = await import('../dist/src/cli/main.js')
  await main(process.argv.slice(2), import.meta.url)
}
