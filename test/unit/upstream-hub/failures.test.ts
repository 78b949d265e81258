import { expect } from 'chai'
import { errors } from 'undici'
import { declineFor } from '../../../plugins/upstream-hub/declining.ts'
import { ContentFailed } from '../../../plugins/upstream-hub/follow/content-failed.ts'
import {
  AnswerUnreadable,
  BreakerOpen,
  ConnectFailed,
  classify,
  Paused,
  RequestBodyFailed,
  RequestRefused,
  UpstreamTimeout,
} from '../../../plugins/upstream-hub/transport/failures.ts'

const coded = (code: string, more: object = {}) => Object.assign(new Error('it failed'), { code, ...more })

describe('whose fault an error is', () => {
  const kinds = { UpstreamTimeout, ConnectFailed, RequestBodyFailed, RequestRefused, AnswerUnreadable }
  for (const [name, codes] of Object.entries({
    RequestRefused: [
      ...['ERR_INVALID_X', 'ERR_HTTP_X', 'ERR_UNESCAPED_CHARACTERS', 'UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED'],
      'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
    ],
    AnswerUnreadable: ['HPE_INVALID', 'UND_ERR_HEADERS_OVERFLOW'],
    UpstreamTimeout: ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'],
    ConnectFailed: [
      ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'],
      'UND_ERR_CONNECT_TIMEOUT',
    ],
  }))
    it(`is told by its code: ${name}`, () => {
      for (const code of codes) {
        const error = coded(code)
        const found = classify(error)
        expect(found.constructor.name, code).to.equal(name)
        expect(found.cause).to.equal(error)
        expect(found.message).to.match(/it failed|no connection/)
      }
    })

  it('is told otherwise by its kind', () => {
    expect(classify(new TypeError('x'))).to.be.instanceOf(RequestRefused)
    expect(classify(new errors.HTTPParserError('x'))).to.be.instanceOf(AnswerUnreadable)
    expect(classify(new AggregateError([new Error('x')]))).to.be.instanceOf(ConnectFailed)
    expect(classify(Object.assign(new Error('x'), { cert: {} }))).to.be.instanceOf(ConnectFailed)
    expect(classify(Object.assign(new Error('x'), { reason: 'x' }))).to.be.instanceOf(ConnectFailed)
    for (const Kind of Object.values(kinds)) {
      const ours = Object.assign(new Kind('x'), { code: 'ECONNREFUSED' })
      expect(classify(ours)).to.equal(ours)
    }
    expect(classify('text')).to.be.instanceOf(Error).with.property('message', 'text')
  })

  it('is nobody’s where nothing tells', () => {
    for (const error of [
      ...[new Error('x'), new AggregateError([]), coded('ECONNRESET'), coded('XERR_INVALID_'), coded('XHPE_')],
      ...[coded('UND_ERR_HEADERS_OVERFLOWED'), Object.assign(new Error('x'), { code: 5 })],
    ])
      expect(classify(error)).to.equal(error)
  })

  it('decides what the server is told', () => {
    const at = { url: 'http://hub', breakerPause: 4_001 }
    for (const [error, status, retryAfter] of [
      [new Paused(7), 429, 7],
      [new BreakerOpen('x'), 503, 5],
      [new UpstreamTimeout('x'), 504, undefined],
      [new ConnectFailed('x'), 504, undefined],
      [new ConnectFailed('x', { cause: coded('UND_ERR_CONNECT_TIMEOUT') }), 504, undefined],
      [new ConnectFailed('x', { cause: coded('ECONNREFUSED') }), 502, undefined],
      [new ConnectFailed('x', { cause: 'x' }), 502, undefined],
      [coded('UND_ERR_CONNECT_TIMEOUT'), 502, undefined],
      [new Error('x'), 502, undefined],
    ] as const) {
      const declined = declineFor(error, at)
      expect([declined.kind, declined.status, declined.retryAfter]).to.deep.equal(['declined', status, retryAfter])
      expect(declined.cause).to.equal(error)
      expect(declined.reason).to.match(/^http:\/\/hub [a-z][^:]+/)
    }
    for (const [error, reason] of [
      [new Paused(7), 'limits the rate of requests, and is left alone for 7 s'],
      [new BreakerOpen('x'), 'is not asked: x'],
      [new ContentFailed('x'), "leads to content that can't be fetched: x"],
      [new UpstreamTimeout('x'), 'did not answer: x'],
      [new ConnectFailed('x'), 'did not answer: x'],
      [new Error('x'), 'gave no usable answer: x'],
    ] as const)
      expect(declineFor(error, at).reason).to.equal(`http://hub ${reason}`)
    for (const [cause, status] of [
      [new UpstreamTimeout('x'), 504],
      [new Error('x'), 502],
    ] as const)
      expect(declineFor(new ContentFailed('x', { cause }), at).status).to.equal(status)
  })
})
