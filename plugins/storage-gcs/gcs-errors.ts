import { StorageUnavailable } from 'mirrorface/plugin'

/** The HTTP status that an error of Google's client carries. */
export function statusOf(error: unknown): number | undefined {
  const { code, status, response } = error as { code?: unknown; status?: unknown; response?: { status?: unknown } }
  for (const value of [code, status, response?.status]) {
    const number = Number(value)
    if (Number.isInteger(number) && number >= 100 && number < 600) return number
  }
  return undefined
}

/** An error of Google's client as a sentence that says what to do. */
export function unavailable(bucket: string, error: unknown): StorageUnavailable {
  const message = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
  return new StorageUnavailable('gcs', reasonOf(bucket, statusOf(error), message), {
    cause: error,
    transient: isTransient(error),
  })
}

export const noCredentials =
  'no Google credentials: use workload identity, run gcloud auth application-default login, or point GOOGLE_APPLICATION_CREDENTIALS at a key file'

function reasonOf(bucket: string, status: number | undefined, message: string): string {
  if (/could not load the default credentials/i.test(message)) {
    return noCredentials
  }
  switch (status) {
    case 401:
      return `the credentials are not accepted for bucket ${bucket}: ${message}`
    case 403:
      return `no permission for bucket ${bucket}: grant roles/storage.objectUser to write, roles/storage.objectViewer to read (${message})`
    case 404:
      return `bucket ${bucket} does not exist`
    default:
      return message
  }
}

function isTransient(error: unknown): boolean {
  const status = statusOf(error)
  return status === undefined ? false : status === 408 || status === 429 || status >= 500
}
