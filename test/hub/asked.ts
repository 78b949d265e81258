import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Account } from './accounts.ts'
import type { Fault } from './faults.ts'
import type { HubCommit, HubRepository } from './repository.ts'
import type { StandInHub } from './stand-in-hub.ts'

/** A request under way, with what every handler needs. */
export interface Asked {
  readonly hub: StandInHub
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly fault: Fault | undefined
  /** Who asks; `undefined`: anonymous. */
  readonly account: Account | undefined
}

/** Answers one operation of the API: returns the JSON to send, or `undefined` if it sent the response itself. */
export type Handler = (asked: Asked, repository: HubRepository, rest: readonly string[]) => unknown | Promise<unknown>

/** Thrown by a handler; becomes an error response of the Hub's shape. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string | undefined

  constructor(status: number, code: string | undefined, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const body = Buffer.from(JSON.stringify(value))
  response
    .writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length })
    .end(body)
}

export function sendRefusal(response: ServerResponse, { status, code, message }: Refusal): void {
  response.setHeader('X-Error-Message', message.replaceAll(/[^ -~]/g, "'"))
  if (code !== undefined) response.setHeader('X-Error-Code', code)
  sendJson(response, { error: message }, status)
}

/** The commit that a revision names; throws the Hub's 404. */
export function commitAt(repository: HubRepository, revision: string): HubCommit {
  const commit = repository.resolve(revision)
  if (commit === undefined) throw new Refusal(404, 'RevisionNotFound', `Invalid rev id: ${revision}`)
  return commit
}

/** Express takes `a[]=1`, `a=1&a=2` and `a=1` for the same list. */
export function listParameter(url: URL, name: string): string[] {
  return [...url.searchParams.getAll(name), ...url.searchParams.getAll(`${name}[]`)]
}

export function flagParameter(url: URL, name: string): boolean {
  return ['true', 'True', '1'].includes(url.searchParams.get(name) ?? '')
}

/** The page of a list that `limit` and `cursor` ask for; a `Link` header leads to the next. */
export function page<Item>({ response, url }: Asked, items: readonly Item[], size: number): Item[] {
  const limit = Math.min(size, Number(url.searchParams.get('limit') ?? size))
  const start = Number(Buffer.from(url.searchParams.get('cursor') ?? '', 'base64').toString() || 0)
  if (start + limit < items.length) {
    const next = new URL(url)
    next.searchParams.set('cursor', Buffer.from(String(start + limit)).toString('base64'))
    response.setHeader('Link', `<${next.href}>; rel="next"`)
  }
  return items.slice(start, start + limit)
}
