import { closeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { bulkhead } from 'cockatiel'

/** Copies under way: some more than libuv's threads, so that none of these waits. Each has a stack of koffi's, which bounds them. */
const mostCopies = 8

/** Copies from a file to a socket inside the kernel, where the platform has it: `sendfile(2)` of Linux. */
export interface KernelCopy {
  /** A way into a client's socket; `undefined` where there is none. The caller closes it. */
  open(socket: Socket): KernelWay | undefined
}

export interface KernelWay {
  /**
   * Copies up to `length` bytes from an offset of an open file, as many as the socket takes at once.
   * 0: the socket is full, the file has ended, or the kernel can't; an ordinary read and write tells which.
   */
  copy(file: number, offset: number, length: number): Promise<number>
  close(): void
}

/**
 * The kernel's own copy, without which each byte passes through our memory twice. Absent where it can't be:
 * on other systems than Linux, and where `koffi`, an optional dependency, is not installed.
 */
export async function loadKernelCopy(): Promise<KernelCopy | undefined> {
  // A 32-bit system's `sendfile` takes other types.
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined
  const koffi = await import('koffi').catch(() => undefined)
  if (koffi === undefined) return undefined
  const turns = bulkhead(mostCopies, Number.POSITIVE_INFINITY)
  const libc = koffi.default.load(null)
  const sendfile = libc.func('intptr_t sendfile(int socket, int file, _Inout_ int64_t *offset, size_t length)')
  const dup = libc.func('int dup(int descriptor)')
  const copy = (socket: number, file: number, offset: number, length: number): Promise<number> =>
    new Promise((resolve, reject) => {
      sendfile.async(socket, file, [offset], length, (error: Error | null, copied: number) => {
        if (error === null) resolve(Math.max(0, copied))
        else reject(error)
      })
    })
  return {
    open: (socket) => {
      const descriptor = descriptorOf(socket)
      // Our own descriptor: Node closes its one when the client goes, and the next client is given the same number.
      const own = descriptor === undefined ? -1 : (dup(descriptor) as number)
      if (own === -1) return undefined
      return {
        // In libuv's thread pool, as reads are: a disk may take its time.
        copy: (file, offset, length) => turns.execute(() => copy(own, file, offset, length)),
        close: () => closeSync(own),
      }
    },
  }
}

/** Node does not document it, and has always had it for TCP; where it is missing, bytes go the ordinary way. */
function descriptorOf(socket: Socket & { readonly _handle?: { readonly fd?: number } | null }): number | undefined {
  // A TLS socket tells the descriptor of the connection below it: a copy would put plain bytes among the encrypted ones.
  if (socket instanceof TLSSocket) return undefined
  const descriptor = socket._handle?.fd
  return descriptor === undefined || descriptor < 0 ? undefined : descriptor
}
