// An identity provider that is not ours (oidc-provider), as the tests start it.

import Provider from 'oidc-provider'

/** People that it knows: what it says of each, by sign-in name. */
const PEOPLE = {
  ann: { email: 'ann@example.com', email_verified: true, name: 'Ann' },
  bob: { email: 'bob@example.com', email_verified: true, name: 'Bob' },
  carl: { email: 'carl@example.com', email_verified: true, name: 'Carl' },
  wanda: { email: 'wanda@example.com', email_verified: true, name: 'Wanda' },
  mallory: { email: 'ann@example.com', email_verified: false, name: 'Mallory' },
}

/**
 * Starts a provider. `clients` are those that it knows. With `inToken` its ID tokens hold what it says of people; else
 * that is told by its userinfo endpoint alone.
 */
export async function startProvider(port, clients, inToken) {
  const issuer = `http://127.0.0.1:${port}`
  const quiet = console.warn
  console.warn = () => {}
  const provider = new Provider(issuer, {
    clients,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: !inToken,
    pkce: { required: () => true },
    cookies: { keys: ['of the tests alone'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
    ttl: { Session: 3600, Grant: 3600, Interaction: 3600, AccessToken: 3600, IdToken: 3600 },
  })
  const server = await new Promise((resolve, reject) => {
    const server = provider.listen(port, '127.0.0.1', () => resolve(server))
    server.on('error', reject)
  })
  console.warn = quiet
  return { issuer, close: () => new Promise((resolve) => server.close(resolve)) }
}

/** A browser without a screen: it keeps cookies, follows redirects, and fills the provider's forms in. */
export class Browser {
  #cookies = new Map()

  async #send(url, options = {}) {
    const origin = new URL(url).origin
    const jar = this.#cookies.get(origin) ?? new Map()
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...options.headers, ...(cookie && { cookie }) }
    const response = await fetch(url, { ...options, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';')
      const at = pair.indexOf('=')
      jar.set(pair.slice(0, at), pair.slice(at + 1))
    }
    this.#cookies.set(origin, jar)
    return response
  }

  /** Goes to `url` and on until the browser is sent to an address that begins with `home`. Gives that address. */
  async visit(url, home, { as, refuse = false }) {
    for (let hops = 0; hops < 20; hops++) {
      if (url.startsWith(home)) return url
      let response = await this.#send(url)
      if (response.status === 200) {
        const page = await response.text()
        if (refuse) {
          const abort = page.match(/href="([^"]*\/abort)"/)
          url = new URL(abort[1], url).href
          continue
        }
        const action = page.match(/<form[^>]*action="([^"]+)"/)
        const prompt = page.match(/name="prompt" value="([^"]+)"/)
        const body = new URLSearchParams({ prompt: prompt[1], ...(prompt[1] === 'login' && { login: as, password: 'x' }) })
        response = await this.#send(new URL(action[1], url).href, { method: 'POST', body })
      }
      const location = response.headers.get('location')
      if (!location) throw new Error(`${response.status} at ${url}: ${await response.text()}`)
      url = new URL(location, url).href
    }
    throw new Error(`the browser never came to ${home}`)
  }
}
