// A program against library.sql: it must type-check with the types that Mainstay writes, and the lines after
// `@ts-expect-error` must be refused, each with the error that is named.
import { createClient, type QueryData } from '@supabase/supabase-js'
import { Constants, type Database, type Enums, type Json, type Tables, type TablesInsert, type TablesUpdate } from './database.types'

const client = createClient<Database>('http://127.0.0.1:54321', 'key')

/** Fails to compile unless both types are the same. */
function same<A, B>(..._: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : [never]): void {}

// Rows.
same<Tables<'books'>['genre'], Enums<'genre'>>()
same<Tables<'books'>['other_genres'], Enums<'genre'>[] | null>()
same<Tables<'books'>['isbn'], string | null>()
same<Tables<'books'>['pages'], number>()
same<Tables<'books'>['price'], number | null>()
same<Tables<'books'>['old_prices'], number[] | null>()
same<Tables<'books'>['shelf-mark'], string | null>()
same<Tables<'books'>['title_words'], string[] | null>()
same<Tables<'authors'>['tags'], string[]>()
same<Tables<'authors'>['links'], Json | null>()
same<Tables<'authors'>['display_name'], string | null>()
same<Tables<'novels'>['title'], string | null>()
same<Tables<{ schema: 'stacks' }, 'rooms'>['floor'], 'ground' | 'first'>()
same<Enums<'loan_state'>, (typeof Constants)['public']['Enums']['loan_state'][number]>()
same<TablesInsert<'authors'>['id'], undefined>()

// @ts-expect-error TS2345: a novel is no loan state
same<Enums<'loan_state'>, 'novel'>(undefined)
// @ts-expect-error TS2344: there is no such relation
type Missing = Tables<'scrolls'>
// @ts-expect-error TS2344: a view is not written to by TablesInsert
type OfView = TablesInsert<'novels'>

const draft: TablesInsert<'books'> = { title: 'Emma', author_id: 1, pages: 474, genre: "children's book" }
const change: TablesUpdate<'books'> = { price: 12.5, other_genres: ['essay', 'graphic "novel"'] }
// @ts-expect-error TS2741: a title is needed
const untitled: TablesInsert<'books'> = { author_id: 1, pages: 10 }
// @ts-expect-error TS2741: the domain is not null and has no default
const unpaged: TablesInsert<'books'> = { title: 'Emma', author_id: 1 }
// @ts-expect-error TS2322: identity that is always generated takes no value
const numbered: TablesInsert<'authors'> = { name: 'Jane', id: 1 }
// @ts-expect-error TS2322: not one of the enum's labels
const odd: TablesInsert<'loans'> = { book_id: 'b', state: 'eaten' }
// @ts-expect-error TS2322: a text is no array of texts
const flat: TablesUpdate<'authors'> = { tags: 'a,b' }

export async function reads() {
  const { data } = await client.from('books').select('id, title, pages, display:title_words').single()
  same<typeof data, { id: string; title: string; pages: number; display: string[] | null } | null>()

  // Embeds: to one, to many, through a junction, one to one, by the key's name, and computed.
  const embeds = client.from('books').select(`
    title,
    authors!books_author_id_fkey (name),
    translator:authors!books_translator_id_fkey (name, display_name),
    loans (state),
    shelves (label),
    book_details (blurb),
    first_author (name)
  `)
  type Embedded = QueryData<typeof embeds>[number]
  same<Embedded['authors'], { name: string }>()
  same<Embedded['translator'], { name: string; display_name: string | null } | null>()
  same<Embedded['loans'], { state: Enums<'loan_state'> }[]>()
  same<Embedded['shelves'], { label: string }[]>()
  same<Embedded['book_details'], { blurb: string | null } | null>()
  same<Embedded['first_author'], { name: string } | null>()

  const computed = await client.from('authors').select('name, books_of (title, genre)').limit(1)
  same<NonNullable<typeof computed.data>[number]['books_of'], { title: string; genre: Enums<'genre'> }[]>()

  const view = await client.from('genre_counts').select('genre, books, titles').gt('books', 1)
  same<NonNullable<typeof view.data>[number]['titles'], string[] | null>()

  const other = await client.schema('stacks').from('rooms').select('floor, opens').single()
  same<typeof other.data, { floor: Enums<{ schema: 'stacks' }, 'floor'>; opens: string | null } | null>()

  // @ts-expect-error TS2769: there is no such relation
  await client.from('scrolls').select()
  // @ts-expect-error TS2345: there is no such schema
  client.schema('attic')
  // @ts-expect-error TS2769: not in this schema
  await client.from('rooms').select()
  // @ts-expect-error TS2345: the column holds other labels
  await client.from('loans').select().eq('state', 'eaten')

  const wrong = await client.from('books').select('titel').single()
  // @ts-expect-error TS2339: what is not there cannot be read
  wrong.data?.titel
  const unrelated = await client.from('loans').select('id, shelves (label)').single()
  // @ts-expect-error TS2339: they are not related
  unrelated.data?.shelves[0].label
}

export async function writes() {
  await client.from('books').insert([draft]).select('id')
  await client.from('books').update(change).eq('id', 'b')
  await client.from('novels').update({ title: 'Emma' }).eq('id', 'b')
  await client.from('shelves').upsert({ label: 'A1' }, { onConflict: 'label' })
  await client.from('loans').delete().eq('id', 1).maxAffected(1)

  // @ts-expect-error TS2322: no value for a column that a view computes
  await client.from('novels').insert({ title: 'Emma', loud_title: 'EMMA' })
  // @ts-expect-error TS2353: nothing is written through a view of groups
  await client.from('genre_counts').insert({ books: 1 })
  // @ts-expect-error TS2322: a number is no text
  await client.from('shelves').update({ label: 1 })
}

export async function calls() {
  const found = await client.rpc('search_books', { term: 'emma' }).select('title, price')
  same<NonNullable<typeof found.data>, { title: string; price: number | null }[]>()
  const few = await client.rpc('search_books', { term: 'emma', at_most: 1 })
  same<NonNullable<typeof few.data>[number]['genre'], Enums<'genre'>>()
  const newest = await client.rpc('newest_book')
  same<NonNullable<typeof newest.data>['genre'], Enums<'genre'>>()
  const counts = await client.rpc('counts_since', {})
  same<NonNullable<typeof counts.data>, { books: number; genre: Enums<'genre'> }[]>()
  const titles = await client.rpc('titles')
  same<typeof titles.data, string[] | null>()
  const genres = await client.rpc('genres_of', { book: 'b' })
  same<typeof genres.data, Enums<'genre'>[] | null>()
  const nothing = await client.rpc('give_back', { loan: 1 })
  same<typeof nothing.data, undefined | null>()
  const id = await client.rpc('by_isbn', { code: '0-14-143958-8' })
  same<typeof id.data, string | null>()

  // Overloads are told apart by the names of their arguments.
  const price = await client.rpc('price_of', { book: 'b' })
  same<typeof price.data, number | null>()
  const spelled = await client.rpc('price_of', { title: 'Emma', currency: '€' })
  same<typeof spelled.data, string | null>()
  const unclear = await client.rpc('shelf_of', { label: 'A1' })
  // @ts-expect-error TS2322: the API could not tell which of the two is meant
  const shelf: number | null = unclear.data

  // @ts-expect-error TS2345: there is no such function
  await client.rpc('burn')
  // @ts-expect-error TS2345: an argument that has no default
  await client.rpc('search_books', { at_most: 1 })
  // @ts-expect-error TS2322: an argument of another type
  await client.rpc('give_back', { loan: '1' })
  // @ts-expect-error TS2353: an argument that there is none of
  await client.rpc('genres_of', { volume: 'b' })
}
