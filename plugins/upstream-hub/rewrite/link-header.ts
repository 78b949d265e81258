import LinkHeader from 'http-link-header'

interface Link {
  readonly uri: string
  readonly [attribute: string]: unknown
}

/** A `Link` header with its URLs mapped; a link mapped to `undefined` is left out. A header that is no list of links is `undefined`. */
export function mapLinks(
  value: string,
  map: (uri: string, relation: string) => string | undefined,
): string | undefined {
  let links: readonly Link[]
  try {
    links = LinkHeader.parse(value).refs
  } catch {
    return undefined
  }
  const kept: string[] = []
  for (const link of links) {
    const uri = map(link.uri, typeof link.rel === 'string' ? link.rel.toLowerCase() : '')
    if (uri !== undefined) kept.push(`<${uri}>${attributesOf(link)}`)
  }
  return kept.length === 0 ? undefined : kept.join(', ')
}

/** Quoted, for @huggingface/hub knows links by `rel="…"`, which the library writes without quotes. */
function attributesOf(link: Link): string {
  let text = ''
  for (const [name, value] of Object.entries(link)) {
    if (name !== 'uri' && typeof value === 'string') text += `; ${name}="${value.replaceAll(/["\\]/g, '\\$&')}"`
  }
  return text
}
