//! Functions: arguments, what they return, and which of them the API could not tell apart.

use std::sync::Arc;

use mainstay_core::catalog::{Argument, Routine};
use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;

use super::Scope;
use super::layout::{Member, Ts};
use super::names::in_order;

/// A function with its arguments in the order they are listed.
pub struct Signature {
    pub routine: Arc<Routine>,
    /// By name.
    arguments: Vec<Argument>,
    /// The arguments as PostgreSQL writes them, which orders overloads.
    pub written: String,
}

impl Signature {
    pub fn new(routine: Arc<Routine>) -> Self {
        let mut arguments = routine.arguments.clone();
        arguments.sort_by(|a, b| in_order(&a.name, &b.name));
        let written: Vec<String> = routine.arguments.iter().map(written).collect();
        Signature {
            routine,
            arguments,
            written: written.join(", "),
        }
    }

    /// True if it is a column of this relation's rows: its only argument is such a row, and has no name.
    pub fn computes(&self, relation: &QualifiedName) -> bool {
        let is_bare = matches!(self.arguments.as_slice(), [one] if one.name.is_empty() && one.default.is_none());
        is_bare && self.routine.row_argument() == Some(relation)
    }
}

fn written(argument: &Argument) -> String {
    let ty = match &argument.ty {
        Type::Composite(name) | Type::Enum(name) | Type::Domain(name, _) | Type::Other(name)
            if *name.schema != *"public" && *name.schema != *"pg_catalog" =>
        {
            name.to_string()
        }
        ty => ty.to_string(),
    };
    let mode = if argument.variadic { "VARIADIC " } else { "" };
    match argument.name.is_empty() {
        true => format!("{mode}{ty}"),
        false => format!("{mode}{} {ty}", argument.name),
    }
}

/// Types that an argument without a name may have: the request's body is its value.
fn takes_body(ty: &Type) -> bool {
    matches!(ty, Type::Json | Type::Jsonb | Type::Text)
}

impl Scope<'_> {
    /// True for functions that the API can be asked for, or that are columns.
    pub(super) fn is_callable(&self, routine: &Routine) -> bool {
        let fires = matches!(&routine.returns.ty, Type::Other(name) if matches!(name.name.as_str(), "trigger" | "event_trigger"));
        if routine.is_procedure || fires {
            return false;
        }
        let unnamed = || routine.arguments.iter().filter(|argument| argument.name.is_empty());
        let is_filled = |argument: &Argument| argument.default.is_some() && takes_body(&argument.ty);
        let is_whole = |argument: &Argument| takes_body(&argument.ty) || matches!(argument.ty, Type::Composite(_));
        unnamed().all(is_filled) || matches!(routine.arguments.as_slice(), [one] if is_whole(one))
    }

    /// A member for each name, with a type for each of its overloads.
    pub(super) fn functions(&self, signatures: &[Signature]) -> Vec<Member> {
        let named = signatures.chunk_by(|a, b| a.routine.name == b.routine.name);
        let declared = named.map(|overloads| {
            let all = overloads.iter().map(|one| self.function(one, overloads));
            Member::new(&overloads[0].routine.name.name, Ts::Union(all.collect()))
        });
        declared.collect()
    }

    fn function(&self, signature: &Signature, overloads: &[Signature]) -> Ts {
        let routine = &*signature.routine;
        let arguments = match signature.arguments.is_empty() {
            true => Ts::word("never"),
            false => Ts::Inline(signature.arguments.iter().map(|one| self.argument(one)).collect()),
        };
        let refusal = conflict(signature, overloads).or_else(|| self.is_only_a_column(signature));
        let returned = match refusal {
            Some(why) => Ts::Refusal(why),
            None => self.returned(routine),
        };
        // One row at most: the client makes a list of it where it is asked by itself.
        let is_list = routine.returns.set && !(routine.returns.at_most_one && self.row_name(routine).is_some());
        let returned = match is_list {
            true => Ts::Array(Box::new(returned)),
            false => returned,
        };
        let mut members = vec![Member::new("Args", arguments), Member::new("Returns", returned)];
        members.extend(self.rows_of(routine).map(|rows| Member::new("SetofOptions", rows)));
        Ts::Inline(members)
    }

    fn argument(&self, argument: &Argument) -> Member {
        let ty = self.spelled(&argument.ty);
        match argument.default.is_some() {
            true => Member::optional(&argument.name, ty),
            false => Member::new(&argument.name, ty),
        }
    }

    /// What one result is; of a set, one of them.
    pub(super) fn returned(&self, routine: &Routine) -> Ts {
        let returns = &routine.returns;
        if !returns.columns.is_empty() && !matches!(returns.ty, Type::Composite(_)) {
            let mut columns: Vec<_> = returns.columns.iter().collect();
            columns.sort_by(|(a, _), (b, _)| in_order(a, b));
            let members = columns
                .into_iter()
                .map(|(name, ty)| Member::new(name, self.spelled(ty)));
            return Ts::Record(members.collect());
        }
        let relation = returns
            .relation
            .as_ref()
            .filter(|name| name.schema == routine.name.schema);
        match relation.and_then(|name| self.catalog.relation(name)) {
            Some(relation) => Ts::Record(self.columns(relation)),
            None => self.spelled(&returns.ty),
        }
    }

    /// The relation or row type that its results are rows of.
    fn row_name<'r>(&self, routine: &'r Routine) -> Option<&'r QualifiedName> {
        match &routine.returns.ty {
            Type::Composite(name) => Some(name),
            _ => None,
        }
    }

    /// What the client needs to know to select from the result, and to embed it in the rows it is computed from.
    fn rows_of(&self, routine: &Routine) -> Option<Ts> {
        let to = self.row_name(routine)?;
        let from = routine.row_argument().map_or("*", |from| from.name.as_str());
        let is_one = !routine.returns.set || routine.returns.at_most_one;
        Some(Ts::Record(vec![
            Member::new("from", Ts::literal(from)),
            Member::new("to", Ts::literal(&to.name)),
            Member::new("isOneToOne", Ts::word(is_one.to_string())),
            Member::new("isSetofReturn", Ts::word(routine.returns.set.to_string())),
        ]))
    }

    /// A function of a row without a name, whose value is no row: a column, not a call.
    fn is_only_a_column(&self, signature: &Signature) -> Option<String> {
        let [argument] = signature.arguments.as_slice() else {
            return None;
        };
        let is_row = argument.name.is_empty() && matches!(argument.ty, Type::Composite(_));
        (is_row && self.row_name(&signature.routine).is_none()).then(|| {
            let name = &signature.routine.name;
            format!(
                "the function {}.{} with parameter or with a single unnamed json/jsonb parameter, but no matches were \
                 found in the schema cache",
                name.schema, name.name
            )
        })
    }
}

/// Why a call could not be told from one of another overload, in the words that the API refuses it with.
fn conflict(signature: &Signature, overloads: &[Signature]) -> Option<String> {
    let others = || overloads.iter().filter(|other| !std::ptr::eq(*other, signature));
    let name = &signature.routine.name;
    let full = format!("{}.{}", name.schema, name.name);
    let candidates = match signature.arguments.as_slice() {
        [] => {
            let is_like = |other: &&Signature| matches!(other.arguments.as_slice(), [one] if one.name.is_empty() && one.default.is_some());
            let other = others().find(is_like)?;
            format!("{full}(), {full}( => {})", other.routine.returns.ty.internal_name())
        }
        [one] if !one.name.is_empty() => {
            let alike = others().filter_map(|other| match other.arguments.as_slice() {
                [that] if that.name == one.name && that.ty != one.ty => Some(that),
                _ => None,
            });
            let mut alike: Vec<&Argument> = alike.collect();
            if alike.is_empty() {
                return None;
            }
            alike.push(one);
            alike.sort_by_cached_key(|argument| (age(&argument.ty), argument.ty.internal_name()));
            let calls: Vec<String> = alike
                .iter()
                .map(|argument| format!("{full}({} => {})", argument.name, argument.ty.internal_name()))
                .collect();
            calls.join(", ")
        }
        _ => return None,
    };
    Some(format!(
        "Could not choose the best candidate function between: {candidates}. Try renaming the parameters or the function \
         itself in the database so function overloading can be resolved"
    ))
}

/// The order of PostgreSQL's own types by their numbers; the others come after them.
fn age(ty: &Type) -> u32 {
    match ty {
        Type::Bool => 16,
        Type::Bytea => 17,
        Type::Char => 18,
        Type::Name => 19,
        Type::Int8 => 20,
        Type::Int2 => 21,
        Type::Int4 => 23,
        Type::Text => 25,
        Type::Oid => 26,
        Type::Json => 114,
        Type::Float4 => 700,
        Type::Float8 => 701,
        Type::Bpchar => 1042,
        Type::Varchar => 1043,
        Type::Date => 1082,
        Type::Time => 1083,
        Type::Timestamp => 1114,
        Type::Timestamptz => 1184,
        Type::Interval => 1186,
        Type::Timetz => 1266,
        Type::Numeric => 1700,
        Type::Record => 2249,
        Type::Uuid => 2950,
        Type::Tsvector => 3614,
        Type::Tsquery => 3615,
        Type::Jsonb => 3802,
        _ => u32::MAX,
    }
}
