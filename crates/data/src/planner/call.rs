//! Chooses the routine that a call means, and plans the call.
//!
//! Source: PostgREST documentation, "Functions as RPC": named arguments, a single unnamed parameter, overloading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use mainstay_core::catalog::{Argument, Column, Relation, RelationKind, Routine, RowSecurity, Volatility};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{CallArgument, Value};
use mainstay_core::types::{Type, TypeModifier};
use serde_json::value::RawValue;

use super::suggest;
use super::template::Template;
use crate::error::Error;
use crate::request::media::MediaType;
use mainstay_core::catalog::Catalog;

/// The arguments as the request gives them.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments {
    /// Query or form parameters.
    Texts(Vec<(String, String)>),
    /// A JSON object's members, as written; also a CSV's first row.
    Json(BTreeMap<String, String>),
    /// A body that is one value.
    Whole(Value),
}

/// What a call asks for, as far as choosing the routine goes.
pub struct CallRequest<'a> {
    pub schema: &'a Ident,
    pub name: &'a str,
    pub keys: &'a BTreeSet<String>,
    /// POST; then a routine with one unnamed parameter may take the whole body.
    pub is_post: bool,
    pub content: &'a MediaType,
}

/// Chooses among the routines of that name.
///
/// Errors: `PGRST202`, `PGRST203`.
pub fn find(catalog: &Catalog, call: &CallRequest<'_>) -> Result<Arc<Routine>, Error> {
    let name = QualifiedName::new(call.schema.clone(), call.name);
    let known: Vec<&Arc<Routine>> = catalog
        .routines
        .get(&name)
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter(|routine| is_callable(routine))
        .collect();
    let mut named = Vec::new();
    let mut whole = Vec::new();
    for routine in &known {
        if takes_keys(routine, call) {
            named.push(*routine);
        } else if takes_whole(routine, call) {
            whole.push(*routine);
        }
    }
    let found = if named.is_empty() { whole } else { named };
    match found.as_slice() {
        [] => Err(no_routine(catalog, call, &known)),
        [one] => Ok(Arc::clone(one)),
        several => Err(ambiguous(several)),
    }
}

/// A routine may be called if its parameters have names, or if it has one that can be the whole body.
fn is_callable(routine: &Routine) -> bool {
    if routine.is_procedure || matches!(&routine.returns.ty, Type::Other(name) if name.name == "trigger") {
        return false;
    }
    let unnamed: Vec<&Argument> = routine
        .arguments
        .iter()
        .filter(|argument| argument.name.is_empty())
        .collect();
    match unnamed.as_slice() {
        [] => true,
        [one] => matches!(
            one.ty.internal_name().as_str(),
            "bytea" | "json" | "jsonb" | "text" | "xml"
        ),
        _ => false,
    }
}

fn takes_keys(routine: &Routine, call: &CallRequest<'_>) -> bool {
    if routine.arguments.is_empty() {
        let is_raw = matches!(
            call.content,
            MediaType::OctetStream | MediaType::PlainText | MediaType::Xml
        );
        return call.keys.is_empty() && !(call.is_post && is_raw);
    }
    let mut required = routine.arguments.iter().filter(|argument| argument.default.is_none());
    let known = |key: &String| routine.arguments.iter().any(|argument| argument.name == *key.as_str());
    required.all(|argument| call.keys.contains(argument.name.as_str())) && call.keys.iter().all(known)
}

fn takes_whole(routine: &Routine, call: &CallRequest<'_>) -> bool {
    let [one] = routine.arguments.as_slice() else {
        return false;
    };
    let ty = one.ty.internal_name();
    call.is_post
        && one.name.is_empty()
        && matches!(
            (call.content, ty.as_str()),
            (MediaType::Json, "json" | "jsonb")
                | (MediaType::PlainText, "text")
                | (MediaType::Xml, "xml")
                | (MediaType::OctetStream, "bytea")
        )
}

fn ambiguous(candidates: &[&Arc<Routine>]) -> Error {
    let mut candidates = candidates.to_vec();
    candidates.sort_by_key(|routine| (routine.arguments.len(), format!("{:?}", routine.arguments)));
    let signatures: Vec<String> = candidates
        .iter()
        .map(|routine| {
            let arguments: Vec<String> = routine
                .arguments
                .iter()
                .map(|argument| format!("{} => {}", argument.name, argument.ty))
                .collect();
            format!("{}({})", routine.name, arguments.join(", "))
        })
        .collect();
    Error::AmbiguousRoutine(signatures.join(", "))
}

fn no_routine(catalog: &Catalog, call: &CallRequest<'_>, known: &[&Arc<Routine>]) -> Error {
    let function = format!("{}.{}", call.schema, call.name);
    let keys: Vec<&str> = call.keys.iter().map(String::as_str).collect();
    let listed = keys.join(", ");
    let is_raw = call.is_post
        && matches!(
            call.content,
            MediaType::PlainText | MediaType::Xml | MediaType::OctetStream
        );
    let signature = match (is_raw, keys.is_empty()) {
        (true, _) => function.clone(),
        (false, true) => format!("{function} without parameters"),
        (false, false) => format!("{function}({listed})"),
    };
    let with_keys = match keys.len() {
        0 => " without parameters".to_owned(),
        1 => format!(" with parameter {listed}"),
        _ => format!(" with parameters {listed}"),
    };
    let searched = match (call.is_post, call.content) {
        (true, MediaType::PlainText) => format!("{function} with a single unnamed text parameter"),
        (true, MediaType::Xml) => format!("{function} with a single unnamed xml parameter"),
        (true, MediaType::OctetStream) => format!("{function} with a single unnamed bytea parameter"),
        (true, MediaType::Json) => format!("{function}{with_keys} or with a single unnamed json/jsonb parameter"),
        _ => format!("{function}{with_keys}"),
    };
    let suggestion = if is_raw {
        None
    } else {
        suggestion(catalog, call, known, &keys)
    };
    Error::NoRoutine {
        signature,
        searched,
        suggestion,
    }
}

fn suggestion(catalog: &Catalog, call: &CallRequest<'_>, known: &[&Arc<Routine>], keys: &[&str]) -> Option<String> {
    if known.is_empty() {
        let names = catalog
            .routines
            .iter()
            .filter(|(name, routines)| {
                name.schema == *call.schema && routines.iter().any(|routine| is_callable(routine))
            })
            .map(|(name, _)| name.name.as_str());
        let (_, best) = suggest::closest(names, call.name, suggest::NAME_SCORE_MIN)?;
        return Some(format!("{}.{best}", call.schema));
    }
    let list = |names: &mut Vec<&str>| {
        names.sort_unstable();
        format!("({})", names.join(", "))
    };
    let lists: Vec<String> = known
        .iter()
        .map(|routine| {
            list(
                &mut routine
                    .arguments
                    .iter()
                    .map(|argument| argument.name.as_str())
                    .collect(),
            )
        })
        .collect();
    let wanted = list(&mut keys.to_vec());
    let (_, best) = suggest::closest(lists.iter().map(String::as_str), &wanted, suggest::PART_SCORE_MIN)?;
    Some(format!("{}.{}{best}", call.schema, call.name))
}

/// The arguments of a call of `routine`.
pub fn arguments(routine: &Routine, given: &Arguments, template: &mut Template) -> Vec<CallArgument> {
    if let (Arguments::Whole(value), [_]) = (given, routine.arguments.as_slice()) {
        return vec![CallArgument {
            argument: 0,
            value: template.constant(value.clone()),
        }];
    }
    let mut found = Vec::new();
    for (position, argument) in routine.arguments.iter().enumerate() {
        let value = match given {
            Arguments::Whole(_) => None,
            Arguments::Json(members) => members.get(argument.name.as_str()).map(|json| match json.as_str() {
                "null" => Value::Null,
                _ => Value::Json(json.clone()),
            }),
            Arguments::Texts(pairs) => {
                let mut values: Vec<String> = pairs
                    .iter()
                    .filter(|(name, _)| argument.name == *name.as_str())
                    .map(|(_, text)| text.clone())
                    .collect();
                if argument.variadic && !values.is_empty() {
                    Some(Value::List(values))
                } else {
                    values.pop().map(Value::Text)
                }
            }
        };
        if let Some(value) = value {
            found.push(CallArgument {
                argument: position,
                value: template.constant(value),
            });
        }
    }
    found
}

/// The members of a JSON object, or of the first object of an array, each as written.
///
/// Errors: `PGRST102`.
pub fn members(json: &Bytes) -> Result<BTreeMap<String, String>, Error> {
    let bad = |_| Error::Body("Empty or invalid json".into());
    let is_array = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let members: BTreeMap<String, Box<RawValue>> = if is_array {
        let mut rows: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_slice(json).map_err(bad)?;
        if rows.is_empty() {
            BTreeMap::new()
        } else {
            rows.swap_remove(0)
        }
    } else {
        serde_json::from_slice(json).map_err(bad)?
    };
    Ok(members
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect())
}

/// What the rows of a routine's result look like; `None` if they are bare values.
pub fn row_type(catalog: &Catalog, routine: &Routine) -> Option<Arc<Relation>> {
    let returns = &routine.returns;
    if let Some(name) = &returns.relation
        && let Some(relation) = catalog.relation(name)
    {
        return Some(relation.clone());
    }
    if returns.columns.is_empty() {
        return None;
    }
    let column = |(name, ty): &(Ident, Type)| Column {
        name: name.clone(),
        ty: ty.clone(),
        modifier: TypeModifier::None,
        not_null: false,
        default: None,
        identity: None,
        generated: None,
        sequence: None,
        comment: None,
    };
    Some(Arc::new(Relation {
        name: routine.name.clone(),
        kind: RelationKind::View,
        owner: routine.owner.clone(),
        columns: returns.columns.iter().map(column).collect(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        row_security: RowSecurity::default(),
        policies: Vec::new(),
        triggers: Vec::new(),
        acl: Vec::new(),
        view: None,
        insertable: false,
        updatable: false,
        deletable: false,
        comment: None,
        id: routine.id,
    }))
}

/// May the routine write when called this way?
pub fn is_read_only(routine: &Routine, is_post: bool) -> bool {
    !is_post || routine.volatility != Volatility::Volatile
}
