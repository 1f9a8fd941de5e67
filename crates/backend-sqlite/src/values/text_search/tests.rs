//! What PostgreSQL 15 answered, in a database whose `lc_ctype` is C.UTF-8.
//!
//! Lines `["what", "answer", argument, …]`; an answer is `=text` or `ERR code|message`. The texts were generated from
//! words, URLs, addresses, numbers, tags, entities and Unicode, the stems are of the Snowball project's vocabularies. A
//! longer recording is read from the file that `MAINSTAY_TEXT_SEARCH_CASES` names.

use std::fmt::{Display, Write as _};

use super::super::errors::Result;
use super::config::Config;
use super::headline::{Options, headline};
use super::query::TsQuery;
use super::rank::{Normalization, WEIGHTS, cover_density, rank};
use super::sieve::Sieve;
use super::vector::TsVector;
use super::{lexemes, matching};

const CASES: &str = include_str!("cases.jsonl");

fn shown<T: Display>(answer: Result<T>) -> String {
    match answer {
        Ok(value) => format!("={value}"),
        Err(error) => format!("ERR {}|{}", error.code(), error.message),
    }
}

fn answer(what: &str, arguments: &[String]) -> String {
    let text = |index: usize| arguments[index].as_str();
    let config = || Config::named(text(0)).unwrap();
    let both = || Ok((TsVector::parse(text(0))?, TsQuery::parse(text(1))?));
    let normalization = || Normalization(text(2).parse().unwrap());
    match what {
        "vec" => shown(lexemes::text_to_vector(config(), text(1))),
        "jvec" => shown(lexemes::json_to_vector(config(), text(1))),
        "tsv" => shown(TsVector::parse(text(0))),
        "tsq" => shown(TsQuery::parse(text(0))),
        "q" => shown(TsQuery::normalized(config(), text(1))),
        "pq" => shown(TsQuery::plain(config(), text(1))),
        "phq" => shown(TsQuery::phrase(config(), text(1))),
        "wq" => shown(TsQuery::web(config(), text(1))),
        "tree" => shown(TsQuery::parse(text(0)).map(|query| {
            let part = query
                .indexable()
                .map_or_else(|| "T".to_owned(), |part| part.to_string());
            if query.is_empty() { String::new() } else { part }
        })),
        "m" => shown(both().map(|(vector, query)| {
            let matches = matching::matches(&vector, &query);
            // What matches must pass the sieve.
            assert!(
                !matches || Sieve::of(&query).passes(&vector.to_string()),
                "{arguments:?}"
            );
            if matches { "t" } else { "f" }
        })),
        "hl" => shown(
            TsQuery::parse(text(2))
                .and_then(|query| Ok(headline(config(), text(1), &query, &Options::parse(text(3))?))),
        ),
        "cat" => shown(TsVector::parse(text(0)).and_then(|left| left.concat(TsVector::parse(text(1))?))),
        "rank" => shown(both().map(|(vector, query)| rank(&WEIGHTS, &vector, &query, normalization()))),
        "cd" => shown(both().map(|(vector, query)| cover_density(&WEIGHTS, &vector, &query, normalization()))),
        other => panic!("{other}"),
    }
}

/// Ranks are compared as numbers: their text is the business of `float4`.
fn is_same(what: &str, got: &str, expected: &str) -> bool {
    if got == expected {
        return true;
    }
    let number = |text: &str| text.strip_prefix('=').and_then(|text| text.parse::<f32>().ok());
    matches!(what, "rank" | "cd") && number(got).is_some() && number(got) == number(expected)
}

fn check(cases: &str) -> usize {
    let mut count = 0;
    let mut wrong = String::new();
    for line in cases.lines() {
        let case: Vec<serde_json::Value> = serde_json::from_str(line).unwrap();
        let texts: Vec<String> = case
            .iter()
            .filter_map(|part| part.as_str().map(str::to_owned))
            .collect();
        let [what, expected, arguments @ ..] = texts.as_slice() else {
            panic!("{line}");
        };
        let got = answer(what, arguments);
        count += 1;
        if !is_same(what, &got, expected) {
            writeln!(
                wrong,
                "{what} {arguments:?}\n  PostgreSQL {expected}\n  we         {got}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    count
}

#[test]
fn texts_queries_and_ranks_are_those_of_postgresql_15() {
    assert!(check(CASES) > 2000);
    if let Ok(path) = std::env::var("MAINSTAY_TEXT_SEARCH_CASES") {
        check(&std::fs::read_to_string(path).unwrap());
    }
}

#[test]
fn a_deep_query_is_an_answer_and_not_a_crash() {
    let deep = format!("{}a{}", "(".repeat(9_000), ")".repeat(9_000));
    assert_eq!(TsQuery::parse(&deep).unwrap().to_string(), "'a'");
    let deeper = format!("{}a{}", "(".repeat(50_000), ")".repeat(50_000));
    assert_eq!(TsQuery::parse(&deeper).unwrap_err().code(), "54001");
    let long = vec!["a"; 100_000].join(" <-> ");
    let query = TsQuery::parse(&long).unwrap();
    assert!(!matching::matches(&TsVector::parse("a:1 b:2").unwrap(), &query));
    assert_eq!(TsQuery::parse(&query.to_string()).unwrap(), query);
    assert_eq!(
        TsQuery::parse(&"!".repeat(40)).unwrap_err().message,
        "tsquery stack too small"
    );
}

#[test]
fn only_the_configurations_of_postgresql_15_have_names() {
    for name in ["english", "pg_catalog.simple", " \"german\" ", "PG_CATALOG.Russian"] {
        assert!(Config::named(name).is_ok(), "{name}");
    }
    let refused = |name: &str| Config::named(name).unwrap_err();
    assert_eq!(
        refused("klingon").message,
        "text search configuration \"klingon\" does not exist"
    );
    assert_eq!(refused("\"English\"").code(), "42704");
    assert_eq!(refused("nosuch.english").code(), "3F000");
    assert_eq!(refused("").code(), "42602");
}
