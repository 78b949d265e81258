import type { Hook } from '@oclif/core'
import { closestName } from '../../config/closest-name.ts'
import { UsageFailure } from '../../hub/failure.ts'
import { didYouMean } from '../suggestion.ts'

/** `mirrorface lst`: one sentence, with the command that was probably meant. */
const commandNotFound: Hook.CommandNotFound = async ({ id, config }) => {
  const words = id.replaceAll(':', ' ')
  const suggestion = closestName(
    words,
    config.commandIDs.filter((name) => !name.includes(':')),
  )
  const hint = suggestion === undefined ? '; mirrorface help lists the commands' : didYouMean(suggestion)
  throw new UsageFailure(`unknown command ${words}${hint}`)
}
export default commandNotFound
