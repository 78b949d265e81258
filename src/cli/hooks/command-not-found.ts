import type { Hook } from '@oclif/core'
import { closestName, didYouMean } from '../../config/closest-name.ts'
import { UsageFailure } from '../../hub/failure.ts'

/** `mirrorface lst`: one sentence, with the command that was probably meant. */
const commandNotFound: Hook.CommandNotFound = async ({ id, config }) => {
  const words = id.replaceAll(':', ' ')
  const suggestion = closestName(
    words,
    config.commandIDs.filter((name) => !name.includes(':')),
  )
  throw new UsageFailure(`unknown command ${words}${didYouMean(suggestion, '; mirrorface help lists the commands')}`)
}
export default commandNotFound
