create table articles (
  id integer primary key,
  title text not null,
  body text,
  meta jsonb,
  notes json,
  config regconfig not null default 'english',
  search tsvector generated always as (
    setweight(to_tsvector('english', coalesce(title, '')), 'A') || setweight(to_tsvector('english', coalesce(body, '')), 'C')
  ) stored,
  own tsvector,
  query tsquery
);
create index articles_search on articles using gin (search);
create index articles_body on articles using gin (to_tsvector('english', coalesce(body, '')));

insert into articles (id, title, body, meta, notes, own, query) values
  (1, 'The quick brown fox', 'It jumped over the lazy-dogs near https://example.com/fox?x=1 twice.',
   '{"a": {"b": "flying machines"}, "c": ["jumping", 5]}', '{"x": "a fat cat"}', 'a:1A b:2,3C ''x y'':4', 'a & !b'),
  (2, 'Cats and rats', 'A fat cat sat on a mat and ate a fat rat; mail me@example.org at 10:30.', '{"a": "cats"}', '["rats"]',
   to_tsvector('simple', 'Fat cats'), to_tsquery('english', 'running & dogs')),
  (3, 'State-of-the-art e-mail', 'Version 1.2.3-beta of /usr/local/bin/prog &amp; <b>bold</b> words', null, null, '', ''),
  (4, 'Foxes are running', null, '"running"', '"running"', null, null),
  (5, 'Empty', '', '{}', '{}', strip(to_tsvector('english', 'running foxes')), 'a <-> b | c:*AB');

create table notes (id integer primary key, body text, lang text);
insert into notes values (1, 'Es ist eine Art von Spass', 'german'), (2, 'C''est un peu amusant de faire l''impossible', 'french'),
  (3, 'But also fun to do what is possible', 'english');

create view ranked as
  select id, ts_rank(search, to_tsquery('english', 'fox | cat')) as rank,
    ts_rank_cd(search, websearch_to_tsquery('english', 'fat cat')) as density,
    ts_rank('{0.1, 0.2, 0.4, 0.9}', search, to_tsquery('english', 'fox & run'), 1) as weighted,
    search @@ to_tsquery('english', 'fox') as is_fox,
    to_tsquery('english', 'fox') @@ search as fox_is,
    body @@ 'cats' as by_text, body @@ to_tsquery('fat & cat') as by_query,
    strip(search) as stripped, length(search) as words, search || coalesce(own, '') as joined,
    numnode(query) as nodes, querytree(query) as tree, query && 'z' as both, query || 'z' as either, query <-> 'z' as phrase,
    !!query as negated, query @> 'a'::tsquery as has_a, tsquery_phrase(query, 'z', 3) as far,
    ts_delete(search, 'fox') as without, setweight(search, 'B', array['fox', 'cat']) as reweighted,
    ts_filter(search, '{a}') as filtered, tsvector_to_array(search) as list,
    search::text as as_text, query::text as query_text, 'B:2 a:1'::tsvector as literal, title::tsvector as from_title,
    to_tsvector(config, title) as configured, phraseto_tsquery('english', title) as phrased, plainto_tsquery(title) as plain,
    get_current_ts_config() as current
  from articles;

grant select on articles, ranked, notes to anon;
grant all on articles, notes to service_role;
