//! `CREATE FUNCTION`, `ALTER FUNCTION`, and routines by name.
//!
//! Lives here: what a routine is declared to take and give, what a replacement may not change.
//! Not here: its body's meaning (`analyse`), how it runs (an engine).
//!
//! Source: PostgreSQL 15 manual, CREATE FUNCTION, ALTER FUNCTION, 38.5 (SQL functions).

use std::sync::Arc;

use mainstay_core::catalog::{Argument, DefaultPrivilegeObject, Returns, Routine};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::expression::without_position;
use super::{Result, Run};
use crate::analyse::Analyser;
use crate::analyse::functions;
use crate::ast::ddl::{AlterFunction, ArgumentDefinition, ArgumentMode, CreateFunction};
use crate::ast::{ObjectName, TypeName};

/// The most arguments a function may have, as in PostgreSQL.
const ARGUMENTS_MAX: usize = 100;

/// Types that stand for whatever is given.
const POLYMORPHIC: &[&str] = &[
    "anyarray",
    "anycompatible",
    "anycompatiblearray",
    "anycompatiblemultirange",
    "anycompatiblenonarray",
    "anycompatiblerange",
    "anyelement",
    "anyenum",
    "anymultirange",
    "anynonarray",
    "anyrange",
];

/// Where the names of a body are looked up when the path was empty as it was made, after its own schema.
const USUAL_SCHEMAS: [&str; 2] = ["public", "extensions"];

impl Run<'_> {
    pub(super) fn create_function(&mut self, create: &CreateFunction) -> Result<()> {
        let schema = self.creation_schema(create.name.schema.as_ref())?;
        let name = QualifiedName::new(schema, create.name.name.clone());
        let arguments = self.arguments(create)?;
        let returns = self.returns(create)?;
        let mut routine = Routine {
            owner: self.session.user.clone(),
            arguments,
            returns,
            volatility: create.volatility,
            strict: create.strict,
            security_definer: create.security_definer,
            language: create.language.clone(),
            body: match create.language.as_str() {
                "sql" => create.body.trim().trim_end_matches(';').trim_end().to_owned(),
                _ => create.body.clone(),
            },
            search_path: create
                .search_path
                .clone()
                .unwrap_or_else(|| self.search_path_of(&name.schema)),
            acl: self.default_acl(DefaultPrivilegeObject::Functions, &name.schema),
            comment: None,
            is_procedure: false,
            id: self.next_id(),
            name: name.clone(),
        };
        let overloads = self.catalog.routines.entry(name.clone()).or_default();
        let same = overloads
            .iter()
            .position(|other| same_arguments(&other.arguments, &routine.arguments));
        let made = if let Some(index) = same {
            let old = &overloads[index];
            if !create.replace {
                let message = format!("function \"{}\" already exists with same argument types", name.name);
                return Err(DatabaseError::new("42723", message));
            }
            check_replacement(old, &routine)?;
            routine.acl = old.acl.clone();
            routine.comment = old.comment.clone();
            routine.owner = old.owner.clone();
            routine.id = old.id;
            let made = Arc::new(routine);
            overloads[index] = Arc::clone(&made);
            made
        } else {
            let made = Arc::new(routine);
            overloads.push(Arc::clone(&made));
            made
        };
        self.check_body(&made)
    }

    /// PostgreSQL checks a body when the function is made, unless the session says otherwise.
    fn check_body(&self, routine: &Arc<Routine>) -> Result<()> {
        self.check_row_function(routine)?;
        if routine.language == *"plpgsql" {
            return crate::plpgsql::parse(self.catalog, routine)
                .map(drop)
                .map_err(without_position);
        }
        if !self.session.check_function_bodies {
            return Ok(());
        }
        Analyser::new(self.catalog, self.session)
            .at_line(self.line)
            .routine_statements(routine)
            .map_err(without_position)?;
        Ok(())
    }

    /// A row as an argument has no value of its own: it is put in the place of its name. Errors: 0A000 where that cannot
    /// be.
    fn check_row_function(&self, routine: &Routine) -> Result<()> {
        let mut arguments = routine.arguments.iter();
        if !arguments.any(|argument| matches!(argument.ty, Type::Composite(_))) {
            return Ok(());
        }
        let refused =
            |feature: &str| Err(self.refuse(feature, &routine.name.name, Some("an argument for each column")));
        let is_one_select = routine.language == *"sql"
            && !routine.is_procedure
            && crate::parse::kept(&routine.body).is_ok_and(|statements| {
                matches!(
                    statements.as_slice(),
                    [crate::parse::ParsedStatement {
                        ast: crate::ast::Statement::Query(_),
                        ..
                    }]
                )
            });
        if !is_one_select {
            return refused("arguments that are rows, but of a LANGUAGE sql function of one SELECT");
        }
        match routine.strict {
            true => refused("arguments that are rows of a STRICT function"),
            false => Ok(()),
        }
    }

    /// The search path of a body that sets none: the session's. A dump empties it and then names everything by schema,
    /// but for what is inside bodies.
    fn search_path_of(&self, schema: &Ident) -> Vec<Ident> {
        if !self.session.search_path.is_empty() {
            return self.session.search_path.clone();
        }
        let mut path = vec![schema.clone()];
        path.extend(
            USUAL_SCHEMAS
                .map(Ident::new)
                .into_iter()
                .filter(|usual| usual != schema),
        );
        path
    }

    fn arguments(&mut self, create: &CreateFunction) -> Result<Vec<Argument>> {
        if create.arguments.len() > ARGUMENTS_MAX {
            let message = format!("functions cannot have more than {ARGUMENTS_MAX} arguments");
            return Err(DatabaseError::new("54023", message));
        }
        check_names(&create.arguments)?;
        let mut arguments: Vec<Argument> = Vec::new();
        for definition in &create.arguments {
            if !definition.mode.is_input() {
                if definition.default.is_some() {
                    let message = "only input parameters can have default values";
                    return Err(DatabaseError::new("42P13", message));
                }
                continue;
            }
            if arguments.last().is_some_and(|last| last.variadic) {
                let message = "VARIADIC parameter must be the last input parameter";
                return Err(DatabaseError::new("42P13", message));
            }
            let ty = self.argument_type(definition, &create.name.name)?;
            let variadic = definition.mode == ArgumentMode::Variadic;
            if variadic && !matches!(ty, Type::Array(_)) {
                return Err(DatabaseError::new("42P13", "VARIADIC parameter must be an array"));
            }
            let default = match &definition.default {
                Some(text) => {
                    let label = match definition.name.is_empty() {
                        true => Ident::new("argument"),
                        false => definition.name.clone(),
                    };
                    Some(self.kept_default(text, &label, &ty, TypeModifier::None)?)
                }
                None if arguments.iter().any(|other| other.default.is_some()) => {
                    let message = "input parameters after one with a default value must also have defaults";
                    return Err(DatabaseError::new("42P13", message));
                }
                None => None,
            };
            arguments.push(Argument {
                name: definition.name.clone(),
                ty,
                default,
                variadic,
            });
        }
        Ok(arguments)
    }

    fn argument_type(&mut self, definition: &ArgumentDefinition, function: &str) -> Result<Type> {
        self.function_type(&definition.ty, function)
            .map_err(|error| match error.sqlstate.as_str() {
                // Here, and nowhere else, PostgreSQL leaves the quotes out.
                "42704" => DatabaseError::new("42704", format!("type {} does not exist", definition.ty.name)),
                _ => error,
            })
    }

    /// What the function gives: its RETURNS, its OUT arguments or its table's columns.
    fn returns(&mut self, create: &CreateFunction) -> Result<Returns> {
        let outputs: Vec<&ArgumentDefinition> = create
            .arguments
            .iter()
            .filter(|definition| definition.mode.is_output())
            .collect();
        let is_table = outputs.iter().any(|definition| definition.mode == ArgumentMode::Table);
        if is_table && outputs.iter().any(|definition| definition.mode != ArgumentMode::Table) {
            let message = "OUT and INOUT arguments aren't allowed in TABLE functions";
            return Err(DatabaseError::new("42601", message));
        }
        let mut columns = Vec::with_capacity(outputs.len());
        for (at, output) in outputs.iter().enumerate() {
            let name = match output.name.is_empty() {
                true => Ident::from(format!("column{}", at + 1)),
                false => output.name.clone(),
            };
            columns.push((name, self.argument_type(output, &create.name.name)?));
        }
        let by_outputs = match columns.as_slice() {
            [] => None,
            [(_, ty)] => Some(ty.clone()),
            _ => Some(Type::Record),
        };
        let Some(written) = create.returns.as_ref().filter(|_| !is_table) else {
            let Some(ty) = by_outputs else {
                return Err(DatabaseError::new("42P13", "function result type must be specified"));
            };
            return Ok(Returns {
                at_most_one: false,
                ty,
                set: is_table,
                columns,
                relation: None,
            });
        };
        if written.name == *"trigger" && written.array_dimensions == 0 {
            if create.language == *"sql" {
                return Err(DatabaseError::new("42P13", "SQL functions cannot return type trigger"));
            }
            return Ok(Returns {
                at_most_one: false,
                ty: Type::Other(QualifiedName::new("pg_catalog", "trigger")),
                set: false,
                columns,
                relation: None,
            });
        }
        // What several OUT arguments give; dumps always say so.
        let ty = match &*written.name {
            "record" if written.array_dimensions == 0 => Type::Record,
            _ => self.function_type(written, &create.name.name)?,
        };
        if let Some(wanted) = by_outputs.filter(|wanted| *wanted != ty) {
            let message = format!("function result type must be {wanted} because of OUT parameters");
            return Err(DatabaseError::new("42P13", message));
        }
        if ty == Type::Record && columns.is_empty() {
            return Err(self.refuse(
                "functions that return record without OUT arguments",
                &create.name.name,
                Some("RETURNS TABLE (…)"),
            ));
        }
        let relation = match &ty {
            Type::Composite(name) => Some(name.clone()),
            _ => None,
        };
        Ok(Returns {
            at_most_one: written.set_of && create.one_row,
            ty,
            set: written.set_of,
            columns,
            relation,
        })
    }

    /// Modifiers mean nothing on arguments and results. A table's name stands for its rows.
    fn function_type(&mut self, written: &TypeName, function: &str) -> Result<Type> {
        let bare = TypeName {
            modifiers: Vec::new(),
            set_of: false,
            ..written.clone()
        };
        if POLYMORPHIC.contains(&written.name.as_str()) {
            return Err(self.refuse("polymorphic functions", function, Some("a function for each type")));
        }
        let name = ObjectName {
            schema: written.schema.clone(),
            name: written.name.clone(),
            position: written.position,
        };
        let is_builtin = written.schema.is_none() && Type::from_builtin_name(&written.name).is_some();
        if written.array_dimensions == 0
            && !is_builtin
            && let Some(relation) = self.find_relation(&name)
        {
            return Ok(Type::Composite(relation.name.clone()));
        }
        self.resolve_type(&bare, function, self.line).map(|(ty, _)| ty)
    }

    pub(super) fn alter_function(&mut self, alter: &AlterFunction) -> Result<()> {
        let (name, index) = self.existing_routine(&alter.function.name, alter.function.arguments.as_deref())?;
        let unset = self.search_path_of(&name.schema);
        let Some(routine) = self.catalog.routines.get_mut(&name).and_then(|all| all.get_mut(index)) else {
            return Err(DatabaseError::new("XX000", format!("function {name} has gone")));
        };
        if alter.one_row.is_some() && !routine.returns.set {
            let message = "ROWS is not applicable when function does not return a set";
            return Err(DatabaseError::new("22023", message));
        }
        if alter.is_procedure.is_some_and(|wanted| wanted != routine.is_procedure) {
            let types: Vec<String> = routine
                .arguments
                .iter()
                .map(|argument| argument.ty.to_string())
                .collect();
            let kind = if routine.is_procedure { "function" } else { "procedure" };
            let message = format!("{}({}) is not a {kind}", name.name, types.join(","));
            return Err(DatabaseError::new("42809", message));
        }
        let changed = Arc::make_mut(routine);
        changed.volatility = alter.volatility.unwrap_or(changed.volatility);
        changed.strict = alter.strict.unwrap_or(changed.strict);
        changed.security_definer = alter.security_definer.unwrap_or(changed.security_definer);
        if let Some(path) = &alter.search_path {
            changed.search_path = path.clone().unwrap_or(unset);
        }
        if let Some(one_row) = alter.one_row {
            changed.returns.at_most_one = changed.returns.set && one_row;
        }
        let changed = Arc::clone(routine);
        self.check_row_function(&changed)
    }

    /// A routine by name and, where they are given, argument types. Errors: 42883, 42725.
    pub(super) fn existing_routine(
        &mut self,
        written: &ObjectName,
        arguments: Option<&[TypeName]>,
    ) -> Result<(QualifiedName, usize)> {
        if let Some(schema) = written.schema.as_ref().filter(|schema| **schema != *"pg_catalog") {
            self.existing_schema(schema)?;
        }
        let mut types = None;
        if let Some(arguments) = arguments {
            let mut list = Vec::new();
            for argument in arguments {
                list.push(self.function_type(argument, &written.name)?);
            }
            types = Some(list);
        }
        let found = self.find(written, |name| {
            let overloads = self.catalog.routines.get(name)?;
            let matching: Vec<usize> = overloads
                .iter()
                .enumerate()
                .filter(|(_, routine)| match &types {
                    None => true,
                    Some(types) => routine.arguments.iter().map(|argument| &argument.ty).eq(types),
                })
                .map(|(index, _)| index)
                .collect();
            (!matching.is_empty()).then(|| (name.clone(), matching))
        });
        let server_has = functions::is_server_function(&written.name)
            && written.schema.as_ref().is_none_or(|schema| *schema == *"pg_catalog")
            && match &types {
                // Those with overloads on record have one of that many arguments.
                Some(types) => {
                    let mut known = functions::server_overloads(&written.name).peekable();
                    known.peek().is_none() || known.any(|overload| overload.len() == types.len())
                }
                None => true,
            };
        if found.is_none() && server_has {
            return Err(self.refuse("changes of a built-in function", &written.name, None));
        }
        match (found, &types) {
            (Some((name, matching)), _) if matching.len() == 1 => Ok((name, matching[0])),
            (Some((name, _)), _) => Err(DatabaseError::new(
                "42725",
                format!("function name \"{}\" is not unique", name.name),
            )
            .hint("Specify the argument list to select the function unambiguously.")),
            (None, None) => Err(DatabaseError::new(
                "42883",
                format!("could not find a function named \"{written}\""),
            )),
            (None, Some(types)) => {
                let message = format!("function {written}({}) does not exist", listed(types.iter()));
                Err(DatabaseError::new("42883", message))
            }
        }
    }
}

/// Two arguments may share a name if one only goes in and the other only comes out. Errors: 42P13.
fn check_names(arguments: &[ArgumentDefinition]) -> Result<()> {
    for (at, later) in arguments.iter().enumerate() {
        let clashes = |earlier: &&ArgumentDefinition| {
            earlier.name == later.name
                && (earlier.mode.is_input() && later.mode.is_input()
                    || earlier.mode.is_output() && later.mode.is_output())
        };
        if !later.name.is_empty() && arguments[..at].iter().any(|earlier| clashes(&earlier)) {
            let message = format!("parameter name \"{}\" used more than once", later.name);
            return Err(DatabaseError::new("42P13", message));
        }
    }
    Ok(())
}

/// What `CREATE OR REPLACE FUNCTION` may not change. Errors: 42P13.
fn check_replacement(old: &Routine, new: &Routine) -> Result<()> {
    let hint = format!("Use DROP FUNCTION {} first.", signature(old));
    let refused = |message: String| Err(DatabaseError::new("42P13", message).hint(hint.clone()));
    if old.returns.ty != new.returns.ty || old.returns.set != new.returns.set {
        return refused("cannot change return type of existing function".into());
    }
    if old.returns.ty == Type::Record && old.returns.columns != new.returns.columns {
        let message = "cannot change return type of existing function";
        let detail = "Row type defined by OUT parameters is different.";
        return Err(DatabaseError::new("42P13", message).detail(detail).hint(hint));
    }
    for (before, after) in old.arguments.iter().zip(&new.arguments) {
        if !before.name.is_empty() && before.name != after.name {
            return refused(format!("cannot change name of input parameter \"{}\"", before.name));
        }
        if before.default.is_some() && after.default.is_none() {
            return refused("cannot remove parameter defaults from existing function".into());
        }
    }
    Ok(())
}

fn listed<'t>(types: impl Iterator<Item = &'t Type>) -> String {
    let list: Vec<String> = types.map(Type::to_string).collect();
    list.join(", ")
}

/// `f(integer,text)`, as hints spell it.
fn signature(routine: &Routine) -> String {
    let list: Vec<String> = routine.arguments.iter().map(|entry| entry.ty.to_string()).collect();
    format!("{}({})", routine.name.name, list.join(","))
}

fn same_arguments(a: &[Argument], b: &[Argument]) -> bool {
    a.iter()
        .map(|argument| &argument.ty)
        .eq(b.iter().map(|argument| &argument.ty))
}
