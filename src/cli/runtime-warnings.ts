/** Takes Node's own warnings, which would otherwise go to standard error as plain text. */
export function onRuntimeWarning(take: (warning: Error, isKnown: boolean) => void): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    // Google's client trips this for each object that it reads: its layers listen to one stream, and leak nothing.
    take(warning, warning.name === 'MaxListenersExceededWarning')
  })
}
