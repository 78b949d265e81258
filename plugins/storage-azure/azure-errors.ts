import { StorageUnavailable } from 'mirrorface/plugin'

/** The HTTP status that an error of the SDK carries. */
export function statusOf(error: unknown): number | undefined {
  const status = error instanceof Object && 'statusCode' in error ? error.statusCode : undefined
  return typeof status === 'number' ? status : undefined
}

/** The service's own code, `BlobNotFound` say, or the system's. */
export function codeOf(error: unknown): string {
  return error instanceof Object && 'code' in error ? String(error.code) : ''
}

const brokenConnection = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'REQUEST_SEND_ERROR',
])

/** Whether the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error)
  if (status !== undefined) return status === 408 || status === 429 || status >= 500
  if (!(error instanceof Error)) return false
  return brokenConnection.has(codeOf(error)) || /socket hang up|aborted/.test(error.message) || isTransient(error.cause)
}

export function isMissingBlob(error: unknown): boolean {
  return statusOf(error) === 404 && codeOf(error) !== 'ContainerNotFound'
}

/** A block list without its blocks: another writer's commit has dropped ours. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === 412 || codeOf(error) === 'BlobAlreadyExists' || codeOf(error) === 'InvalidBlockList'
}

/** An error of the SDK as a sentence that says what to do. */
export function unavailable(container: string, error: unknown): StorageUnavailable {
  return new StorageUnavailable('azure', reasonOf(container, error), { cause: error, transient: isTransient(error) })
}

export function isOfTheService(error: unknown): boolean {
  return (
    statusOf(error) !== undefined ||
    isTransient(error) ||
    (error instanceof Error && /^(?:CredentialUnavailable|Authentication|AggregateAuthentication)/.test(error.name))
  )
}

function reasonOf(container: string, error: unknown): string {
  const name = error instanceof Error ? error.name : ''
  const message = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
  if (/^(?:CredentialUnavailable|AggregateAuthentication)/.test(name))
    return 'no Azure credentials: use workload identity or a managed identity, run az login, or set AZURE_STORAGE_KEY'
  if (codeOf(error) === 'ContainerNotFound') return `container ${container} does not exist`
  switch (statusOf(error)) {
    case 401:
      return `the credentials are not accepted for container ${container}: ${message}`
    case 403:
      return codeOf(error) === 'AuthenticationFailed' || /failed to authenticate/i.test(message)
        ? `the credentials are not accepted for container ${container}: ${message}`
        : `no permission for container ${container}: grant Storage Blob Data Contributor to write, Storage Blob Data Reader to read (${codeOf(error)}: ${message})`
    default:
      return message
  }
}
