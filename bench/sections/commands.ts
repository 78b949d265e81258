import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnvironment } from '../../test/support/processes.ts'
import { hashRate, timed } from '../measure.ts'
import { type Bench, inTurns, own, timedInTurns } from '../rounds.ts'

const bin = 'bin/mirrorface.js'
const plain = () => cleanEnvironment() as Record<string, string>

/** `mirror`, which hashes and syncs, beside other downloaders, without and with that. */
export function measureMirror(bench: Bench, hub: string): void {
  const { target } = bench
  const url = `${hub}/org/weights/resolve/main/weights.safetensors`
  const environment = { ...plain(), MIRRORFACE_UPSTREAM_URL: hub, MIRRORFACE_LOCAL_DIRECTORY: target }
  const client = { ...plain(), HF_ENDPOINT: hub, HF_HUB_DISABLE_XET: '1', HF_HOME: `${target}/home` }
  timedInTurns(bench, 'mirror of one large file', {
    [own]: () => timed(process.execPath, [bin, 'mirror', 'org/weights'], environment),
    'aria2c -x8 alone': () => timed('aria2c', ['-q', '-x8', '-s8', '-d', target, '-o', 'w', url]),
    'aria2c -x8, then sync and openssl': () =>
      timed('aria2c', ['-q', '-x8', '-s8', '-d', target, '-o', 'w', url]) +
      timed('sync', ['-d', `${target}/w`]) +
      timed('openssl', ['dgst', '-sha256', `${target}/w`]),
    'hf download alone': () =>
      timed('.cache/python/hub-2/bin/hf', ['download', 'org/weights', '--local-dir', target], client),
    'curl alone': () => timed('curl', ['-sL', '-o', `${target}/w`, url]),
  })
}

/**
 * `verify` beside openssl. One file is one thread's work, so there are files of one size, enough for
 * every core; openssl uses one, so its rate is taken times the cores.
 */
export function measureVerify(bench: Bench, hub: string, blob: string, cores: number): void {
  const directory = join(bench.target, '..', 'verified')
  const environment = { ...plain(), MIRRORFACE_UPSTREAM_URL: hub, MIRRORFACE_LOCAL_DIRECTORY: directory }
  timed(process.execPath, [bin, 'mirror', 'org/parts'], environment)
  const bytes = 2 * statSync(blob).size
  const verify = (...flags: string[]) => timed(process.execPath, [bin, 'verify', ...flags], environment)
  const runs: Record<string, () => number> = {
    [own]: () => bytes / 1e9 / verify(),
    'MirrorFace, start-up taken off': () => bytes / 1e9 / (verify() - verify('--quick')),
    [`openssl dgst -sha256, times ${cores} cores`]: () => hashRate(blob) * cores,
  }
  inTurns(bench, 'verify, full', 'GB/s', Object.keys(runs), (name) => runs[name]?.() ?? 0, 'more')
  rmSync(directory, { recursive: true })
}

export function measureStartUp(bench: Bench, directory: string): void {
  timedInTurns(bench, 'start-up', {
    [own]: () => timed(process.execPath, [bin, '--help'], plain()),
    'mirrorface list': () => timed(process.execPath, [bin, 'list', '--local-directory', directory], plain()),
    'node -e 0': () => timed(process.execPath, ['-e', '0']),
  })
}
