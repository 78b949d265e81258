import { expect } from 'chai'
import { formatTarget, type Repository } from '../../../../src/hub/index.ts'
import type { Rights, UpstreamAnswer } from '../../../../src/plugin/index.ts'
import { Authority, AuthorityUnavailable } from '../../../../src/server/gate/authority.ts'
import { askHubAccess, type Verdict } from '../../../../src/server/gate/hub-access.ts'
import { json, RecordingUpstream } from './fixture.ts'

const repository: Repository = { type: 'model', id: 'org/model' }
const rights: Rights = { use: 'client', token: 'hf_a' }

/** The verdict, or that there is none, and what was asked for it; the Hub's answers in turn, the last one for the rest. */
async function asked(
  answers: readonly UpstreamAnswer[],
  { about = repository, isServed = true }: { about?: Repository; isServed?: boolean } = {},
): Promise<[Verdict | AuthorityUnavailable, RecordingUpstream['asked']]> {
  let next = 0
  const upstream = new RecordingUpstream({}, () => {
    const answer = answers[Math.min(next++, answers.length - 1)]
    if (answer === undefined) throw new Error('nothing to answer')
    return answer
  })
  const verdict = await askHubAccess(new Authority(upstream, {}), about, rights, () => isServed).catch(
    (error: unknown) => {
      if (error instanceof AuthorityUnavailable) return error
      throw error
    },
  )
  return [verdict, upstream.asked]
}

const free = json(200, { _id: '1', private: false, gated: false })
const moved = (status: number, location?: string) =>
  json(status, {}, location === undefined ? [] : [['location', location]])
const refused = { readable: false, id: undefined }

describe('what the Hub is asked about access', () => {
  it('is what is needed of its info first, and all of it where that does not say which repository it is', async () => {
    const space: Repository = { type: 'space', id: 'org/space' }
    for (const [about, query] of [
      [repository, 'expand[]=private&expand[]=gated'],
      [{ type: 'dataset', id: 'org/data' }, 'expand[]=private&expand[]=gated'],
      [space, 'expand[]=private'],
    ] as const) {
      const short = formatTarget({ operation: 'info', repository: about }, query)
      const whole = formatTarget({ operation: 'info', repository: about })
      for (const [answers, targets] of [
        [[free], [short]],
        [
          [json(400, {}), free],
          [short, whole],
        ],
        [
          [json(200, {}), free],
          [short, whole],
        ],
        [
          [json(200, 'text'), free],
          [short, whole],
        ],
      ] as const) {
        const [verdict, questions] = await asked(answers, { about })
        expect(verdict).to.deep.equal({ readable: true, id: '1' })
        expect(questions.map(({ target }) => target)).to.deep.equal(targets)
        expect(questions.every((one) => one.rights === rights)).to.equal(true)
      }
    }
  })

  it('is its check too, of gated ones', async () => {
    const check = formatTarget({ operation: 'auth-check', repository })
    for (const [gated, isAsked] of [
      [undefined, false],
      [false, false],
      [true, true],
      ['auto', true],
      ['', true],
    ] as const) {
      for (const status of [200, 201, 302, 401, 403]) {
        const [verdict, questions] = await asked([json(200, { _id: '1', gated }), json(status, {})])
        expect(verdict).to.deep.equal({ readable: !isAsked || status === 200, id: '1' })
        expect(questions.slice(1).map(({ target }) => target)).to.deep.equal(isAsked ? [check] : [])
      }
    }
  })

  it('is refused by any status of an error, with whatever body', async () => {
    for (const status of [400, 401, 403, 404, 410, 451])
      for (const body of [{}, { _id: '1', gated: false }])
        expect((await asked([json(status, body)]))[0], String(status)).to.deep.equal(refused)
  })

  it('is not decided by what is no repository', async () => {
    for (const answer of [
      ...[json(201, { _id: '1' }), json(204, {}), json(300, {}), json(304, { _id: '1' })],
      ...[json(200, 'text'), json(200, { _id: 5 }), json(200, { _id: '1', gated: 5 })],
    ]) {
      const [verdict] = await asked([answer])
      expect(verdict, JSON.stringify(answer)).to.be.instanceOf(AuthorityUnavailable)
      expect(verdict).to.have.property('message').that.includes(String(answer.status))
    }
  })
})

describe('a repository that the Hub knows under another name', () => {
  it('is asked for there, and is renamed', async () => {
    for (const status of [300, 301, 302, 307, 308, 399]) {
      const [verdict, questions] = await asked([moved(status, '/api/models/neworg/model'), free])
      expect(verdict).to.deep.equal({ readable: true, id: '1', isRenamed: true })
      expect(questions[1]?.target.pathname).to.equal('/api/models/neworg/model')
    }
    const [verdict] = await asked([moved(307, '/api/models/neworg/model'), json(403, {})])
    expect(verdict).to.deep.equal({ ...refused, isRenamed: true })
  })

  it('is refused where it is not served by that name, without a question', async () => {
    const [verdict, questions] = await asked([moved(307, '/api/models/neworg/model'), free], { isServed: false })
    expect(verdict).to.deep.equal(refused)
    expect(questions).to.have.length(1)
  })

  it('is not looked for at any other place, nor twice, nor by an answer that is no redirect', async () => {
    for (const location of [
      ...[undefined, 'https://elsewhere.example/api/models/neworg/model', 'api/models/neworg/model'],
      ...['/neworg/model', '/neworg/model/resolve/main/f', '/login'],
    ]) {
      const [verdict, questions] = await asked([moved(307, location), free])
      expect(verdict, location).to.be.instanceOf(AuthorityUnavailable)
      expect(questions, location).to.have.length(1)
    }
    const [again] = await asked([moved(307, '/api/models/neworg/model')])
    expect(again).to.be.instanceOf(AuthorityUnavailable)
    const [verdict, questions] = await asked([
      { ...free, headers: [['location', '/api/models/neworg/model']] },
      json(404, {}),
    ])
    expect(verdict).to.deep.equal({ readable: true, id: '1' })
    expect(questions).to.have.length(1)
    // A 400 is asked again in whole, and led nowhere by either answer.
    expect(
      (await asked([moved(400, '/api/models/neworg/model'), moved(400, '/api/models/neworg/model'), free]))[0],
    ).to.deep.equal(refused)
  })
})
