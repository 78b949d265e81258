import { z } from 'zod'
import { describeError } from '../hub/index.ts'
import { openUpstream, type PluginReference, readPluginOptions } from '../plugin/registry.ts'
import { askWhoIAm, findToken } from '../transfer/index.ts'
import type { Finding } from './finding.ts'
import { quietContext } from './quiet-context.ts'

/** Milliseconds of difference from which signed URLs and tokens begin to fail. */
const skewTolerated = 30_000

/** The options of an upstream that is a Hub, or speaks as one. */
const hubOptions = z.object({ url: z.string(), token: z.string().optional() })

/** Opens the upstream as the server does, and asks it. `given` is a token to try, in the place of the upstream's own. */
export async function examineUpstream(reference: PluginReference, given: string | undefined): Promise<Finding[]> {
  let options: unknown
  try {
    options = await readPluginOptions('upstream', reference)
    await (await openUpstream(reference, quietContext)).close()
  } catch (error) {
    const advice = 'correct the configuration: the server does not start with it'
    return [
      {
        state: 'bad',
        subject: `upstream ${reference.plugin}`,
        message: describeError(error),
        advice,
        isBadInput: true,
      },
    ]
  }
  const hub = hubOptions.safeParse(options)
  if (!hub.success) return [{ state: 'good', subject: `upstream ${reference.plugin}`, message: 'can be loaded' }]
  const { url, token = await findToken(process.env) } = hub.data
  return await examineHub(url, given ?? token)
}

async function examineHub(url: string, token: string | undefined): Promise<Finding[]> {
  const subject = `hub ${url}`
  let answer: { status: number; date: string | undefined }
  try {
    answer = await askWhoIAm(url, token)
  } catch (error) {
    return [
      {
        state: 'bad',
        subject,
        message: `does not answer: ${describeError(error)}`,
        advice: 'check the network and HTTPS_PROXY, or run offline; mirrored repositories are served all the same',
      },
    ]
  }
  const findings: Finding[] = [{ state: 'good', subject, message: 'answers' }]
  if (token === undefined) findings.push({ state: 'good', subject, message: 'no token: public repositories only' })
  else if (answer.status === 200) findings.push({ state: 'good', subject, message: 'accepts the token' })
  else
    findings.push({
      state: 'bad',
      subject,
      message: `refuses the token (${answer.status})`,
      advice: 'make another at the Hub, or unset HF_TOKEN',
    })
  const date = Date.parse(answer.date ?? '')
  const skew = Number.isNaN(date) ? 0 : Math.abs(Date.now() - date)
  findings.push(
    skew > skewTolerated
      ? {
          state: 'bad',
          subject: 'clock',
          message: `${Math.round(skew / 1000)} s off the Hub's`,
          advice: 'signed URLs and tokens fail: synchronize it (NTP)',
        }
      : { state: 'good', subject: 'clock', message: "agrees with the Hub's" },
  )
  return findings
}
