//! Expressions.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, AExpr, AExprKind, BoolExprType, BoolTestType, CoercionForm, MinMaxOp, Node, NullTestType, SqlValueFunctionOp,
    SubLinkType,
};

use super::names::{idents, object_name, string};
use super::query::{expressions, sort_items, subquery};
use super::{Context, Converted, items, kind, required};
use crate::ast::{
    Argument, Expr, ExprKind, Frame, FrameBound, FrameExclusion, FrameMode, FunctionCall, LikeKind, ValueFunction,
    Window,
};

/// Reads an optional expression.
pub(super) fn optional(node: &Option<Box<Node>>, ctx: &Context<'_>) -> Converted<Option<Expr>> {
    node.as_deref().map(|node| expression(node, ctx)).transpose()
}

/// Reads an expression that the grammar demands.
fn boxed(node: &Option<Box<Node>>, ctx: &Context<'_>) -> Converted<Box<Expr>> {
    Ok(Box::new(expression(required(node)?, ctx)?))
}

fn optional_box(node: &Option<Box<Node>>, ctx: &Context<'_>) -> Converted<Option<Box<Expr>>> {
    Ok(optional(node, ctx)?.map(Box::new))
}

/// Reads an expression.
pub(crate) fn expression(node: &Node, ctx: &Context<'_>) -> Converted<Expr> {
    ctx.nested(1, -1, || form(node, ctx))
}

fn form(node: &Node, ctx: &Context<'_>) -> Converted<Expr> {
    let (kind, location) = match kind(node)? {
        NodeEnum::AConst(constant) => (literal(constant, ctx)?, constant.location),
        NodeEnum::ColumnRef(column) => (column_reference(column), column.location),
        NodeEnum::ParamRef(parameter) => (ExprKind::Parameter(parameter.number.max(0) as u32), parameter.location),
        NodeEnum::AExpr(expr) => (operator(expr, ctx)?, expr.location),
        NodeEnum::BoolExpr(expr) => (boolean(expr, ctx)?, expr.location),
        NodeEnum::TypeCast(cast) => {
            let Some(ty) = &cast.type_name else {
                return Err(missing("a type"));
            };
            (
                ExprKind::Cast {
                    expr: boxed(&cast.arg, ctx)?,
                    ty: ctx.type_name(ty)?,
                },
                cast.location,
            )
        }
        NodeEnum::FuncCall(call) => (ExprKind::Function(Box::new(function_call(call, ctx)?)), call.location),
        NodeEnum::NullTest(test) => {
            let negated = test.nulltesttype() == NullTestType::IsNotNull;
            (
                ExprKind::IsNull {
                    expr: boxed(&test.arg, ctx)?,
                    negated,
                },
                test.location,
            )
        }
        NodeEnum::BooleanTest(test) => (boolean_test(test, ctx)?, test.location),
        NodeEnum::CaseExpr(case) => (case_expression(case, ctx)?, case.location),
        NodeEnum::CoalesceExpr(expr) => (ExprKind::Coalesce(expressions(&expr.args, ctx)?), expr.location),
        NodeEnum::MinMaxExpr(expr) => {
            let list = expressions(&expr.args, ctx)?;
            let kind = if expr.op() == MinMaxOp::IsLeast {
                ExprKind::Least(list)
            } else {
                ExprKind::Greatest(list)
            };
            (kind, expr.location)
        }
        NodeEnum::SubLink(link) => (sublink(link, ctx)?, link.location),
        NodeEnum::SqlvalueFunction(function) => (value_function(function, ctx)?, function.location),
        NodeEnum::RowExpr(row) => (ExprKind::Row(expressions(&row.args, ctx)?), row.location),
        NodeEnum::AArrayExpr(array) => (ExprKind::Array(expressions(&array.elements, ctx)?), array.location),
        NodeEnum::CollateClause(clause) => {
            let collation = object_name(ctx, &clause.collname, clause.location);
            (
                ExprKind::Collate {
                    expr: boxed(&clause.arg, ctx)?,
                    collation,
                },
                clause.location,
            )
        }
        NodeEnum::AIndirection(indirection) => return indirection_chain(indirection, ctx),
        NodeEnum::SetToDefault(default) => (ExprKind::Default, default.location),
        NodeEnum::GroupingFunc(grouping) => (ExprKind::Grouping(expressions(&grouping.args, ctx)?), grouping.location),
        other => return Err(refused(other, ctx)),
    };
    Ok(Expr {
        kind,
        position: ctx.position(location),
    })
}

fn missing(what: &str) -> DatabaseError {
    DatabaseError::new("XX000", format!("the parser left out {what}"))
}

/// Forms of expressions that the grammar knows and the subset does not.
fn refused(node: &NodeEnum, ctx: &Context<'_>) -> DatabaseError {
    let (feature, location, alternative) = match node {
        NodeEnum::XmlExpr(_) | NodeEnum::XmlSerialize(_) => ("XML functions", -1, Some("jsonb")),
        NodeEnum::CurrentOfExpr(_) => ("WHERE CURRENT OF", -1, None),
        NodeEnum::JsonFuncExpr(expr) => (
            "JSON_EXISTS, JSON_QUERY and JSON_VALUE (newer than PostgreSQL 15)",
            expr.location,
            Some("-> and ->>"),
        ),
        NodeEnum::JsonIsPredicate(expr) => ("IS JSON (newer than PostgreSQL 15)", expr.location, None),
        NodeEnum::JsonParseExpr(expr) => (
            "JSON() (newer than PostgreSQL 15)",
            expr.location,
            Some("a cast to json"),
        ),
        NodeEnum::JsonScalarExpr(expr) => ("JSON_SCALAR (newer than PostgreSQL 15)", expr.location, Some("to_json")),
        NodeEnum::JsonSerializeExpr(expr) => (
            "JSON_SERIALIZE (newer than PostgreSQL 15)",
            expr.location,
            Some("a cast to text"),
        ),
        NodeEnum::JsonObjectConstructor(expr) => (
            "JSON_OBJECT (newer than PostgreSQL 15)",
            expr.location,
            Some("json_build_object"),
        ),
        NodeEnum::JsonArrayConstructor(expr) => (
            "JSON_ARRAY (newer than PostgreSQL 15)",
            expr.location,
            Some("json_build_array"),
        ),
        NodeEnum::JsonArrayQueryConstructor(expr) => {
            ("JSON_ARRAY (newer than PostgreSQL 15)", expr.location, Some("json_agg"))
        }
        NodeEnum::JsonObjectAgg(_) => ("JSON_OBJECTAGG (newer than PostgreSQL 15)", -1, Some("json_object_agg")),
        NodeEnum::JsonArrayAgg(_) => ("JSON_ARRAYAGG (newer than PostgreSQL 15)", -1, Some("json_agg")),
        NodeEnum::MergeSupportFunc(_) => ("merge_action (newer than PostgreSQL 15)", -1, None),
        _ => ("this form of expression", -1, None),
    };
    ctx.refuse(feature, location, alternative)
}

fn literal(constant: &protobuf::AConst, ctx: &Context<'_>) -> Converted<ExprKind> {
    use protobuf::a_const::Val;
    if constant.isnull {
        return Ok(ExprKind::Null);
    }
    Ok(match &constant.val {
        Some(Val::Ival(value)) => {
            refuse_new_numbers(constant.location, ctx)?;
            ExprKind::Integer(value.ival)
        }
        Some(Val::Fval(value)) => {
            refuse_new_numbers(constant.location, ctx)?;
            ExprKind::Number(value.fval.clone())
        }
        Some(Val::Boolval(value)) => ExprKind::Bool(value.boolval),
        Some(Val::Sval(value)) => ExprKind::String(value.sval.clone()),
        Some(Val::Bsval(_)) => return Err(ctx.refuse("bit strings", constant.location, Some("integer or bytea"))),
        None => ExprKind::Null,
    })
}

/// `1_000` and `0xff` are numbers since PostgreSQL 16; 15 reads something else in them.
fn refuse_new_numbers(location: i32, ctx: &Context<'_>) -> Converted<()> {
    let text = ctx.text_from(location);
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let number = &text.as_bytes()[..end];
    let is_new = match number {
        [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..] => true,
        [first, ..] if first.is_ascii_digit() => number.contains(&b'_'),
        _ => false,
    };
    if is_new {
        return Err(ctx.refuse(
            "this form of number (newer than PostgreSQL 15)",
            location,
            Some("decimal digits"),
        ));
    }
    Ok(())
}

fn column_reference(column: &protobuf::ColumnRef) -> ExprKind {
    let names = idents(&column.fields);
    match column.fields.last().and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::AStar(_)) => ExprKind::Star(names),
        _ => ExprKind::Column(names),
    }
}

/// The operator's name and schema.
fn operator_name(nodes: &[Node]) -> (Option<Ident>, String) {
    let mut parts: Vec<&str> = nodes.iter().filter_map(string).collect();
    let name = parts.pop().unwrap_or_default().to_owned();
    (parts.pop().map(Ident::from), name)
}

fn operator(expr: &AExpr, ctx: &Context<'_>) -> Converted<ExprKind> {
    let (schema, name) = operator_name(&expr.name);
    Ok(match expr.kind() {
        AExprKind::AexprOp => ExprKind::Operator {
            schema,
            name,
            left: optional_box(&expr.lexpr, ctx)?,
            right: boxed(&expr.rexpr, ctx)?,
        },
        kind @ (AExprKind::AexprOpAny | AExprKind::AexprOpAll) => ExprKind::QuantifiedArray {
            name,
            all: kind == AExprKind::AexprOpAll,
            left: boxed(&expr.lexpr, ctx)?,
            right: boxed(&expr.rexpr, ctx)?,
        },
        kind @ (AExprKind::AexprDistinct | AExprKind::AexprNotDistinct) => ExprKind::DistinctFrom {
            left: boxed(&expr.lexpr, ctx)?,
            right: boxed(&expr.rexpr, ctx)?,
            negated: kind == AExprKind::AexprNotDistinct,
        },
        AExprKind::AexprNullif => ExprKind::NullIf {
            left: boxed(&expr.lexpr, ctx)?,
            right: boxed(&expr.rexpr, ctx)?,
        },
        AExprKind::AexprIn => ExprKind::InList {
            expr: boxed(&expr.lexpr, ctx)?,
            list: expressions(items(required(&expr.rexpr)?), ctx)?,
            negated: name == "<>",
        },
        AExprKind::AexprLike => like(LikeKind::Like, name.starts_with('!'), expr, ctx)?,
        AExprKind::AexprIlike => like(LikeKind::Ilike, name.starts_with('!'), expr, ctx)?,
        AExprKind::AexprSimilar => like(LikeKind::Similar, name.starts_with('!'), expr, ctx)?,
        kind => {
            let [low, high] = items(required(&expr.rexpr)?) else {
                return Err(missing("a bound"));
            };
            ExprKind::Between {
                expr: boxed(&expr.lexpr, ctx)?,
                low: Box::new(expression(low, ctx)?),
                high: Box::new(expression(high, ctx)?),
                symmetric: matches!(kind, AExprKind::AexprBetweenSym | AExprKind::AexprNotBetweenSym),
                negated: matches!(kind, AExprKind::AexprNotBetween | AExprKind::AexprNotBetweenSym),
            }
        }
    })
}

/// `ESCAPE` comes as a call around the pattern: `like_escape(pattern, escape)`, `similar_to_escape(pattern[, escape])`.
fn like(kind_of: LikeKind, negated: bool, expr: &AExpr, ctx: &Context<'_>) -> Converted<ExprKind> {
    let right = required(&expr.rexpr)?;
    let (pattern, escape) = match kind(right)? {
        NodeEnum::FuncCall(call)
            if matches!(
                idents(&call.funcname).iter().map(Ident::as_str).collect::<Vec<_>>()[..],
                ["pg_catalog", "like_escape" | "similar_to_escape"]
            ) && call.funcformat() != CoercionForm::CoerceSqlSyntax =>
        {
            let mut arguments = expressions(&call.args, ctx)?.into_iter();
            let Some(pattern) = arguments.next() else {
                return Err(missing("a pattern"));
            };
            (pattern, arguments.next())
        }
        _ => (expression(right, ctx)?, None),
    };
    Ok(ExprKind::Like {
        kind: kind_of,
        expr: boxed(&expr.lexpr, ctx)?,
        pattern: Box::new(pattern),
        escape: escape.map(Box::new),
        negated,
    })
}

fn boolean(expr: &protobuf::BoolExpr, ctx: &Context<'_>) -> Converted<ExprKind> {
    let mut arguments = expressions(&expr.args, ctx)?;
    Ok(match expr.boolop() {
        BoolExprType::AndExpr => ExprKind::And(arguments),
        BoolExprType::OrExpr => ExprKind::Or(arguments),
        _ => match arguments.pop() {
            Some(argument) => ExprKind::Not(Box::new(argument)),
            None => return Err(missing("an operand")),
        },
    })
}

fn boolean_test(test: &protobuf::BooleanTest, ctx: &Context<'_>) -> Converted<ExprKind> {
    let (value, negated) = match test.booltesttype() {
        BoolTestType::IsTrue => (Some(true), false),
        BoolTestType::IsNotTrue => (Some(true), true),
        BoolTestType::IsFalse => (Some(false), false),
        BoolTestType::IsNotFalse => (Some(false), true),
        BoolTestType::IsNotUnknown => (None, true),
        _ => (None, false),
    };
    Ok(ExprKind::BooleanTest {
        expr: boxed(&test.arg, ctx)?,
        value,
        negated,
    })
}

fn case_expression(case: &protobuf::CaseExpr, ctx: &Context<'_>) -> Converted<ExprKind> {
    let mut whens = Vec::with_capacity(case.args.len());
    for node in &case.args {
        if let NodeEnum::CaseWhen(when) = kind(node)? {
            whens.push((
                expression(required(&when.expr)?, ctx)?,
                expression(required(&when.result)?, ctx)?,
            ));
        }
    }
    Ok(ExprKind::Case {
        operand: optional_box(&case.arg, ctx)?,
        whens,
        otherwise: optional_box(&case.defresult, ctx)?,
    })
}

fn sublink(link: &protobuf::SubLink, ctx: &Context<'_>) -> Converted<ExprKind> {
    let query = Box::new(subquery(required(&link.subselect)?, ctx)?);
    Ok(match link.sub_link_type() {
        SubLinkType::ExistsSublink => ExprKind::Exists(query),
        SubLinkType::ArraySublink => ExprKind::ArraySubquery(query),
        kind @ (SubLinkType::AnySublink | SubLinkType::AllSublink) => {
            let (_, name) = operator_name(&link.oper_name);
            ExprKind::QuantifiedSubquery {
                name: if name.is_empty() { "=".to_owned() } else { name },
                all: kind == SubLinkType::AllSublink,
                left: boxed(&link.testexpr, ctx)?,
                query,
            }
        }
        _ => ExprKind::ScalarSubquery(query),
    })
}

fn value_function(function: &protobuf::SqlValueFunction, ctx: &Context<'_>) -> Converted<ExprKind> {
    use SqlValueFunctionOp as Op;
    let (value, has_precision) = match function.op() {
        Op::SvfopCurrentDate => (ValueFunction::CurrentDate, false),
        Op::SvfopCurrentTime => (ValueFunction::CurrentTime, false),
        Op::SvfopCurrentTimeN => (ValueFunction::CurrentTime, true),
        Op::SvfopCurrentTimestamp => (ValueFunction::CurrentTimestamp, false),
        Op::SvfopCurrentTimestampN => (ValueFunction::CurrentTimestamp, true),
        Op::SvfopLocaltime => (ValueFunction::LocalTime, false),
        Op::SvfopLocaltimeN => (ValueFunction::LocalTime, true),
        Op::SvfopLocaltimestamp => (ValueFunction::LocalTimestamp, false),
        Op::SvfopLocaltimestampN => (ValueFunction::LocalTimestamp, true),
        Op::SvfopCurrentRole => (ValueFunction::CurrentRole, false),
        Op::SvfopCurrentUser | Op::SvfopUser => (ValueFunction::CurrentUser, false),
        Op::SvfopSessionUser => (ValueFunction::SessionUser, false),
        Op::SvfopCurrentCatalog => (ValueFunction::CurrentCatalog, false),
        Op::SvfopCurrentSchema => (ValueFunction::CurrentSchema, false),
        Op::SqlvalueFunctionOpUndefined => return Err(ctx.refuse("this value function", function.location, None)),
    };
    let precision = has_precision.then_some(function.typmod.max(0) as u32);
    Ok(ExprKind::Value {
        function: value,
        precision,
    })
}

fn indirection_chain(indirection: &protobuf::AIndirection, ctx: &Context<'_>) -> Converted<Expr> {
    let mut expr = expression(required(&indirection.arg)?, ctx)?;
    for node in &indirection.indirection {
        let position = expr.position;
        let inner = Box::new(expr);
        let kind = match kind(node)? {
            NodeEnum::String(field) => ExprKind::Field {
                expr: inner,
                field: Some(Ident::new(&field.sval)),
            },
            NodeEnum::AStar(_) => ExprKind::Field {
                expr: inner,
                field: None,
            },
            NodeEnum::AIndices(indices) => ExprKind::Subscript {
                expr: inner,
                lower: optional_box(&indices.lidx, ctx)?,
                upper: optional_box(&indices.uidx, ctx)?,
                slice: indices.is_slice,
            },
            other => return Err(refused(other, ctx)),
        };
        expr = Expr { kind, position };
    }
    Ok(expr)
}

/// Reads a function call.
pub(super) fn function_call(call: &protobuf::FuncCall, ctx: &Context<'_>) -> Converted<FunctionCall> {
    let mut arguments = Vec::with_capacity(call.args.len());
    for node in &call.args {
        arguments.push(match kind(node)? {
            NodeEnum::NamedArgExpr(named) => Argument {
                name: Some(Ident::new(&named.name)),
                value: expression(required(&named.arg)?, ctx)?,
            },
            _ => Argument {
                name: None,
                value: expression(node, ctx)?,
            },
        });
    }
    Ok(FunctionCall {
        name: object_name(ctx, &call.funcname, call.location),
        arguments,
        star: call.agg_star,
        distinct: call.agg_distinct,
        variadic: call.func_variadic,
        order: sort_items(&call.agg_order, ctx)?,
        within_group: call.agg_within_group,
        filter: optional(&call.agg_filter, ctx)?,
        over: call.over.as_deref().map(|over| window(over, ctx)).transpose()?,
        sql_syntax: call.funcformat() == CoercionForm::CoerceSqlSyntax,
    })
}

// Bits of `WindowDef.frame_options` (PostgreSQL, parsenodes.h).
const FRAME_NONDEFAULT: i32 = 0x1;
const FRAME_ROWS: i32 = 0x4;
const FRAME_GROUPS: i32 = 0x8;
const FRAME_START_UNBOUNDED_PRECEDING: i32 = 0x20;
const FRAME_END_UNBOUNDED_FOLLOWING: i32 = 0x100;
const FRAME_START_CURRENT_ROW: i32 = 0x200;
const FRAME_END_CURRENT_ROW: i32 = 0x400;
const FRAME_START_OFFSET_PRECEDING: i32 = 0x800;
const FRAME_END_OFFSET_PRECEDING: i32 = 0x1000;
const FRAME_EXCLUDE_CURRENT_ROW: i32 = 0x8000;
const FRAME_EXCLUDE_GROUP: i32 = 0x10000;
const FRAME_EXCLUDE_TIES: i32 = 0x20000;

/// Reads a window.
pub(super) fn window(definition: &protobuf::WindowDef, ctx: &Context<'_>) -> Converted<Window> {
    let name = |text: &str| (!text.is_empty()).then(|| Ident::new(text));
    Ok(Window {
        name: name(&definition.name),
        base: name(&definition.refname),
        partition: expressions(&definition.partition_clause, ctx)?,
        order: sort_items(&definition.order_clause, ctx)?,
        frame: frame(definition, ctx)?,
        position: ctx.position(definition.location),
    })
}

fn frame(definition: &protobuf::WindowDef, ctx: &Context<'_>) -> Converted<Option<Frame>> {
    let options = definition.frame_options;
    let has = |bit: i32| options & bit != 0;
    if !has(FRAME_NONDEFAULT) {
        return Ok(None);
    }
    let start = if has(FRAME_START_UNBOUNDED_PRECEDING) {
        FrameBound::UnboundedPreceding
    } else if has(FRAME_START_CURRENT_ROW) {
        FrameBound::CurrentRow
    } else if has(FRAME_START_OFFSET_PRECEDING) {
        FrameBound::Preceding(boxed(&definition.start_offset, ctx)?)
    } else {
        FrameBound::Following(boxed(&definition.start_offset, ctx)?)
    };
    let end = if has(FRAME_END_UNBOUNDED_FOLLOWING) {
        FrameBound::UnboundedFollowing
    } else if has(FRAME_END_CURRENT_ROW) {
        FrameBound::CurrentRow
    } else if has(FRAME_END_OFFSET_PRECEDING) {
        FrameBound::Preceding(boxed(&definition.end_offset, ctx)?)
    } else {
        FrameBound::Following(boxed(&definition.end_offset, ctx)?)
    };
    let exclusion = if has(FRAME_EXCLUDE_CURRENT_ROW) {
        FrameExclusion::CurrentRow
    } else if has(FRAME_EXCLUDE_GROUP) {
        FrameExclusion::Group
    } else if has(FRAME_EXCLUDE_TIES) {
        FrameExclusion::Ties
    } else {
        FrameExclusion::None
    };
    let mode = if has(FRAME_ROWS) {
        FrameMode::Rows
    } else if has(FRAME_GROUPS) {
        FrameMode::Groups
    } else {
        FrameMode::Range
    };
    Ok(Some(Frame {
        mode,
        start,
        end,
        exclusion,
    }))
}
