import { type NamedRepository, parseTarget } from '../../../src/hub/index.ts'

const named = ({ type, id }: NamedRepository) => `${type}:${id}`

/**
 * What a target means, in one line: its operation with the route, the repository with its revision and path, other
 * operands; then the canonical spelling where it is another, and what else the path may name or mean.
 */
export function meaningOf(url: string): string {
  const { target } = parseTarget(url, '')
  const { readings, alternatives, pair } = target
  const words: string[] = ['route' in target ? `${target.operation}(${target.route})` : target.operation]
  const repository = 'repository' in target ? named(target.repository) : ''
  const revision = 'revision' in target && target.revision !== undefined ? `@${target.revision}` : ''
  if (repository !== '') words.push(repository + revision)
  if ('path' in target) words.push(`path=${target.path}`)
  if ('namespace' in target) words.push(`${target.of}=${target.namespace}`)
  if ('seal' in target) words.push(`seal=${target.seal}`)
  if ('oid' in target) words.push(`oid=${target.oid}`)
  if ('reference' in target) words.push(`reference=${target.reference}`)
  if ('digest' in target) words.push(`digest=${target.digest}`)
  if ('service' in target) words.push(`service=${target.service}`)
  if (target.canonical !== url) words.push(`spelled ${target.canonical}`)
  if (readings.map(named).join() !== repository) words.push(`readings ${readings.map(named).join()}`)
  if (alternatives.length > 0) words.push(`or ${alternatives.map(({ operation }) => operation).join()}`)
  if (pair !== undefined) words.push(`pair ${named(pair)}`)
  return words.join(' ')
}
