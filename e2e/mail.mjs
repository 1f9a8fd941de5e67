// Somebody new signs in to the shop by a mail, in Chromium: the caught mail, its link, the page with the button, the shop.
//
//   SHOP_URL=http://127.0.0.1:54321 node mail.mjs        (CHROMIUM=… for another browser)
//
// Needs the shop served by `mainstay dev`, which catches mails. It makes users, so run it once per database.

import assert from 'node:assert/strict'
import { openBrowser } from './browser.mjs'
import { finish, sequence } from './steps.mjs'

const URL_ = (process.env.SHOP_URL || '').replace(/\/$/, '')
if (!URL_) {
  console.error('SHOP_URL is required')
  process.exit(2)
}

const EMAIL = 'nora@example.com'
const PASSWORD = 'correct horse 7 battery'
const { page, faults, close } = await openBrowser({ width: 390, height: 844 })

/** Runs `work(client, argument)` on the shop's own page, with the client that it carries. */
const client = (work, argument, options = {}) => page.evaluate(async ([text, argument, options]) => {
  const config = await (await fetch('/dev/v1/config')).json()
  const made = window.supabase.createClient(location.origin, config.anon_key, {
    auth: { storageKey: 'mail-test', detectSessionInUrl: false, ...options },
  })
  return (0, eval)(`(${text})`)(made, argument)
}, [work.toString(), argument, options])

const opened = () => page.waitForFunction(() => window.supabase && document.querySelector('main'))

/** Opens the list of caught mails and follows the newest one's link to the page with the button. */
async function openLink(subject) {
  await page.goto(`${URL_}/dev/v1/mail`)
  await page.getByRole('link', { name: subject }).first().click()
  assert.equal(await page.evaluate(() => document.scripts.length), 0)
  await page.locator('a[href*="/auth/v1/verify"]').click()
  await page.waitForURL(/\/auth\/v1\/verify\?/)
  assert.equal(await page.getByRole('button').count(), 1)
  assert.equal(await page.evaluate(() => document.scripts.length), 0)
}

const steps = {
  'a link is asked for': async () => {
    await page.goto(URL_)
    await opened()
    const { error } = await client((db, email) => db.auth.signInWithOtp({
      email, options: { data: { name: 'Nora' }, emailRedirectTo: `${location.origin}/` },
    }), EMAIL)
    assert.equal(error, null)
  },
  'the caught mail’s link shows a button, however often it is opened': async () => {
    await openLink('Your sign-in link')
    await page.reload()
    await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor()
    const box = await page.getByRole('button').boundingBox()
    assert.ok(box.height >= 40, `the button is ${box.height} px high`)
  },
  'the button leads to the shop, signed in': async () => {
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL((url) => url.href.startsWith(`${URL_}/`) && url.pathname === '/')
    // The shop's own client takes the tokens out of the address.
    await page.getByRole('link', { name: 'Account of Nora' }).waitFor()
    const session = await client(async (db) => {
      // From here on the session is this client's alone: it signs out.
      const given = JSON.parse(sessionStorage.getItem('shop-session'))
      sessionStorage.removeItem('shop-session')
      await db.auth.setSession(given)
      return (await db.auth.getUser()).data.user
    })
    assert.equal(session.email, EMAIL)
    assert.equal(session.user_metadata.name, 'Nora')
  },
  'the order history is the new customer’s own: empty': async () => {
    const { data, error } = await client((db) => db.from('orders').select('id'))
    assert.equal(error, null)
    assert.deepEqual(data, [])
  },
  'a password is set, and signs in after signing out': async () => {
    const seen = await client(async (db, [email, password]) => {
      const set = await db.auth.updateUser({ password })
      await db.auth.signOut()
      const none = (await db.auth.getSession()).data.session
      const { data, error } = await db.auth.signInWithPassword({ email, password })
      return { set: set.error, none, email: data.user?.email, error }
    }, [EMAIL, PASSWORD])
    assert.deepEqual(seen, { set: null, none: null, email: EMAIL, error: null })
  },
  'a reset with a challenge ends in a code for this browser': async () => {
    const { error } = await client((db, email) => db.auth.resetPasswordForEmail(email, { redirectTo: `${location.origin}/` }), EMAIL, { flowType: 'pkce' })
    assert.equal(error, null)
    await openLink('Reset your password')
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.waitForURL((url) => url.href.startsWith(`${URL_}/?code=`))
    await opened()
    const seen = await client(async (db) => {
      const { data, error } = await db.auth.exchangeCodeForSession(new URL(location.href).searchParams.get('code'))
      const user = await db.auth.getUser()
      await db.auth.signOut()
      return { error, email: data.session?.user.email, asked: user.data.user?.email }
    }, null, { flowType: 'pkce' })
    assert.deepEqual(seen, { error: null, email: EMAIL, asked: EMAIL })
  },
  'a link that was used says so': async () => {
    await openLink('Reset your password')
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.waitForURL(/error_code=otp_expired/)
  },
  'nothing failed on the way': async () => {
    assert.deepEqual(faults, [])
  },
}

await sequence('mail', steps)
await close()
finish()
