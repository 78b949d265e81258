import { spellAddress } from './format-target.ts'
import { isRepositoryId, typeOfCollection } from './repository.ts'
import type { Route } from './route-reading.ts'
import type { Address } from './target.ts'
import { spellSegments, type TargetPath } from './target-path.ts'

const oidPattern = /^[0-9a-f]{64}$/

/** `/-/…`, which can be no user's name at the Hub: this server's own. */
export function readOwnRoute(path: TargetPath): Route {
  const { segments } = path
  const [, word = '', operand = ''] = segments
  switch (word.toLowerCase()) {
    case 'misses':
      if (segments.length === 2) return { address: { operation: 'misses' }, path: '/-/misses', readings: [] }
      break
    case 'follow':
      if (segments.length === 3) return own({ operation: 'follow', seal: operand })
      break
    case 'lfs': {
      const type = typeOfCollection(operand.toLowerCase())
      const id = segments.slice(3, -1).join('/')
      const oid = segments.at(-1) ?? ''
      if (type !== undefined && isRepositoryId(id) && oidPattern.test(oid))
        return own({ operation: 'lfs-object', repository: { type, id }, oid })
      break
    }
  }
  return { address: { operation: 'page' }, path: spellSegments(path), readings: [] }
}

function own(address: Address<'follow' | 'lfs-object'>): Route {
  return { address, path: spellAddress(address), readings: 'repository' in address ? [address.repository] : [] }
}
