import { describeError } from '../hub/failure.ts'
import { endProcess } from './end-process.ts'
import { exitCodes } from './exit-codes.ts'
import { interruption } from './interruption.ts'

/** Runs the command line. `root` is the URL of a file in the package. */
export async function main(args: readonly string[], root: string): Promise<void> {
  const isServer = args[0] === 'serve'
  if (!isServer) {
    // The server has its own way of stopping. Everything else listens before it loads anything large.
    interruption.listen()
    process.stdout.on('error', onOutputError)
    process.stderr.on('error', onOutputError)
  }
  const { Errors, execute, run } = await import('@oclif/core')
  if (isServer) {
    // Not awaited: it waits for its output to be taken, which is never where the reader of a pipe has gone.
    void execute({ args: [...args], dir: root })
    return
  }
  try {
    await run([...args], root)
  } catch (error) {
    // A command reports its own failures; what arrives here besides has no command.
    if (error instanceof Errors.ExitError) process.exitCode = error.oclif.exit ?? exitCodes.failed
    else await reportFailure(error, args)
  }
  await endProcess(interruption.signal.aborted)
}

async function reportFailure(error: unknown, args: readonly string[]): Promise<void> {
  const { explainFailure } = await import('./explain-failure.ts')
  const { code, message, exitCode } = explainFailure(error)
  process.stderr.write(`mirrorface: ${message}\n`)
  if (args.includes('--json')) process.stdout.write(`${JSON.stringify({ error: { code, message } }, undefined, 2)}\n`)
  process.exitCode = exitCode
}

/** Errors of an output whose reader is gone: `mirrorface list | head -1`, a terminal that was closed. */
const readerGone = new Set(['EPIPE', 'ECONNRESET', 'EIO'])

/** The reader has what it wanted; the command goes on, and its outcome is what it is. */
function onOutputError(error: NodeJS.ErrnoException): void {
  if (readerGone.has(error.code ?? '')) return
  process.stderr.write(`mirrorface: cannot write the output: ${describeError(error)}\n`)
  process.exit(exitCodes.failed)
}
