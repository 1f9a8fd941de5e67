// The shop's page. Everything it knows comes from the server through the unchanged @supabase/supabase-js client; which
// rows a customer gets is decided by the policies in supabase/migrations, not here.

'use strict';

// The seed's customers, who all have one password: choosing one signs in with the address in `accounts.sql`.
const CUSTOMERS = [
  ['00000001-0000-4000-8000-000000000001', 'Ada Moreau', 'Lyon'],
  ['00000002-0000-4000-8000-000000000002', 'Bruno Keller', 'Graz'],
  ['00000003-0000-4000-8000-000000000003', 'Chiara Fontana', 'Turin'],
  ['00000004-0000-4000-8000-000000000004', 'Dariusz Nowak', 'Gdynia'],
  ['00000005-0000-4000-8000-000000000005', 'Elif Yildiz', 'Izmir'],
  ['00000006-0000-4000-8000-000000000006', "Fergus O'Hara", 'Galway'],
  ['00000007-0000-4000-8000-000000000007', 'Greta Lindqvist', 'Malmö'],
  ['00000008-0000-4000-8000-000000000008', 'Hugo Almeida', 'Porto'],
  ['00000009-0000-4000-8000-000000000009', 'Ines Castell', 'Girona'],
  ['00000010-0000-4000-8000-000000000010', 'Jonas Weber', 'Kassel'],
].map(([id, name, city]) => ({ id, name, city, email: `${name.split(' ')[0].toLowerCase()}@example.com` }));
const PASSWORD = 'hearthside';

const STATUSES = ['pending', 'paid', 'shipped', 'delivered', 'cancelled'];
const ORDERS_PER_PAGE = 20;
const SESSION_KEY = 'shop-session';

const money = new Intl.NumberFormat('en-GB', { style: 'currency', currency: 'EUR' });
const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });
const cents = (line) => Math.round(Number(line.unit_price) * 100) * line.quantity;
const total = (lines) => lines.reduce((sum, line) => sum + cents(line), 0);
const euros = (amount) => money.format(amount / 100);
const capital = (word) => word[0].toUpperCase() + word.slice(1);
const initials = (name) => name.split(' ').map((part) => part[0]).join('').slice(0, 2);

const main = document.getElementById('main');
const live = document.getElementById('live');
const who = document.getElementById('who');

const state = {
  config: null,      // { url, anon_key }
  customer: null,    // one of CUSTOMERS, or somebody with an account of their own
  db: null,          // the Supabase client
  basket: new Map(), // product id → quantity
  note: '',
  placed: null,      // the order that was just placed
  filtering: false,  // whether the filter asked for this page
  visit: 0,          // counts page changes, so that a late answer does not overwrite a newer page
};

// ------------------------------------------------------------------ building the page

/** An element: `h('p', { class: 'quiet' }, 'text', child)`. Text never becomes markup. */
function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('--')) element.style.setProperty(key, value);
    else if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== 'string') element[key] = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function say(text) {
  live.textContent = '';
  requestAnimationFrame(() => { live.textContent = text; });
}

/** Shows a page: its title gets the focus, so that a screen reader starts there. */
function show(title, ...content) {
  document.title = `${title} – Hearthside`;
  const heading = h('h1', { tabindex: '-1' }, title);
  main.replaceChildren(heading, ...content.flat());
  main.removeAttribute('aria-busy');
  heading.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  return heading;
}

function showLoading(title, rows) {
  show(title, Array.from({ length: rows }, () => h('div', { class: 'skeleton', 'aria-hidden': 'true' })));
  main.setAttribute('aria-busy', 'true');
  say(`${title}: loading`);
}

function showError(title, error, retry) {
  const code = error.code ? ` (${error.code})` : '';
  show(title, h('div', { class: 'notice notice-error', role: 'alert' },
    h('p', {}, h('strong', {}, 'That did not work. '), `${error.message}${code}`),
    error.hint && h('p', {}, error.hint),
    h('button', { type: 'button', class: 'button', onclick: retry }, 'Try again')));
}

const badge = (status) => h('span', { class: `badge badge-${status}` }, capital(status));

// ------------------------------------------------------------------ the server

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('The server does not answer.');
  }
  if (response.status === 404) {
    throw new Error('This page asks for the project’s key, which only `mainstay dev` tells.');
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw Object.assign(new Error(body.message || `The server answered ${response.status}.`), { code: body.code });
  }
  return response.json();
}

/** One client for the page. It keeps the session of this tab, and refreshes it by itself. */
async function connect() {
  if (state.db) return;
  state.config ??= await request('/dev/v1/config');
  state.db = window.supabase.createClient(state.config.url || location.origin, state.config.anon_key, {
    auth: { storage: sessionStorage, storageKey: SESSION_KEY },
  });
}

/** The rows of a query, or its error thrown. */
async function rows(query) {
  const { data, error } = await query;
  if (error) throw error;
  return data;
}

// ------------------------------------------------------------------ signing in

async function signIn(customer) {
  state.basket.clear();
  state.note = '';
  await connect();
  const { error } = await state.db.auth.signInWithPassword({ email: customer.email, password: PASSWORD });
  if (error) throw error;
  state.customer = customer;
  drawWho();
  say(`Signed in as ${customer.name}`);
}

async function signOut() {
  Object.assign(state, { customer: null, note: '' });
  state.basket.clear();
  await state.db.auth.signOut();
  drawWho();
  if (location.hash === '#/sign-in') route();
  else location.hash = '#/sign-in';
}

/** The customer whose session this tab has, if it has not ended. */
async function signedIn() {
  const { data: { session } } = await state.db.auth.getSession();
  if (!session) return null;
  const { data, error } = await state.db.auth.getUser();
  if (error) await state.db.auth.signOut({ scope: 'local' });
  return data.user ? customerOf(data.user) : null;
}

/** Who a user is to the shop: a customer of the seed, or whoever has made an account. */
function customerOf({ id, email, user_metadata: told }) {
  const known = CUSTOMERS.find((customer) => customer.id === id);
  return known ?? { id, email, name: told.name || email, city: '' };
}

/** The address of one of Mainstay's ready pages, which leads back here. */
const readyPage = (name) => `/auth/v1/pages/${name}?${new URLSearchParams({ redirect_to: `${location.origin}/` })}`;

function drawWho() {
  document.getElementById('history-button').hidden = !state.customer;
  if (!state.customer) {
    who.replaceChildren(h('button', { type: 'button', class: 'button button-small', 'data-go': '#/sign-in' }, 'Sign in'));
    return;
  }
  who.replaceChildren(
    h('a', { class: 'account', href: readyPage('account') },
      h('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(state.customer.name)),
      h('span', { class: 'who-name' }, h('span', { class: 'sr-only' }, 'Account of '), state.customer.name)),
    h('button', { type: 'button', class: 'button button-plain button-small', onclick: signOut }, 'Sign out'));
}

function signInPage(next) {
  const choose = (customer) => async () => {
    try {
      await signIn(customer);
      const target = next || '#/products';
      if (location.hash === target) route();
      else location.hash = target;
    } catch (error) {
      state.customer = null;
      drawWho();
      showError('Who is shopping?', error, () => signInPage(next));
    }
  };
  show('Who is shopping?',
    h('p', { class: 'lead' }, 'Choose a customer to sign in. Each one sees their own orders and nobody else’s.'),
    h('ul', { class: 'customers', 'aria-label': 'Customers' }, CUSTOMERS.map((customer) => h('li', {},
      h('button', { type: 'button', class: 'customer', onclick: choose(customer) },
        h('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(customer.name)),
        h('span', {}, h('strong', {}, customer.name), h('span', { class: 'quiet' }, ` ${customer.city}`)))))),
    h('p', { class: 'lead' }, 'Or with an account of your own:'),
    h('p', { class: 'actions' },
      h('a', { class: 'button button-main', href: readyPage('sign-in') }, 'Sign in'),
      h('a', { class: 'button', href: readyPage('sign-up') }, 'Create an account')));
}

// ------------------------------------------------------------------ products and the basket

async function productsPage(visit) {
  showLoading('Products', 3);
  const products = await rows(state.db.from('products').select('id,name,description,price,stock').order('name'));
  if (visit !== state.visit) return;
  if (products.length === 0) {
    show('Products', h('p', { class: 'notice' }, 'The shelves are empty.'));
    return;
  }
  const bar = h('form', { class: 'basket', 'aria-label': 'Your order' });
  const redraw = () => drawBasket(bar, products);
  show('Products',
    h('p', { class: 'lead' }, state.customer ? `What may it be today, ${state.customer.name.split(' ')[0]}?` : 'Sign in to order.'),
    h('ul', { class: 'products' }, products.map((product) => h('li', { class: 'product' }, productCard(product, redraw)))),
    bar);
  redraw();
  say(`${products.length} products`);
}

function productCard(product, redraw) {
  const id = `quantity-${product.id}`;
  const sold = product.stock < 1;
  const input = h('input', {
    id, type: 'number', min: '0', max: '100', step: '1', inputmode: 'numeric', value: String(state.basket.get(product.id) ?? 0),
    'aria-label': `Quantity of ${product.name}`,
    oninput: () => set(Number.parseInt(input.value, 10) || 0, false),
    onchange: () => set(Number.parseInt(input.value, 10) || 0, true),
  });
  const set = (quantity, tidy) => {
    const kept = Math.min(100, Math.max(0, quantity));
    if (kept > 0) state.basket.set(product.id, kept);
    else state.basket.delete(product.id);
    if (tidy) input.value = String(kept);
    redraw();
  };
  const step = (by, label) => h('button', {
    type: 'button', class: 'step', 'aria-label': `${label} ${product.name}`,
    onclick: () => set((state.basket.get(product.id) ?? 0) + by, true),
  }, by > 0 ? '+' : '−');
  return [
    h('div', { class: 'tile', 'aria-hidden': 'true', '--hue': String((product.id * 47) % 360) }, initials(product.name)),
    h('div', { class: 'product-text' },
      h('h2', {}, product.name),
      h('p', { class: 'quiet' }, product.description)),
    h('div', { class: 'product-buy' },
      h('span', { class: 'price' }, money.format(product.price)),
      sold ? h('span', { class: 'badge badge-cancelled' }, 'Sold out')
        : state.customer && h('span', { class: 'stepper' }, step(-1, 'One less:'), input, step(1, 'One more:'))),
  ];
}

function drawBasket(bar, products) {
  const lines = products.filter((product) => state.basket.has(product.id))
    .map((product) => ({ product_id: product.id, quantity: state.basket.get(product.id), unit_price: product.price }));
  bar.hidden = lines.length === 0;
  if (bar.hidden) {
    bar.replaceChildren();
    return;
  }
  const pieces = lines.reduce((sum, line) => sum + line.quantity, 0);
  const summary = `${pieces} ${pieces === 1 ? 'piece' : 'pieces'}, ${euros(total(lines))}`;
  const shown = bar.querySelector('output');
  bar.onsubmit = (event) => {
    event.preventDefault();
    placeOrder(lines, bar);
  };
  if (shown) { // Keep the note and the focus while a quantity changes.
    shown.textContent = summary;
    return;
  }
  bar.replaceChildren(
    h('output', { class: 'basket-sum' }, summary),
    h('label', { class: 'basket-note' }, h('span', {}, 'Note'),
      h('input', {
        name: 'note', maxlength: '500', value: state.note, placeholder: 'for the driver, if you like', autocomplete: 'off',
        oninput: (event) => { state.note = event.target.value; },
      })),
    h('button', { type: 'submit', class: 'button button-main' }, 'Place order'));
}

async function placeOrder(lines, bar) {
  const button = bar.querySelector('button[type=submit]');
  button.disabled = true;
  button.textContent = 'Placing…';
  const { db } = state;
  let order;
  try {
    order = await rows(db.from('orders').insert({ note: state.note.trim() || null }).select('id').single());
    await rows(db.from('order_items').insert(lines.map((line) => ({ order_id: order.id, ...line }))));
  } catch (error) {
    // Two requests are two transactions: an order whose lines were refused must not stay open.
    if (order) await db.from('orders').update({ status: 'cancelled' }).eq('id', order.id);
    showError('Place order', error, route);
    return;
  }
  state.basket.clear();
  state.note = '';
  state.placed = order.id;
  location.hash = `#/orders/${order.id}`;
}

// ------------------------------------------------------------------ order history

const ORDER = 'id,status,placed_at,note,order_items(quantity,unit_price,products(id,name))';

async function ordersPage(visit, status) {
  showLoading('Order history', 4);
  const page = (from) => {
    let query = state.db.from('orders').select(ORDER).order('placed_at', { ascending: false }).order('id', { ascending: false });
    if (status) query = query.eq('status', status);
    return rows(query.range(from, from + ORDERS_PER_PAGE)); // One more than is shown tells whether there are older ones.
  };
  const spent = state.db.from('order_totals').select('total').neq('status', 'cancelled');
  const [orders, totals] = await Promise.all([page(0), rows(spent)]);
  if (visit !== state.visit) return;

  const list = h('ol', { class: 'orders', 'aria-label': 'Orders, newest first' });
  const more = h('button', { type: 'button', class: 'button' }, 'Show older orders');
  const append = (found) => {
    list.append(...found.slice(0, ORDERS_PER_PAGE).map((order) => h('li', {}, orderCard(order))));
    more.hidden = found.length <= ORDERS_PER_PAGE;
  };
  more.onclick = async () => {
    more.disabled = true;
    try {
      append(await page(list.children.length));
    } catch (error) {
      showError('Order history', error, route);
    }
    more.disabled = false;
  };
  append(orders);

  const sum = totals.reduce((all, row) => all + Math.round(Number(row.total) * 100), 0);
  show('Order history',
    h('p', { class: 'lead' }, totals.length === 0 ? 'No orders in your name yet.'
      : `${totals.length} ${totals.length === 1 ? 'order' : 'orders'}, ${euros(sum)} in all; cancelled ones do not count.`),
    statusFilter(status),
    orders.length > 0 ? [list, more] : h('div', { class: 'notice' },
      h('p', {}, status ? `You have no order that is ${status}.` : 'You have not ordered anything yet.'),
      h('button', { type: 'button', class: 'button button-main', 'data-go': '#/products' }, 'See the products')));
  if (state.filtering) main.querySelector('input[name=status]:checked').focus(); // The keyboard goes on where it was.
  state.filtering = false;
  say(`${orders.length === 0 ? 'No' : Math.min(orders.length, ORDERS_PER_PAGE)} orders shown`);
}

function statusFilter(chosen) {
  const option = (value, label) => h('label', { class: 'pill' },
    h('input', {
      type: 'radio', name: 'status', value, checked: value === (chosen ?? ''),
      onchange: () => {
        state.filtering = true;
        location.hash = value ? `#/orders?status=${value}` : '#/orders';
      },
    }), h('span', {}, label));
  return h('fieldset', { class: 'filter' }, h('legend', { class: 'sr-only' }, 'Show orders by status'),
    option('', 'All'), STATUSES.map((status) => option(status, capital(status))));
}

function linesTable(order) {
  return h('table', { class: 'lines' },
    h('caption', { class: 'sr-only' }, `Items of order ${order.id}`),
    h('thead', {}, h('tr', {}, ['Item', 'Quantity', 'Price', 'Sum'].map((name, at) => h('th', { scope: 'col', class: at ? 'number' : '' }, name)))),
    h('tbody', {}, order.order_items.map((line) => h('tr', {},
      h('td', {}, line.products?.name ?? 'No longer sold'),
      h('td', { class: 'number' }, String(line.quantity)),
      h('td', { class: 'number wide' }, money.format(line.unit_price)),
      h('td', { class: 'number' }, euros(cents(line)))))),
    h('tfoot', {}, h('tr', {}, h('th', { scope: 'row' }, 'Total'), h('td', {}), h('td', { class: 'wide' }),
      h('td', { class: 'number total' }, euros(total(order.order_items))))));
}

function orderCard(order) {
  return h('article', { class: 'order', 'aria-labelledby': `order-${order.id}`, 'data-order': String(order.id) },
    h('header', {},
      h('h2', { id: `order-${order.id}` }, h('a', { href: `#/orders/${order.id}` }, `Order ${order.id}`)),
      h('time', { datetime: order.placed_at, class: 'quiet' }, date.format(new Date(order.placed_at))),
      badge(order.status)),
    order.order_items.length > 0 ? linesTable(order) : h('p', { class: 'quiet' }, 'This order has no items.'),
    order.note && h('p', { class: 'note' }, `“${order.note}”`));
}

// ------------------------------------------------------------------ one order

async function orderPage(visit, id) {
  const title = `Order ${id}`;
  showLoading(title, 1);
  // What is not a number, and what is not yours, and what does not exist look the same.
  const order = /^\d{1,15}$/.test(id) ? await rows(state.db.from('orders').select(ORDER).eq('id', id).maybeSingle()) : null;
  if (visit !== state.visit) return;
  const back = h('button', { type: 'button', class: 'button', 'data-go': '#/orders' }, 'All orders');
  if (!order) {
    show('Order not found', h('p', { class: 'notice' }, 'There is no order with this number in your history.'), back);
    say('Order not found');
    return;
  }
  const placed = state.placed === order.id;
  state.placed = null;
  show(title,
    placed && h('p', { class: 'notice notice-good' }, 'Thank you! Your order is placed.'),
    orderCard(order),
    h('p', { class: 'actions' }, back, order.status === 'pending' && h('button', {
      type: 'button', class: 'button button-plain', onclick: () => cancelOrder(order),
    }, 'Cancel this order')));
  say(placed ? `Thank you! Order ${id} is placed.` : title);
}

async function cancelOrder(order) {
  try {
    await rows(state.db.from('orders').update({ status: 'cancelled' }).eq('id', order.id));
    route();
  } catch (error) {
    showError(`Order ${order.id}`, error, route);
  }
}

// ------------------------------------------------------------------ pages by address

async function route() {
  const visit = ++state.visit;
  // What sign-in leaves in the address is no page.
  const [given, query] = location.hash.startsWith('#/') ? location.hash.slice(1).split('?') : [''];
  const home = state.customer ? '/products' : '/sign-in';
  const path = given === '/' || given === '' ? home : given;
  const section = `#/${path.split('/')[1]}`;
  for (const tab of document.querySelectorAll('.tab')) {
    if (tab.dataset.go === section) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  try {
    const order = path.match(/^\/orders\/([^/]+)$/);
    if (path === '/sign-in') signInPage();
    else if (path === '/products') await productsPage(visit);
    else if (section === '#/orders' && !state.customer) signInPage(location.hash);
    else if (path === '/orders') {
      const status = new URLSearchParams(query).get('status');
      await ordersPage(visit, STATUSES.includes(status) ? status : undefined);
    } else if (order) await orderPage(visit, decodeURIComponent(order[1]));
    else show('Page not found', h('button', { type: 'button', class: 'button', 'data-go': '#/products' }, 'See the products'));
  } catch (error) {
    if (visit === state.visit) showError('Hearthside', error, route);
  }
}

async function start() {
  document.addEventListener('click', (event) => {
    const target = event.target.closest('[data-go]');
    if (!target) return;
    if (location.hash === target.dataset.go) route();
    else location.hash = target.dataset.go;
  });
  window.addEventListener('hashchange', route);
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); // The address holds the page, so the link may not change it.
    main.focus();
  });
  if (!window.supabase) {
    showError('Hearthside', new Error('The client library is missing: run `cargo xtask demo` once.'), () => location.reload());
    return;
  }
  try {
    await connect();
    state.customer = await signedIn();
  } catch (error) {
    state.customer = null;
    showError('Hearthside', error, () => location.reload());
    return;
  } finally {
    drawWho();
  }
  route();
}

start();
