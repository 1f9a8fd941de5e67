//! What expressions can be made of: the analyser's own tables, sorted by what they give.
//!
//! A function or operator that is added to those tables is generated from then on.
//! Not here: which of them is taken (`expression`).

use std::collections::HashMap;

use mainstay_core::types::Type;
use mainstay_sql::analyse::kinds::Arg;
use mainstay_sql::analyse::{aggregates, casts, functions, operators};
use mainstay_sql::typed::CastContext;

/// One way to make a value of a type from values of others.
#[derive(Clone, Debug)]
pub struct Rule {
    pub form: Form,
    pub name: &'static str,
    pub arguments: Vec<Type>,
    /// It never fails, whatever the values are.
    pub is_total: bool,
}

/// How a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Prefix,
    Infix,
    Call,
    Cast,
}

/// Everything, by the type it gives.
pub struct Surface {
    rules: HashMap<Type, Vec<Rule>>,
    aggregates: HashMap<Type, Vec<Rule>>,
    windows: HashMap<Type, Vec<Rule>>,
}

/// The types that expressions are made of, but for enums.
pub fn types() -> Vec<Type> {
    vec![
        Type::Bool,
        Type::Int2,
        Type::Int4,
        Type::Int8,
        Type::Float4,
        Type::Float8,
        Type::Numeric,
        Type::Text,
        Type::Varchar,
        Type::Uuid,
        Type::Timestamptz,
        Type::Timestamp,
        Type::Date,
        Type::Time,
        Type::Interval,
        Type::Json,
        Type::Jsonb,
        Type::Bytea,
        Type::Array(Box::new(Type::Text)),
        Type::Array(Box::new(Type::Int4)),
    ]
}

/// Left out: not fixed by their arguments, relative to the day, or not there on every server.
const MOVING: &[&str] = &[
    "random",
    "gen_random_uuid",
    "uuid_generate_v4",
    "clock_timestamp",
    "timeofday",
    // The last digit depends on the platform (difference 9).
    "cbrt",
    "||/",
    "age",
    // Extensions' own, which the server has after CREATE EXTENSION only.
    "digest",
    "hmac",
];

/// Functions and operators that give a value or null for every argument of their types. Comparisons are too.
const TOTAL: &[&str] = &[
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "||",
    "upper",
    "lower",
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "bit_length",
    "reverse",
    "strpos",
    "position",
    "starts_with",
    "^@",
    "ltrim",
    "rtrim",
    "btrim",
    "md5",
    "ascii",
    "quote_literal",
    "quote_nullable",
    "quote_ident",
    "concat",
    "concat_ws",
    "translate",
    "replace",
    "initcap",
    "to_json",
    "to_jsonb",
    "jsonb_typeof",
    "json_typeof",
    "->",
    "->>",
    "#>",
    "#>>",
    "@>",
    "<@",
    "?",
    "?|",
    "?&",
    "json_build_array",
    "jsonb_build_array",
    "jsonb_strip_nulls",
    "json_strip_nulls",
    "jsonb_pretty",
    "sha256",
    "left",
    "right",
    "&",
    "|",
    "#",
    "~",
    "to_hex",
    "~~",
    "!~~",
    "~~*",
    "!~~*",
    "sign",
    "scale",
    "min_scale",
    "trim_scale",
    "array_length",
    "cardinality",
    "array_to_string",
    "&&",
];

impl Surface {
    /// Reads the tables.
    pub fn new() -> Self {
        let mut surface = Surface {
            rules: HashMap::new(),
            aggregates: HashMap::new(),
            windows: HashMap::new(),
        };
        surface.operators();
        surface.functions();
        surface.casts();
        surface.aggregates();
        surface
    }

    /// The rules that give `ty`.
    pub fn rules(&self, ty: &Type) -> &[Rule] {
        self.rules.get(ty).map(Vec::as_slice).unwrap_or_default()
    }

    /// The aggregates that give `ty`.
    pub fn aggregates_of(&self, ty: &Type) -> &[Rule] {
        self.aggregates.get(ty).map(Vec::as_slice).unwrap_or_default()
    }

    /// The window functions that give `ty`, but for aggregates.
    pub fn windows_of(&self, ty: &Type) -> &[Rule] {
        self.windows.get(ty).map(Vec::as_slice).unwrap_or_default()
    }

    fn operators(&mut self) {
        for entry in operators::all() {
            if MOVING.contains(&entry.name) {
                continue;
            }
            let arguments: Vec<Arg> = entry.left.into_iter().chain([entry.right]).collect();
            let form = if entry.left.is_some() {
                Form::Infix
            } else {
                Form::Prefix
            };
            self.add(form, entry.name, &arguments, entry.result);
        }
    }

    fn functions(&mut self) {
        for entry in functions::all() {
            if MOVING.contains(&entry.name) {
                continue;
            }
            let mut arguments = entry.arguments.to_vec();
            self.add(Form::Call, entry.name, &arguments, entry.result);
            if let (true, Some(last)) = (entry.variadic, entry.arguments.last()) {
                arguments.push(*last);
                self.add(Form::Call, entry.name, &arguments, entry.result);
            }
        }
    }

    /// Adds a rule for each choice of types that stands for the polymorphic ones.
    fn add(&mut self, form: Form, name: &'static str, arguments: &[Arg], result: Arg) {
        // Times and floats in patterns are being brought nearer to PostgreSQL; bytes are refused.
        let left_out = match (name, arguments.first()) {
            ("to_char", first) => matches!(first, Some(Arg::Interval | Arg::Float4 | Arg::Float8)),
            _ => false,
        };
        if left_out {
            return;
        }
        let is_polymorphic = arguments.iter().any(|argument| argument.is_polymorphic());
        let choices = if is_polymorphic { types() } else { vec![Type::Int4] };
        for choice in choices {
            let is_array = matches!(choice, Type::Array(_));
            let chosen = |arg: Arg| -> Option<Type> {
                match arg {
                    Arg::AnyNonArray if is_array => None,
                    Arg::AnyArray | Arg::AnyCompatibleArray => {
                        let array = Type::Array(Box::new(choice.clone()));
                        types().contains(&array).then_some(array)
                    }
                    Arg::AnyEnum | Arg::Record => None,
                    Arg::AnyElement | Arg::AnyNonArray | Arg::AnyCompatible | Arg::Any => Some(choice.clone()),
                    Arg::Name => Some(Type::Text),
                    concrete => concrete.concrete().filter(|ty| types().contains(ty)),
                }
            };
            let Some(arguments) = arguments.iter().map(|arg| chosen(*arg)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let Some(result) = chosen(result) else { continue };
            // `json` cannot be compared, but is no reason to leave out the rest.
            let is_total = TOTAL.contains(&name)
                || matches!((name, &result), ("+" | "-" | "*", Type::Numeric))
                || matches!(name, "abs" | "ceil" | "floor" | "round" | "trunc") && arguments == [Type::Numeric];
            self.rules.entry(result).or_default().push(Rule {
                form,
                name,
                arguments,
                is_total,
            });
        }
    }

    fn casts(&mut self) {
        for from in types() {
            for to in types() {
                if from == to || casts::pathway(&from, &to, CastContext::Explicit).is_none() {
                    continue;
                }
                let widens = matches!(
                    (&from, &to),
                    (Type::Int2, Type::Int4 | Type::Int8 | Type::Numeric | Type::Float8)
                        | (Type::Int4, Type::Int8 | Type::Numeric | Type::Float8)
                        | (Type::Int8, Type::Numeric | Type::Float8)
                        | (Type::Bool, Type::Int4)
                        | (Type::Date, Type::Timestamp)
                        | (Type::Timestamp, Type::Date | Type::Time)
                );
                self.rules.entry(to.clone()).or_default().push(Rule {
                    form: Form::Cast,
                    name: "",
                    is_total: widens || matches!(to, Type::Text),
                    arguments: vec![from.clone()],
                });
            }
        }
    }

    fn aggregates(&mut self) {
        for entry in aggregates::all() {
            // What floats add up to depends on the order of the rows.
            let moves = matches!(entry.arguments.first(), Some(Arg::Float4 | Arg::Float8))
                && !matches!(entry.name, "min" | "max" | "count");
            let is_refused = entry.name == "string_agg" && entry.arguments.first() == Some(&Arg::Bytea);
            if !moves && !is_refused {
                let place = &mut self.aggregates;
                aggregate(place, entry.name, entry.arguments, entry.result);
            }
        }
        for entry in aggregates::all_windows() {
            aggregate(&mut self.windows, entry.name, entry.arguments, entry.result);
        }
    }
}

fn aggregate(place: &mut HashMap<Type, Vec<Rule>>, name: &'static str, arguments: &[Arg], result: Arg) {
    let choices = if arguments.iter().any(|argument| argument.is_polymorphic()) {
        types()
    } else {
        vec![Type::Int4]
    };
    for choice in choices {
        let chosen = |arg: Arg| match arg {
            Arg::AnyElement | Arg::AnyCompatible | Arg::Any | Arg::AnyNonArray => Some(choice.clone()),
            Arg::AnyArray if matches!(choice, Type::Text | Type::Int4) => Some(Type::Array(Box::new(choice.clone()))),
            concrete => concrete.concrete().filter(|ty| types().contains(ty)),
        };
        let arguments: Option<Vec<Type>> = arguments.iter().map(|arg| chosen(*arg)).collect();
        if let (Some(arguments), Some(result)) = (arguments, chosen(result)) {
            place.entry(result).or_default().push(Rule {
                form: Form::Call,
                name,
                arguments,
                is_total: false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_can_be_made() {
        let surface = Surface::new();
        for ty in types() {
            assert!(!surface.rules(&ty).is_empty(), "{ty}");
        }
        let has = |ty: &Type, name: &str| surface.rules(ty).iter().any(|rule| rule.name == name);
        assert!(has(&Type::Text, "upper") && has(&Type::Bool, "~~") && has(&Type::Jsonb, "->"));
        assert!(!has(&Type::Float8, "random"));
    }
}
