import type {
  ContentSource,
  Expectation,
  LoadedObject,
  ObjectStat,
  OperationOptions,
  WriteCondition,
} from '../storage.ts'

/**
 * What a service of objects with conditional requests must bring so that {@link writeObjects} makes a writer of it. Its
 * methods reject with the errors of the service's own client, which `isConflict`, `isTransient` and `explain` read.
 */
export interface ObjectService {
  /** The storage's name, for messages. */
  readonly name: string
  /** Bytes up to which an object is put by one request, from memory. */
  readonly largestPut: number
  /** Milliseconds between two changes of one object that the service takes without complaint. */
  readonly changeInterval: number
  stat(key: string, options: OperationOptions): Promise<ObjectStat | undefined>
  /** The read is pinned to the generation. */
  load(key: string, options: OperationOptions): Promise<LoadedObject | undefined>
  /** One request that the client must not repeat by itself; `bytes` are what `expect` says. */
  put(
    key: string,
    bytes: Buffer,
    expect: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat>
  /** Content that is larger than `largestPut`, or of unknown size: nothing of it is an object until it is proven right. */
  upload(
    key: string,
    content: ContentSource,
    expect: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat>
  /** One request that the client must not repeat by itself. `false`: there was no such object, if the service says so. */
  remove(key: string, ifGeneration: string | undefined, options: OperationOptions): Promise<boolean>
  discardUnfinished(before: Date, dryRun: boolean, options: OperationOptions): Promise<number>
  /** The condition did not hold. */
  isConflict(error: unknown): boolean
  /** The same request may succeed later: the service is overloaded, or the connection broke. */
  isTransient(error: unknown): boolean
  /** An error of the client's as a `Failure` that says what to do; any other error as it is. */
  explain(error: unknown): unknown
}
