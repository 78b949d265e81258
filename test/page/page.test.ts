import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Browser, chromium, type Page } from 'playwright-core'
import { runMirrorFace } from '../support/processes.ts'
import { type Stage, setStage } from '../support/server.ts'

/** Kept out of git; for whoever wants to see what the test saw. */
const screenshots = fileURLToPath(new URL('../../.cache/screenshots/', import.meta.url))

describe('the page, in Chromium', () => {
  let browser: Browser
  let stage: Stage
  let page: Page
  const complaints: string[] = []

  before(async () => {
    await mkdir(screenshots, { recursive: true })
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox'],
    })
    stage = await setStage((hub) => {
      const model = hub.add({ type: 'model', id: 'org/model' })
      const first = model.commit({
        'config.json': '{}',
        '<img src=x onerror=alert(1)>.txt': 'hostile',
        'w.safetensors': 'weights',
      })
      model.tags.set('v1', first)
      model.commit({ 'config.json': '{"a": 1}' })
      hub.add({ type: 'dataset', id: 'squad' }).commit({ 'train.json': '[]' })
      hub.add({ type: 'model', id: 'org/wanted' }).commit({ 'config.json': '{}' })
    })
    await stage.mirror('org/model', '--revision', 'main', '--revision', 'v1')
    await stage.mirror('squad', '--type', 'dataset')
    await runMirrorFace(['verify', '--local-directory', stage.directory])
    await (await stage.get('/api/models/org/wanted')).arrayBuffer()
    await (await stage.get('/org/model/resolve/main/config.json')).arrayBuffer()
  })
  after(async () => {
    await browser.close()
    await stage[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    complaints.length = 0
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } })
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
  })
  afterEach(async () => {
    await page.close()
    expect(complaints).to.deep.equal([])
  })

  const rowOf = (text: string) => page.locator('tr', { hasText: text }).first().innerText()

  it('shows what is mirrored, what was missed, and whether all is well', async () => {
    const response = await page.goto(`${stage.server.url}/`)
    expect(response?.headers()['content-security-policy']).to.match(/^default-src 'none'; style-src 'sha256-/)
    expect(await page.title()).to.equal('MirrorFace')
    expect(await rowOf('org/model')).to.match(/model\s+\d+ B\s+main, v1\s+.*\s+1\s+local/)
    expect(await rowOf('squad')).to.match(/dataset/)
    expect(await rowOf('org/wanted')).to.match(/mirrorface mirror org\/wanted/)
    expect(await rowOf('storage local')).to.match(/ready.*verified .*: sound/s)
    expect(await page.locator('code').first().innerText()).to.equal(`HF_ENDPOINT=${stage.server.url}/mirror`)
    // The style applies: its hash is the one that the policy names.
    expect(await page.evaluate<string>('getComputedStyle(document.body).maxWidth')).to.not.equal('none')
    await page.screenshot({ path: `${screenshots}overview.png`, fullPage: true })
  })

  it('leads to a repository, with its files and how to use it, and runs no file name as script', async () => {
    await page.goto(`${stage.server.url}/`)
    await page.getByRole('link', { name: 'org/model' }).click()
    await page.waitForURL('**/-/repositories/models/org/model')
    expect(await page.locator('h1').innerText()).to.equal('org/model')
    expect(await page.locator('pre').innerText())
      .to.include(`export HF_ENDPOINT=${stage.server.url}/mirror`)
      .and.include('hf download org/model')
    expect(await page.getByText('<img src=x onerror=alert(1)>.txt').count()).to.equal(1)
    expect(await page.locator('img').count()).to.equal(0)
    await page.screenshot({ path: `${screenshots}repository.png`, fullPage: true })
    await page.getByRole('link', { name: 'MirrorFace' }).click()
    await page.waitForURL(`${stage.server.url}/`)
    expect(new URL(page.url()).pathname).to.equal('/')
    await page.goto(`${stage.server.url}/-/repositories/datasets/squad`)
    expect(await page.locator('pre').innerText()).to.include('load_dataset("squad")')
  })

  it('is readable on a phone and in the dark, and without JavaScript', async () => {
    const context = await browser.newContext({
      viewport: { width: 360, height: 740 },
      colorScheme: 'dark',
      javaScriptEnabled: false,
    })
    const phone = await context.newPage()
    await phone.goto(`${stage.server.url}/`)
    expect(await phone.getByText('org/model').count()).to.be.greaterThan(0)
    await phone.screenshot({ path: `${screenshots}phone-dark.png`, fullPage: true })
    await context.close()
    await page.setViewportSize({ width: 360, height: 740 })
    await page.goto(`${stage.server.url}/`)
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).to.be.at.most(360)
    await page.emulateMedia({ colorScheme: 'dark' })
    const scheme = await page.evaluate<string>('getComputedStyle(document.documentElement).colorScheme')
    expect(scheme).to.equal('light dark')
  })

  it('says what is not mirrored', async () => {
    const answer = await fetch(`${stage.server.url}/-/repositories/models/no/such`)
    expect(answer.status).to.equal(404)
    expect(await answer.text()).to.match(/not mirrored here/)
  })

  it('can be switched off', async () => {
    await using hidden = await setStage(() => undefined, ['--no-page', '--offline'])
    expect((await fetch(`${hidden.server.url}/`)).status).to.equal(503)
  })
})
