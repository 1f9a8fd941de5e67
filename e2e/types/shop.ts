// A program against the shop's schema: it must type-check with the types that Mainstay writes, and the lines after
// `@ts-expect-error` must be refused, each with the error that is named.
import { createClient, type QueryData } from '@supabase/supabase-js'
import { Constants, type Database, type Enums, type Tables, type TablesInsert } from './database.types'

const client = createClient<Database>('http://127.0.0.1:54321', 'key')

/** Fails to compile unless both types are the same. */
function same<A, B>(..._: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : [never]): void {}

same<Tables<'orders'>['status'], Enums<'order_status'>>()
same<Tables<'order_totals'>['total'], number | null>()
const first: 'pending' = Constants.public.Enums.order_status[0]

export async function history(customer: string) {
  const orders = client
    .from('orders')
    .select('id, status, placed_at, items:order_items (quantity, unit_price, product:products (name))')
    .eq('customer_id', customer)
    .order('placed_at', { ascending: false })
    .range(0, 19)
  type Order = QueryData<typeof orders>[number]
  same<Order['items'], { quantity: number; unit_price: number; product: { name: string } }[]>()
  // @ts-expect-error TS2339: it was not asked for
  type Note = Order['note']
  return orders
}

export async function order(product: Tables<'products'>) {
  const placed = await client.from('orders').insert({ note: 'Ring twice' }).select('id').single()
  if (placed.error) throw placed.error
  const line: TablesInsert<'order_items'> = {
    order_id: placed.data.id,
    product_id: product.id,
    quantity: 1,
    unit_price: product.price,
  }
  await client.from('order_items').insert(line)
  await client.from('orders').update({ status: 'cancelled' }).eq('id', placed.data.id)

  // @ts-expect-error TS2322: no status of an order
  await client.from('orders').update({ status: 'lost' })
  // @ts-expect-error TS2741: each line has a price
  const free: TablesInsert<'order_items'> = { order_id: 1, product_id: 1, quantity: 1 }
  // @ts-expect-error TS2345: totals are counted, not written
  await client.from('order_totals').delete().eq('order', 1)
}

export async function totals() {
  const { data } = await client.from('order_totals').select('order_id, total').gte('total', 100)
  same<typeof data, { order_id: number | null; total: number | null }[] | null>()
  // @ts-expect-error TS2769: there is no such table
  await client.from('invoices').select()
}
