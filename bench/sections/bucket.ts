import { startGcsEmulator } from '../../test/support/emulator.ts'
import { cleanEnvironment, temporaryFolder } from '../../test/support/processes.ts'
import { timed } from '../measure.ts'
import { type Bench, own, timedInTurns } from '../rounds.ts'

/** Into and out of a bucket (an emulator, which is what sets the pace), beside curl to the same. */
export async function measureBucket(bench: Bench, hub: string, file: string): Promise<void> {
  await using emulator = await startGcsEmulator()
  await emulator.makeBucket('bench')
  await using scratch = await temporaryFolder()
  const put = `${emulator.url}/upload/storage/v1/b/bench/o?uploadType=media&name=w`
  const mirror = (bucket: string) =>
    timed(process.execPath, ['bin/mirrorface.js', 'mirror', 'org/weights', '--gcs-bucket', bucket], {
      ...(cleanEnvironment() as Record<string, string>),
      MIRRORFACE_GCS_ENDPOINT: emulator.url,
      MIRRORFACE_UPSTREAM_URL: hub,
    })
  let turn = 0
  timedInTurns({ ...bench, target: scratch.path, rounds: Math.min(2, bench.rounds) }, 'Hub to bucket', {
    [own]: () => mirror(`bench/turn-${turn++}`),
    'curl, from a file': () => timed('curl', ['-sf', '-X', 'POST', '-T', file, put]),
  })
}
