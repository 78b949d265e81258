import { StorageUnavailable } from 'mirrorface/plugin'

/** The HTTP status that an error of Google's client carries. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Object)) return undefined
  const { code, status, response } = error as { code?: unknown; status?: unknown; response?: { status?: unknown } }
  for (const value of [code, status, response?.status]) {
    const number = Number(value)
    if (Number.isInteger(number) && number >= 100 && number < 600) return number
  }
  return undefined
}

/** Faults of a connection after which the same request may succeed. */
const brokenConnection = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE'])

/** Whether the same request may succeed later: the service is overloaded, or the connection broke. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error)
  if (status !== undefined) return status === 408 || status === 429 || status >= 500
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return brokenConnection.has(code) || /socket hang up/.test(error.message) || isTransient(error.cause)
}

/** Of both a missing object and a missing bucket the service says 404. */
export function isMissingObject(error: unknown): boolean {
  return statusOf(error) === 404 && !isMissingBucket(error)
}

function isMissingBucket(error: unknown): boolean {
  return (
    error instanceof Error &&
    /bucket/i.test(error.message) &&
    /not (?:exist|found)/i.test(error.message) &&
    !/object/i.test(error.message)
  )
}

/** What was asked about: of a listing, 404 can only mean that there is no such bucket. */
type Asked = 'object' | 'listing'

/** An error of Google's client as a sentence that says what to do. */
export function unavailable(bucket: string, error: unknown, asked: Asked = 'object'): StorageUnavailable {
  const message = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
  return new StorageUnavailable('gcs', reasonOf(bucket, error, message, asked), {
    cause: error,
    transient: isTransient(error),
  })
}

export const noCredentials =
  'no Google credentials: use workload identity, run gcloud auth application-default login, or point GOOGLE_APPLICATION_CREDENTIALS at a key file'

function reasonOf(bucket: string, error: unknown, message: string, asked: Asked): string {
  if (/could not load the default credentials/i.test(message)) {
    return noCredentials
  }
  switch (statusOf(error)) {
    case 401:
      return `the credentials are not accepted for bucket ${bucket}: ${message}`
    case 403:
      return `no permission for bucket ${bucket}: grant roles/storage.objectUser to write, roles/storage.objectViewer to read (${message})`
    case 404:
      return asked === 'listing' || isMissingBucket(error) ? `bucket ${bucket} does not exist` : message
    default:
      return message
  }
}
