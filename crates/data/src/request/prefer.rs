//! The `Prefer` header. Source: RFC 7240; PostgREST documentation, "Prefer Header".

use http::HeaderMap;
use mainstay_core::plan::{Count, Missing};

/// What the client prefers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    pub resolution: Option<Resolution>,
    pub representation: Option<Representation>,
    pub count: Option<Count>,
    /// Only where requests may choose.
    pub transaction: Option<Transaction>,
    pub missing: Option<Missing>,
    pub handling: Option<Handling>,
    pub time_zone: Option<String>,
    pub max_affected: Option<u64>,
    /// `paging=cursor`
    pub is_paged: bool,
    /// Preferences that mean nothing to us, as written.
    pub unknown: Vec<String>,
}

/// `resolution=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    MergeDuplicates,
    IgnoreDuplicates,
}

/// `return=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    Full,
    Minimal,
    HeadersOnly,
}

/// `tx=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    Commit,
    Rollback,
}

/// `handling=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    Strict,
    Lenient,
}

impl Preferences {
    /// Reads every `Prefer` header; of one preference the first counts.
    pub fn read(headers: &HeaderMap, may_choose_transaction: bool) -> Preferences {
        let mut found = Preferences::default();
        for value in headers.get_all("prefer") {
            let text = String::from_utf8_lossy(value.as_bytes());
            for preference in text.split(',').map(str::trim) {
                found.add(preference, may_choose_transaction);
            }
        }
        found
    }

    fn add(&mut self, preference: &str, may_choose_transaction: bool) {
        match preference {
            "resolution=merge-duplicates" => first(&mut self.resolution, Resolution::MergeDuplicates),
            "resolution=ignore-duplicates" => first(&mut self.resolution, Resolution::IgnoreDuplicates),
            "return=representation" => first(&mut self.representation, Representation::Full),
            "return=minimal" => first(&mut self.representation, Representation::Minimal),
            "return=headers-only" => first(&mut self.representation, Representation::HeadersOnly),
            "count=exact" => first(&mut self.count, Count::Exact),
            "count=planned" => first(&mut self.count, Count::Planned),
            "count=estimated" => first(&mut self.count, Count::Estimated),
            "tx=commit" if may_choose_transaction => first(&mut self.transaction, Transaction::Commit),
            "tx=rollback" if may_choose_transaction => first(&mut self.transaction, Transaction::Rollback),
            "tx=commit" | "tx=rollback" => {}
            "missing=default" => first(&mut self.missing, Missing::Default),
            "missing=null" => first(&mut self.missing, Missing::Null),
            "handling=strict" => first(&mut self.handling, Handling::Strict),
            "paging=cursor" => self.is_paged = true,
            "handling=lenient" => first(&mut self.handling, Handling::Lenient),
            other => {
                if let Some(zone) = other.strip_prefix("timezone=") {
                    first(&mut self.time_zone, zone.to_owned());
                } else if let Some(rows) = other.strip_prefix("max-affected=") {
                    if let Ok(rows) = rows.parse() {
                        first(&mut self.max_affected, rows);
                    }
                } else {
                    self.unknown.push(other.to_owned());
                }
            }
        }
    }

    /// True with `handling=strict`.
    pub fn is_strict(&self) -> bool {
        self.handling == Some(Handling::Strict)
    }

    /// The value of `Preference-Applied`, if any preference is in force.
    pub fn applied(&self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        let mut say = |text: &str| parts.push(text.to_owned());
        match self.resolution {
            Some(Resolution::MergeDuplicates) => say("resolution=merge-duplicates"),
            Some(Resolution::IgnoreDuplicates) => say("resolution=ignore-duplicates"),
            None => {}
        }
        match self.missing {
            Some(Missing::Default) => say("missing=default"),
            Some(Missing::Null) => say("missing=null"),
            None => {}
        }
        match self.representation {
            Some(Representation::Full) => say("return=representation"),
            Some(Representation::Minimal) => say("return=minimal"),
            Some(Representation::HeadersOnly) => say("return=headers-only"),
            None => {}
        }
        match self.count {
            Some(Count::Exact) => say("count=exact"),
            Some(Count::Planned) => say("count=planned"),
            Some(Count::Estimated) => say("count=estimated"),
            Some(Count::None) | None => {}
        }
        match self.transaction {
            Some(Transaction::Commit) => say("tx=commit"),
            Some(Transaction::Rollback) => say("tx=rollback"),
            None => {}
        }
        match self.handling {
            Some(Handling::Strict) => say("handling=strict"),
            Some(Handling::Lenient) => say("handling=lenient"),
            None => {}
        }
        if let Some(zone) = &self.time_zone {
            say(&format!("timezone={zone}"));
        }
        if let (true, Some(rows)) = (self.is_strict(), self.max_affected) {
            say(&format!("max-affected={rows}"));
        }
        if self.is_paged {
            say("paging=cursor");
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn first<T>(place: &mut Option<T>, value: T) {
    place.get_or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Preferences {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        Preferences::read(&headers, true)
    }

    #[test]
    fn preferences_come_in_one_header_or_many_and_the_first_counts() {
        let found = read(&[
            "count=exact,    tx=commit   ,return=representation , anything",
            "tx=rollback",
        ]);
        assert_eq!(found.count, Some(Count::Exact));
        assert_eq!(found.transaction, Some(Transaction::Commit));
        assert_eq!(found.unknown, ["anything"]);
        assert_eq!(
            found.applied().unwrap(),
            "return=representation, count=exact, tx=commit"
        );
    }

    #[test]
    fn max_affected_is_applied_only_when_strict() {
        assert_eq!(read(&["max-affected=10"]).applied(), None);
        assert_eq!(
            read(&["handling=strict, max-affected=10"]).applied().unwrap(),
            "handling=strict, max-affected=10"
        );
    }
}
