//! Full text search: `pg_ts_…`, `pg_tsvector_…`, `pg_tsquery_…` and its part of the function library.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::array;
use super::super::errors::{PgError, Result};
use super::super::text_search::config::Config;
use super::super::text_search::headline::{Options, headline};
use super::super::text_search::query::{Item, TsQuery};
use super::super::text_search::rank::{Normalization, WEIGHTS, Weights, cover_density, rank, weights_of};
use super::super::text_search::sieve::Sieve;
use super::super::text_search::vector::{TsVector, weight_of};
use super::super::text_search::{candidates, lexemes, matching};
use super::{Args, Output, Registry};
use rusqlite::types::Value;

/// A query, and what tells documents apart before they are read.
struct Sought {
    query: TsQuery,
    sieve: Sieve,
}

impl Output for TsVector {
    fn value(self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Output for TsQuery {
    fn value(self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Args<'_, '_> {
    fn document(&self, index: usize) -> Result<TsVector> {
        TsVector::parse(self.text(index)?)
    }

    fn query(&self, index: usize) -> Result<TsQuery> {
        TsQuery::parse(self.text(index)?)
    }

    fn config(&self, index: usize) -> Result<Config> {
        Config::named(self.text(index)?)
    }

    /// A query that is likely the same for every row: the last one read is kept.
    fn same_query(&self, index: usize) -> Result<Rc<Sought>> {
        thread_local! {
            static LAST: RefCell<Option<(String, Rc<Sought>)>> = const { RefCell::new(None) };
        }
        let text = self.text(index)?;
        LAST.with_borrow_mut(|last| {
            if let Some((_, query)) = last.as_ref().filter(|(known, _)| known == text) {
                return Ok(Rc::clone(query));
            }
            let query = TsQuery::parse(text)?;
            let sieve = Sieve::of(&query);
            let query = Rc::new(Sought { query, sieve });
            *last = Some((text.to_owned(), Rc::clone(&query)));
            Ok(query)
        })
    }
}

pub(super) fn add(to: &mut Registry) {
    operators(to);
    makers(to);
    documents(to);
    queries(to);
    ranks(to);
    headlines(to);
}

fn operators(to: &mut Registry) {
    to.add("pg_ts_match", "tsvector, tsquery", "bool", |a| {
        let sought = a.same_query(1)?;
        Ok(sought.sieve.passes(a.text(0)?) && matching::matches(&a.document(0)?, &sought.query))
    });
    to.add("pg_ts_words", "tsvector", "text", |a| {
        Ok(candidates::words(&a.document(0)?))
    });
    to.add("pg_ts_candidates", "tsquery", "text", |a| {
        Ok(candidates::expression(&a.query(0)?))
    });
    to.add("pg_ts_match_text", "text, tsquery", "bool", |a| {
        let document = lexemes::text_to_vector(Config::DEFAULT, a.text(0)?)?;
        Ok(matching::matches(&document, &a.same_query(1)?.query))
    });
    to.add("pg_ts_match_texts", "text, text", "bool", |a| {
        let document = lexemes::text_to_vector(Config::DEFAULT, a.text(0)?)?;
        Ok(matching::matches(
            &document,
            &TsQuery::plain(Config::DEFAULT, a.text(1)?)?,
        ))
    });
    to.add("pg_tsvector_concat", "tsvector, tsvector", "tsvector", |a| {
        a.document(0)?.concat(a.document(1)?)
    });
    to.add("pg_tsquery_and", "tsquery, tsquery", "tsquery", |a| {
        Ok(a.query(0)?.join(a.query(1)?, Item::And))
    });
    to.add("pg_tsquery_or", "tsquery, tsquery", "tsquery", |a| {
        Ok(a.query(0)?.join(a.query(1)?, Item::Or))
    });
    to.add("pg_tsquery_phrase", "tsquery, tsquery [, int4]", "tsquery", |a| {
        let distance = a.int_or(2, 1)?;
        let limit = i64::from(TsQuery::DISTANCE_MAX);
        if !(0..=limit).contains(&distance) {
            let message =
                format!("distance in phrase operator must be an integer value between zero and {limit} inclusive");
            return Err(PgError::new("22023", message));
        }
        Ok(a.query(0)?.join(a.query(1)?, Item::Phrase(distance as u16)))
    });
    to.add("pg_tsquery_not", "tsquery", "tsquery", |a| Ok(a.query(0)?.negate()));
    to.add("pg_tsquery_contains", "tsquery, tsquery", "bool", |a| {
        Ok(a.query(0)?.contains(&a.query(1)?))
    });
    to.add("pg_tsquery_contained", "tsquery, tsquery", "bool", |a| {
        Ok(a.query(1)?.contains(&a.query(0)?))
    });
}

/// Makes a query of a text.
type Maker = fn(Config, &str) -> Result<TsQuery>;

fn makers(to: &mut Registry) {
    to.add("pg_fn_to_tsvector", "text", "tsvector", |a| {
        lexemes::text_to_vector(Config::DEFAULT, a.text(0)?)
    });
    to.add("pg_fn_to_tsvector_config", "regconfig, text", "tsvector", |a| {
        lexemes::text_to_vector(a.config(0)?, a.text(1)?)
    });
    to.add("pg_fn_to_tsvector_json", "json", "tsvector", |a| {
        lexemes::json_to_vector(Config::DEFAULT, a.text(0)?)
    });
    to.add("pg_fn_to_tsvector_config_json", "regconfig, json", "tsvector", |a| {
        lexemes::json_to_vector(a.config(0)?, a.text(1)?)
    });
    const MAKERS: [(&str, Maker); 4] = [
        ("to_tsquery", TsQuery::normalized),
        ("plainto_tsquery", TsQuery::plain),
        ("phraseto_tsquery", TsQuery::phrase),
        ("websearch_to_tsquery", TsQuery::web),
    ];
    for (name, make) in MAKERS {
        to.add(format!("pg_fn_{name}"), "text", "tsquery", move |a| {
            make(Config::DEFAULT, a.text(0)?)
        });
        to.add(format!("pg_fn_{name}_config"), "regconfig, text", "tsquery", move |a| {
            make(a.config(0)?, a.text(1)?)
        });
    }
    to.add("pg_fn_get_current_ts_config", "", "regconfig", |_| {
        Ok(Config::DEFAULT.name())
    });
}

/// The weight that a `"char"` names. Errors: XX000, as PostgreSQL has it.
fn weight(text: &str) -> Result<u8> {
    let letter = text.chars().next().unwrap_or('\0');
    weight_of(letter).ok_or_else(|| {
        let code = text.bytes().next().unwrap_or(0) as i8;
        PgError::internal(format!("unrecognized weight: {code}"))
    })
}

fn documents(to: &mut Registry) {
    to.add("pg_fn_setweight", "tsvector, text [, text[]]", "tsvector", |a| {
        let only: Option<Vec<String>> = if a.len() > 2 {
            let given = a.text(1)?;
            // With a list the message has the letter, without one its number.
            weight(given).map_err(|error| {
                let letter = given.chars().next().unwrap_or(' ');
                PgError {
                    message: format!("unrecognized weight: {letter}"),
                    ..error
                }
            })?;
            Some(a.texts(2)?.into_iter().flatten().collect())
        } else {
            None
        };
        Ok(a.document(0)?.set_weight(weight(a.text(1)?)?, only.as_deref()))
    });
    to.add("pg_fn_strip", "tsvector", "tsvector", |a| Ok(a.document(0)?.strip()));
    to.add("pg_fn_length_tsvector", "tsvector", "int4", |a| {
        Ok(a.document(0)?.words().len() as i64)
    });
    to.add("pg_fn_ts_delete", "tsvector, text", "tsvector", |a| {
        Ok(a.document(0)?.without(&[a.text(1)?.to_owned()]))
    });
    to.add("pg_fn_ts_delete_all", "tsvector, text[]", "tsvector", |a| {
        let words: Vec<String> = a.texts(1)?.into_iter().flatten().collect();
        Ok(a.document(0)?.without(&words))
    });
    to.add("pg_fn_ts_filter", "tsvector, text[]", "tsvector", |a| {
        let mut weights = 0;
        for letter in a.texts(1)? {
            let Some(letter) = letter else {
                return Err(PgError::new("22004", "weight array may not contain nulls"));
            };
            let first = letter.chars().next().unwrap_or('\0');
            let weight =
                weight_of(first).ok_or_else(|| PgError::new("22023", format!("unrecognized weight: \"{first}\"")))?;
            weights |= 1 << weight;
        }
        Ok(a.document(0)?.filter(weights))
    });
    to.add("pg_fn_tsvector_to_array", "tsvector", "text[]", |a| {
        let document = a.document(0)?;
        Ok(array::from_texts(
            document.words().iter().map(|lexeme| Some(lexeme.word.as_str())),
        ))
    });
    to.add("pg_fn_array_to_tsvector", "text[]", "tsvector", |a| {
        TsVector::from_words(a.texts(0)?)
    });
}

fn queries(to: &mut Registry) {
    to.add("pg_fn_numnode", "tsquery", "int4", |a| {
        Ok(a.query(0)?.items().len() as i64)
    });
    to.add("pg_fn_querytree", "tsquery", "text", |a| {
        let query = a.query(0)?;
        if query.is_empty() {
            return Ok(String::new());
        }
        Ok(query
            .indexable()
            .map_or_else(|| "T".to_owned(), |part| part.to_string()))
    });
}

/// `ts_rank` or `ts_rank_cd`.
type Ranker = fn(&Weights, &TsVector, &TsQuery, Normalization) -> f32;

fn ranks(to: &mut Registry) {
    const RANKERS: [(&str, Ranker); 2] = [("ts_rank", rank), ("ts_rank_cd", cover_density)];
    for (name, ranker) in RANKERS {
        to.add(
            format!("pg_fn_{name}"),
            "tsvector, tsquery [, int4]",
            "float4",
            move |a| {
                let normalization = Normalization(a.int_or(2, 0)? as i32);
                let value = ranker(&WEIGHTS, &a.document(0)?, &a.same_query(1)?.query, normalization);
                Ok(f64::from(value))
            },
        );
        to.add(
            format!("pg_fn_{name}_weighted"),
            "float4[], tsvector, tsquery [, int4]",
            "float4",
            move |a| {
                let given: Vec<Option<f32>> = a
                    .texts(0)?
                    .into_iter()
                    .map(|weight| weight.and_then(|weight| weight.parse().ok()))
                    .collect();
                let weights = weights_of(&given)?;
                let normalization = Normalization(a.int_or(3, 0)? as i32);
                let value = ranker(&weights, &a.document(1)?, &a.same_query(2)?.query, normalization);
                Ok(f64::from(value))
            },
        );
    }
}

fn headlines(to: &mut Registry) {
    let options = |a: &Args<'_, '_>, index: usize| {
        a.text_or_null(index)?
            .map_or_else(|| Ok(Options::default()), Options::parse)
    };
    to.add("pg_fn_ts_headline", "text, tsquery [, text]", "text", move |a| {
        let query = &a.same_query(1)?.query;
        Ok(headline(Config::DEFAULT, a.text(0)?, query, &options(a, 2)?))
    });
    to.add(
        "pg_fn_ts_headline_config",
        "regconfig, text, tsquery [, text]",
        "text",
        move |a| {
            let query = &a.same_query(2)?.query;
            Ok(headline(a.config(0)?, a.text(1)?, query, &options(a, 3)?))
        },
    );
}
