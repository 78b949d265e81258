/** What stands in place of a secret. */
export const hidden = '(hidden)'

/** Whether a value under this name is likely to be a secret: of a header, an option, a field. */
export function isSecretName(name: string): boolean {
  return /token|secret|passw|passphrase|credential|authorization|cookie|signature|connection.?string|dsn$|.key$/i.test(
    name,
  )
}

/** A secret shorter than this, in characters, could not be told from ordinary text. */
const shortestSecret = 6

/** Lines without any of these hold no pattern, and most lines hold none. Ignoring case would take four times as long. */
const suspicious =
  /:\/\/|[?&]|[Bb]earer|BEARER|[Bb]asic|BASIC|hf_|api_org_|AKIA|ya29\.|PRIVATE KEY|uthorization|UTHORIZATION|ookie|OOKIE|[xX]-/

/** Each takes time in proportion to the text: clients write some of it. */
const patterns: readonly (readonly [RegExp, string])[] = [
  // User and password of a URL. Not from its scheme on, which every letter of a long word might begin.
  [/:\/\/[^\s/?#"'<>\\]*@/g, `://${hidden}@`],
  // Tokens and signatures in a query.
  [
    /([?&][\w.%-]{0,40}(?:sig|token|secret|passw|key|credential|policy|auth)[\w.%-]{0,40}=)[^&\s"'<>\\]+/gi,
    `$1${hidden}`,
  ],
  // Credentials with their scheme.
  [/\b(bearer|basic) +[\w.~+/=-]{6,}/gi, `$1 ${hidden}`],
  // Headers written out in a message.
  [
    /\b((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]{0,40}(?:token|key|secret))(\\?["']?\s*[:=]\s*)(?!\(hidden)[^"'\\\r\n]+/gi,
    `$1$2${hidden}`,
  ],
  // What the Hub, AWS and Google make.
  [/\b(?:hf_|api_org_)[A-Za-z0-9]{16,}|\bAKIA[0-9A-Z]{16}\b|\bya29\.[\w-]+/g, hidden],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gs, hidden],
]

/** Characters of one text in a log line. */
const longestText = 2048
/** Characters of an error's stack, most of which are not its message. */
const longestStack = 8192
/** Characters beyond the end that are searched as well, for a secret that reaches over it. */
const least = 1024

/** Takes secrets out of text: those that are known, and what looks like one. */
export class Redactor {
  readonly #forms = new Set<string>()
  #known: RegExp | undefined
  #overlap = least

  constructor(secrets: Iterable<string> = []) {
    this.add(secrets)
  }

  /** Takes these out of text as well, from now on. */
  add(secrets: Iterable<string>): void {
    for (const secret of secrets)
      if (secret.length >= shortestSecret) for (const form of formsOf(secret)) this.#forms.add(form)
    // The longest first: one secret may begin with another.
    const sources = [...this.#forms]
      .sort((one, other) => other.length - one.length)
      .map((form) => form.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))
    this.#overlap = Math.max(least, ...[...this.#forms].map((form) => form.length))
    this.#known = sources.length === 0 ? undefined : new RegExp(sources.join('|'), 'g')
  }

  /** The text, cut where it is too long for a log line. No secret is cut in two, of which one half would stay. */
  shorten(text: string, isStack = false): string {
    const longest = isStack ? longestStack : longestText
    if (text.length <= longest) return text
    const mark = `… (cut: ${text.length} characters)`
    return this.redact(text.slice(0, longest + this.#overlap)).slice(0, longest - mark.length) + mark
  }

  redact(text: string): string {
    let redacted = this.#known === undefined ? text : text.replace(this.#known, hidden)
    if (suspicious.test(redacted))
      for (const [pattern, replacement] of patterns) redacted = redacted.replace(pattern, replacement)
    return redacted
  }
}

/** A secret as it is, in JSON, in a URL, and in the header of Basic authentication. */
function formsOf(secret: string): string[] {
  const base64 = Buffer.from(secret).toString('base64').replaceAll('=', '')
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), base64]
}
