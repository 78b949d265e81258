import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { mock } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { hasEnded, ownIdentity, type ProcessIdentity } from '../../../src/mirror/process-identity.ts'
import { temporaryFolder } from '../../support/processes.ts'

const own = (): ProcessIdentity => {
  const identity = ownIdentity()
  if (identity === undefined) throw new Error('these tests are for Linux')
  return identity
}

/** A process whose command is called so, waiting for its input to end. */
async function startCalled(folder: string, name: string): Promise<ChildProcess> {
  const path = join(folder, name)
  symlinkSync('/bin/cat', path)
  const child = spawn(path, [], { stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin?.write('ready')
  await once(child.stdout ?? child, 'data')
  return child
}

/** When a process has started, as ps(1) has it of the kernel: here by the end of the line, which no name can reach. */
function ticksOf(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8').trimEnd()
  const fields = text.slice(text.lastIndexOf(') ') + 2).split(' ')
  return fields[22 - 3] ?? ''
}

describe('the identity of a process', () => {
  it('is that of this one, and it has not ended', () => {
    expect(own()).to.include({ pid: process.pid, startedAt: ticksOf(process.pid) })
    expect(own().startedAt).to.match(/^[1-9][0-9]+$/)
    expect(own().space).to.match(/^[0-9a-f-]{36} pid:\[[0-9]+\]$/)
    expect(own()).to.deep.equal(own())
    expect(hasEnded(own())).to.equal(false)
  })

  it('tells a living process from one that has ended, whatever its command is called', async () => {
    await using folder = await temporaryFolder()
    for (const name of ['plain', 'a) b', 'x) S 1 (y', ') ) )']) {
      const child = await startCalled(folder.path, name)
      const { pid = 0 } = child
      const identity = { space: own().space, pid, startedAt: ticksOf(pid) }
      expect(hasEnded(identity), name).to.equal(false)
      expect(hasEnded({ ...identity, startedAt: '12' }), `${name}: another had its pid`).to.equal(true)
      child.stdin?.end()
      await once(child, 'exit')
      expect(hasEnded(identity), name).to.equal(true)
    }
  })

  it('knows that one has ended whose parent never asks for its exit status', async () => {
    // The shell becomes a program that knows of no child.
    const parent = spawn('sh', ['-c', 'cat <&3 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    })
    try {
      const [line] = await once(parent.stdout ?? parent, 'data')
      const pid = Number(String(line))
      const identity = { space: own().space, pid, startedAt: ticksOf(pid) }
      expect(hasEnded(identity)).to.equal(false)
      const input = parent.stdio[3]
      if (input instanceof Writable) input.end()
      while (!/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await delay(5)
      expect(hasEnded(identity)).to.equal(true)
    } finally {
      parent.kill()
    }
  })

  it('says nothing of a process of another machine, boot or namespace', async () => {
    await using folder = await temporaryFolder()
    const child = await startCalled(folder.path, 'elsewhere')
    child.stdin?.end()
    await once(child, 'exit')
    const ended = { space: own().space, pid: child.pid ?? 0, startedAt: '1' }
    expect(hasEnded(ended)).to.equal(true)
    expect(hasEnded({ ...ended, space: own().space.replace('pid:[', 'pid:[1') })).to.equal(false)
    expect(hasEnded({ ...ended, space: `${'0'.repeat(8)}${own().space.slice(8)}` })).to.equal(false)
  })

  it('takes a process for one that lives where the kernel does not say that there is none', () => {
    for (const [code, isEnded] of [
      ['EPERM', false],
      ['ESRCH', true],
    ] as const) {
      const kill = mock.method(process, 'kill', () => {
        throw Object.assign(new Error(code), { code })
      })
      try {
        expect(hasEnded(own()), code).to.equal(isEnded)
      } finally {
        kill.mock.restore()
      }
    }
  })
})
