import { execFileSync } from 'node:child_process'
import { temporaryFolder } from '../test/support/processes.ts'

/** Another commit of this repository, with its dependencies, built: gone with its disposal. */
export async function checkOut(revision: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const folder = await temporaryFolder()
  const path = `${folder.path}/checkout`
  const run = (command: string, args: string[], cwd = '.') => execFileSync(command, args, { cwd, stdio: 'ignore' })
  run('git', ['worktree', 'add', '--detach', path, revision])
  run('npm', ['ci'], path)
  run('npm', ['run', 'build'], path)
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      run('git', ['worktree', 'remove', '--force', path])
      await folder[Symbol.asyncDispose]()
    },
  }
}
