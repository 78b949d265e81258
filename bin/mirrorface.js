#!/usr/bin/env -S node --max-semi-space-size=16
import { enableCompileCache } from 'node:module'

// Compiling what a command loads takes longer than most commands: it is kept from run to run.
enableCompileCache()
const { execute } = await import('@oclif/core')
await execute({ dir: import.meta.url })
