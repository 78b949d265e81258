import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { type Act, actsOf, type Variant, variants } from './body-variants.ts'
import { type Behaviour, behaviours, RecordingUpstream, type WireRequest } from './recording-upstream.ts'
import { Dice } from './target-mutations.ts'
import { readResponse, type WireResponse } from './wire.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)
const rounds = Number(process.env.FUZZ_BODIES ?? 1)
const dice = new Dice(seed)

/** A request that may do harm, and how the two upstreams treat it. */
interface Case {
  readonly number: number
  readonly method: string
  readonly variant: Variant
  readonly first: Behaviour
  readonly second: Behaviour
  readonly size: number
  readonly route: string
}

function shuffledCases(): Case[] {
  const cases: Omit<Case, 'number'>[] = []
  for (const method of ['POST', 'PUT', 'DELETE', 'GET'])
    for (const variant of variants)
      for (const first of behaviours)
        for (const second of ['answer', 'answer-early', 'answer-early-and-close', 'drop-after-body'] as const)
          cases.push({
            ...{ method, variant, first, second },
            size: dice.pick([2, 300, 300, 70_000, 70_000, 1_500_000]),
            route: dice.pick([
              'api/models/org/ID/commit/main',
              'org/ID.git/git-upload-pack',
              'api/models/org/ID/settings',
            ]),
          })
  return cases
    .map((one) => ({ one, order: dice.below(2 ** 31) }))
    .sort((a, b) => a.order - b.order)
    .map(({ one }, number) => ({ ...one, number }))
}

/** Every byte of it says whose it is. */
function bodyOf({ number, size }: Case): Buffer {
  return Buffer.alloc(size, `a${number}z;`)
}

const idPattern = /\b[av]\d+z\b/g

describe(`request bodies (seed ${seed})`, function () {
  this.timeout(600_000 * rounds)

  it('no byte of one request becomes part of another, whatever bodies and upstreams do (fault 29)', async () => {
    const cases = Array.from({ length: rounds }, shuffledCases)
      .flat()
      .map((one, number) => ({ ...one, number }))
    const upstreams = ([0, 1] as const).map(
      (place) =>
        new RecordingUpstream({
          behaviourFor: (request) => {
            const [kind, number] = idOf(request.target)
            if (kind === 'v') return 'answer'
            return number === undefined ? undefined : cases[number]?.[place === 0 ? 'first' : 'second']
          },
          objection: (request) => objection(request, cases),
        }),
    )
    const urls = await Promise.all(upstreams.map(async (upstream) => await upstream.start()))
    await using folder = await temporaryFolder()
    const config = `${folder.path}/config.json`
    const options = { plugin: 'hub', headersTimeout: 2_000, breakerFailures: 1e9, clientTokens: true }
    await writeFile(
      config,
      JSON.stringify({
        localDirectory: `${folder.path}/storage`,
        upstreams: urls.map((url, index) => ({ ...options, name: `upstream-${index}`, url })),
      }),
    )
    const server = await startMirrorFace(['--config', config])
    const port = Number(new URL(server.url).port)
    const wrong: string[] = []
    const hangs: string[] = []
    const answered = { attackers: 0, victims: 0 }
    let next = 0
    const lane = async () => {
      for (let number = next++; number < cases.length && hangs.length < 10; number = next++) {
        const attack = cases[number]
        if (attack === undefined) continue
        const own = `a${number}z`
        const lines = [
          `${attack.method} /${attack.route.replace('ID', own)} HTTP/1.1`,
          ...['Host: mirror', `Authorization: Bearer hf_${own}`, 'Content-Type: application/octet-stream'],
        ]
        const response = await perform(port, attack.method, actsOf(attack.variant, lines, bodyOf(attack)))
        if (response === 'hung') hangs.push(JSON.stringify(attack))
        else {
          if (response !== undefined && response.status < 300) answered.attackers += 1
          blame(response, own, JSON.stringify(attack))
        }
        const victim = `v${number}z`
        const head = `GET /org/${victim}/resolve/main/f HTTP/1.1\r\nHost: mirror\r\nAuthorization: Bearer hf_${victim}\r\n\r\n`
        const theirs = await perform(port, 'GET', [{ send: Buffer.from(head) }])
        if (theirs === 'hung') hangs.push(`the victim after ${JSON.stringify(attack)}`)
        else {
          if (theirs?.status === 200) answered.victims += 1
          else wrong.push(`the victim after ${JSON.stringify(attack)} got ${theirs?.status}`)
          blame(theirs, victim, `the victim after ${JSON.stringify(attack)}`)
        }
      }
    }
    const blame = (response: WireResponse | undefined, own: string, who: string) => {
      const others = `${response?.head}\n${response?.body.toString('latin1')}`
        .match(idPattern)
        ?.filter((id) => id !== own)
      if (others !== undefined && others.length > 0) wrong.push(`${who} was answered for ${others[0]}`)
    }
    try {
      await Promise.all(Array.from({ length: 6 }, lane))
    } finally {
      await server.stop()
      await Promise.all(upstreams.map(async (upstream) => await upstream.stop()))
    }
    const objections = upstreams.flatMap(({ objections: seen }, place) =>
      seen.map((reason) => `upstream ${place}: ${reason}`),
    )
    console.log(
      `      ${cases.length} bodies; answered: ${answered.attackers} of them, and ${answered.victims} victims; requests at the ` +
        `upstreams: ${upstreams.map(({ count }) => count).join(' and ')}; objections: ${objections.length}, wrong answers: ${wrong.length}`,
    )
    expect(objections.slice(0, 30), 'what came at the upstreams').to.deep.equal([])
    expect(hangs, 'clients without a response').to.deep.equal([])
    expect(wrong.slice(0, 30), 'what clients were answered').to.deep.equal([])
    // A server that refused every body would pass, too.
    expect(answered.attackers).to.be.greaterThan(cases.length / 10)
    expect(upstreams[1]?.count).to.be.greaterThan(0)
  })
})

function idOf(target: string): [kind: string, number: number] | [] {
  const [, kind, number] = /\/([av])(\d+)z/.exec(target) ?? []
  return kind === undefined ? [] : [kind, Number(number)]
}

function objection({ target, headers, body, isWhole, line }: WireRequest, cases: readonly Case[]): string | undefined {
  const [kind, number] = idOf(target)
  if (kind === undefined || number === undefined) return 'nobody sent it'
  const authorization = headers.get('authorization')
  if (authorization !== undefined && authorization !== `Bearer hf_${kind}${number}z`)
    return `it comes with ${authorization}`
  if (headers.has('expect')) return 'Expect is for the next hop only'
  const sent = cases[number]
  if (kind === 'v') return body.length === 0 && line.startsWith('GET ') ? undefined : 'a victim that has a body'
  if (sent === undefined || !line.startsWith(`${sent.method} `)) return 'nobody sent it so'
  const expected = bodyOf(sent)
  if (!expected.subarray(0, body.length).equals(body)) return `a body that is another's: ${snippet(expected, body)}`
  const cut = /cut|short|damaged|never/.test(sent.variant)
  if (isWhole && cut && body.length > 0) return 'a body that its client never ended'
  return isWhole && body.length > 0 && body.length !== expected.length ? 'a body that was ended early' : undefined
}

function snippet(expected: Buffer, body: Buffer): string {
  let at = 0
  while (at < body.length && body[at] === expected[at]) at++
  return JSON.stringify(body.toString('latin1', at, at + 80))
}

/** Milliseconds after which a client that got no response is a finding. */
const patience = 5_000

/** Carries out the acts on a connection of their own; the final response, if there is one. */
async function perform(port: number, method: string, acts: readonly Act[]): Promise<WireResponse | 'hung' | undefined> {
  const socket = connect(port, '127.0.0.1')
  let received = Buffer.alloc(0)
  let ended = false
  const waiters = new Set<() => void>()
  const wake = () => {
    for (const waiter of waiters) waiter()
    waiters.clear()
  }
  const changed = () => new Promise<void>((resolve) => waiters.add(resolve))
  let hung = false
  const timer = setTimeout(() => {
    hung = true
    socket.destroy()
  }, patience)
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    wake()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    ended = true
    wake()
  })
  const response = () => readResponse(received, method, ended)?.response
  const finishes = acts.some((act) => 'finish' in act)
  for (const act of acts) {
    if (ended) break
    if ('send' in act) socket.write(act.send)
    if ('pause' in act) await delay(act.pause)
    if ('await' in act) while (!ended && received.length === 0) await changed()
    if ('finish' in act && act.finish === 'end') socket.end()
    if ('finish' in act && act.finish === 'reset') socket.resetAndDestroy()
  }
  while (!ended && (finishes || response() === undefined)) await changed()
  clearTimeout(timer)
  socket.destroy()
  return hung ? 'hung' : response()
}
