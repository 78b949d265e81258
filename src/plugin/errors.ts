import { Failure } from '../hub/failure.ts'

/** The storage cannot be asked now: not mounted, no permission, no network. Another may answer. */
export class StorageUnavailable extends Failure {
  /** Asking again at once may help: a mount's `EIO`, a service's 503. */
  readonly transient: boolean

  constructor(storage: string, reason: string, options?: ErrorOptions & { transient?: boolean }) {
    super('StorageUnavailable', 503, `storage ${storage} is unavailable: ${reason}`, options)
    this.transient = options?.transient ?? false
  }
}

/** No room for what is being written. What was there before is untouched. */
export class StorageFull extends Failure {
  constructor(storage: string, options?: ErrorOptions) {
    super(
      'StorageFull',
      507,
      `storage ${storage} is full: free some space (mirrorface sweep, mirrorface remove) and run it again`,
      options,
    )
  }
}

export class ObjectNotFound extends Failure {
  constructor(storage: string, key: string, options?: ErrorOptions) {
    super('ObjectNotFound', 404, `storage ${storage} has no object ${key}`, options)
  }
}

/** The condition of a write or removal does not hold: another writer was faster. Nothing was changed. */
export class Conflict extends Failure {
  /** Milliseconds to wait before the object is changed again: services limit the rate of changes per object. */
  readonly retryAfter: number

  constructor(storage: string, key: string, options?: ErrorOptions & { retryAfter?: number }) {
    super('Conflict', 409, `storage ${storage}: ${key} was changed by another writer`, options)
    this.retryAfter = options?.retryAfter ?? 0
  }
}

/** A key that could leave the storage's root, or that the layout never makes. */
export class InvalidKey extends Failure {
  constructor(key: string) {
    super('InvalidKey', 400, `${JSON.stringify(key.slice(0, 200))} is not a valid storage key`)
  }
}

/** What arrived is not what was expected: of another size or hash. Nothing of it was kept. */
export class ContentMismatch extends Failure {
  constructor(subject: string, expected: string, found: string) {
    super('ContentMismatch', 502, `${subject}: expected ${expected}, found ${found}`)
  }
}

/** A plugin that cannot be loaded, or whose options are wrong. */
export class PluginFailure extends Failure {
  constructor(message: string, options?: ErrorOptions) {
    super('PluginFailure', 500, message, options)
  }
}
