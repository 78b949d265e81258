import { expect } from 'chai'
import { Failure, HubFailure, UsageFailure } from '../../../../src/hub/index.ts'
import {
  contentRefused,
  everythingRefused,
  fileRefused,
  invalidBody,
  invalidCapability,
  listingUnavailable,
  passageFailure,
  readOnlyMirror,
  repositoryDenied,
  repositoryNotAllowed,
  routeNotAllowed,
  unexpectedHost,
} from '../../../../src/server/gate/refusals.ts'

const cause = new HubFailure('X', 500, 'the reason')

describe('what a client is told that may not pass', () => {
  // Clients of the Hub tell by the code what to do; people, by a sentence that names what was refused.
  for (const [failure, status, code, named] of [
    [passageFailure('token-required', 'org/m'), 401, 'RepoNotFound', 'HF_TOKEN'],
    [passageFailure('not-covered', 'org/m'), 403, 'GatedRepo', 'org/m'],
    [passageFailure('not-listed', 'org/m'), 403, 'NotGranted', 'by name'],
    [passageFailure('no-write', 'org/m'), 403, 'NotGranted', 'write: true'],
    [passageFailure('not-granted', 'org/m'), 403, 'NotGranted', 'accounts'],
    [passageFailure('read-only', 'org/m'), 403, 'ReadOnlyMirror', 'read-only'],
    [readOnlyMirror(), 403, 'ReadOnlyMirror', 'read-only'],
    [repositoryDenied('org/m'), 403, 'RepositoryDenied', 'org/m'],
    [repositoryNotAllowed('org/m'), 403, 'RepositoryDenied', 'org/m'],
    [routeNotAllowed(), 403, 'RepositoryDenied', 'this address'],
    [fileRefused('a.bin'), 403, 'FileRefused', 'a.bin'],
    [contentRefused('a'.repeat(64)), 403, 'FileRefused', 'a'.repeat(64)],
    [everythingRefused(), 403, 'FileRefused', 'Xet'],
    [invalidCapability(), 403, 'InvalidCapability', 'expired'],
    [unexpectedHost('evil.example', 'https://mirror.example'), 421, 'MisdirectedRequest', 'evil.example'],
    [listingUnavailable(cause), 503, 'ListingUnavailable', 'the reason'],
  ] as const)
    it(`${code}: ${failure.message}`, () => {
      expect(failure).to.be.instanceOf(HubFailure)
      expect([failure.status, failure.code]).to.deep.equal([status, code])
      expect(failure.message)
        .to.match(/^[A-Za-z].{10}/)
        .and.include(named)
    })

  it('says what is wrong with a body, and why', () => {
    const failure = invalidBody('it is not JSON', cause)
    expect(failure).to.be.instanceOf(UsageFailure)
    expect(failure.message).to.match(/policy: it is not JSON/)
    expect(failure.cause).to.equal(cause)
    expect(listingUnavailable(cause).cause).to.equal(cause)
  })

  it('names the server that was meant, and cuts what is too long for an oid', () => {
    expect(unexpectedHost('', 'https://mirror.example').message).to.include('https://mirror.example')
    expect(contentRefused('b'.repeat(65)).message).to.not.include('b'.repeat(65))
  })

  it('is a failure of the request in each case, so that none is counted as the upstream’s', () => {
    expect(passageFailure('not-covered', 'x')).to.be.instanceOf(Failure)
  })
})
