import { type Failure, HubFailure, PolicyRefusal, quoted, UsageFailure } from '../../hub/index.ts'
import type { PassageRefusal } from './passage.ts'

/** Of files that run code when they are loaded: those of torch, of pickle itself, of joblib and of dill. */
const pickleEndings = ['bin', 'pt', 'pth', 'pkl', 'pickle', 'ckpt', 'joblib', 'dill']
/** What pandas and joblib unpack by themselves; and `.pth.tar` is the usual name of checkpoints that are no archive. */
const packings = ['gz', 'bz2', 'xz', 'lzma', 'z', 'zst', 'zip', 'tar']

export const pickleEnding = new RegExp(`\\.(?:${pickleEndings.join('|')})(?:\\.(?:${packings.join('|')}))*$`, 'i')

/** What a client is told that may not pass. Nothing in it depends on what is stored. */
export function passageFailure(refusal: PassageRefusal, subject: string): HubFailure {
  switch (refusal) {
    case 'token-required':
      return new HubFailure('RepoNotFound', 401, 'A MirrorFace access token is required: set HF_TOKEN to one')
    case 'not-covered':
      return new HubFailure('GatedRepo', 403, `This access token does not cover ${quoted(subject)}`)
    case 'not-listed':
      return new HubFailure(
        'NotGranted',
        403,
        'This access token opens some repositories only: it may not list others. Ask for repositories by name',
      )
    case 'no-write':
      return new HubFailure('NotGranted', 403, 'This access token may not write: it lacks `write: true`')
    case 'not-granted':
      return new HubFailure('NotGranted', 403, "An access token of this mirror's does not give access to Hub accounts")
    case 'read-only':
      return readOnlyMirror()
  }
}

export function readOnlyMirror(): HubFailure {
  return new HubFailure('ReadOnlyMirror', 403, 'This mirror is read-only: upload to the Hub itself')
}

export function repositoryDenied(name: string): PolicyRefusal {
  return new PolicyRefusal(
    'RepositoryDenied',
    `${quoted(name)} is denied by this mirror's policy: use another, or ask whoever runs it why ("deny")`,
  )
}

export function repositoryNotAllowed(name: string): PolicyRefusal {
  return new PolicyRefusal(
    'RepositoryDenied',
    `${quoted(name)} is not among the repositories that this mirror allows: ask whoever runs it to add it ("allow")`,
  )
}

export function routeNotAllowed(): HubFailure {
  return new HubFailure(
    'RepositoryDenied',
    403,
    'This mirror allows certain repositories only, and this address names none of them',
  )
}

/** One that is refused ends a whole snapshot, so that whoever reads this must be told how to leave them out. */
export function fileRefused(path: string): PolicyRefusal {
  const plain = pickleEndings.map((ending) => `*.${ending}`)
  const ending = pickleEnding.exec(path)?.[0]
  const packed = ending?.includes('.', 1) ? [`*${ending}`] : []
  return new PolicyRefusal(
    'FileRefused',
    `${quoted(path)} is refused, for pickle files run code when they are loaded: use the safetensors weights, and take ` +
      `snapshots with ignore_patterns=${JSON.stringify([...plain, ...packed])}`,
  )
}

export function invalidCapability(): HubFailure {
  return new HubFailure('InvalidCapability', 403, 'This address is not valid, or has expired: ask for the file anew')
}

export function readingCapability(): HubFailure {
  return new HubFailure('InvalidCapability', 403, 'This address is for downloads only: nothing can be sent to it')
}

export function unexpectedHost(host: string, publicUrl: string): HubFailure {
  return new HubFailure('MisdirectedRequest', 421, `This server is ${publicUrl}, and not ${quoted(host)}`)
}

export function invalidBody(reason: string, cause?: unknown): UsageFailure {
  return new UsageFailure(`The body cannot be checked against this mirror's policy: ${reason}`, { cause })
}

export function contentRefused(oid: string): PolicyRefusal {
  return new PolicyRefusal(
    'FileRefused',
    `Content ${oid.slice(0, 64)} is refused: it is no file of "main", so that it may be a pickle file`,
  )
}

export function everythingRefused(): HubFailure {
  return new HubFailure(
    'FileRefused',
    403,
    'Git and Xet are refused: they would give access to pickle files, which this mirror does not; download single files',
  )
}

export function listingUnavailable(cause: Failure): HubFailure {
  return new HubFailure(
    'ListingUnavailable',
    503,
    `Whether this file is refused cannot be told while the Hub does not list the repository's files: ${cause.message}`,
    { cause },
  )
}
