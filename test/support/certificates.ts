import { execFile } from 'node:child_process'
import { copyFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const openssl = (...args: string[]) => promisify(execFile)('openssl', args)

/** A certificate authority of the test's own, and what it has signed, in a folder. */
export class TestAuthority {
  /** PEM: what clients are told to trust. */
  readonly certificate: string
  readonly #folder: string
  #issued = 0

  private constructor(folder: string) {
    this.#folder = folder
    this.certificate = join(folder, 'authority.pem')
  }

  static async create(folder: string): Promise<TestAuthority> {
    const authority = new TestAuthority(folder)
    await openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=Authority of a test', '-addext', 'basicConstraints=critical,CA:TRUE'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      ...['-keyout', authority.#key, '-out', authority.certificate],
    )
    return authority
  }

  /** A new certificate and key for names such as `DNS:huggingface.co` or `IP:127.0.0.1`. */
  async issue(commonName: string, ...names: string[]): Promise<{ readonly cert: string; readonly key: string }> {
    const base = join(this.#folder, `issued-${this.#issued++}`)
    const issued = { cert: `${base}.pem`, key: `${base}.key` }
    const extensions = `${base}.ext`
    await writeFile(extensions, `subjectAltName=${names.join(',')}\nextendedKeyUsage=serverAuth\n`)
    await openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-subj', `/CN=${commonName}`, '-keyout', issued.key, '-out', `${base}.csr`],
    )
    await openssl(
      ...['x509', '-req', '-in', `${base}.csr`, '-days', '1', '-extfile', extensions, '-CAcreateserial'],
      ...['-CA', this.certificate, '-CAkey', this.#key, '-out', issued.cert],
    )
    return issued
  }

  get #key(): string {
    return join(this.#folder, 'authority.key')
  }
}

/** Puts another file in the place of one that is read, in one step. */
export async function replaceFile(path: string, by: string): Promise<void> {
  await copyFile(by, `${path}.new`)
  await rename(`${path}.new`, path)
}
