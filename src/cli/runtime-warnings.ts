/** Takes Node's own warnings, which would otherwise go to standard error as plain text. */
export function onRuntimeWarning(take: (warning: Error, isExpected: boolean) => void): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    take(warning, isKnown(warning))
  })
}

function isKnown({ name, message }: Error): boolean {
  // Google's client trips the first for each object that it reads: its layers listen to one stream, and leak nothing.
  return name === 'MaxListenersExceededWarning' || (name === 'ExperimentalWarning' && /^SQLite /.test(message))
}
