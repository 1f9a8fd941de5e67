// Somebody signs in to the shop with a passkey, and proves a second factor with a key, in Chromium: the browser's own
// ceremonies, a virtual authenticator, and the client as the shop carries it.
//
//   SHOP_URL=http://127.0.0.1:54321 node passkeys.mjs        (CHROMIUM=… for another browser)
//
// Keys are bound to the origin that the shop's settings name. The page is opened there, and what it asks for is fetched
// from SHOP_URL, wherever that listens. It makes a user, so run it once per database.

import assert from 'node:assert/strict'
import { openBrowser } from './browser.mjs'
import { finish, sequence } from './steps.mjs'

const URL_ = (process.env.SHOP_URL || '').replace(/\/$/, '')
if (!URL_) {
  console.error('SHOP_URL is required')
  process.exit(2)
}

const ORIGIN = 'http://localhost:54321'
const EMAIL = 'petra@example.com'
const PASSWORD = 'correct horse 7 battery'
const { page, faults, close } = await openBrowser({ width: 1280, height: 900 })

await page.route(`${ORIGIN}/**`, async (route) => {
  const request = route.request()
  const { pathname, search } = new URL(request.url())
  const headers = { ...request.headers() }
  for (const name of ['host', 'connection', 'content-length']) delete headers[name]
  const response = await fetch(`${URL_}${pathname}${search}`, {
    method: request.method(), headers, body: request.postDataBuffer() ?? undefined, redirect: 'manual',
  })
  const answered = Object.fromEntries(response.headers)
  for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) delete answered[name]
  await route.fulfill({ status: response.status, headers: answered, body: Buffer.from(await response.arrayBuffer()) })
})

const devices = await page.context().newCDPSession(page)
await devices.send('WebAuthn.enable')
let device

/** Plugs an authenticator in, in the place of the one before. */
async function plug(transport, options) {
  if (device) await devices.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: device })
  const { authenticatorId } = await devices.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport, automaticPresenceSimulation: true, ...options },
  })
  device = authenticatorId
}

/** Runs `work(client, argument)` on the shop's own page, with the client that it carries. */
const client = (work, argument) => page.evaluate(async ([text, argument]) => {
  const config = await (await fetch('/dev/v1/config')).json()
  window.made ??= window.supabase.createClient(location.origin, config.anon_key, {
    auth: { storageKey: 'passkey-test', detectSessionInUrl: false, experimental: { passkey: true } },
  })
  return (0, eval)(`(${text})`)(window.made, argument)
}, [work.toString(), argument])

/** What the session's token says of itself. */
const level = () => client(async (db) => {
  const { data } = await db.auth.getSession()
  const claims = JSON.parse(atob(data.session.access_token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')))
  return [claims.aal, ...claims.amr.map((entry) => entry.method)]
})

let user

const steps = {
  'somebody signs up': async () => {
    await page.goto(ORIGIN)
    await page.waitForFunction(() => window.supabase && document.querySelector('main'))
    const { id, error } = await client(async (db, [email, password]) => {
      const { data, error } = await db.auth.signUp({ email, password, options: { data: { name: 'Petra' } } })
      return { id: data.user?.id, error }
    }, [EMAIL, PASSWORD])
    assert.equal(error, null)
    user = id
  },
  'the browser makes a passkey': async () => {
    await plug('internal', { hasResidentKey: true, hasUserVerification: true, isUserVerified: true })
    const { data, error } = await client(async (db) => {
      const { data, error } = await db.auth.registerPasskey()
      return { data, error: error && String(error) }
    })
    assert.equal(error, null)
    assert.equal(data.friendly_name, 'Passkey')
  },
  'the same authenticator makes no second one': async () => {
    const error = await client(async (db) => (await db.auth.registerPasskey()).error?.code)
    assert.equal(error, 'ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED')
  },
  'it signs in, and nothing else was asked for': async () => {
    const seen = await client(async (db) => {
      await db.auth.signOut()
      const none = (await db.auth.getSession()).data.session
      const { data, error } = await db.auth.signInWithPasskey()
      return { none, id: data?.user?.id, error: error && String(error) }
    })
    assert.deepEqual(seen, { none: null, id: user, error: null })
    assert.deepEqual(await level(), ['aal1', 'passkey'])
    const { data, error } = await client((db) => db.from('orders').select('id'))
    assert.deepEqual([data, error], [[], null])
  },
  'a user who is not verified is not signed in': async () => {
    const verified = (isUserVerified) => devices.send('WebAuthn.setUserVerified', { authenticatorId: device, isUserVerified })
    await verified(false)
    const error = await client(async (db) => (await db.auth.signInWithPasskey()).error?.name)
    assert.equal(error, 'NotAllowedError')
    await verified(true)
  },
  'passkeys are listed, renamed and deleted': async () => {
    const seen = await client(async (db) => {
      const listed = await db.auth.passkey.list()
      const passkeyId = listed.data[0].id
      const renamed = await db.auth.passkey.update({ passkeyId, friendlyName: 'Petra’s laptop' })
      const gone = await db.auth.passkey.delete({ passkeyId })
      const left = await db.auth.passkey.list()
      return {
        used: typeof listed.data[0].last_used_at, name: renamed.data.friendly_name, gone: gone.error, left: left.data,
      }
    })
    assert.deepEqual(seen, { used: 'string', name: 'Petra’s laptop', gone: null, left: [] })
  },
  'a security key becomes a second factor': async () => {
    await plug('usb', { hasResidentKey: false, hasUserVerification: false })
    const { error } = await client(async (db) => {
      const { error } = await db.auth.mfa.webauthn.register({ friendlyName: 'blue key' })
      return { error: error && String(error) }
    })
    assert.equal(error, null)
    assert.deepEqual(await level(), ['aal2', 'mfa/webauthn', 'passkey'])
  },
  'it is asked for after the password': async () => {
    const { first, error } = await client(async (db, [email, password]) => {
      await db.auth.signOut()
      await db.auth.signInWithPassword({ email, password })
      const first = (await db.auth.mfa.getAuthenticatorAssuranceLevel()).data
      const factors = (await db.auth.mfa.listFactors()).data
      const { error } = await db.auth.mfa.webauthn.authenticate({ factorId: factors.webauthn[0].id })
      return { first: [first.currentLevel, first.nextLevel], error: error && String(error) }
    }, [EMAIL, PASSWORD])
    assert.deepEqual([first, error], [['aal1', 'aal2'], null])
    assert.deepEqual(await level(), ['aal2', 'mfa/webauthn', 'password'])
  },
  'and is removed again': async () => {
    const seen = await client(async (db) => {
      const factors = (await db.auth.mfa.listFactors()).data
      const { error } = await db.auth.mfa.unenroll({ factorId: factors.webauthn[0].id })
      return { error, left: (await db.auth.mfa.listFactors()).data.all.length }
    })
    assert.deepEqual(seen, { error: null, left: 0 })
  },
  // The console also tells of what was refused on purpose.
  'no script failed': async () => assert.deepEqual(faults.filter((fault) => fault.startsWith('script error')), []),
}

await sequence('passkeys', steps)
await close()
finish()
