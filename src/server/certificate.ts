import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import { describeError, UsageFailure } from '../hub/index.ts'
import type { Logger } from '../telemetry/logger.ts'

/** Where a server's certificate and its private key lie, both PEM. */
export interface CertificateFiles {
  /** The server's certificate, followed by the intermediate ones, in this order. */
  readonly tlsCert: string
  readonly tlsKey: string
}

/** The contents of both files, which were tried together. */
export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Milliseconds between two looks at the files. Kubernetes replaces mounted secrets by links, of which a watch of a file tells nothing. */
const lookEvery = 5_000

/** Throws a {@link UsageFailure} that names the file where one can't be read, or where the two don't belong together. */
export async function readCertificate({ tlsCert, tlsKey }: CertificateFiles): Promise<Certificate> {
  const cert = await read('tlsCert', tlsCert)
  const key = await read('tlsKey', tlsKey)
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw new UsageFailure(
      `tlsCert ${tlsCert} and tlsKey ${tlsKey} can't be used: ${describeError(error)}; both must be PEM, the key of this very certificate and not encrypted`,
      { cause: error },
    )
  }
  return { cert, key }
}

/**
 * Gives new connections the certificate that lies in the files, within seconds of its change; those that are open keep
 * theirs. While only one file has been replaced, or either is unreadable, the former certificate stays: each new reason
 * is logged once.
 */
export function followCertificate(
  server: Server,
  files: CertificateFiles,
  current: Certificate,
  logger: Logger,
): Disposable {
  let used = current
  let reported: string | undefined
  const look = async () => {
    try {
      const found = await readCertificate(files)
      reported = undefined
      if (found.cert.equals(used.cert) && found.key.equals(used.key)) return
      server.setSecureContext(found)
      used = found
      logger.info(described(found), 'the TLS certificate was replaced')
    } catch (error) {
      const reason = describeError(error)
      if (reason !== reported) logger.error({ err: error }, 'the former TLS certificate stays in use')
      reported = reason
    }
  }
  logger.info(described(current), 'TLS certificate')
  let looking = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(look)
  }, lookEvery)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

function described({ cert }: Certificate): Record<string, unknown> {
  const { subject, subjectAltName, validTo } = new X509Certificate(cert)
  return { subject, names: subjectAltName, validTo }
}

async function read(setting: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new UsageFailure(`${setting}: ${path} can't be read: ${describeError(error)}`, { cause: error })
  }
}
