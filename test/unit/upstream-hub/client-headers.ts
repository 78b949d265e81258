/** A request for metadata as a client really sends it. */
export interface SentByClient {
  readonly client: string
  readonly method: 'GET' | 'HEAD'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

type Headers = SentByClient['headers']

const commit = 'a'.repeat(40)
const trace = '7a5f3b3e-2d5c-4c39-9a57-0d0f3f0f9c11'

/** A file's HEAD, and what lists a repository. */
function python(client: string, agent: string, more: Headers): readonly SentByClient[] {
  const common = { accept: '*/*', 'user-agent': agent, 'x-amzn-trace-id': trace, ...more }
  const listing = { ...common, 'accept-encoding': 'gzip, deflate' }
  return [
    {
      client,
      method: 'HEAD',
      path: '/o/n/resolve/main/config.json',
      headers: { ...common, 'accept-encoding': 'identity' },
    },
    { client, method: 'GET', path: '/api/models/o/n/revision/main', headers: listing },
    { client, method: 'GET', path: `/api/models/o/n/tree/${commit}?recursive=true&expand=false`, headers: listing },
    { client, method: 'GET', path: '/api/models/o/n/refs', headers: listing },
  ]
}

const agentOf = (version: string) => `unknown/None; hf_hub/${version}; python/3.11.7`
const counted = { 'x-hf-download-counter': '1' }
const node = {
  'accept-language': '*',
  'sec-fetch-mode': 'cors',
  'accept-encoding': 'gzip, deflate',
  'user-agent': 'node',
}

/**
 * Recorded from the clients themselves, which `test/clients` installs. Their requests for content (GET of a file, ranges)
 * are not here: those go to the Hub each by itself.
 */
export const sentByClients: readonly SentByClient[] = [
  ...['0.20.3', '0.25.2', '0.30.2', '0.36.2'].flatMap((version) =>
    python(`huggingface_hub ${version}`, agentOf(version), {}),
  ),
  // Since 1.x every request of hf_hub_download and snapshot_download is flagged (`flag_as_download_call`).
  ...['1.33.0', '2.4.0'].flatMap((version) => [
    ...python(`huggingface_hub ${version}, a download`, agentOf(version), counted),
    ...python(`huggingface_hub ${version}, HfApi`, agentOf(version), {}),
    ...python(`huggingface_hub ${version}, for an organization`, agentOf(version), { 'x-hf-bill-to': 'org' }),
  ]),
  ...python('transformers 5.24.0', 'transformers/5.24.0; python/3.11.7; session_id/1f; hf_hub/2.4.0', counted),
  ...python('datasets 5.2.0', 'datasets/5.2.0; hf_hub/2.4.0; python/3.11.7', counted),
  {
    client: 'hf-hub 0.5.0 (Rust)',
    method: 'GET',
    path: '/api/models/o/n/revision/main',
    headers: { accept: '*/*', 'accept-encoding': 'gzip', 'user-agent': 'unknown/None; hf-hub/0.5.0; rust/unknown' },
  },
  ...(['/api/models/o/n/revision/main', `/api/models/o/n/tree/${commit}`] as const).map(
    (path): SentByClient => ({
      client: 'hf-hub 1.0.0 (Rust)',
      method: 'GET',
      path,
      headers: { accept: '*/*', 'user-agent': 'hf-hub/1.0.0' },
    }),
  ),
  ...[{}, { 'if-none-match': '"of-what-it-has"' }].map(
    (more): SentByClient => ({
      client: `hf-hub 1.0.0 (Rust)${'if-none-match' in more ? ', with the file in its cache' : ''}`,
      method: 'HEAD',
      path: `/o/n/resolve/${commit}/config.json`,
      headers: { accept: '*/*', 'user-agent': 'hf-hub/1.0.0', ...more },
    }),
  ),
  {
    client: '@huggingface/hub 2.17.5, listFiles',
    method: 'GET',
    path: '/api/models/o/n/tree/main',
    headers: { ...node, accept: 'application/json' },
  },
  {
    client: '@huggingface/hub 2.17.5, modelInfo',
    method: 'GET',
    path: '/api/models/o/n/revision/HEAD',
    headers: { ...node, accept: '*/*' },
  },
]
