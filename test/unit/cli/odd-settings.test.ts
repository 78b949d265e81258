import { expect } from 'chai'
import { loadConfig, type Setting, type SettingName, settings } from '../../../src/config/index.ts'
import { UsageFailure } from '../../../src/hub/index.ts'

const names = Object.keys(settings) as SettingName[]
const settingOf = (name: SettingName): Setting => settings[name]

const odd: readonly unknown[] = [
  ...[0, 1, 7, 2 ** 31 - 1, 2 ** 31, -1, Number.NaN, 1e300, Number.POSITIVE_INFINITY, 0.5, 2 ** 53],
  ...[
    '',
    ' ',
    ',',
    ', ,',
    '0',
    '1',
    '7',
    '2147483647',
    '2147483648',
    '-1',
    'NaN',
    '1e3',
    '0x10',
    '1.5',
    'x'.repeat(100_000),
  ],
  ...['true', 'false', 'yes', '\0', '*', '[', '!', '/', '//', 'http://', 'https://u:p@h', '../..'],
  ...[null, true, false, [], {}, [[]], [null], [''], ['', 'a'], { plugin: '' }, [{ plugin: 'x' }], new Date(0)],
]

const durations = names.filter((name) => /^Milliseconds/.test(settingOf(name).description))
const lists = names.filter((name) => settingOf(name).list === true)

describe('every setting with odd values', () => {
  const load = async (flags: Partial<Record<SettingName, unknown>>, environment: Record<string, string> = {}) =>
    (await loadConfig({ flags, environment })).config

  for (const name of names) {
    it(`${name} is refused in one sentence that names it, or has a sound value`, async () => {
      for (const value of odd) {
        const what = `${name}: ${JSON.stringify(value)?.slice(0, 40)}`
        let config: Awaited<ReturnType<typeof load>>
        try {
          config = await load({ [name]: value })
        } catch (error) {
          expect(error, what).to.be.instanceOf(UsageFailure)
          const { message } = error as Error
          expect(message, what).to.match(
            new RegExp(
              `^--${settingOf(name).flag ?? name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}: |^${name} is set alone: |give one of them`,
            ),
          )
          expect(message.split('\n'), what).to.have.length(1)
          continue
        }
        const found = config[name]
        if (typeof found === 'number')
          expect(Number.isSafeInteger(found) && found >= 0, `${what} → ${found}`).to.equal(true)
        if (lists.includes(name)) expect(found, what).not.to.include('')
        if (typeof found === 'number' && typeof value !== 'number') expect(String(value), what).to.match(/^ *\d+ *$/)
        if (typeof found === 'boolean')
          expect(typeof value === 'boolean' || (typeof value === 'string' && value !== ''), what).to.equal(true)
      }
    })
  }

  for (const name of durations) {
    it(`${name} fits a timer of Node, with what is added to it`, async () => {
      for (const value of [2 ** 31, 2 ** 31 - 1, 1e12, '99999999999'])
        try {
          await load({ [name]: value })
          expect.fail(`${value} was taken`)
        } catch (error) {
          expect((error as Error).message).to.match(/expected at most \d+ ms \(24 days\)/)
        }
      expect((await load({ [name]: 7 }))[name]).to.equal(7)
    })
  }

  it('a duration of nothing is refused where it would be for ever, or never', async () => {
    for (const name of ['refreshAfter', 'storageTimeout'] as const)
      try {
        await load({ [name]: 0 })
        expect.fail(`${name}: 0 was taken`)
      } catch (error) {
        expect((error as Error).message).to.match(/expected at least 1 ms/)
      }
    for (const name of ['gracePeriod', 'accessGrace', 'accessCacheFor'] as const)
      expect((await load({ [name]: 0 }))[name]).to.equal(0)
  })

  const items: Partial<Record<SettingName, readonly [string, string]>> = {
    corsOrigins: ['https://a.example', 'https://b.example'],
    sealSecrets: ['a'.repeat(32), 'b'.repeat(32)],
  }

  it('an empty list is one, in a variable too', async () => {
    for (const name of lists) {
      const variable = settingOf(name).env ?? ''
      for (const text of ['', ' ', ',', ' , ,'])
        expect((await load({}, { [variable]: text }))[name], `${name}=${text}`).to.deep.equal([])
      const [first, second] = items[name] ?? ['a', 'b']
      expect((await load({}, { [variable]: `${first},, ${second} ,` }))[name]).to.deep.equal([first, second])
    }
  })
})
