// A program against library.sql with library.postgres.sql: what only PostgreSQL has.
import { createClient } from '@supabase/supabase-js'
import { type CompositeTypes, type Database, type Tables } from './database.types'

const client = createClient<Database>('http://127.0.0.1:54321', 'key')

/** Fails to compile unless both types are the same. */
function same<A, B>(..._: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : [never]): void {}

type Floor = 'ground' | 'first'
same<CompositeTypes<'postal_address'>, { street: string | null; town: string | null; floors: Floor[] | null }>()
same<Tables<'branches'>['address'], CompositeTypes<'postal_address'> | null>()
same<Tables<'branches'>['busiest'], Tables<'loans'> | null>()
same<Tables<'branches'>['opening'], unknown>()
same<Tables<'book_titles'>['title'], string | null>()

export async function calls() {
  const one = await client.rpc('address_of', { branch: 1 })
  same<NonNullable<typeof one.data>['town'], string | null>()
  const all = await client.rpc('addresses')
  same<NonNullable<typeof all.data>[number]['floors'], Floor[] | null>()
  // @ts-expect-error TS2339: no attribute of the type
  one.data?.zip
  // @ts-expect-error TS2353: nothing is written to a materialised view
  await client.from('book_titles').insert({ title: 'Emma' })
}
