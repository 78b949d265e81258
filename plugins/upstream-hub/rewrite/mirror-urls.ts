/** Tells URLs at the upstream from others, and says where they are at the mirror. */
export class MirrorUrls {
  readonly #origin: string
  /** The path in front of every target at the upstream: `/mirror` where that is a MirrorFace itself; or empty. */
  readonly #basePath: string

  /** `url`: the upstream's, without a slash at its end. */
  constructor(url: string) {
    const { origin, pathname } = new URL(url)
    this.#origin = origin
    this.#basePath = pathname.replace(/\/+$/, '')
  }

  /**
   * A URL that the upstream gave in its answer to `target`: one at the upstream is relative to the mirror's root and
   * begins with one `/`, any other is absolute. `undefined`: it is no URL.
   */
  toMirror(url: string, target: string): string | undefined {
    const base = this.#origin + this.#basePath + target
    if (!URL.canParse(url, base)) return undefined
    const absolute = new URL(url, base)
    if (absolute.origin !== this.#origin) return absolute.href
    // `//host/path` in a Location would name another host.
    const path = absolute.pathname.replace(/^\/+/, '/')
    const rest = absolute.search + absolute.hash
    if (path === this.#basePath) return `/${rest}`
    if (path.startsWith(`${this.#basePath}/`)) return path.slice(this.#basePath.length).replace(/^\/+/, '/') + rest
    // Behind a proxy that adds a prefix, the Hub's own relative URLs lack it (hub-protocol §2).
    return url.startsWith('/') && !url.startsWith('//') ? path + rest : absolute.href
  }

  /** The URL with the public URL in front where it is at the upstream; otherwise unchanged. */
  toPublic(url: string, target: string, publicUrl: string): string {
    const mirrored = this.toMirror(url, target)
    return mirrored?.startsWith('/') === true ? publicUrl + mirrored : url
  }

  /** Whether the URL leads away from the upstream. */
  leadsAway(url: string, target: string): boolean {
    const mirrored = this.toMirror(url, target)
    return mirrored !== undefined && !mirrored.startsWith('/')
  }
}
