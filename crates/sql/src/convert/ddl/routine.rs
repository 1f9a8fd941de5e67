//! `CREATE FUNCTION`.

use mainstay_core::catalog::Volatility;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, DefElem, Node};

use super::super::context::Context;
use super::read::*;
use super::{Converted, text};
use crate::ast::ObjectName;
use crate::ast::ddl::*;

pub(super) fn create_function(
    ctx: &Context<'_>,
    statement: &protobuf::CreateFunctionStmt,
) -> Converted<CreateFunction> {
    let name = name_of(&statement.funcname);
    if statement.is_procedure {
        return Err(refuse(ctx, "procedures", &name.name, Some("a function")));
    }
    let mut function = CreateFunction {
        replace: statement.replace,
        arguments: Vec::new(),
        returns: None,
        language: Ident::new(""),
        body: String::new(),
        volatility: Volatility::Volatile,
        strict: false,
        security_definer: false,
        search_path: None,
        name,
    };
    for parameter in &statement.parameters {
        let Some(NodeEnum::FunctionParameter(parameter)) = &parameter.node else {
            continue;
        };
        function.arguments.push(argument(ctx, &function.name, parameter)?);
    }
    if let Some(returns) = &statement.return_type {
        let returns = ctx.type_name(returns)?;
        if returns.set_of {
            return Err(refuse(
                ctx,
                "functions that return sets",
                &function.name.name,
                Some("a view"),
            ));
        }
        function.returns = Some(returns);
    }
    for element in definitions(&statement.options) {
        function_option(ctx, &mut function, element)?;
    }
    if let Some(body) = statement.sql_body.as_ref().and_then(|body| body.node.as_ref()) {
        function.body = atomic_body(ctx, &function.name, body)?;
        if function.language.is_empty() {
            function.language = Ident::new("sql");
        }
    }
    if function.language.is_empty() {
        return Err(DatabaseError::new("42P13", "no language specified"));
    }
    if function.language != *"sql" {
        let feature = format!("functions in language {}", function.language);
        return Err(refuse(
            ctx,
            &feature,
            &function.name.name,
            Some("a function in LANGUAGE sql"),
        ));
    }
    Ok(function)
}

fn argument(
    ctx: &Context<'_>,
    function: &ObjectName,
    parameter: &protobuf::FunctionParameter,
) -> Converted<ArgumentDefinition> {
    use protobuf::FunctionParameterMode as Mode;
    match Mode::try_from(parameter.mode) {
        Ok(Mode::FuncParamIn | Mode::FuncParamDefault) => {}
        Ok(Mode::FuncParamTable) => {
            return Err(refuse(
                ctx,
                "functions that return tables",
                &function.name,
                Some("a view"),
            ));
        }
        Ok(Mode::FuncParamVariadic) => {
            return Err(refuse(
                ctx,
                "VARIADIC arguments",
                &function.name,
                Some("a jsonb argument"),
            ));
        }
        _ => return Err(refuse(ctx, "OUT arguments", &function.name, Some("one returned value"))),
    }
    let Some(ty) = &parameter.arg_type else {
        return Err(ctx_error("the argument has no type"));
    };
    Ok(ArgumentDefinition {
        name: Ident::new(&parameter.name),
        ty: ctx.type_name(ty)?,
        default: parameter.defexpr.as_deref().map(text::of_expression).transpose()?,
    })
}

fn function_option(ctx: &Context<'_>, function: &mut CreateFunction, element: &DefElem) -> Converted<()> {
    match element.defname.as_str() {
        "language" => function.language = Ident::from(option_text(element).unwrap_or_default().to_lowercase()),
        "as" => {
            let parts: Vec<String> = match element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                Some(NodeEnum::List(list)) => list.items.iter().filter_map(string_of).map(str::to_owned).collect(),
                Some(NodeEnum::String(text)) => vec![text.sval.clone()],
                _ => Vec::new(),
            };
            match <[String; 1]>::try_from(parts) {
                Ok([body]) => function.body = body,
                Err(_) => return Err(refuse(ctx, "functions in C", &function.name.name, None)),
            }
        }
        "volatility" => {
            function.volatility = match option_text(element).as_deref() {
                Some("immutable") => Volatility::Immutable,
                Some("stable") => Volatility::Stable,
                _ => Volatility::Volatile,
            }
        }
        "strict" => function.strict = option_bool(element)?,
        "security" => function.security_definer = option_bool(element)?,
        "set" => {
            let Some(NodeEnum::VariableSetStmt(set)) = element.arg.as_ref().and_then(|arg| arg.node.as_ref()) else {
                return Ok(());
            };
            if set.name != "search_path" {
                let feature = format!("SET {} on a function", set.name);
                return Err(refuse(ctx, &feature, &function.name.name, None));
            }
            let schemas: Vec<Ident> = set.args.iter().filter_map(constant_text).map(Ident::from).collect();
            function.search_path = Some(schemas.into_iter().filter(|schema| !schema.is_empty()).collect());
        }
        // Hints for PostgreSQL's planner; they change no answer.
        "leakproof" | "cost" | "rows" | "parallel" => {}
        "window" => return Err(refuse(ctx, "window functions of one's own", &function.name.name, None)),
        "transform" | "support" => return Err(refuse(ctx, "TRANSFORM and SUPPORT", &function.name.name, None)),
        other => return Err(refuse(ctx, other, &function.name.name, None)),
    }
    Ok(())
}

/// `RETURN expression`, or `BEGIN ATOMIC` with one query.
fn atomic_body(ctx: &Context<'_>, function: &ObjectName, body: &NodeEnum) -> Converted<String> {
    match body {
        NodeEnum::ReturnStmt(statement) => match statement.returnval.as_deref() {
            Some(value) => Ok(format!("SELECT {}", text::of_expression(value)?)),
            None => Err(ctx_error("RETURN without a value")),
        },
        NodeEnum::List(list) => match list.items.as_slice() {
            [Node { node: Some(only) }] => atomic_body(ctx, function, only),
            _ => Err(refuse(
                ctx,
                "functions of several statements",
                &function.name,
                Some("one SELECT"),
            )),
        },
        NodeEnum::SelectStmt(_) => text::of_query(body),
        _ => Err(refuse(ctx, "functions that write", &function.name, Some("one SELECT"))),
    }
}
