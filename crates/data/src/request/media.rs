//! Media types: what a body is, and what the client accepts. Source: RFC 9110 §12.5.1; PostgREST's vendor types.

use std::sync::Arc;

use mainstay_core::catalog::MediaHandler;
use mainstay_core::plan::{Explain, Format};

/// A media type that means something here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaType {
    Json,
    GeoJson,
    Csv,
    PlainText,
    Xml,
    OpenApi,
    Form,
    OctetStream,
    Any,
    /// `application/vnd.pgrst.array+json;nulls=stripped`
    ArrayStripped,
    /// `application/vnd.pgrst.object+json`
    Object {
        stripped: bool,
    },
    /// `application/vnd.pgrst.plan`
    Plan(Box<PlanMedia>),
    Other(String),
}

/// A plan instead of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanMedia {
    /// As PostgREST names it back.
    pub text: String,
    /// The type that the rows would have.
    pub target: MediaType,
    pub explain: Explain,
}

impl MediaType {
    /// Reads one media type with its parameters.
    pub fn read(text: &str) -> MediaType {
        let text = text.trim();
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let stripped = parts.any(|part| {
            part.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("nulls") && value.trim().trim_matches('"') == "stripped"
            })
        });
        match essence.as_str() {
            "application/json" => MediaType::Json,
            "application/geo+json" => MediaType::GeoJson,
            "text/csv" => MediaType::Csv,
            "text/plain" => MediaType::PlainText,
            "text/xml" => MediaType::Xml,
            "application/openapi+json" => MediaType::OpenApi,
            "application/x-www-form-urlencoded" => MediaType::Form,
            "application/octet-stream" => MediaType::OctetStream,
            "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => MediaType::Object { stripped },
            "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" if stripped => MediaType::ArrayStripped,
            "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => MediaType::Json,
            "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text" | "application/vnd.pgrst.plan+json" => {
                MediaType::Plan(Box::new(plan(text, &essence)))
            }
            "*/*" => MediaType::Any,
            _ => MediaType::Other(text.to_owned()),
        }
    }

    /// The type's text without a character set.
    pub fn mime(&self) -> &str {
        match self {
            MediaType::Json => "application/json",
            MediaType::GeoJson => "application/geo+json",
            MediaType::Csv => "text/csv",
            MediaType::PlainText => "text/plain",
            MediaType::Xml => "text/xml",
            MediaType::OpenApi => "application/openapi+json",
            MediaType::Form => "application/x-www-form-urlencoded",
            MediaType::OctetStream => "application/octet-stream",
            MediaType::Any => "*/*",
            MediaType::ArrayStripped => "application/vnd.pgrst.array+json;nulls=stripped",
            MediaType::Object { stripped: true } => "application/vnd.pgrst.object+json;nulls=stripped",
            MediaType::Object { stripped: false } => "application/vnd.pgrst.object+json",
            MediaType::Plan(plan) => &plan.text,
            MediaType::Other(text) => text,
        }
    }
}

/// Reads a plan's media type.
fn plan(text: &str, essence: &str) -> PlanMedia {
    let kind = if essence.ends_with("+json") { "json" } else { "text" };
    let parameter = |wanted: &str| {
        text.split(';').skip(1).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let target = parameter("for").map_or(MediaType::Json, |name| MediaType::read(&name));
    let options = parameter("options").unwrap_or_default();
    let known: Vec<&str> = ["analyze", "verbose", "settings", "buffers", "wal"]
        .into_iter()
        .filter(|option| options.split('|').any(|given| given == *option))
        .collect();
    let tail = if known.is_empty() {
        String::new()
    } else {
        format!("; options={}", known.join("|"))
    };
    let wants = |option: &str| known.contains(&option);
    PlanMedia {
        text: format!("application/vnd.pgrst.plan+{kind}; for=\"{}\"{tail}", target.mime()),
        explain: Explain {
            json: kind == "json",
            analyze: wants("analyze"),
            verbose: wants("verbose"),
            settings: wants("settings"),
            buffers: wants("buffers"),
            wal: wants("wal"),
        },
        target,
    }
}

/// What the client accepts, best first: by quality, then by how specific it is. No header: anything.
pub fn accepted(header: Option<&str>) -> Vec<MediaType> {
    let Some(header) = header else {
        return vec![MediaType::Any];
    };
    let mut entries: Vec<(f64, i64, MediaType)> = header
        .split(',')
        .map(|entry| {
            let compact: String = entry.chars().filter(|c| *c != ' ').collect();
            let (media, quality) = match compact.find(";q=") {
                Some(at) => (
                    compact[..at].to_owned(),
                    compact[at + 3..].split(';').next().and_then(|q| q.parse().ok()),
                ),
                None => (compact, None),
            };
            let count = |sign: char| media.chars().filter(|c| *c == sign).count() as i64;
            (quality.unwrap_or(1.0), count(';') - count('*'), MediaType::read(&media))
        })
        .collect();
    entries.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    entries.into_iter().map(|(_, _, media)| media).collect()
}

/// How rows are to be written, chosen among what the client accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The type that the response names.
    pub media: MediaType,
    pub format: Format,
    /// One object, not an array.
    pub singular: bool,
    /// The aggregate that makes the document of rows.
    pub handler: Option<Arc<MediaHandler>>,
    /// The plan is wanted instead of the rows.
    pub explain: Option<Explain>,
}

/// Who writes what is asked for, besides what is built in.
#[derive(Default)]
pub struct Handlers<'a> {
    /// Those of the relation that is shown.
    pub own: Vec<&'a MediaHandler>,
    /// Those of any rows.
    pub any: Vec<&'a MediaHandler>,
    /// The media type of a routine's value.
    pub value: Option<String>,
    /// Plans are told.
    pub tells_plans: bool,
}

impl Handlers<'_> {
    /// The custom way to write `media`.
    fn find(&self, media: &MediaType) -> Option<Negotiated> {
        let wanted = media.mime();
        if let Some(value) = self
            .value
            .as_deref()
            .filter(|value| *value == "*/*" || *value == wanted)
        {
            return Some(raw(value, None));
        }
        let named = |name: &str, handlers: &[&MediaHandler]| {
            let found = handlers.iter().find(|handler| handler.media_type == name)?;
            Some(raw(name, Some(Arc::new((*found).clone()))))
        };
        named("*/*", &self.own)
            .or_else(|| named(wanted, &self.own))
            .or_else(|| named(wanted, &self.any))
    }
}

fn raw(media_type: &str, handler: Option<Arc<MediaHandler>>) -> Negotiated {
    Negotiated {
        media: match media_type {
            "*/*" => MediaType::OctetStream,
            named => MediaType::read(named),
        },
        format: Format::Raw,
        singular: false,
        handler,
        explain: None,
    }
}

/// The first accepted type that rows can be written as; `Err` with the names of those asked for.
pub fn negotiate(accepted: &[MediaType], handlers: &Handlers<'_>) -> Result<Negotiated, Vec<String>> {
    for media in accepted {
        // What is of our own has parameters, and nobody else writes it.
        let is_own = matches!(
            media,
            MediaType::ArrayStripped | MediaType::Object { .. } | MediaType::Plan(_)
        );
        if !is_own && let Some(found) = handlers.find(media) {
            return Ok(found);
        }
        if let (MediaType::Plan(plan), true) = (media, handlers.tells_plans) {
            let Ok(of_rows) = negotiate(std::slice::from_ref(&plan.target), handlers) else {
                continue;
            };
            return Ok(Negotiated {
                media: media.clone(),
                explain: Some(plan.explain),
                singular: false,
                ..of_rows
            });
        }
        let (media, format, singular) = match media {
            MediaType::Any | MediaType::Json => (MediaType::Json, Format::Json, false),
            MediaType::Csv => (MediaType::Csv, Format::Csv, false),
            MediaType::ArrayStripped => (MediaType::ArrayStripped, Format::JsonStripNulls, false),
            MediaType::Object { stripped } => {
                let format = if *stripped {
                    Format::JsonStripNulls
                } else {
                    Format::Json
                };
                (MediaType::Object { stripped: *stripped }, format, true)
            }
            _ => continue,
        };
        return Ok(Negotiated {
            media,
            format,
            singular,
            handler: None,
            explain: None,
        });
    }
    Err(accepted.iter().map(|media| media.mime().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::name::QualifiedName;

    fn chosen(header: &str) -> Result<MediaType, Vec<String>> {
        negotiate(&accepted(Some(header)), &Handlers::default()).map(|negotiated| negotiated.media)
    }

    #[test]
    fn a_handler_of_the_relation_goes_before_one_of_any_rows_and_that_before_what_is_built_in() {
        let handler = |aggregate: &str, media_type: &str| MediaHandler {
            aggregate: QualifiedName::new("test", aggregate),
            relation: None,
            media_type: media_type.into(),
            is_binary: false,
        };
        let (own, any) = (handler("own", "text/csv"), handler("any", "text/csv"));
        let chosen = |header: &str, handlers: &Handlers<'_>| {
            let found = negotiate(&accepted(Some(header)), handlers).unwrap();
            (
                found.media,
                found.handler.map(|handler| handler.aggregate.name.to_string()),
            )
        };
        let both = Handlers {
            own: vec![&own],
            any: vec![&any],
            value: None,
            tells_plans: false,
        };
        assert_eq!(chosen("text/csv", &both), (MediaType::Csv, Some("own".into())));
        let any_only = Handlers {
            own: Vec::new(),
            ..both
        };
        assert_eq!(chosen("text/csv", &any_only), (MediaType::Csv, Some("any".into())));
        assert_eq!(chosen("application/json", &any_only), (MediaType::Json, None));
        let value = Handlers {
            value: Some("*/*".into()),
            ..Handlers::default()
        };
        assert_eq!(chosen("app/bingo", &value), (MediaType::OctetStream, None));
    }

    #[test]
    fn the_best_accepted_type_is_chosen() {
        assert_eq!(chosen("text/csv, */*"), Ok(MediaType::Csv));
        assert_eq!(chosen("*/*, text/csv"), Ok(MediaType::Csv));
        assert_eq!(chosen("text/csv;q=0.5, application/json"), Ok(MediaType::Json));
        assert_eq!(chosen("text/html, application/json"), Ok(MediaType::Json));
        assert_eq!(
            chosen("ApplicatIon/vnd.PgRsT.object+json"),
            Ok(MediaType::Object { stripped: false })
        );
        assert_eq!(
            chosen("application/vnd.pgrst.array+json;nulls=stripped"),
            Ok(MediaType::ArrayStripped)
        );
        assert_eq!(chosen("text/unknowntype"), Err(vec!["text/unknowntype".into()]));
        assert_eq!(
            chosen("application/vnd.pgrst.plan+json"),
            Err(vec!["application/vnd.pgrst.plan+json; for=\"application/json\"".into()])
        );
    }
}
