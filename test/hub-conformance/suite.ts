import { existsSync } from 'node:fs'
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HubRequestSeen } from '../hub/index.ts'
import { run, temporaryFolder } from '../support/processes.ts'

/** A version of huggingface_hub whose own tests are run. */
export interface Release {
  readonly version: string
  /** 0.36 takes the first segment of an endpoint's path for a type of repository, so it is run at the root. */
  readonly prefix: '' | '/mirror'
  /** How many tests pass against the stand-in and reach it, at the least: it must not lose some unnoticed. */
  readonly atLeast: number
}

export const releases: readonly Release[] = [
  { version: '2.4.0', prefix: '/mirror', atLeast: 320 },
  { version: '0.36.2', prefix: '', atLeast: 255 },
  { version: '1.33.0', prefix: '/mirror', atLeast: 320 },
]

export interface TestOutcome {
  /** pytest's node id. */
  readonly test: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Unix times in milliseconds between which the test ran, its fixtures included. */
  readonly begin: number
  readonly end: number
  /** The end of the traceback, where it failed. */
  readonly message: string
}

/** Test files that do not reach the Hub, or only parts of it that the stand-in lacks: they would only take time. */
const leftOutFiles =
  /test_(?:inference\w*|sandbox|serialization|dduf|utils_(?:strict_dataclass|tqdm|pagination|hf_uris|parsing|runtime|headers|detect_agent|fixes|paths|cache|assets|chunks|typing|validators|sha|dotenv|terminal)|webhooks_server|oauth|keras_integration|fastai_integration|tf_import|generate_cli_reference|buckets\w*|bucket_live_follow|jobs_api|windows|init_lazy_loading|local_folder|upload_pipeline|upload_large_folder|hub_mixin_pytorch|repository|xet_utils|cli_output|cli_framework|cli_errors|tree_cache|shared_blobs|verification|auth|offline_utils)\.py$/

/**
 * Such tests in other files, as pytest's `-k` takes them. Uploads of large folders are among them: where one fails, its
 * threads go on for ever.
 */
const leftOutTests =
  'not (TestPaperApi or TestUserApi or TestWebhookApi or TestCollectionAPI or TestSpaceAPI or TestSkills or test_paginate_hf_api or offline_with or TestHttpGet or TestXetLargeUpload or TestLargeUpload or TestHttpBackoff or test_create_commit_huge_regular_files)'

const cache = new URL('../../.cache/hub-tests/', import.meta.url)

/**
 * Runs huggingface_hub's tests against an endpoint, one after the other, and returns what became of
 * each. `only` names those to run; without it all are run. `enter` is put before the command.
 */
export async function runSuite(
  { version }: Release,
  endpoint: string,
  only?: readonly string[],
  enter: readonly string[] = [],
): Promise<readonly TestOutcome[]> {
  const folder = fileURLToPath(new URL(version, cache))
  if (!existsSync(folder)) throw new Error(`${folder} is missing: run scripts/install-hub-tests.sh`)
  await copyFile(new URL('conftest.py', import.meta.url), join(folder, 'tests/conftest.py'))
  await using scratch = await temporaryFolder()
  const record = join(scratch.path, 'record.jsonl')
  const listing = join(scratch.path, 'only')
  await writeFile(record, '')
  if (only !== undefined) await writeFile(listing, only.join('\n'))
  const files =
    only === undefined
      ? (await readdir(join(folder, 'tests')))
          .filter((name) => name.startsWith('test_') && !leftOutFiles.test(name))
          .map((name) => `tests/${name}`)
      : [...new Set(only.map((test) => test.slice(0, test.indexOf('::'))))]
  const [command = '', ...before] = [...enter, join(folder, 'venv/bin/python')]
  const finished = await run(
    command,
    [
      ...before,
      ...['-m', 'pytest', '--quiet', '--no-header', '--timeout', '60', '--tb', 'short'],
      // The endpoint comes by HF_ENDPOINT; the settings that pyproject.toml has for the Hub's own staging do not hold.
      ...['--override-ini', 'addopts=', '--disable-warnings', '-p', 'no:cacheprovider', '-p', 'no:rerunfailures'],
      ...['-W', 'error::FutureWarning', '--basetemp', join(scratch.path, 'tmp'), '-k', leftOutTests, ...files],
    ],
    {
      HF_ENDPOINT: endpoint,
      HF_TOKEN: '',
      HF_HOME: join(scratch.path, 'home'),
      HOME: scratch.path,
      HF_HUB_DISABLE_TELEMETRY: '1',
      // Uploads go by LFS: the stand-in's CAS server takes none. Tests marked `xet` switch it on.
      HF_HUB_DISABLE_XET: '1',
      HF_XET_CACHE: join(scratch.path, 'xet'),
      HUB_TESTS_RECORD: record,
      ...(only !== undefined && { HUB_TESTS_ONLY: listing }),
    },
    folder,
  )
  // 1: some tests failed. Others: no run worth the name.
  if (finished.code !== 0 && finished.code !== 1)
    throw new Error(
      `pytest ended with ${finished.code ?? finished.signal}:\n${finished.stdout.slice(-4000)}\n${finished.stderr}`,
    )
  return (await readFile(record, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line): TestOutcome => JSON.parse(line))
}

/** Those of the tests that passed and made a request while they ran. */
export function passedWithRequests(
  outcomes: readonly TestOutcome[],
  requests: readonly HubRequestSeen[],
): readonly string[] {
  return outcomes
    .filter(({ outcome, begin, end }) => outcome === 'passed' && requests.some(({ at }) => at >= begin && at <= end))
    .map(({ test }) => test)
}
