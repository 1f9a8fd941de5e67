// The ready pages as people use them, in Chromium: an account is made and confirmed by its mail, signs in to the shop, gets
// a second step, and signs in with it; somebody else sees nothing of it; and all of it without a script. Then by a
// provider that is not ours (oidc-provider), which is started here.
//
//   SHOP_URL=http://127.0.0.1:54321 PROVIDER_PORT=… PROVIDER_SECRET=… node pages.mjs
//                                            (CHROMIUM=… for another browser, SHOP_PICTURES=… for screenshots)
//
// Needs the shop served by `mainstay dev` with `enable_confirmations` and `[mainstay.external.acme]` at that port. It makes users, so run it once per database.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBrowser } from './browser.mjs'
import { startProvider } from './identity.mjs'
import { finish, sequence } from './steps.mjs'

const URL_ = (process.env.SHOP_URL || '').replace(/\/$/, '')
const { PROVIDER_PORT, PROVIDER_SECRET } = process.env
if (!URL_ || !PROVIDER_PORT || !PROVIDER_SECRET) {
  console.error('SHOP_URL, PROVIDER_PORT and PROVIDER_SECRET are required')
  process.exit(2)
}

const PAGES = `${URL_}/auth/v1/pages`
const NORA = { name: 'Nora', email: 'nora@example.com', password: 'correct horse 7 battery' }
const OTTO = { name: 'Otto', email: 'otto@example.com', password: 'another horse 8 battery' }

const pictures = process.env.SHOP_PICTURES || await mkdtemp(join(tmpdir(), 'mainstay-pages-'))
await mkdir(pictures, { recursive: true })

/** The code of an authenticator app, `offset` half minutes from now (RFC 6238 with its defaults). */
function totp(secret, offset) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)))
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + offset))
  const sum = createHmac('sha1', key).update(step).digest()
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** What a person does in a browser whose page is `page`. */
function doing(page) {
  const title = (text) => page.getByRole('heading', { level: 1, name: text, exact: true }).waitFor()
  const inShop = (text) => page.locator('main:not([aria-busy])').getByRole('heading', { level: 1, name: text, exact: true }).waitFor()
  const press = (name) => page.getByRole('button', { name, exact: true }).click()
  const openMail = async (subject) => {
    await page.goto(`${URL_}/dev/v1/mail`)
    await page.getByRole('link', { name: subject }).first().click()
    await page.locator('a[href*="/auth/v1/verify"]').click()
    await page.waitForURL(/\/auth\/v1\/verify\?/)
  }
  return {
    title, inShop, press, openMail,
    picture: (name) => page.screenshot({ path: join(pictures, `pages-${name}.png`), fullPage: true }),
    /** From the shop to the sign-up page, and on to the mail that is promised there. */
    signUp: async ({ name, email, password }) => {
      await page.goto(URL_)
      await page.getByRole('link', { name: 'Create an account' }).click()
      await title('Create an account')
      await page.getByLabel('Your name').fill(name)
      await page.getByLabel('E-mail address').fill(email)
      await page.getByLabel('New password').fill(password)
      await press('Create the account')
      await title('Look into your mail')
    },
    confirm: async () => {
      await openMail('Confirm your')
      await press('Confirm the address')
      await inShop('Products')
    },
    /** From the shop to the sign-in page, and through its form. */
    signIn: async ({ email, password }) => {
      await page.goto(URL_)
      await page.getByRole('link', { name: 'Sign in', exact: true }).click()
      await title('Sign in')
      await page.getByLabel('E-mail address').fill(email)
      await page.getByLabel('Password').fill(password)
      await press('Sign in')
    },
    signOut: async () => {
      await press('Sign out')
      await inShop('Who is shopping?')
    },
    /** A page of ours: no script, every control named, one title, no wider than the screen. */
    isFit: async () => {
      const seen = await page.evaluate(() => ({
        scripts: document.scripts.length,
        titles: document.querySelectorAll('h1').length,
        unnamed: [...document.querySelectorAll('button, input:not([type=hidden]), a[href], select')]
          .filter((control) => !(control.labels?.[0]?.textContent || control.textContent).trim())
          .map((control) => control.outerHTML),
        low: [...document.querySelectorAll('button, .button, input:not([type=hidden])')]
          .filter((control) => control.getBoundingClientRect().height < 44)
          .map((control) => control.outerHTML),
        width: document.documentElement.scrollWidth - window.innerWidth,
        styled: getComputedStyle(document.querySelector('main')).borderRadius,
      }))
      assert.deepEqual({ ...seen, width: Math.max(0, seen.width) }, { scripts: 0, titles: 1, unnamed: [], low: [], width: 0, styled: '12px' })
    },
  }
}

const { page, faults, close } = await openBrowser({ width: 390, height: 844 })
const { title, inShop, press, picture, signUp, confirm, signIn, signOut, isFit } = doing(page)
const history = () => page.getByRole('button', { name: 'Order history', exact: true })
let placed
let secret
/** How many half minutes ahead the code is that the app shows next: each is taken once. */
let ahead = 0

const steps = {
  'an account is made on the sign-up page': async () => {
    await page.goto(`${PAGES}/sign-up`)
    await isFit()
    await picture('1-sign-up')
    await signUp(NORA)
    await isFit()
  },
  'the caught mail confirms it, and the shop has the session': async () => {
    await confirm()
    await page.getByRole('link', { name: 'Account of Nora' }).waitFor()
    assert.equal(new URL(page.url()).hash.includes('access_token'), false, 'the client takes the tokens out of the address')
  },
  '"Order history" is the new customer’s own: empty, then an order': async () => {
    await history().click()
    await inShop('Order history')
    await page.getByText('You have not ordered anything yet.').waitFor()
    await page.getByRole('button', { name: 'Products', exact: true }).click()
    await inShop('Products')
    await page.getByRole('button', { name: 'One more: Stoneware mug' }).click()
    await press('Place order')
    await page.getByText('Your order is placed.').waitFor()
    placed = await page.locator('article.order').first().getAttribute('data-order')
    await history().click()
    await inShop('Order history')
    await page.locator(`article[data-order="${placed}"]`).waitFor()
  },
  'a wrong password is said on the page, at its fields': async () => {
    await signOut()
    await signIn({ ...NORA, password: 'wrong' })
    await page.getByRole('alert').getByText('The address or the password is wrong.').waitFor()
    assert.equal(await page.locator('input[aria-invalid=true]').count(), 2)
    assert.equal(await page.getByLabel('E-mail address').inputValue(), NORA.email)
    assert.equal(await page.getByLabel('Password').inputValue(), '')
    // The browser itself logs every answer that is none.
    const said = faults.splice(0)
    assert.ok(said.length === 1 && said[0].includes('400'), said.join('\n'))
    await picture('2-wrong')
  },
  'signing in leads back to the shop': async () => {
    await signIn(NORA)
    await inShop('Products')
  },
  'an authenticator app is added on the account page': async () => {
    await page.getByRole('link', { name: 'Account of Nora' }).click()
    await title('Your account')
    await isFit()
    await press('Add an authenticator app')
    await title('Add an authenticator app')
    await isFit()
    const shown = await page.locator('img.picture').evaluate((image) => image.complete && image.naturalWidth)
    assert.ok(shown > 100, 'the picture is shown')
    await picture('3-factor')
    secret = await page.locator('code').innerText()
    await page.getByLabel('Code').fill(totp(secret, ahead))
    await press('Confirm')
    await page.getByRole('status').getByText('From now on signing in takes a code, too.').waitFor()
    await press('Make recovery codes')
    await title('Your recovery codes')
    assert.ok(await page.locator('.codes li').count() >= 8)
    await page.getByRole('link', { name: 'I have written them down' }).click()
    await title('Your account')
    await picture('4-account')
    await page.getByRole('button', { name: /^Go to / }).click()
    await inShop('Products')
  },
  'signing in takes its code': async () => {
    await signOut()
    await signIn(NORA)
    await title('One more step')
    await isFit()
    await picture('5-second-step')
    ahead += 1
    await page.getByLabel('Code').fill(totp(secret, ahead))
    await press('Confirm')
    await inShop('Products')
    const level = await page.evaluate(() => JSON.parse(atob(JSON.parse(sessionStorage.getItem('shop-session')).access_token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).aal)
    assert.equal(level, 'aal2')
    await history().click()
    await page.locator(`article[data-order="${placed}"]`).waitFor()
  },
  'signing out in the shop signs out on the pages': async () => {
    await signOut()
    await page.goto(`${PAGES}/account`)
    await title('Sign in')
  },
  'somebody else sees nothing of it': async () => {
    await signUp(OTTO)
    await confirm()
    await page.getByRole('link', { name: 'Account of Otto' }).waitFor()
    await history().click()
    await inShop('Order history')
    await page.getByText('You have not ordered anything yet.').waitFor()
    await page.goto(`${URL_}/#/orders/${placed}`)
    await inShop('Order not found')
    await page.goto(`${PAGES}/account`)
    await title('Your account')
    const text = await page.locator('main').innerText()
    assert.ok(text.includes(OTTO.email) && !text.includes(NORA.email) && !text.includes(NORA.name), text)
    await press('Sign out')
    await title('Sign in')
    await page.goto(URL_)
    await inShop('Who is shopping?')
    // The shop's tab learns of it by the server's answer.
    const said = faults.splice(0)
    assert.ok(said.length === 1 && said[0].includes('403'), said.join('\n'))
  },
  'a forgotten password is reset by a mail': async () => {
    await page.goto(`${PAGES}/sign-in?${new URLSearchParams({ redirect_to: `${URL_}/` })}`)
    await page.getByRole('link', { name: 'Forgot your password?' }).click()
    await title('Forgot your password?')
    await page.getByLabel('E-mail address').fill(OTTO.email)
    await press('Send the link')
    await title('Look into your mail')
    await doing(page).openMail('Reset your password')
    await press('Go on')
    await title('Choose a password')
    await isFit()
    OTTO.password = 'a third horse 9 battery'
    await page.getByLabel('New password').fill(OTTO.password)
    await press('Save the password')
    await inShop('Products')
    await page.getByRole('link', { name: 'Account of Otto' }).waitFor()
    await signOut()
    await signIn(OTTO)
    await inShop('Products')
    await signOut()
  },
  'nothing went wrong in the pages’ console': async () => assert.deepEqual(faults, []),
}

const went = await sequence('pages', steps, () => picture('failure'))
await close()

const bare = await openBrowser({ width: 1280, height: 900 }, { javaScriptEnabled: false, colorScheme: 'dark' })
const without = doing(bare.page)
const scriptless = {
  'a password signs in without a script, and the browser goes to the shop with the session': async () => {
    await bare.page.goto(`${PAGES}/sign-in?${new URLSearchParams({ redirect_to: `${URL_}/` })}`)
    await bare.page.getByLabel('E-mail address').fill(OTTO.email)
    await bare.page.getByLabel('Password').fill(OTTO.password)
    await without.picture('6-dark')
    await bare.page.keyboard.press('Enter')
    await bare.page.waitForURL((url) => url.href.startsWith(`${URL_}/#access_token=`))
  },
  'the account page works, too': async () => {
    await bare.page.goto(`${PAGES}/account`)
    await without.title('Your account')
    await bare.page.getByLabel('Name').fill('Otto the second')
    await without.press('Save the name')
    await bare.page.getByText('Your name is changed.').waitFor()
    assert.equal(await bare.page.getByLabel('Name').inputValue(), 'Otto the second')
    await without.press('Sign out')
    await without.title('Sign in')
  },
}
if (went) await sequence('pages without scripts', scriptless, () => without.picture('failure-bare'))
await bare.close()

const provider = await startProvider(Number(PROVIDER_PORT), [
  { client_id: 'shop', client_secret: PROVIDER_SECRET, redirect_uris: [`${URL_}/auth/v1/callback`] },
], true)
const away = await openBrowser({ width: 390, height: 844 })
const there = doing(away.page)
const goAway = async (query) => {
  await away.page.goto(`${PAGES}/sign-in?${new URLSearchParams(query)}`)
  await away.page.getByRole('link', { name: 'Continue with Acme', exact: true }).click()
  await away.page.waitForURL((url) => url.href.startsWith(`${provider.issuer}/`))
}
const byProvider = {
  'whoever changes their mind at the provider is told so on a page, and is signed in nowhere': async () => {
    await goAway({})
    await away.page.getByRole('link', { name: /Cancel/ }).click()
    await there.title('That did not work')
    assert.ok(away.page.url().startsWith(`${URL_}/auth/v1/callback?`), away.page.url())
    await there.isFit()
    await away.page.goto(`${PAGES}/account`)
    await there.title('Sign in')
    away.faults.splice(0)
  },
  'the button leads through the provider to the account page, signed in': async () => {
    await goAway({ next: 'account', redirect_to: `${URL_}/` })
    await away.page.locator('input[name=login]').fill('wanda')
    await away.page.locator('input[name=password]').fill('x')
    await away.page.getByRole('button', { name: /Sign-in/ }).click()
    await away.page.getByRole('button', { name: 'Continue' }).click()
    // The provider's own pages want a font from elsewhere.
    away.faults.splice(0)
    await there.title('Your account')
    await there.isFit()
    await there.picture('7-by-provider')
    const text = await away.page.locator('main').innerText()
    assert.ok(text.includes('wanda@example.com') && text.includes('Acme'), text)
    assert.equal(new URL(away.page.url()).pathname, '/auth/v1/pages/account')
    assert.equal(new URL(away.page.url()).hash, '', 'no token is in the address')
  },
  'and on to the shop': async () => {
    await away.page.getByRole('button', { name: /^Go to / }).click()
    await there.inShop('Products')
    await away.page.getByRole('link', { name: 'Account of Wanda' }).waitFor()
    const session = await away.page.evaluate(() => JSON.parse(sessionStorage.getItem('shop-session')))
    assert.deepEqual(session.user.app_metadata.providers, ['custom:acme'])
  },
  'the next time the provider knows her, and nothing is asked': async () => {
    await there.signOut()
    await away.page.goto(URL_)
    await away.page.getByRole('link', { name: 'Sign in', exact: true }).click()
    await away.page.getByRole('link', { name: 'Continue with Acme', exact: true }).click()
    await there.inShop('Products')
    await away.page.getByRole('link', { name: 'Account of Wanda' }).waitFor()
  },
  'nothing went wrong in the pages’ console': async () => assert.deepEqual(away.faults, []),
}
if (went) await sequence('pages by a provider', byProvider, () => there.picture('failure-provider'))
await away.close()
await provider.close()
finish()
