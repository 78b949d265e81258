import { StorageUnavailable } from 'mirrorface/plugin'

interface ServiceError {
  readonly name?: unknown
  readonly message?: unknown
  readonly $metadata?: { readonly httpStatusCode?: unknown }
  readonly $retryable?: unknown
}

/** The HTTP status that an error of the SDK carries. */
export function statusOf(error: unknown): number | undefined {
  const status = error instanceof Object ? (error as ServiceError).$metadata?.httpStatusCode : undefined
  return typeof status === 'number' ? status : undefined
}

/** The service's own code, `NoSuchKey` say. */
export function codeOf(error: unknown): string {
  return error instanceof Object ? String((error as ServiceError).name ?? '') : ''
}

const brokenConnection = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'TimeoutError'])

/** Whether the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error)
  // 409: another request changes the object at this moment; the documentation has it sent again.
  if (codeOf(error) === 'ConditionalRequestConflict') return true
  if (status !== undefined && status >= 400) return status === 408 || status === 429 || status >= 500
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : error.name
  return brokenConnection.has(code) || /socket hang up|aborted/.test(error.message) || isTransient(error.cause)
}

/** Of a HEAD for a missing bucket the service says no more than 404 either. */
export function isMissingObject(error: unknown): boolean {
  return statusOf(error) === 404 && codeOf(error) !== 'NoSuchBucket'
}

export const noCredentials =
  'no AWS credentials: use IRSA, pod identity or an instance role, run aws sso login, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'

/** An error of the SDK as a sentence that says what to do. */
export function unavailable(bucket: string, error: unknown): StorageUnavailable {
  return new StorageUnavailable('s3', reasonOf(bucket, error), { cause: error, transient: isTransient(error) })
}

function reasonOf(bucket: string, error: unknown): string {
  const message = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
  const code = codeOf(error)
  if (code === 'CredentialsProviderError') return noCredentials
  if (/region is missing/i.test(message)) return `no region for bucket ${bucket}: set region, or AWS_REGION`
  if (code === 'NoSuchBucket') return `bucket ${bucket} does not exist`
  switch (statusOf(error)) {
    case 301:
    case 307:
      return `bucket ${bucket} is in another region: set region (${message})`
    case 401:
      return `the credentials are not accepted for bucket ${bucket}: ${message}`
    case 403:
      return code === 'AccessDenied' || code === 'Forbidden' || code === '403'
        ? `no permission for bucket ${bucket}: reading needs s3:GetObject and s3:ListBucket, writing s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload, s3:ListBucketMultipartUploads and s3:ListMultipartUploadParts (${message})`
        : `the credentials are not accepted for bucket ${bucket}: ${code}: ${message}`
    case 501:
      return `the service lacks something that is needed: ${message}; with services other than Amazon's try checksums: false`
    default:
      return `${code === 'Error' || message.includes(code) ? '' : `${code}: `}${message}`
  }
}
