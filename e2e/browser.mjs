// A headless Chromium with a profile of its own, at a given size.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

/** Opens a browser whose page fails the test on any script error or console error. `options` as Playwright's context takes them. */
export async function openBrowser(viewport, options = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'mainstay-e2e-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    viewport,
    locale: 'en-GB',
    reducedMotion: 'reduce',
    ...options,
  })
  const page = context.pages()[0] ?? await context.newPage()
  const faults = []
  page.on('pageerror', (error) => faults.push(`script error: ${error.message}`))
  page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`))
  page.setDefaultTimeout(15_000)
  const close = async () => {
    await context.close()
    await rm(profile, { recursive: true, force: true })
  }
  return { page, faults, close }
}
