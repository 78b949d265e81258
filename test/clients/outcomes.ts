import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Client } from './clients.ts'

export const situations = ['mirrored, the Hub off', 'passed on', 'followed, in a closed network'] as const
export type Situation = (typeof situations)[number]

/** Where requests went while a client did its work. */
export interface Requests {
  readonly mirror: number
  /** To the Hub, by the mirror. */
  readonly hub: number
  /** To the Hub's CDN: by the client itself where redirects are passed on, else by the mirror. */
  readonly cdn: number
}

export interface Outcome {
  readonly client: string
  readonly does: string
  readonly situation: Situation
  readonly requests: Requests
}

const file = fileURLToPath(new URL('../../.cache/compatibility.json', import.meta.url))

export async function readOutcomes(): Promise<Outcome[]> {
  return JSON.parse(await readFile(file, 'utf8').catch(() => '[]'))
}

/** Keeps that a client got what it should, for `scripts/write-compatibility.ts`. */
export async function recordOutcome({ name, does }: Client, situation: Situation, requests: Requests): Promise<void> {
  const others = (await readOutcomes()).filter((one) => one.client !== name || one.situation !== situation)
  await mkdir(fileURLToPath(new URL('../../.cache/', import.meta.url)), { recursive: true })
  await writeFile(file, JSON.stringify([...others, { client: name, does, situation, requests }], undefined, 1))
}
