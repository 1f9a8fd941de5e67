// The shop as a person uses it, in Chromium, on a wide screen and on a phone.
//
//   SHOP_URL=http://127.0.0.1:54321 node shop.mjs        (CHROMIUM=… for another browser,
//                                                       SHOP_PICTURES=… for the screenshots' folder)
//
// Needs a freshly seeded shop: it knows the seed's orders. It places orders, so run it once per database.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBrowser } from './browser.mjs'
import { finish, sequence } from './steps.mjs'

const URL_ = (process.env.SHOP_URL || '').replace(/\/$/, '')
if (!URL_) {
  console.error('SHOP_URL is required')
  process.exit(2)
}

const ADA = {
  name: 'Ada Moreau',
  spent: '5 orders, €466.00 in all',
  orders: [
    { id: '30', status: 'Pending', total: '€158.75', line: 'Brass pepper mill' },
    { id: '25', status: 'Paid', total: '€32.00', line: 'Stoneware mug' },
    { id: '18', status: 'Shipped', total: '€190.20', line: 'Olive wood spoon' },
    { id: '10', status: 'Delivered', total: '€77.25', line: 'Enamel coffee pot' },
    { id: '1', status: 'Delivered', total: '€7.80', line: 'Olive wood spoon' },
  ],
}
const BRUNO = { name: 'Bruno Keller', ids: ['28', '19', '11', '2'] }
const HUGO = { name: 'Hugo Almeida' }
const BRUNOS_ORDER = '2'
const MISSING_ORDER = '987654'

const pictures = process.env.SHOP_PICTURES || await mkdtemp(join(tmpdir(), 'mainstay-shop-'))
await mkdir(pictures, { recursive: true })
console.log(`  screenshots: ${pictures}`)

async function run(label, viewport) {
  const { page, faults, close } = await openBrowser(viewport)
  const picture = (name) => page.screenshot({ path: join(pictures, `${label}-${name}.png`), fullPage: true })
  const title = (text) => page.locator('main:not([aria-busy])').getByRole('heading', { level: 1, name: text, exact: true }).waitFor()
  const history = () => page.getByRole('button', { name: 'Order history', exact: true })
  const cards = () => page.locator('article.order')
  const ids = () => cards().evaluateAll((found) => found.map((card) => card.dataset.order))
  const signIn = async (name) => {
    await page.getByRole('button', { name: new RegExp(`^${name}`) }).click()
    await title('Products')
  }
  const signOut = async () => {
    await page.getByRole('button', { name: 'Sign out' }).click()
    await title('Who is shopping?')
  }
  const fitsTheScreen = async () => {
    const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
    assert.ok(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`)
  }
  let placed

  const steps = {
    'the page opens and asks who is shopping': async () => {
      await page.goto(URL_)
      await title('Who is shopping?')
      assert.equal(await page.locator('.customer').count(), 10)
      assert.equal(await history().isVisible(), false, 'no order history before signing in')
      await fitsTheScreen()
      await picture('1-sign-in')
    },
    'a customer signs in and sees the products': async () => {
      await signIn(ADA.name)
      assert.equal(await page.locator('.product').count(), 12)
      await page.getByText('Sold out').waitFor()
      await fitsTheScreen()
      await picture('2-products')
    },
    'the "Order history" button can be pressed': async () => {
      const box = await history().boundingBox()
      assert.ok(box, 'the button is visible')
      assert.ok(box.x >= 0 && box.x + box.width <= viewport.width && box.y + box.height <= viewport.height, 'it is on the screen')
      assert.ok(box.height >= 40, `it is ${box.height} px high`)
      await history().click()
      await title('Order history')
      await cards().first().waitFor()
    },
    'the orders are there with items and totals, newest first': async () => {
      const shown = await ids()
      const seeded = shown.filter((id) => Number(id) <= 30)
      assert.deepEqual(seeded, ADA.orders.map((order) => order.id))
      for (const order of ADA.orders) {
        const card = page.locator(`article[data-order="${order.id}"]`)
        const text = await card.innerText()
        for (const part of [order.status, order.line]) assert.ok(text.includes(part), `order ${order.id} shows ${part}: ${text}`)
        assert.equal(await card.locator('.total').innerText(), order.total)
      }
      if (shown.length === ADA.orders.length) await page.getByText(ADA.spent).waitFor()
      await fitsTheScreen()
      await picture('3-history')
    },
    'the history can be narrowed to a status': async () => {
      await page.getByRole('radio', { name: 'Delivered' }).click()
      await page.waitForURL(/status=delivered$/)
      await page.waitForFunction(() => document.querySelectorAll('article.order').length === 2)
      assert.deepEqual(await ids(), ['10', '1'])
      assert.equal(await page.evaluate(() => document.activeElement?.value), 'delivered', 'the focus stays on the filter')
      await page.getByRole('radio', { name: 'Paid' }).click()
      await page.waitForFunction(() => document.querySelectorAll('article.order').length === 1)
      assert.deepEqual(await ids(), ['25'])
    },
    'an order is placed and shown': async () => {
      await page.getByRole('button', { name: 'Products', exact: true }).click()
      await title('Products')
      await page.getByRole('button', { name: 'One more: Stoneware mug' }).click()
      await page.getByRole('button', { name: 'One more: Stoneware mug' }).click()
      await page.getByRole('spinbutton', { name: 'Quantity of Beeswax candles' }).fill('3')
      await page.getByText('5 pieces, €69.20').waitFor()
      await page.getByLabel('Note').fill(`Ring <b>once</b> & "softly" – ${label}`)
      await fitsTheScreen()
      await picture('4-basket')
      await page.getByRole('button', { name: 'Place order' }).click()
      await page.getByText('Your order is placed.').waitFor()
      placed = (await ids())[0]
      assert.match(placed, /^\d+$/)
      const text = await cards().first().innerText()
      for (const part of ['Pending', 'Stoneware mug', 'Beeswax candles', '€37.20', '€69.20', 'Ring <b>once</b> & "softly"']) {
        assert.ok(text.includes(part), `the order shows ${part}: ${text}`)
      }
      await fitsTheScreen()
      await picture('5-placed')
      await history().click()
      await title('Order history')
      await cards().first().waitFor()
      assert.equal((await ids())[0], placed, 'the new order comes first')
    },
    'an order of one’s own opens by its address, also after a reload': async () => {
      await page.goto(`${URL_}/#/orders/30`)
      await title('Order 30')
      await page.reload()
      await title('Order 30')
      assert.equal(await page.locator('.total').innerText(), '€158.75')
    },
    'another customer’s order looks exactly like a missing one': async () => {
      const seen = []
      for (const id of [BRUNOS_ORDER, MISSING_ORDER, 'nonsense', '99999999999999999999']) {
        await page.goto(`${URL_}/#/orders/${id}`)
        await title('Order not found')
        seen.push(await page.locator('main').innerText())
        assert.equal(await cards().count(), 0)
        await page.goto(`${URL_}/#/orders/30`)
        await title('Order 30')
      }
      assert.equal(new Set(seen).size, 1, seen.join(' | '))
    },
    'the API refuses it as well, whatever is asked': async () => {
      const answers = await page.evaluate(async (id) => {
        const db = window.state?.db ?? null
        const config = await (await fetch('/dev/v1/config')).json()
        const { access_token } = JSON.parse(sessionStorage.getItem('shop-session'))
        const ask = async (path) => {
          const response = await fetch(`/rest/v1/${path}`, { headers: { apikey: config.anon_key, authorization: `Bearer ${access_token}` } })
          return [response.status, await response.text()]
        }
        return {
          exposed: db !== null,
          order: await ask(`orders?id=eq.${id}`),
          items: await ask(`order_items?order_id=eq.${id}`),
          totals: await ask(`order_totals?order_id=eq.${id}`),
          embedded: await ask(`products?select=name,order_items(order_id)&order_items.order_id=eq.${id}&order_items=not.is.null`),
          customers: await ask('customers?select=name'),
        }
      }, BRUNOS_ORDER)
      assert.equal(answers.exposed, false)
      for (const part of ['order', 'items', 'totals', 'embedded']) assert.deepEqual(answers[part], [200, '[]'], part)
      assert.deepEqual(JSON.parse(answers.customers[1]), [{ name: ADA.name }])
    },
    'a second customer sees their own orders and none of the first': async () => {
      await signOut()
      await signIn(BRUNO.name)
      await history().click()
      await title('Order history')
      await cards().first().waitFor()
      const shown = await ids()
      assert.deepEqual(shown.filter((id) => Number(id) <= 30), BRUNO.ids)
      assert.ok(!shown.includes(placed))
      const text = await page.locator('main').innerText()
      assert.ok(!text.includes('Ring <b>once</b>') && !text.includes(ADA.name))
      await page.goto(`${URL_}/#/orders/${placed}`)
      await title('Order not found')
      await picture('6-not-found')
    },
    'a customer without orders is told so': async () => {
      await signOut()
      await signIn(HUGO.name)
      await history().click()
      await title('Order history')
      await page.getByText('You have not ordered anything yet.').waitFor()
      await fitsTheScreen()
    },
    'a pending order can be cancelled': async () => {
      await signOut()
      await signIn(ADA.name)
      await page.goto(`${URL_}/#/orders/${placed}`)
      await title(`Order ${placed}`)
      await page.getByRole('button', { name: 'Cancel this order' }).click()
      await page.getByText('Cancelled', { exact: true }).waitFor()
      assert.equal(await page.getByRole('button', { name: 'Cancel this order' }).count(), 0)
    },
    'signed out, an order’s address asks for a customer first': async () => {
      await signOut()
      await page.goto(`${URL_}/#/orders/30`)
      await title('Who is shopping?')
      assert.equal(await history().isVisible(), false)
      await page.getByRole('button', { name: new RegExp(`^${ADA.name}`) }).click()
      await title('Order 30')
    },
    'every control has a name and every page one title': async () => {
      for (const address of ['#/products', '#/orders', '#/orders/30', '#/sign-in']) {
        await page.goto(`${URL_}/${address}`)
        await page.locator('main:not([aria-busy]) h1').waitFor()
        const unnamed = await page.evaluate(() => [...document.querySelectorAll('button, input, a[href], select')]
          .filter((control) => !(control.getAttribute('aria-label') || control.labels?.[0]?.textContent || control.textContent).trim())
          .map((control) => control.outerHTML))
        assert.deepEqual(unnamed, [], address)
        assert.equal(await page.locator('h1').count(), 1)
      }
    },
    'the keyboard reaches the history': async () => {
      await page.goto(`${URL_}/#/products`)
      await title('Products')
      await history().focus()
      await page.keyboard.press('Enter')
      await title('Order history')
      assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1', 'the title has the focus')
    },
    'nothing went wrong in the page’s console': async () => assert.deepEqual(faults, []),
  }
  await sequence(label, steps, () => picture('failure'))
  await close()
}

await run('wide', { width: 1280, height: 900 })
await run('phone', { width: 375, height: 812 })
finish()
