import { type FileHandle, default as files } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'

/** Told of each operation before it is carried out: `rename`, `sync`, … and the path; what it throws is the disk's answer. */
export type BeforeOperation = (operation: string, path: string) => void | Promise<void>

const operations = ['lstat', 'mkdir', 'readFile', 'readdir', 'realpath', 'rename', 'rm', 'stat'] as const
const handleOperations = ['read', 'write', 'sync', 'datasync', 'truncate', 'stat'] as const

/** An error as the operating system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as a test has it`), { code })
}

/** Lets a test watch, delay or fail every operation of this process on what lies in a folder, until it is disposed of. */
export function watchDisk(folder: string, watch: BeforeOperation): Disposable {
  const before: BeforeOperation = async (operation, path) => {
    if (path.startsWith(folder)) await watch(operation, path)
  }
  const mocks: { readonly mock: { restore(): void } }[] = []
  for (const operation of operations) {
    const original = files[operation] as (...args: unknown[]) => Promise<unknown>
    const watched = async (...args: unknown[]) => {
      await before(operation, String(operation === 'rename' ? args[1] : args[0]))
      return await original(...args)
    }
    mocks.push(mock.method(files, operation, watched))
  }
  const { open } = files
  const watchedOpen = async (...args: Parameters<typeof open>): Promise<FileHandle> => {
    await before('open', String(args[0]))
    return watchedHandle(await open(...args), String(args[0]), before)
  }
  mocks.push(mock.method(files, 'open', watchedOpen))
  syncBuiltinESMExports()
  return {
    [Symbol.dispose]: () => {
      for (const one of mocks) one.mock.restore()
      syncBuiltinESMExports()
    },
  }
}

/** The handle itself, for `await using` takes no proxy of one. */
function watchedHandle(handle: FileHandle, path: string, before: BeforeOperation): FileHandle {
  for (const operation of handleOperations) {
    const original = handle[operation].bind(handle) as (...args: unknown[]) => Promise<unknown>
    const value = async (...args: unknown[]) => {
      await before(operation, path)
      return await original(...args)
    }
    Object.defineProperty(handle, operation, { value })
  }
  return handle
}
