//! The Snowball stemmers and the stop lists of PostgreSQL 15.
//!
//! PostgreSQL 15 has the algorithms of Snowball 2.2. Two crates hold them between them: `rust-stemmers` those that
//! have not changed since 2018, `waken_snowball` (Snowball 3.0) those that came later and were not changed by 3.0.
//! French changed in both directions, by its two dots: they are treated here.
//!
//! The stop lists are PostgreSQL's data files; see `stop/README.md`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm as Older, Stemmer};
use waken_snowball::Algorithm as Newer;

/// The longest word that is stemmed, in bytes; longer ones stay as they are.
const STEMMED_BYTES_MAX: usize = 1000;

/// A language with a stemmer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Arabic,
    Armenian,
    Basque,
    Catalan,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hindi,
    Hungarian,
    Indonesian,
    Irish,
    Italian,
    Lithuanian,
    Nepali,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Serbian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
    Yiddish,
}

use Language::*;

const NAMES: [(Language, &str); 28] = [
    (Arabic, "arabic"),
    (Armenian, "armenian"),
    (Basque, "basque"),
    (Catalan, "catalan"),
    (Danish, "danish"),
    (Dutch, "dutch"),
    (English, "english"),
    (Finnish, "finnish"),
    (French, "french"),
    (German, "german"),
    (Greek, "greek"),
    (Hindi, "hindi"),
    (Hungarian, "hungarian"),
    (Indonesian, "indonesian"),
    (Irish, "irish"),
    (Italian, "italian"),
    (Lithuanian, "lithuanian"),
    (Nepali, "nepali"),
    (Norwegian, "norwegian"),
    (Portuguese, "portuguese"),
    (Romanian, "romanian"),
    (Russian, "russian"),
    (Serbian, "serbian"),
    (Spanish, "spanish"),
    (Swedish, "swedish"),
    (Tamil, "tamil"),
    (Turkish, "turkish"),
    (Yiddish, "yiddish"),
];

impl Language {
    pub fn named(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(language, _)| *language)
    }

    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// True for the words that say too little to be searched for; `word` is in lower case.
    pub fn stops_at(self, word: &str) -> bool {
        static LISTS: LazyLock<Vec<HashSet<&'static str>>> = LazyLock::new(|| {
            let list = |text: &'static str| {
                text.lines()
                    .map(str::trim_end)
                    .filter(|word| !word.is_empty())
                    .collect()
            };
            NAMES.iter().map(|(language, _)| list(language.stop_list())).collect()
        });
        LISTS[self as usize].contains(word)
    }

    fn stop_list(self) -> &'static str {
        match self {
            Danish => include_str!("stop/danish.txt"),
            Dutch => include_str!("stop/dutch.txt"),
            English => include_str!("stop/english.txt"),
            Finnish => include_str!("stop/finnish.txt"),
            French => include_str!("stop/french.txt"),
            German => include_str!("stop/german.txt"),
            Hungarian => include_str!("stop/hungarian.txt"),
            Italian => include_str!("stop/italian.txt"),
            Nepali => include_str!("stop/nepali.txt"),
            Norwegian => include_str!("stop/norwegian.txt"),
            Portuguese => include_str!("stop/portuguese.txt"),
            Russian => include_str!("stop/russian.txt"),
            Spanish => include_str!("stop/spanish.txt"),
            Swedish => include_str!("stop/swedish.txt"),
            Turkish => include_str!("stop/turkish.txt"),
            Arabic | Armenian | Basque | Catalan | Greek | Hindi | Indonesian | Irish | Lithuanian | Romanian
            | Serbian | Tamil | Yiddish => "",
        }
    }
}

/// The stem of a word in lower case. A word of which nothing would remain stays as it is.
pub fn stem(language: Language, word: &str) -> Cow<'_, str> {
    if word.len() > STEMMED_BYTES_MAX {
        return Cow::Borrowed(word);
    }
    let older = |algorithm| Stemmer::create(algorithm).stem(word);
    let newer = |algorithm: Newer| algorithm.stemmer().stem(word);
    let stemmed = match language {
        Arabic => older(Older::Arabic),
        Danish => older(Older::Danish),
        Dutch => older(Older::Dutch),
        English => older(Older::English),
        French => french(word),
        German => older(Older::German),
        Greek => older(Older::Greek),
        Hungarian => older(Older::Hungarian),
        Italian => older(Older::Italian),
        Norwegian => older(Older::Norwegian),
        Portuguese => older(Older::Portuguese),
        Romanian => older(Older::Romanian),
        Spanish => older(Older::Spanish),
        Swedish => older(Older::Swedish),
        Tamil => older(Older::Tamil),
        Turkish => older(Older::Turkish),
        Armenian => newer(Newer::Armenian),
        Basque => newer(Newer::Basque),
        Catalan => newer(Newer::Catalan),
        Finnish => newer(Newer::Finnish),
        Hindi => newer(Newer::Hindi),
        Indonesian => newer(Newer::Indonesian),
        Irish => newer(Newer::Irish),
        Lithuanian => newer(Newer::Lithuanian),
        Nepali => newer(Newer::Nepali),
        Russian => newer(Newer::Russian),
        Serbian => newer(Newer::Serbian),
        Yiddish => newer(Newer::Yiddish),
    };
    match stemmed {
        Cow::Owned(stemmed) if !stemmed.is_empty() && stemmed != word => Cow::Owned(stemmed),
        Cow::Borrowed(stemmed) if !stemmed.is_empty() && stemmed != word => Cow::Owned(stemmed.to_owned()),
        _ => Cow::Borrowed(word),
    }
}

/// What may follow the `i` of a verb's ending. Since Snowball 2.0 none of these endings begins with `ï`.
const FRENCH_I_ENDINGS: [&str; 32] = [
    "", "e", "es", "r", "ra", "rai", "raient", "rais", "rait", "ras", "rent", "rez", "riez", "rions", "rons", "ront",
    "s", "ssaient", "ssais", "ssait", "ssant", "ssante", "ssantes", "ssants", "sse", "ssent", "sses", "ssez", "ssiez",
    "ssions", "ssons", "t",
];

/// French: since Snowball 2.0, `ë` and `ï` are written `He` and `Hi` while the word is stemmed.
fn french(word: &str) -> Cow<'_, str> {
    let stemmer = Stemmer::create(Older::French);
    if !word.contains(['ë', 'ï']) {
        return stemmer.stem(word);
    }
    let mut spelled = String::with_capacity(word.len() + 4);
    for (at, c) in word.char_indices() {
        match c {
            'ë' => spelled.push_str("He"),
            // An `i` that no ending begins with. One that is the word's first vowel but for its first letter must stay
            // a vowel: endings begin behind it.
            'ï' if FRENCH_I_ENDINGS.contains(&&word[at + c.len_utf8()..])
                && word[..at].chars().skip(1).any(|c| "aeiouyâàëéêèïîôûù".contains(c)) =>
            {
                spelled.push_str("Hì");
            }
            'ï' => spelled.push_str("Hi"),
            c => spelled.push(c),
        }
    }
    let stemmed = stemmer.stem(&spelled);
    let mut stemmed = stemmed
        .replace("He", "ë")
        .replace("Hi", "ï")
        .replace("Hì", "ï")
        .replace('H', "");
    // Nor does it go after `-ment` has gone.
    let before = word.strip_suffix("ments").or(word.strip_suffix("ment"));
    if before.and_then(|before| before.strip_suffix('ï')) == Some(&stemmed) {
        stemmed.push('ï');
    }
    Cow::Owned(stemmed)
}
