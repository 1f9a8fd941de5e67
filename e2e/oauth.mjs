// Signing in by a provider that is not ours, by a wallet, and being a provider for a client that is not ours.
//
//   PROJECT=folder DATABASE_URL=… MAINSTAY=program node oauth.mjs
//
// Packages: oidc-provider (the provider), supabase-js (the application), openid-client (somebody else's application).

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import * as client from 'openid-client'
import { Browser, startProvider } from './identity.mjs'
import { finish, sequence } from './steps.mjs'
import { ethereumWallet, solanaWallet } from './wallets.mjs'

const { PROJECT, DATABASE_URL, MAINSTAY } = process.env
const SECRET = 'a secret that the provider and the tests know'
const APP = 'https://shop.example/welcome'
const HERE = 'http://127.0.0.1:7777/callback'

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})
const port = await freePort()
const url = `http://127.0.0.1:${port}`
const providers = []
for (const inToken of [true, false]) {
  const known = [
    { client_id: 'shop', client_secret: SECRET, redirect_uris: [`${url}/auth/v1/callback`] },
    { client_id: 'phone', redirect_uris: [HERE], token_endpoint_auth_method: 'none', application_type: 'native' },
  ]
  providers.push(await startProvider(await freePort(), known, inToken))
}
const [acme, quiet] = providers

await mkdir(join(PROJECT, 'supabase/migrations'), { recursive: true })
const own = (name, { issuer }) =>
  `[mainstay.external.${name}]\nissuer = "${issuer}"\nclient_id = "shop, phone"\nsecret = "${SECRET}"\n`
await writeFile(join(PROJECT, 'supabase/config.toml'), `project_id = "oauth"
[api]
port = ${port}
external_url = "${url}"
[auth]
site_url = "https://shop.example"
enable_manual_linking = true
enable_anonymous_sign_ins = true
[auth.web3.ethereum]
enabled = true
[auth.web3.solana]
enabled = true
[auth.oauth_server]
enabled = true
allow_dynamic_registration = true
authorization_url_path = "/oauth/consent"
[mainstay.outgoing]
allow = ["127.0.0.1"]
${own('acme', acme)}${own('quiet', quiet)}`)

const server = spawn(MAINSTAY, ['serve', PROJECT, '--migrate', '--database-url', DATABASE_URL], { stdio: ['ignore', 'pipe', 'pipe'] })
process.on('exit', () => server.kill('SIGKILL'))
let log = ''
server.stderr.on('data', (text) => { log += text })
await new Promise((resolve, reject) => {
  server.stdout.on('data', (text) => String(text).includes('is ready') && resolve())
  server.on('exit', () => reject(new Error(log)))
})
const keys = JSON.parse(await run('keys', '--json'))

function run(...words) {
  return new Promise((resolve, reject) => {
    const child = spawn(MAINSTAY, [...words, PROJECT], { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (text) => { out += text })
    child.on('exit', (code) => (code === 0 ? resolve(out) : reject(new Error(`${words}: ${code}`))))
  })
}

function application(flowType) {
  const kept = new Map()
  const storage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => { kept.set(key, value) },
    removeItem: (key) => { kept.delete(key) },
  }
  return createClient(url, keys.publishable_key, { auth: { flowType, storage, autoRefreshToken: false }, realtime: { transport: WebSocket } })
}
const must = ({ data, error }) => {
  if (error) throw error
  return data
}
const found = (address) => {
  const { searchParams, hash } = new URL(address)
  return { query: searchParams, fragment: new URLSearchParams(hash.slice(1)) }
}

/** Signs somebody in through a provider, as the application's page would. */
async function signIn(supabase, provider, as, browser = new Browser()) {
  const { url } = must(await supabase.auth.signInWithOAuth({ provider, options: { redirectTo: APP, skipBrowserRedirect: true } }))
  const home = await browser.visit(url, APP, { as })
  const { query } = found(home)
  assert.ok(query.get('code'), home)
  return must(await supabase.auth.exchangeCodeForSession(query.get('code')))
}

await sequence('by a wallet', Object.fromEntries([
  ['ethereum', 'Ethereum', ethereumWallet()],
  ['solana', 'Solana, signMessage()', solanaWallet({ standard: false })],
  ['solana', 'Solana, signIn()', solanaWallet({ standard: true })],
].map(([chain, title, wallet]) => [title, async () => {
  const supabase = application('implicit')
  const asked = (statement) => ({ chain, wallet, statement, options: { url: APP } })
  const first = must(await supabase.auth.signInWithWeb3(asked('I accept the terms of the shop.')))
  assert.equal(first.user.identities[0].id, `web3:${chain}:${wallet.address}`)
  assert.equal(first.user.user_metadata.custom_claims.statement, 'I accept the terms of the shop.')
  assert.equal(must(await supabase.auth.getClaims()).claims.amr[0].method, 'web3')
  const again = must(await supabase.auth.signInWithWeb3(asked(undefined)))
  assert.equal(again.user.id, first.user.id)
  const elsewhere = await supabase.auth.signInWithWeb3({ ...asked(undefined), options: { url: 'https://evil.example/' } })
  assert.equal(elsewhere.error?.status, 400)
}])))

const supabase = application('pkce')
let ann

await sequence('by a provider', {
  'signInWithOAuth and exchangeCodeForSession': async () => {
    const { session, user } = await signIn(supabase, 'custom:acme', 'ann')
    ann = user
    assert.equal(user.email, 'ann@example.com')
    assert.equal(user.user_metadata.name, 'Ann')
    assert.equal(user.identities[0].provider, 'custom:acme')
    assert.ok(session.provider_token)
    const { claims } = must(await supabase.auth.getClaims())
    assert.equal(claims.amr[0].method, 'oauth')
    assert.equal(must(await supabase.auth.getUser()).user.id, user.id)
    must(await supabase.auth.refreshSession())
  },
  'the same person by a provider that tells it in userinfo alone is the same user': async () => {
    const { user } = await signIn(application('pkce'), 'custom:quiet', 'ann')
    assert.equal(user.id, ann.id)
    assert.deepEqual(user.app_metadata.providers, ['custom:acme', 'custom:quiet'])
  },
  'the implicit flow brings tokens in the fragment': async () => {
    const implicit = application('implicit')
    const { url } = must(await implicit.auth.signInWithOAuth({ provider: 'custom:acme', options: { redirectTo: APP, skipBrowserRedirect: true } }))
    const { fragment } = found(await new Browser().visit(url, APP, { as: 'bob' }))
    const { user } = must(await implicit.auth.setSession({
      access_token: fragment.get('access_token'), refresh_token: fragment.get('refresh_token'),
    }))
    assert.equal(user.email, 'bob@example.com')
  },
  'whoever refuses at the provider comes back with its word': async () => {
    const { url } = must(await supabase.auth.signInWithOAuth({ provider: 'custom:acme', options: { redirectTo: APP, skipBrowserRedirect: true } }))
    const { fragment } = found(await new Browser().visit(url, APP, { refuse: true }))
    assert.equal(fragment.get('error'), 'access_denied')
  },
  'an address that the provider does not vouch for opens nothing': async () => {
    const { url } = must(await supabase.auth.signInWithOAuth({ provider: 'custom:acme', options: { redirectTo: APP, skipBrowserRedirect: true } }))
    const { fragment } = found(await new Browser().visit(url, APP, { as: 'mallory' }))
    assert.equal(fragment.get('error_code'), 'provider_email_needs_verification')
  },
  'linkIdentity makes somebody of an anonymous user, unlinkIdentity takes all but the last': async () => {
    const carl = application('pkce')
    const { user: nobody } = must(await carl.auth.signInAnonymously())
    for (const provider of ['custom:acme', 'custom:quiet']) {
      const { url } = must(await carl.auth.linkIdentity({ provider, options: { redirectTo: APP, skipBrowserRedirect: true } }))
      const { query } = found(await new Browser().visit(url, APP, { as: 'carl' }))
      const { user } = must(await carl.auth.exchangeCodeForSession(query.get('code')))
      assert.deepEqual([user.id, user.is_anonymous, user.email], [nobody.id, false, 'carl@example.com'])
    }
    const { identities } = must(await carl.auth.getUserIdentities())
    assert.deepEqual(identities.map(({ provider }) => provider), ['custom:acme', 'custom:quiet'])
    must(await carl.auth.unlinkIdentity(identities[0]))
    const { error } = await carl.auth.unlinkIdentity(identities[1])
    assert.equal(error.code, 'single_identity_not_deletable')
    const { user } = await signIn(application('pkce'), 'custom:quiet', 'carl')
    assert.equal(user.id, nobody.id)
  },
  'signInWithIdToken with a nonce': async () => {
    // The application gets the token from the provider itself, by a client of its own.
    const config = await client.discovery(new URL(acme.issuer), 'phone', undefined, client.None(), { execute: [client.allowInsecureRequests] })
    const nonce = randomUUID()
    const hashed = createHash('sha256').update(nonce).digest('hex')
    const verifier = client.randomPKCECodeVerifier()
    const state = client.randomState()
    const address = client.buildAuthorizationUrl(config, {
      redirect_uri: HERE, scope: 'openid email profile', nonce: hashed, state,
      code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    })
    const home = await new Browser().visit(address.href, HERE, { as: 'bob' })
    const tokens = await client.authorizationCodeGrant(config, new URL(home), { pkceCodeVerifier: verifier, expectedNonce: hashed, expectedState: state })
    const phone = application('pkce')
    const { user } = must(await phone.auth.signInWithIdToken({ provider: 'custom:acme', token: tokens.id_token, access_token: tokens.access_token, nonce }))
    assert.equal(user.email, 'bob@example.com')
    const { error } = await application('pkce').auth.signInWithIdToken({ provider: 'custom:acme', token: tokens.id_token, nonce: 'another' })
    assert.equal(error.status, 400)
  },
})

// From here on Mainstay is the provider, and openid-client somebody else's application.

const insecure = { execute: [client.allowInsecureRequests] }
let registered
let grant

/** The user's page: shows what is asked, and answers. Gives where the browser is sent. */
async function answer(address, agrees = true) {
  const asked = await fetch(address, { redirect: 'manual' })
  const to = new URL(asked.headers.get('location'))
  if (!to.href.startsWith('https://shop.example/oauth/consent')) return to
  const id = to.searchParams.get('authorization_id')
  const details = must(await supabase.auth.oauth.getAuthorizationDetails(id))
  if (details.redirect_url) return new URL(details.redirect_url)
  assert.equal(details.user.email, 'ann@example.com')
  const options = { skipBrowserRedirect: true }
  const decided = agrees
    ? await supabase.auth.oauth.approveAuthorization(id, options)
    : await supabase.auth.oauth.denyAuthorization(id, options)
  return new URL(must(decided).redirect_url)
}

async function authorize(config, more = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const [state, nonce] = [client.randomState(), client.randomNonce()]
  const address = client.buildAuthorizationUrl(config, {
    redirect_uri: HERE, scope: 'openid email profile', state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  })
  return { address: address.href, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce } }
}

await sequence('being a provider', {
  'an application registers itself and signs the user in': async () => {
    registered = await client.dynamicClientRegistration(new URL(`${url}/auth/v1`), {
      redirect_uris: ['http://127.0.0.1/callback'], client_name: 'Somebody else’s', token_endpoint_auth_method: 'client_secret_basic',
    }, client.ClientSecretBasic(), insecure)
    assert.equal(registered.serverMetadata().issuer, `${url}/auth/v1`)
    const { address, checks } = await authorize(registered)
    const home = await answer(address)
    grant = await client.authorizationCodeGrant(registered, home, checks)
    const claims = grant.claims()
    assert.equal(claims.sub, ann.id)
    assert.equal(claims.email, 'ann@example.com')
    const told = await client.fetchUserInfo(registered, grant.access_token, claims.sub)
    assert.equal(told.name, 'Ann')
    // A code that comes again ends what it gave (RFC 6749 §4.1.2).
    await assert.rejects(client.authorizationCodeGrant(registered, home, checks), { error: 'invalid_grant' })
    assert.equal((await client.tokenIntrospection(registered, grant.access_token)).active, false)
    const anew = await authorize(registered)
    grant = await client.authorizationCodeGrant(registered, await answer(anew.address), anew.checks)
  },
  'its tokens are introspected, refreshed once each, and say whose they are': async () => {
    const active = await client.tokenIntrospection(registered, grant.access_token)
    assert.deepEqual([active.active, active.sub, active.scope], [true, ann.id, 'openid email profile'])
    const next = await client.refreshTokenGrant(registered, grant.refresh_token)
    assert.notEqual(next.refresh_token, grant.refresh_token)
    const { client_id: acting } = JSON.parse(Buffer.from(next.access_token.split('.')[1], 'base64url'))
    assert.equal(acting, registered.clientMetadata().client_id)
    grant = next
  },
  'whoever agreed is not asked again, and sees what was agreed to': async () => {
    const { address, checks } = await authorize(registered)
    const again = await client.authorizationCodeGrant(registered, await answer(address), checks)
    assert.equal(again.claims().sub, ann.id)
    const grants = must(await supabase.auth.oauth.listGrants())
    assert.equal(grants.length, 1)
    assert.equal(grants[0].client.name, 'Somebody else’s')
  },
  'a revoked token is over': async () => {
    await client.tokenRevocation(registered, grant.refresh_token)
    await assert.rejects(client.refreshTokenGrant(registered, grant.refresh_token), { error: 'invalid_grant' })
    assert.equal((await client.tokenIntrospection(registered, grant.access_token)).active, false)
  },
  'a user who takes the grant back ends what was given': async () => {
    const { address, checks } = await authorize(registered)
    const given = await client.authorizationCodeGrant(registered, await answer(address), checks)
    must(await supabase.auth.oauth.revokeGrant({ clientId: registered.clientMetadata().client_id }))
    await assert.rejects(client.refreshTokenGrant(registered, given.refresh_token), { error: 'invalid_grant' })
    assert.deepEqual(must(await supabase.auth.oauth.listGrants()), [])
  },
  'a user who refuses sends the application away': async () => {
    const { address, checks } = await authorize(registered)
    const home = await answer(address, false)
    await assert.rejects(client.authorizationCodeGrant(registered, home, checks), { error: 'access_denied' })
  },
  'applications are administered': async () => {
    const admin = createClient(url, keys.secret_key, { realtime: { transport: WebSocket } }).auth.admin.oauth
    const made = must(await admin.createClient({ client_name: 'Ours', redirect_uris: [HERE], token_endpoint_auth_method: 'none' }))
    assert.equal(made.client_secret, undefined)
    const config = await client.discovery(new URL(`${url}/auth/v1`), made.client_id, undefined, client.None(), { ...insecure, algorithm: 'oauth2' })
    const { address, checks } = await authorize(config)
    const given = await client.authorizationCodeGrant(config, await answer(address), checks)
    assert.equal(given.claims().sub, ann.id)
    assert.equal(must(await admin.listClients()).clients.length, 2)
    assert.equal(must(await admin.updateClient(made.client_id, { client_name: 'Renamed' })).client_name, 'Renamed')
    const { error } = await admin.regenerateClientSecret(made.client_id)
    assert.equal(error.code, 'validation_failed')
    must(await admin.deleteClient(made.client_id))
    await assert.rejects(client.refreshTokenGrant(config, given.refresh_token))
  },
})

const text = await readFile(join(PROJECT, 'supabase/config.toml'), 'utf8')
assert.ok(text.includes(SECRET) && !log.includes(SECRET), 'the secret is in the log')
server.removeAllListeners('exit')
server.kill()
await Promise.all(providers.map((provider) => provider.close()))
finish()
