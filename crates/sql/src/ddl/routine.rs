//! `CREATE FUNCTION … LANGUAGE sql`: one SELECT that gives one value.

use std::sync::Arc;

use mainstay_core::catalog::{Argument, DefaultPrivilegeObject, Returns, Routine};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::expression::without_position;
use super::{Result, Run};
use crate::analyse::Analyser;
use crate::ast::ddl::CreateFunction;
use crate::ast::{ObjectName, Statement, TypeName};
use crate::parse;

/// The most arguments a function may have, as in PostgreSQL.
const ARGUMENTS_MAX: usize = 100;

impl Run<'_> {
    pub(super) fn create_function(&mut self, create: &CreateFunction) -> Result<()> {
        let schema = self.creation_schema(create.name.schema.as_ref())?;
        let name = QualifiedName::new(schema, create.name.name.clone());
        let arguments = self.arguments(create)?;
        let ty = match &create.returns {
            Some(returns) if returns.name == *"trigger" => {
                return Err(DatabaseError::new("42P13", "SQL functions cannot return type trigger"));
            }
            Some(returns) => self.function_type(returns, &name.name)?,
            None => return Err(DatabaseError::new("42P13", "function result type must be specified")),
        };
        if ty == Type::Void {
            return Err(self.refuse(
                "functions that return nothing",
                &name.name,
                Some("one SELECT that gives a value"),
            ));
        }
        self.check_body(&name, &create.body, &ty)?;
        let mut routine = Routine {
            owner: self.session.user.clone(),
            arguments,
            returns: Returns {
                ty,
                set: false,
                columns: Vec::new(),
                relation: None,
            },
            volatility: create.volatility,
            strict: create.strict,
            security_definer: create.security_definer,
            language: create.language.clone(),
            body: create.body.trim().trim_end_matches(';').trim_end().to_owned(),
            search_path: create
                .search_path
                .clone()
                .unwrap_or_else(|| self.session.search_path.clone()),
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
        if let Some(index) = same {
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
            overloads[index] = Arc::new(routine);
        } else {
            overloads.push(Arc::new(routine));
        }
        let position = same.unwrap_or_else(|| self.catalog.routines.get(&name).map_or(0, |all| all.len() - 1));
        let Some(routine) = self
            .catalog
            .routines
            .get(&name)
            .and_then(|all| all.get(position))
            .cloned()
        else {
            return Ok(());
        };
        // PostgreSQL checks a body when the function is made.
        Analyser::new(self.catalog, self.session)
            .routine(&routine)
            .map_err(without_position)?;
        Ok(())
    }

    fn arguments(&mut self, create: &CreateFunction) -> Result<Vec<Argument>> {
        if create.arguments.len() > ARGUMENTS_MAX {
            let message = format!("functions cannot have more than {ARGUMENTS_MAX} arguments");
            return Err(DatabaseError::new("54023", message));
        }
        let mut arguments: Vec<Argument> = Vec::new();
        for definition in &create.arguments {
            let ty = self.function_type(&definition.ty, &create.name.name).map_err(|error| {
                match error.sqlstate.as_str() {
                    // Here, and nowhere else, PostgreSQL leaves the quotes out.
                    "42704" => DatabaseError::new("42704", format!("type {} does not exist", definition.ty.name)),
                    _ => error,
                }
            })?;
            let named = !definition.name.is_empty();
            if named && arguments.iter().any(|other| other.name == definition.name) {
                let message = format!("parameter name \"{}\" used more than once", definition.name);
                return Err(DatabaseError::new("42P13", message));
            }
            let default = match &definition.default {
                Some(text) => {
                    let label = if named {
                        definition.name.clone()
                    } else {
                        Ident::new("argument")
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
                variadic: false,
            });
        }
        Ok(arguments)
    }

    /// Modifiers mean nothing on arguments and results.
    fn function_type(&mut self, written: &TypeName, function: &str) -> Result<Type> {
        let bare = TypeName {
            modifiers: Vec::new(),
            set_of: false,
            ..written.clone()
        };
        let (ty, _) = self.resolve_type(&bare, function, self.line)?;
        Ok(ty)
    }

    fn check_body(&self, name: &QualifiedName, body: &str, returns: &Type) -> Result<()> {
        let statements = parse::parse(body).map_err(without_position)?;
        match statements.as_slice() {
            [only] => match &only.ast {
                Statement::Query(_) => Ok(()),
                Statement::Unsupported(refused) => {
                    Err(self.refuse(&refused.feature, &name.name, refused.alternative.as_deref()))
                }
                _ => Err(self.refuse("functions that write", &name.name, Some("one SELECT"))),
            },
            [] => {
                let message = format!("return type mismatch in function declared to return {returns}");
                Err(DatabaseError::new("42P13", message)
                    .detail("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING."))
            }
            _ => Err(self.refuse("functions of several statements", &name.name, Some("one SELECT"))),
        }
    }

    /// A routine by name and, where they are given, argument types. Errors: 42883, 42725.
    pub(super) fn existing_routine(
        &mut self,
        written: &ObjectName,
        arguments: Option<&[TypeName]>,
    ) -> Result<(QualifiedName, usize)> {
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
                let list: Vec<String> = types.iter().map(Type::to_string).collect();
                let message = format!("function {written}({}) does not exist", list.join(", "));
                Err(DatabaseError::new("42883", message))
            }
        }
    }
}

/// What `CREATE OR REPLACE FUNCTION` may not change. Errors: 42P13.
fn check_replacement(old: &Routine, new: &Routine) -> Result<()> {
    let list: Vec<String> = old.arguments.iter().map(|entry| entry.ty.to_string()).collect();
    let refused = |message: String| {
        let hint = format!("Use DROP FUNCTION {}({}) first.", old.name.name, list.join(","));
        Err(DatabaseError::new("42P13", message).hint(hint))
    };
    if old.returns.ty != new.returns.ty {
        return refused("cannot change return type of existing function".into());
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

fn same_arguments(a: &[Argument], b: &[Argument]) -> bool {
    a.iter()
        .map(|argument| &argument.ty)
        .eq(b.iter().map(|argument| &argument.ty))
}
