import { Readable } from 'node:stream'
import { expect } from 'chai'
import fc from 'fast-check'
import { bodyOfBytes, type Rights, type Upstream } from '../../../../src/plugin/index.ts'
import { assertNoLoop, upstreamHeaders } from '../../../../src/server/answers/upstream-request.ts'
import { runs } from '../../../support/runs.ts'
import { answered, arriving, ask, declined, FakeUpstream, failureOf, type Outcome } from './fake-upstreams.ts'

describe('upstreams, asked in order', () => {
  it('each get the rights that the gate gave for it, and nothing of what another got or said', async () => {
    const outcome = fc.constantFrom<Outcome>(declined(), declined(7), answered(), answered([], 404), answered([], 508))
    await fc.assert(
      fc.asyncProperty(fc.array(outcome, { minLength: 1, maxLength: 4 }), async (outcomes) => {
        const upstreams = outcomes.map((one, index) => new FakeUpstream(`up-${index}`, () => one))
        const rightsAt = ({ name }: Upstream['traits']): Rights => ({ use: 'client', token: `hf_for_${name}` })
        const isAnswer = (one: Outcome) => one.kind === 'answered' && one.status !== 508
        const first = outcomes.findIndex(isAnswer)
        const given = ask(upstreams, { rightsAt })
        if (first === -1) {
          const failure = await failureOf(given)
          const waits = outcomes.some((one) => one.kind === 'declined' && one.retryAfter === 7)
          expect(failure.retryAfter).to.equal(waits ? 7 : undefined)
        } else {
          const reply = await given
          expect(reply.source).to.equal(`up-${first}`)
          expect(reply.headers.map(([name]) => name)).to.not.include('retry-after')
        }
        for (const [index, upstream] of upstreams.entries()) {
          const isAsked = first === -1 || index <= first
          expect(upstream.asked.map(({ rights }) => rights)).to.deep.equal(
            isAsked ? [{ use: 'client', token: `hf_for_up-${index}` }] : [],
          )
        }
      }),
      { numRuns: runs(300), seed: 20_261_125 },
    )
  })

  it('get a body once each if it is small, and no second one gets what was spent', async () => {
    const small = [new FakeUpstream('a', () => declined()), new FakeUpstream('b', () => answered())]
    expect((await ask(small, { body: arriving('hello', 5) })).source).to.equal('b')
    expect(small.map(({ bodies }) => bodies)).to.deep.equal([['hello'], ['hello']])
    expect((await ask(small, { body: bodyOfBytes(Buffer.from('kept')) })).source).to.equal('b')
    expect(small.map(({ bodies }) => bodies.at(-1))).to.deep.equal(['kept', 'kept'])
    for (const length of [undefined, 5_000_000]) {
      const large = [new FakeUpstream('a', () => declined()), new FakeUpstream('b', () => answered())]
      expect((await failureOf(ask(large, { body: arriving('hello', length) }))).status).to.equal(503)
      expect(large.map(({ asked }) => asked.length)).to.deep.equal([1, 0])
    }
  })

  it('never see what a client sends for this mirror, or for one hop', () => {
    const name = fc.oneof(
      fc.constantFrom(
        ...['authorization', 'cookie', 'host', 'expect', 'connection', 'transfer-encoding', 'content-length', 'te'],
        ...['proxy-authorization', 'x-forwarded-for', 'x-forwarded-host', 'forwarded', 'upgrade', 'origin', 'referer'],
        ...['accept', 'range', 'if-none-match', 'x-hf-bill-to', 'user-agent', 'x-request-id', 'via', 'x-real-ip'],
      ),
      fc.stringMatching(/^[a-z][a-z-]{0,12}$/),
    )
    const allowed =
      /^(?:accept(?:-encoding|-language)?|content-(?:type|encoding)|git-protocol|range|if-.*|user-agent|last-event-id|traceparent|tracestate|x-amzn-trace-id|x-hf-.*|x-xet-session-id|via)$/
    fc.assert(
      fc.property(fc.dictionary(name, fc.constantFrom('secret', 'x, y')), (headers) => {
        const sent = upstreamHeaders(headers, 'mirrorface-1')
        for (const sentName of Object.keys(sent)) expect(sentName).to.match(allowed)
        expect(sent.via).to.match(/(?:^|, )1\.1 mirrorface-1$/)
        for (const [given, value] of Object.entries(headers))
          if (allowed.test(given) && given !== 'via') expect(sent[given]).to.equal(value)
      }),
      { numRuns: runs(1000), seed: 20_261_125 },
    )
  })

  it('give headers that are for this mirror to decide, and these do not reach the client', async () => {
    const upstream = new FakeUpstream('a', () =>
      answered([
        ['x-request-id', 'theirs'],
        ['access-control-allow-origin', 'https://evil.example'],
        ['x-accel-redirect', '/mirrorface-files/blobs/secret'],
        ['x-sendfile', '/etc/passwd'],
        ['content-security-policy', 'none of ours'],
        ['x-repo-commit', 'c'],
      ]),
    )
    const plain = await ask([upstream])
    expect(plain.headers).to.deep.equal([
      ['x-upstream-request-id', 'theirs'],
      ['content-security-policy', 'none of ours'],
      ['x-repo-commit', 'c'],
    ])
    const followed = await ask([new FakeUpstream('b', () => answered()), upstream], {
      target: '/-/follow/sealed',
      capability: {
        url: 'https://cdn.example/x',
        repository: { type: 'model', id: 'org/model' },
        upstream: 'a',
        mayChange: false,
      },
    })
    expect(followed.source, 'only the upstream that made a capability is asked').to.equal('a')
    expect(upstream.asked.at(-1)?.sealedUrl).to.equal('https://cdn.example/x')
    expect(followed.headers).to.deep.include(['x-content-type-options', 'nosniff'])
    expect(followed.headers).to.deep.include(['content-security-policy', "default-src 'none'; sandbox"])
    expect(followed.headers).to.not.deep.include(['content-security-policy', 'none of ours'])
  })

  describe('a refusal by one that was asked with fewer rights than one that is down', () => {
    const none: Rights = { use: 'none' }
    const client: Rights = { use: 'client', token: 'hf_a' }
    const service: Rights = { use: 'service' }
    const both: Rights = { use: 'service', otherwise: 'hf_a' }
    const refusals = [answered([], 401), answered([], 403), answered([['x-error-code', 'RepoNotFound']], 404)]
    const others = [answered(), answered([['x-error-code', 'EntryNotFound']], 404), answered([], 404)]
    const askBoth = (outcome: Outcome, rights: readonly [Rights, Rights]) =>
      ask([new FakeUpstream('authority', () => declined(3)), new FakeUpstream('other', () => outcome)], {
        rightsAt: ({ name }) => rights[name === 'authority' ? 0 : 1],
      })

    it('says nothing about the client: the answer is that the other is down', async () => {
      for (const rights of [
        [client, none],
        [client, service],
        [both, none],
        [both, service],
        [service, none],
      ] as const)
        for (const refusal of refusals) {
          const failure = await failureOf(askBoth(refusal, rights))
          expect(failure.status).to.equal(503)
          expect(failure.retryAfter).to.equal(3)
          expect(failure.message).to.match(/it is down/)
          expect(failure.message).to.match(/other.* was asked without/)
        }
    })

    it('counts where it was asked with the same rights, and so does whatever is no refusal', async () => {
      for (const rights of [
        [none, none],
        [client, client],
        [none, client],
        [both, client],
        [service, service],
      ] as const)
        for (const outcome of [...refusals, ...others]) {
          expect((await askBoth(outcome, rights)).status).to.equal(outcome.status)
        }
      for (const outcome of others) expect((await askBoth(outcome, [client, none])).source).to.equal('other')
    })

    it('keeps nobody from asking the next, which may have the rights, and holds no connection', async () => {
      const body = Readable.from([Buffer.from('{}')], { objectMode: false })
      const upstreams = [
        new FakeUpstream('authority', () => declined()),
        new FakeUpstream('other', () => ({ ...answered([], 401), body })),
        new FakeUpstream('trusted', () => answered()),
      ]
      const rightsAt = ({ name }: Upstream['traits']) => (name === 'other' ? none : client)
      expect((await ask(upstreams, { rightsAt })).source).to.equal('trusted')
      expect(body.destroyed).to.equal(true)
    })
  })

  it('are not asked again by a request that has come round', () => {
    const refused = (via: string) => {
      try {
        assertNoLoop({ via }, 'mirrorface-1')
        return false
      } catch {
        return true
      }
    }
    for (const via of ['1.1 mirrorface-1', '1.0 a, HTTP/1.1 mirrorface-1 (comment), 1.1 b', '1.1\tmirrorface-1'])
      expect(refused(via), via).to.equal(true)
    for (const via of ['1.1 mirrorface-12', '1.1 x-mirrorface-1', '1.1 a (mirrorface-1)', 'mirrorface-1'])
      expect(refused(via), via).to.equal(false)
  })
})
