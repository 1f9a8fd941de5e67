//! `CREATE FUNCTION` and `ALTER FUNCTION`.

use mainstay_core::catalog::Volatility;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, DefElem};

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
        one_row: false,
        security_definer: false,
        search_path: None,
        name,
    };
    for parameter in &statement.parameters {
        let Some(NodeEnum::FunctionParameter(parameter)) = &parameter.node else {
            continue;
        };
        function.arguments.push(argument(ctx, parameter)?);
    }
    if let Some(returns) = &statement.return_type {
        function.returns = Some(ctx.type_name(returns)?);
    }
    let mut seen: Vec<&str> = Vec::new();
    for element in definitions(&statement.options) {
        let option = element.defname.as_str();
        if option != "set" && seen.contains(&option) {
            return Err(DatabaseError::new("42601", "conflicting or redundant options"));
        }
        seen.push(option);
        function_option(ctx, &mut function, element)?;
    }
    if let Some(body) = statement.sql_body.as_ref().and_then(|body| body.node.as_ref()) {
        if seen.contains(&"as") {
            return Err(DatabaseError::new("42P13", "duplicate function body specified"));
        }
        if !function.language.is_empty() && function.language != *"sql" {
            return Err(DatabaseError::new(
                "42P13",
                "inline SQL function body only valid for language SQL",
            ));
        }
        function.body = atomic_body(body)?;
        function.language = Ident::new("sql");
    } else if function.language.is_empty() {
        return Err(DatabaseError::new("42P13", "no language specified"));
    } else if !seen.contains(&"as") {
        return Err(DatabaseError::new("42P13", "no function body specified"));
    }
    let gives_set = statement.return_type.as_ref().is_some_and(|ty| ty.setof)
        || function
            .arguments
            .iter()
            .any(|argument| argument.mode == ArgumentMode::Table);
    if seen.contains(&"rows") && !gives_set {
        let message = "ROWS is not applicable when function does not return a set";
        return Err(DatabaseError::new("22023", message));
    }
    if !matches!(function.language.as_str(), "sql" | "plpgsql") {
        let feature = format!("functions in language {}", function.language);
        return Err(refuse(
            ctx,
            &feature,
            &function.name.name,
            Some("a function in LANGUAGE sql or plpgsql"),
        ));
    }
    Ok(function)
}

fn argument(ctx: &Context<'_>, parameter: &protobuf::FunctionParameter) -> Converted<ArgumentDefinition> {
    use protobuf::FunctionParameterMode as Mode;
    let mode = match Mode::try_from(parameter.mode) {
        Ok(Mode::FuncParamOut) => ArgumentMode::Out,
        Ok(Mode::FuncParamInout) => ArgumentMode::InOut,
        Ok(Mode::FuncParamVariadic) => ArgumentMode::Variadic,
        Ok(Mode::FuncParamTable) => ArgumentMode::Table,
        _ => ArgumentMode::In,
    };
    let Some(ty) = &parameter.arg_type else {
        return Err(ctx_error("the argument has no type"));
    };
    Ok(ArgumentDefinition {
        name: Ident::new(&parameter.name),
        mode,
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
        "volatility" => function.volatility = volatility(element),
        "strict" => function.strict = option_bool(element)?,
        "security" => function.security_definer = option_bool(element)?,
        "set" => {
            if let Some(search_path) = search_path(ctx, &function.name.name, element)? {
                function.search_path = search_path;
            }
        }
        "rows" => {
            check_hint(element)?;
            function.one_row = is_one(element);
        }
        // Hints for PostgreSQL's planner; they change no answer.
        "leakproof" | "cost" | "parallel" => check_hint(element)?,
        "window" => return Err(refuse(ctx, "window functions of one's own", &function.name.name, None)),
        "transform" | "support" => return Err(refuse(ctx, "TRANSFORM and SUPPORT", &function.name.name, None)),
        other => return Err(refuse(ctx, other, &function.name.name, None)),
    }
    Ok(())
}

/// True for `ROWS 1`.
fn is_one(element: &DefElem) -> bool {
    match element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::Integer(number)) => number.ival == 1,
        Some(NodeEnum::Float(number)) => number.fval.parse() == Ok(1.0),
        _ => false,
    }
}

/// Hints for PostgreSQL's planner: they change no answer. Errors: 22023, 42601 for what it would not take.
fn check_hint(element: &DefElem) -> Converted<()> {
    let text = option_text(element).unwrap_or_default();
    let is_positive = text.parse::<f64>().is_ok_and(|number| number > 0.0);
    match element.defname.as_str() {
        name @ ("cost" | "rows") if !is_positive => {
            let message = format!("{} must be positive", name.to_uppercase());
            Err(DatabaseError::new("22023", message))
        }
        "parallel" if !matches!(text.as_str(), "safe" | "restricted" | "unsafe") => Err(DatabaseError::new(
            "42601",
            "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE",
        )),
        _ => Ok(()),
    }
}

fn volatility(element: &DefElem) -> Volatility {
    match option_text(element).as_deref() {
        Some("immutable") => Volatility::Immutable,
        Some("stable") => Volatility::Stable,
        _ => Volatility::Volatile,
    }
}

/// Settings that change no answer: a function may carry them.
const HARMLESS_SETTINGS: &[&str] = &[
    "client_min_messages",
    "enable_seqscan",
    "lock_timeout",
    "maintenance_work_mem",
    "statement_timeout",
    "work_mem",
];

/// `SET search_path` of a function: `Some(None)` takes it back, `None` is a setting without effect on answers.
fn search_path(ctx: &Context<'_>, function: &str, element: &DefElem) -> Converted<Option<Option<Vec<Ident>>>> {
    use protobuf::VariableSetKind as Kind;
    let Some(NodeEnum::VariableSetStmt(set)) = element.arg.as_ref().and_then(|arg| arg.node.as_ref()) else {
        return Ok(None);
    };
    if HARMLESS_SETTINGS.contains(&set.name.as_str()) {
        return Ok(None);
    }
    match (set.kind(), set.name.as_str()) {
        (Kind::VarResetAll, _) | (Kind::VarReset | Kind::VarSetDefault, "search_path") => Ok(Some(None)),
        (Kind::VarSetValue, "search_path") => {
            let named = |name: &String| !matches!(name.as_str(), "" | "pg_catalog" | "pg_temp" | "$user");
            let schemas = set.args.iter().filter_map(constant_text).filter(named).map(Ident::from);
            Ok(Some(Some(schemas.collect())))
        }
        (_, name) => Err(refuse(ctx, &format!("SET {name} on a function"), function, None)),
    }
}

/// `RETURN expression`, or the statements of `BEGIN ATOMIC … END`.
fn atomic_body(body: &NodeEnum) -> Converted<String> {
    match body {
        NodeEnum::ReturnStmt(statement) => match statement.returnval.as_deref() {
            Some(value) => Ok(format!("SELECT {}", text::of_expression(value)?)),
            None => Err(ctx_error("RETURN without a value")),
        },
        NodeEnum::List(list) => {
            let statements: Vec<String> = list
                .items
                .iter()
                .filter_map(|item| item.node.as_ref())
                .map(atomic_body)
                .collect::<Converted<_>>()?;
            Ok(statements.join(";\n"))
        }
        statement => text::of_query(statement),
    }
}

pub(super) fn alter_function(ctx: &Context<'_>, statement: &protobuf::AlterFunctionStmt) -> Converted<AlterFunction> {
    let Some(function) = &statement.func else {
        return Err(ctx_error("the function has no name"));
    };
    let function = function_name(ctx, function)?;
    let name: &ObjectName = &function.name;
    let (mut changed, mut strict, mut one_row, mut definer, mut path) = (None, None, None, None, None);
    let once: Vec<protobuf::Node> = statement
        .actions
        .iter()
        .filter(|node| !matches!(&node.node, Some(NodeEnum::DefElem(element)) if element.defname == "set"))
        .cloned()
        .collect();
    each_once(&once)?;
    for element in definitions(&statement.actions) {
        match element.defname.as_str() {
            "volatility" => changed = Some(volatility(element)),
            "strict" => strict = Some(option_bool(element)?),
            "security" => definer = Some(option_bool(element)?),
            "set" => path = search_path(ctx, &name.name, element)?.or(path),
            "leakproof" | "cost" | "parallel" => check_hint(element)?,
            "rows" => {
                check_hint(element)?;
                one_row = Some(is_one(element));
            }
            other => return Err(refuse(ctx, other, &name.name, None)),
        }
    }
    Ok(AlterFunction {
        function,
        is_procedure: match statement.objtype() {
            protobuf::ObjectType::ObjectProcedure => Some(true),
            protobuf::ObjectType::ObjectFunction => Some(false),
            _ => None,
        },
        volatility: changed,
        strict,
        one_row,
        security_definer: definer,
        search_path: path,
    })
}
