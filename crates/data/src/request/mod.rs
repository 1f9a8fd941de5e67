//! Text to intent: what a request asks for, before the catalog is consulted.
//!
//! [`Head`] is what every request has (resource, schema, preferences, accepted types); [`Query`] is the query string
//! understood. A request whose shape is known is answered from its head and its [`shape`] alone.

pub mod grammar;
pub mod media;
pub mod payload;
pub mod prefer;
pub mod query;
pub mod range;
pub mod reader;
pub mod shape;
pub mod syntax;

use std::collections::BTreeSet;

use http::Method;
use mainstay_core::name::Ident;
use mainstay_http::Request;

use crate::config::Config;
use crate::error::Error;
use media::MediaType;
use prefer::Preferences;
use query::{Parameter, ParameterKind};
use reader::{Read, Reader, Report};
use syntax::{EmbedPath, FieldRef, Filter, LogicTree, Operation, OrderTerm, SelectItem, Slot};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    Root,
    Relation(String),
    Routine(String),
}

/// What a request wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Read { head_only: bool },
    Create,
    Update,
    Put,
    Delete,
    Call { method: CallMethod },
    Root { head_only: bool },
    Info,
}

/// How a routine is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMethod {
    Get,
    Head,
    Post,
}

impl CallMethod {
    /// True for those that may not write.
    pub fn is_safe(self) -> bool {
        self != CallMethod::Post
    }
}

/// What every request has.
#[derive(Clone, Debug)]
pub struct Head {
    pub resource: Resource,
    pub action: Action,
    pub schema: Ident,
    /// The schema was chosen by a profile header, or there is more than one to choose from.
    pub is_negotiated: bool,
    pub preferences: Preferences,
    pub accept: Vec<MediaType>,
    pub content: MediaType,
}

impl Head {
    /// Reads path, method and headers.
    ///
    /// Errors: `PGRST101`, `PGRST106`, `PGRST117`, `PGRST125`, `PGRST126`.
    pub fn read(config: &Config, request: &Request) -> Result<Head, Error> {
        let resource = resource(config, &request.path)?;
        let (schema, is_negotiated) = schema(config, request)?;
        let action = action(&resource, &request.method)?;
        Ok(Head {
            resource,
            action,
            schema,
            is_negotiated,
            preferences: Preferences::read(&request.headers, config.tx_end.allows_override()),
            accept: media::accepted(request.header("accept")),
            content: request.header("content-type").map_or(MediaType::Json, MediaType::read),
        })
    }
}

fn resource(config: &Config, path: &str) -> Result<Resource, Error> {
    let mut segments = Vec::new();
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    if !trimmed.is_empty() {
        for segment in trimmed.split('/') {
            segments.push(percent(segment)?);
        }
    }
    match segments.as_slice() {
        [] => match (&config.openapi, &config.root_spec) {
            (crate::config::OpenApi::Disabled, _) => Err(Error::OpenApiDisabled),
            (_, Some(routine)) => Ok(Resource::Routine(routine.to_string())),
            (_, None) => Ok(Resource::Root),
        },
        [relation] if !relation.is_empty() => Ok(Resource::Relation(relation.clone())),
        [first, routine] if first == "rpc" => Ok(Resource::Routine(routine.clone())),
        _ => Err(Error::Path),
    }
}

/// Decodes a path segment; there a `+` is a plus.
fn percent(segment: &str) -> Result<String, Error> {
    let text = percent_encoding::percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| Error::Path)?;
    if text.contains('\0') {
        Err(Error::Path)
    } else {
        Ok(text.into_owned())
    }
}

fn schema(config: &Config, request: &Request) -> Result<(Ident, bool), Error> {
    let header = match request.method {
        Method::POST | Method::PATCH | Method::PUT | Method::DELETE => "content-profile",
        _ => "accept-profile",
    };
    match request.headers.get(header) {
        Some(value) => {
            let wanted = String::from_utf8_lossy(value.as_bytes());
            match config.schemas.iter().find(|schema| **schema == *wanted) {
                Some(schema) => Ok((schema.clone(), true)),
                None => Err(Error::Schema {
                    schema: wanted.into_owned(),
                    exposed: config.schemas.clone(),
                }),
            }
        }
        None => {
            let default = config.schemas.first().cloned().unwrap_or_else(|| Ident::new("public"));
            Ok((default, config.schemas.len() != 1))
        }
    }
}

fn action(resource: &Resource, method: &Method) -> Result<Action, Error> {
    Ok(match (resource, method.as_str()) {
        (_, "OPTIONS") => Action::Info,
        (Resource::Routine(_), "GET") => Action::Call {
            method: CallMethod::Get,
        },
        (Resource::Routine(_), "HEAD") => Action::Call {
            method: CallMethod::Head,
        },
        (Resource::Routine(_), "POST") => Action::Call {
            method: CallMethod::Post,
        },
        (Resource::Routine(_), other) => return Err(Error::RoutineMethod(other.to_owned())),
        (Resource::Relation(_), "GET") => Action::Read { head_only: false },
        (Resource::Relation(_), "HEAD") => Action::Read { head_only: true },
        (Resource::Relation(_), "POST") => Action::Create,
        (Resource::Relation(_), "PUT") => Action::Put,
        (Resource::Relation(_), "PATCH") => Action::Update,
        (Resource::Relation(_), "DELETE") => Action::Delete,
        (Resource::Root, "GET") => Action::Root { head_only: false },
        (Resource::Root, "HEAD") => Action::Root { head_only: true },
        (_, other) => return Err(Error::Method(other.to_owned())),
    })
}

/// The query string understood.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub select: Vec<SelectItem>,
    pub filters: Vec<(EmbedPath, Filter)>,
    pub logic: Vec<(EmbedPath, LogicTree)>,
    pub order: Vec<(EmbedPath, Vec<OrderTerm>)>,
    pub columns: Option<BTreeSet<String>>,
    pub on_conflict: Option<Vec<String>>,
    /// Names of all filters as written, for PUT.
    pub filter_names: BTreeSet<String>,
    /// On GET of a routine: parameters that are no filters.
    pub arguments: Vec<(String, String)>,
}

impl Query {
    /// Reads `parameters`. With `is_call` a parameter that is no filter is an argument. `slots`: see
    /// [`shape::Shape`].
    ///
    /// Errors: `PGRST100`; in the order in which PostgREST looks.
    pub fn read(parameters: &[Parameter<'_>], slots: &[Slot], is_call: bool) -> Result<Query, Error> {
        let mut query = Query::default();
        let of_kind = |kind: ParameterKind| {
            parameters.iter().zip(slots).filter_map(move |(parameter, slot)| {
                let value = parameter.value.as_deref()?;
                (parameter.kind() == kind).then_some((&*parameter.name, value, *slot))
            })
        };
        for (name, value, _) in of_kind(ParameterKind::Order) {
            let terms = read(value, "order", value, grammar::order_terms);
            let (path, _) = tree_path(name)?;
            query.order.push((path, terms?));
        }
        for (name, value, slot) in of_kind(ParameterKind::Logic) {
            let (path, operator) = read(name, "logic path", name, grammar::logic_path)?;
            let mut tree = read(&format!("{operator}{value}"), "logic tree", value, grammar::logic_tree)?;
            let mut slot = slot;
            tree.each_filter_mut(&mut |filter| number(&mut filter.operation, &mut slot));
            query.logic.push((path, tree));
        }
        let first = |kind: ParameterKind| of_kind(kind).next().map(|(_, value, _)| value);
        if let Some(value) = first(ParameterKind::Columns) {
            let names = read(value, "columns parameter", value, grammar::column_names)?;
            query.columns = Some(names.into_iter().collect());
        }
        query.select = match first(ParameterKind::Select) {
            Some(value) => read(value, "select parameter", value, grammar::select_items)?,
            None => vec![SelectItem::All],
        };
        for (name, value, slot) in of_kind(ParameterKind::Filter) {
            let (path, field) = tree_path(name)?;
            match read(value, "filter", value, grammar::operation) {
                Ok((is_negated, mut operation)) => {
                    let mut slot = slot;
                    number(&mut operation, &mut slot);
                    query.filter_names.insert(name.to_owned());
                    query.filters.push((
                        path,
                        Filter {
                            field,
                            is_negated,
                            operation,
                        },
                    ));
                }
                Err(_) if is_call => query.arguments.push((field.name, value.to_owned())),
                Err(error) => return Err(error),
            }
        }
        if let Some(value) = first(ParameterKind::OnConflict) {
            query.on_conflict = Some(read(value, "on_conflict parameter", value, grammar::column_names)?);
        }
        Ok(query)
    }
}

/// Gives an operation's value the next slot.
fn number(operation: &mut Operation, slot: &mut Slot) {
    if let Some(operand) = operation.operand_mut() {
        operand.slot = *slot;
        *slot += 1;
    }
}

fn tree_path(name: &str) -> Result<(EmbedPath, FieldRef), Error> {
    read(name, "tree path", name, grammar::tree_path)
}

/// Reads `text` by `rule`; `shown` is how the message quotes it.
fn read<T>(
    text: &str,
    what: &'static str,
    shown: &str,
    rule: impl FnOnce(&mut Reader<'_>) -> Read<T>,
) -> Result<T, Error> {
    Reader::read(text, rule).map_err(
        |Report {
             line,
             column,
             text,
             is_too_deep,
         }| {
            if is_too_deep {
                return Error::TooDeep { what };
            }
            Error::QueryParameter {
                message: format!("\"failed to parse {what} ({shown})\" (line {line}, column {column})"),
                details: text,
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> Result<Query, Error> {
        let parameters = query::parameters(query)?;
        let mut key = Vec::new();
        let shape = shape::shape_of(&parameters, &mut key);
        Query::read(&parameters, &shape.slots, false)
    }

    #[test]
    fn a_refusal_quotes_the_parameter() {
        match parsed("or=()") {
            Err(Error::QueryParameter { message, .. }) => {
                assert_eq!(message, "\"failed to parse logic tree (())\" (line 1, column 4)");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn operands_have_the_slots_of_their_values() {
        let text = "id=not.eq.7&and=(a.eq.1,or(b.in.(1,\"2\"),c.is.null),d->>e.like.x*)&z=like(any).{a,b}";
        let parameters = query::parameters(text).unwrap();
        let shape = shape::shape_of(&parameters, &mut Vec::new());
        let mut query = Query::read(&parameters, &shape.slots, false).unwrap();
        let mut seen = 0;
        let mut check = |filter: &mut Filter| {
            if let Some(operand) = filter.operation.operand_mut() {
                assert_eq!(operand.value, shape.values[operand.slot]);
                seen += 1;
            }
        };
        query.filters.iter_mut().for_each(|(_, filter)| check(filter));
        query
            .logic
            .iter_mut()
            .for_each(|(_, tree)| tree.each_filter_mut(&mut check));
        assert_eq!(seen, shape.values.len());
    }

    #[test]
    fn embedded_logic_keeps_its_path_and_negation() {
        let query = parsed("clients.projects.not.or=(id.eq.1,id.eq.2)").unwrap();
        let (path, tree) = &query.logic[0];
        assert_eq!(path, &["clients", "projects"]);
        assert!(matches!(tree, LogicTree::Group { is_negated: true, .. }));
    }
}
