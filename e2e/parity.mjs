// The same project on two engines gives the same bytes.
//
//   node parity.mjs http://127.0.0.1:PORT http://127.0.0.1:PORT
//
// Needs two freshly seeded shops. Reads, and writes that must be refused: nothing changes.

import assert from 'node:assert/strict'
import { finish, sequence } from './steps.mjs'

const URLS = process.argv.slice(2).map((url) => url.replace(/\/$/, ''))
if (URLS.length !== 2) {
  console.error('two URLs are required')
  process.exit(2)
}
const ADA = '00000001-0000-4000-8000-000000000001'
const BRUNO = '00000002-0000-4000-8000-000000000002'
/** What two servers may answer differently: the moment, the connection, and ids of requests. */
const HEADERS = ['content-type', 'content-range', 'content-location', 'location', 'preference-applied', 'content-profile', 'allow', 'www-authenticate']

const HISTORY = 'orders?select=id,status,placed_at,note,order_items(quantity,unit_price,products(id,name))'
const json = (body, headers = {}) => ({ method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } })

// [who asks, path, options]
const REQUESTS = [
  [null, 'products?order=id'],
  [null, 'products?select=id,name,price::text&price=gte.34.5&order=price.desc,id'],
  [null, 'products?select=name&name=ilike.*WO*&order=name'],
  [null, 'products?select=name&or=(stock.eq.0,and(price.gt.40,price.lt.60))&order=name'],
  [null, 'products?select=name,stock&order=stock.desc.nullslast&limit=3&offset=2', { headers: { prefer: 'count=exact' } }],
  [null, 'products?id=eq.4', { headers: { accept: 'application/vnd.pgrst.object+json' } }],
  [null, 'products?id=eq.99', { headers: { accept: 'application/vnd.pgrst.object+json' } }],
  [null, 'products?select=id,name,price&order=id', { headers: { accept: 'text/csv' } }],
  [null, 'products?order=id', { method: 'HEAD', headers: { prefer: 'count=exact' } }],
  [null, 'products?select=nme'],
  [null, 'products?price=eq.cheap'],
  [null, 'products?id=foo.1'],
  [null, 'prodcts'],
  [null, 'orders'],
  [null, 'customers'],
  [null, 'order_totals'],
  [ADA, 'customers'],
  [ADA, `${HISTORY}&order=placed_at.desc`],
  [ADA, `${HISTORY}&order=placed_at.desc&status=eq.paid`],
  [ADA, `${HISTORY}&order=placed_at.desc&limit=2&offset=1&order_items.order=product_id.desc`, { headers: { prefer: 'count=exact' } }],
  [ADA, `${HISTORY}&status=in.(pending,shipped)&order=id`],
  [ADA, 'orders?select=id,status&order=status.desc,id'],
  [ADA, 'orders?select=id&status=gt.paid&order=id'],
  [ADA, 'orders?select=id&status=eq.lost'],
  [ADA, 'orders?select=id,customers(name,city)&order=id'],
  [ADA, 'orders?select=id,order_items!inner(quantity)&order_items.quantity=gte.3&order=id'],
  [ADA, 'orders?id=eq.2'],
  [ADA, 'orders?id=eq.123456'],
  [ADA, 'orders?select=id&placed_at=gte.2026-03-01T00:00:00Z&placed_at=lt.2026-03-20&order=id'],
  [ADA, 'orders?select=id,note&note=is.null&order=id'],
  [ADA, 'order_totals?select=order_id,lines,items,total&order=order_id'],
  [ADA, 'order_items?select=order_id,product_id,quantity,unit_price,products(name),orders(status)&order=order_id,product_id'],
  [ADA, 'products?select=name,order_items(order_id,quantity)&order=id'],
  [ADA, 'orders?select=id,products(name)&order=id&products.order=name'],
  [BRUNO, `${HISTORY}&order=placed_at.desc`],
  [BRUNO, 'order_totals?order=order_id'],
  // Refusals: the code, the text and the status are part of the promise.
  [null, 'orders', json({ note: 'anonymous' })],
  [ADA, 'orders', json({ customer_id: BRUNO, note: 'for another' })],
  [ADA, 'orders', json({ status: 'paid' })],
  [ADA, 'order_items', json({ order_id: 30, product_id: 1, quantity: 1, unit_price: 0.01 })],
  [ADA, 'order_items', json({ order_id: 28, product_id: 1, quantity: 1, unit_price: 34.5 })],
  [ADA, 'order_items', json({ order_id: 30, product_id: 3, quantity: 1, unit_price: 58 })],
  [ADA, 'order_items', json({ order_id: 30, product_id: 1, quantity: 0, unit_price: 34.5 })],
  [ADA, 'order_items', json({ order_id: 30, product_id: 1, quantity: 'some', unit_price: 34.5 })],
  [ADA, 'order_items', json([{ order_id: 30, product_id: 1, quantity: 1, unit_price: 34.5 }, { order_id: 30, product_id: 1 }])],
  [ADA, 'orders', json({ wishes: 'none' })],
  [ADA, 'orders?id=eq.28', { ...json({ status: 'cancelled' }, { prefer: 'return=representation' }), method: 'PATCH' }],
  [ADA, 'orders?id=eq.30', { ...json({ status: 'paid' }), method: 'PATCH' }],
  [ADA, 'orders?id=eq.30', { method: 'DELETE' }],
  [ADA, 'products?id=eq.1', { ...json({ price: 1 }), method: 'PATCH' }],
  [ADA, 'orders', { method: 'POST', body: '{"note": ', headers: { 'content-type': 'application/json' } }],
]

const read = async (url, options) => {
  const response = await fetch(url, options)
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return response.json()
}

const sides = []
const steps = {
  'both servers give keys and tokens': async () => {
    for (const url of URLS) {
      const { anon_key } = await read(`${url}/dev/v1/config`)
      const token = async (sub) => (await read(`${url}/dev/v1/token`, json({ sub, role: 'authenticated' }))).access_token
      sides.push({ url, anon_key, tokens: { [ADA]: await token(ADA), [BRUNO]: await token(BRUNO) } })
    }
  },
}
await sequence('parity', steps)

for (const [sub, path, options = {}] of sides.length === 2 ? REQUESTS : []) {
  const name = `${options.method ?? 'GET'} ${path}${options.body ? ` ${options.body}` : ''} as ${sub === ADA ? 'Ada' : sub === BRUNO ? 'Bruno' : 'anon'}`
  await sequence('same bytes', {
    [name]: async () => {
      const answers = await Promise.all(sides.map(async (side) => {
        const response = await fetch(`${side.url}/rest/v1/${path}`, {
          ...options,
          headers: { apikey: side.anon_key, authorization: `Bearer ${sub ? side.tokens[sub] : side.anon_key}`, ...options.headers },
        })
        const headers = Object.fromEntries(HEADERS.map((header) => [header, response.headers.get(header)]))
        return { status: response.status, headers, body: await response.text() }
      }))
      assert.deepEqual(answers[0], answers[1])
      assert.ok(answers[0].status < 500, JSON.stringify(answers[0]))
    },
  })
}
finish()
