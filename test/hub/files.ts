import { type Asked, commitAt, Refusal } from './asked.ts'
import { xetHash } from './metadata.ts'
import { type HubFile, type HubRepository, pointerOf } from './repository.ts'
import { sendContent } from './send.ts'

/** `resolve`, `raw` or `resolve-cache` of a file; `rest`: revision and path, still encoded. */
export async function answerFile(
  asked: Asked,
  repository: HubRepository,
  operation: string,
  rest: readonly string[],
): Promise<void> {
  const { request, response, fault } = asked
  const length = rest[0] === 'refs' && rest.length > 3 ? 3 : 1
  const revision = decodeURIComponent(rest.slice(0, length).join('/'))
  const path = decodeURIComponent(rest.slice(length).join('/'))
  const commit = commitAt(repository, revision)
  response.setHeader('X-Repo-Commit', commit.id)
  const file = commit.files.get(path)
  if (file === undefined) throw new Refusal(404, 'EntryNotFound', 'Entry not found')
  if (operation === 'raw' && file.lfs) {
    response.writeHead(200, { ETag: `"${file.oid}"`, 'Content-Type': 'text/plain; charset=utf-8' })
    response.end(request.method === 'HEAD' ? undefined : pointerOf(file.content))
    return
  }
  if (file.lfs) return redirectToCdn(asked, repository, file)
  if (operation === 'resolve') {
    const { type, id } = repository.traits
    const location = `/api/resolve-cache/${type}s/${id}/${commit.id}/${encodeURIComponent(path).replaceAll('%2F', '/')}?%2F=&etag=%22${file.oid}%22`
    response.writeHead(307, { Location: location, 'Content-Type': 'text/plain; charset=utf-8', Vary: 'Origin, Accept' })
    response.end(`Temporary Redirect. Redirecting to ${location}`)
    return
  }
  const name = path.slice(path.lastIndexOf('/') + 1)
  const headers = {
    ETag: `"${file.oid}"`,
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Disposition': `inline; filename*=UTF-8''${encodeURIComponent(name)}; filename="${name.replaceAll(/[^ -~]|"/g, '?')}";`,
  }
  if (request.headers['if-none-match'] === headers.ETag) return void response.writeHead(304, headers).end()
  await sendContent(request, response, file.content, headers, fault)
}

function redirectToCdn({ hub, response }: Asked, { traits }: HubRepository, file: HubFile): void {
  const location = hub.cdn.signed(`/xet/${file.content.sha256}`)
  const hash = xetHash(file)
  response.writeHead(302, {
    Location: location,
    'X-Linked-Size': String(file.content.size),
    'X-Linked-ETag': `"${file.content.sha256}"`,
    'Accept-Ranges': 'bytes',
    ...(traits.xet === true && {
      'X-Xet-Hash': hash,
      Link: `<${hub.url}/api/${traits.type}s/${traits.id}/xet-read-token/main>; rel="xet-auth", <${hub.cdnUrl}/v1/reconstructions/${hash}>; rel="xet-reconstruction-info"`,
    }),
  })
  response.end(`Found. Redirecting to ${location}`)
}
