import { writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import type { HubRequestSeen, StandInHub } from '../hub/index.ts'
import { runMirrorFace } from '../support/processes.ts'
import type { TestOutcome } from './suite.ts'

/** Every repository of the Hub that `mirrorface mirror` takes, with all its branches, tags, other refs and commits. */
function listOf(hub: StandInHub): { repository: string; type: string; revisions: string[] }[] {
  return [...hub.repositories.values()]
    .filter(({ traits }) => traits.type !== 'kernel')
    .map(({ traits, branches, tags, otherRefs, commits }) => ({
      repository: traits.id,
      type: traits.type,
      revisions: [...branches.keys(), ...tags.keys(), ...otherRefs.keys(), ...commits.keys()],
    }))
}

/** Mirrors them all into a directory. */
export async function mirrorAll(hub: StandInHub, directory: string): Promise<void> {
  const file = `${directory}.yaml`
  await writeFile(file, stringify({ repositories: listOf(hub) }))
  const where = ['--local-directory', directory, '--upstream-url', hub.url]
  const { code, stderr } = await runMirrorFace(['mirror', '--from', file, ...where])
  if (code !== 0) throw new Error(`mirrorface mirror ended with ${code}: ${stderr}`)
}

/** Those tests that do nothing but read repositories which the Hub had from the start. */
export function readingOnly(
  tests: readonly string[],
  outcomes: readonly TestOutcome[],
  requests: readonly HubRequestSeen[],
  hub: StandInHub,
): readonly string[] {
  const paths = listOf(hub).map(({ repository }) => `/${repository}`)
  const reads = ({ server, method, url }: HubRequestSeen) => {
    if (server === 'cdn') return method === 'GET' || method === 'HEAD'
    const isReading = method === 'GET' || method === 'HEAD' || url.includes('/paths-info/')
    return isReading && paths.some((path) => url.includes(`${path}/`) || new URL(url, hub.url).pathname.endsWith(path))
  }
  return outcomes
    .filter(({ test }) => tests.includes(test))
    .filter(({ begin, end }) => requests.filter(({ at }) => at >= begin && at <= end).every(reads))
    .map(({ test }) => test)
}
