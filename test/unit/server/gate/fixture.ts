import { Failure, formatRepository, type Method, parseTarget, type Repository } from '../../../../src/hub/index.ts'
import { ManifestSnapshot, type MirroredRef, type Snapshot } from '../../../../src/mirror/index.ts'
import {
  BodyReader,
  bodyOfBytes,
  type Declined,
  type Storage,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
  type UpstreamTraits,
} from '../../../../src/plugin/index.ts'
import { AccessTokens, type ConfiguredToken } from '../../../../src/server/gate/access-tokens.ts'
import {
  Gate,
  type GateRequest,
  type GateSettings,
  type ReadableLibrary,
  Seals,
} from '../../../../src/server/gate/index.ts'
import { createLogger } from '../../../../src/telemetry/logger.ts'

/** Nothing of it is read here: a snapshot only says where it would be. */
const nowhere = { name: 'nowhere' } as Storage

export interface StoredRepository {
  readonly repository: Repository
  readonly info?: Record<string, unknown>
  readonly files?: readonly { readonly path: string; readonly sha256?: string }[]
}

export function snapshot({ repository, info = {}, files = [] }: StoredRepository): Snapshot {
  return new ManifestSnapshot(
    nowhere,
    {
      layout: 2,
      repository: { ...repository },
      commit: 'c'.repeat(40),
      mirroredAt: '2026-01-01T00:00:00.000Z',
      mirroredFrom: 'https://hub.example',
      info,
      commits: [],
      files: files.map(({ path, sha256 }) => ({
        path,
        size: 1,
        oid: 'a'.repeat(40),
        ...(sha256 !== undefined && { lfs: { sha256, pointerSize: 1 } }),
        blob: null,
      })),
      directories: [],
    },
    0,
  )
}

/** A library of these repositories, each at one commit with `main`. */
export class ListedLibrary implements ReadableLibrary {
  readonly stored: readonly StoredRepository[]

  constructor(...stored: StoredRepository[]) {
    this.stored = stored
  }

  async find(repository: Repository): Promise<Snapshot | undefined> {
    const found = this.#of(repository)
    return found === undefined ? undefined : snapshot(found)
  }

  async refs(repository: Repository): Promise<MirroredRef[]> {
    const found = this.#of(repository)
    if (found === undefined) return []
    return [{ name: 'main', kind: 'branch', commit: 'c'.repeat(40), updatedAt: '2026-01-01T00:00:00.000Z' }]
  }

  async has(repository: Repository): Promise<boolean> {
    return this.#of(repository) !== undefined
  }

  #of(repository: Repository): StoredRepository | undefined {
    return this.stored.find((one) => formatRepository(one.repository) === formatRepository(repository))
  }
}

type Answerer = (request: UpstreamRequest) => Promise<UpstreamAnswer | Declined> | UpstreamAnswer | Declined

/** An upstream that keeps what it was asked. */
export class RecordingUpstream implements Upstream {
  readonly traits: UpstreamTraits
  readonly asked: UpstreamRequest[] = []
  answer: Answerer

  constructor(traits: Partial<UpstreamTraits> = {}, answer: Answerer = () => json(404, {})) {
    this.traits = {
      name: 'hub',
      hasServiceToken: false,
      serviceWrites: false,
      clientTokens: undefined,
      clientTokenPattern: /^(?:hf_|api_)/,
      authority: undefined,
      ...traits,
    }
    this.answer = answer
  }

  async ask(request: UpstreamRequest): Promise<UpstreamAnswer | Declined> {
    this.asked.push(request)
    return await this.answer(request)
  }

  async ready(): Promise<void> {}
  async close(): Promise<void> {}
}

export function json(status: number, value: unknown, headers: UpstreamAnswer['headers'] = []): UpstreamAnswer {
  return { kind: 'answered', status, headers, body: Buffer.from(JSON.stringify(value)) }
}

export const declined: Declined = { kind: 'declined', status: 504, reason: 'timed out' }

export const openSettings: GateSettings = {
  access: 'open',
  accessCacheFor: 60_000,
  accessGrace: 3_600_000,
  serveNonPublic: false,
  allow: [],
  deny: [],
  readOnly: false,
  pickleFiles: 'allow',
  publicUrl: undefined,
  corsOrigins: [],
  page: true,
  questionHeaders: { via: '1.1 test' },
}

export interface GateOptions extends Partial<GateSettings> {
  readonly library?: ReadableLibrary
  readonly upstreams?: readonly Upstream[]
  readonly accessTokens?: readonly ConfiguredToken[]
  readonly seals?: Seals
}

export const testSeals = new Seals(['0123456789abcdef0123456789abcdef'])

export function gateWith({ library, upstreams, accessTokens, seals, ...settings }: GateOptions = {}): Gate {
  return new Gate(
    { ...openSettings, ...settings },
    {
      library: library ?? new ListedLibrary(),
      upstreams: upstreams ?? [new RecordingUpstream()],
      accessTokens: new AccessTokens(accessTokens ?? []),
      seals: seals ?? testSeals,
      bodies: new BodyReader(),
      logger: createLogger('fatal', 'json', { write: () => undefined }),
    },
  )
}

export interface Asked {
  readonly method?: Method
  readonly url: string
  readonly authorization?: string | undefined
  readonly body?: unknown
  readonly contentType?: string
  readonly contentEncoding?: string
  readonly origin?: string
  readonly host?: string
}

export function requestTo(gate: Gate, asked: Asked): GateRequest {
  return {
    id: 'test',
    method: asked.method ?? 'GET',
    target: parseTarget(asked.url, '/mirror').target,
    client: gate.identify({ ...(asked.authorization !== undefined && { authorization: asked.authorization }) }, '::1'),
    body: asked.body === undefined ? undefined : bodyOfBytes(Buffer.from(bodyText(asked.body))),
    contentType: asked.contentType ?? (asked.body === undefined ? undefined : 'application/json'),
    contentEncoding: asked.contentEncoding,
    host: asked.host,
    origin: asked.origin,
    signal: new AbortController().signal,
  }
}

function bodyText(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** The status with which a request is refused; 200: it may pass. */
export async function statusOf(options: GateOptions, asked: Asked | string): Promise<number> {
  const gate = gateWith(options)
  try {
    await gate.admit(requestTo(gate, typeof asked === 'string' ? { url: asked } : asked))
    return 200
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.status
  }
}
