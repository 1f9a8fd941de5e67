//! Trees: provenance, desugaring, routine bodies, policies' and other lone expressions.

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation, Volatility};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::{analyse, catalog};
use crate::analyse::{self, Analyser, Clause};
use crate::session::Session;
use crate::typed::{
    CastContext, ContextValue, Expr, ExprKind, FromItem, InsertSource, Literal, Query, SetExpression, Statement,
    TableFunction,
};
use crate::walk;

fn query(catalog: &Catalog, session: &Session, text: &str) -> Query {
    match analyse(catalog, session, text) {
        Ok(Statement::Query(query)) => *query,
        other => panic!("{text}: {other:?}"),
    }
}

/// The one output expression of `select text from t`.
fn expr(text: &str) -> Expr {
    let (catalog, session) = catalog();
    match query(&catalog, &session, &format!("select {text} from t")).body {
        SetExpression::Select(mut select) => select.target.remove(0).expr,
        other => panic!("{other:?}"),
    }
}

fn relation(catalog: &Catalog, name: &str) -> Arc<Relation> {
    catalog.relation(&QualifiedName::new("public", name)).unwrap().clone()
}

/// The sources of a query's columns as `table.column`, `-` for none.
fn sources(text: &str) -> Vec<String> {
    let (catalog, session) = catalog();
    let columns = query(&catalog, &session, text).columns;
    let shown = |source: &mainstay_core::catalog::ColumnSource| format!("{}.{}", source.relation.name, source.column);
    columns
        .iter()
        .map(|column| column.source.as_ref().map_or("-".to_owned(), shown))
        .collect()
}

#[test]
fn columns_keep_their_base_column() {
    assert_eq!(sources("select id, txt as x, id + 1 from t"), ["t.id", "t.txt", "-"]);
    assert_eq!(sources("select q.y from (select id as y from t) q"), ["t.id"]);
    assert_eq!(sources("with c as (select txt from t) select * from c"), ["t.txt"]);
    assert_eq!(sources("select id from t union select id from o"), ["-"]);
    assert_eq!(
        sources("select * from two a join two b using (a)"),
        ["two.a", "two.b", "two.c", "two.b", "two.c"]
    );
    assert_eq!(sources("select a from two x full join two y using (a)"), ["-"]);
    assert_eq!(sources("select txt::text, v::text from t"), ["t.txt", "-"]);
    assert_eq!(sources("select (select txt) from t"), ["-"]);
}

#[test]
fn a_views_column_is_its_base_tables_column() {
    assert_eq!(sources("select * from vw"), ["t.id", "t.txt", "-"]);
    assert_eq!(sources("select label, \"Key\" from vv"), ["t.txt", "t.id"]);
}

#[test]
fn a_views_query_has_the_views_names() {
    let (catalog, session) = catalog();
    let query = Analyser::new(&catalog, &session)
        .view(&relation(&catalog, "vv"))
        .unwrap();
    let names: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["label", "Key"]);
}

#[test]
fn literals_take_their_neighbours_type() {
    let ExprKind::Operator { operator, arguments } = expr("id = '7'").kind else {
        panic!()
    };
    assert_eq!(operator.name, "=");
    assert!(matches!(arguments[1].kind, ExprKind::Literal(Literal::Integer(7))));
    assert_eq!(arguments[1].ty, Type::Int4);
    let ExprKind::Operator { arguments, .. } = expr("n > 5").kind else {
        panic!()
    };
    assert!(matches!(&arguments[1].kind, ExprKind::Literal(Literal::Numeric(digits)) if digits == "5"));
    let ExprKind::Operator { arguments, .. } = expr("u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'").kind else {
        panic!()
    };
    let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert!(matches!(&arguments[1].kind, ExprKind::Literal(Literal::Text(text)) if &**text == canonical));
}

#[test]
fn implicit_casts_are_spelled_out() {
    let ExprKind::Operator { arguments, .. } = expr("id * n").kind else {
        panic!()
    };
    assert!(matches!(
        arguments[0].kind,
        ExprKind::Cast {
            context: CastContext::Implicit,
            ..
        }
    ));
    assert_eq!(arguments[0].ty, Type::Numeric);
    let cast = expr("txt::varchar(3)");
    assert_eq!(cast.modifier, TypeModifier::Length(3));
    assert!(matches!(
        cast.kind,
        ExprKind::Cast {
            context: CastContext::Explicit,
            ..
        }
    ));
}

#[test]
fn ranges_rows_and_simple_case_are_desugared() {
    assert!(matches!(expr("id between 1 and 2").kind, ExprKind::And(parts) if parts.len() == 2));
    assert!(matches!(expr("(id, s) = (1, 2)").kind, ExprKind::And(parts) if parts.len() == 2));
    assert!(matches!(expr("id = any(array[1, 2])").kind, ExprKind::InList { list, .. } if list.len() == 2));
    assert!(matches!(expr("txt = any('{a,b}')").kind, ExprKind::InList { list, .. } if list.len() == 2));
    assert!(matches!(
        expr("id <> all(array[1, 2])").kind,
        ExprKind::InList { negated: true, .. }
    ));
    assert!(matches!(
        expr("id not in (select id from o)").kind,
        ExprKind::QuantifiedSubquery { negated: true, .. }
    ));
    let ExprKind::Case { whens, .. } = expr("case id when 1 then 'a' else 'b' end").kind else {
        panic!()
    };
    assert!(matches!(whens[0].0.kind, ExprKind::Operator { .. }));
}

#[test]
fn request_values_are_not_functions() {
    assert!(matches!(expr("auth.uid()").kind, ExprKind::Context(ContextValue::Uid)));
    assert_eq!(expr("auth.jwt()").ty, Type::Jsonb);
    assert!(matches!(expr("now()").kind, ExprKind::Context(ContextValue::Now)));
    let ExprKind::Context(ContextValue::Setting { name, missing_ok }) =
        expr("current_setting('request.jwt.claims', true)").kind
    else {
        panic!()
    };
    assert_eq!((&*name, missing_ok), ("request.jwt.claims", true));
    assert!(matches!(
        expr("current_setting('request.jwt.claims', true)::json ->> 'sub'").ty,
        Type::Text
    ));
}

#[test]
fn a_routine_becomes_its_body_with_the_arguments_in_place() {
    let (catalog, session) = catalog();
    let ExprKind::Routine(call) = expr("smoke_total(5)").kind else {
        panic!()
    };
    let mut seven = false;
    walk::query(&call.body, &mut |inner| {
        seven |= matches!(inner.kind, ExprKind::Literal(Literal::Integer(5)));
        true
    });
    assert!(seven);
    assert_eq!(call.body.columns[0].ty, Type::Numeric);
    // Strict: null in, null out.
    assert!(matches!(expr("add_one(id)").kind, ExprKind::Case { .. }));
    // By itself, for RPC, its arguments are parameters.
    let routine = &catalog.routines[&QualifiedName::new("public", "smoke_total")][0];
    let statements = Analyser::new(&catalog, &session).routine_statements(routine).unwrap();
    let [Statement::Query(body)] = statements.as_slice() else {
        panic!()
    };
    let mut types = Vec::new();
    walk::query(body, &mut |inner| {
        if let ExprKind::Parameter(number) = inner.kind {
            types.push((number, inner.ty.clone()));
        }
        true
    });
    assert_eq!(types, [(0, Type::Int4)]);
}

#[test]
fn a_column_wins_over_a_parameter() {
    // In `id(id)` both sides of `t.id = id` are the column.
    let ExprKind::Routine(call) = expr("id(5)").kind else {
        panic!()
    };
    let mut constants = 0;
    walk::query(&call.body, &mut |inner| {
        constants += usize::from(matches!(inner.kind, ExprKind::Literal(_)));
        true
    });
    assert_eq!(constants, 0);
}

#[test]
fn parameters_learn_their_type() {
    let (catalog, session) = catalog();
    let statement = &crate::parse::parse("select * from t where id = $1 and txt = $2 limit $3").unwrap()[0];
    let mut analyser = Analyser::new(&catalog, &session);
    analyser.statement(&statement.ast).unwrap();
    assert_eq!(analyser.parameters(), [Type::Int4, Type::Text, Type::Int8]);
    let column = analyse::column(crate::typed::RteId(0), 0, &Type::Uuid, TypeModifier::None);
    let filter = analyse::operator(&catalog, "=", column, analyse::parameter(0)).unwrap();
    let ExprKind::Operator { arguments, .. } = filter.kind else {
        panic!()
    };
    assert_eq!(
        (&arguments[1].ty, matches!(arguments[1].kind, ExprKind::Parameter(0))),
        (&Type::Uuid, true)
    );
}

#[test]
fn values_are_cast_for_their_column() {
    let (catalog, session) = catalog();
    let text = "insert into t (id, n, v, m) values (1.6, 2, 'abc', 'sad'), (default, null, txt('x'), 'ok')";
    let text = text.replace("txt('x')", "upper('x')");
    let Ok(Statement::Insert(insert)) = analyse(&catalog, &session, &text) else {
        panic!()
    };
    let InsertSource::Values(rows) = insert.source else {
        panic!()
    };
    let types: Vec<String> = rows[0].iter().map(|value| value.ty.display(value.modifier)).collect();
    assert_eq!(types, ["integer", "numeric(10,2)", "character varying(10)", "mood"]);
    assert!(matches!(rows[1][0].kind, ExprKind::Default));
    assert!(matches!(
        rows[0][2].kind,
        ExprKind::Cast {
            context: CastContext::Assignment,
            ..
        }
    ));
}

#[test]
fn policies_are_conditions_over_their_relation() {
    let (catalog, session) = catalog();
    let o = relation(&catalog, "o");
    let mut analyser = Analyser::new(&catalog, &session)
        .for_clause(Clause::Policy, None)
        .starting_at(7);
    let text = "exists (select 1 from t where t.id = o.t_id and t.u = (select auth.uid()))";
    let bound = analyser
        .expression(text, Some(&o), Some((&Type::Bool, TypeModifier::None)))
        .unwrap();
    assert_eq!(bound.rte.unwrap().0, 7);
    assert_eq!(analyser.next_rte(), 9);
    let error = |text: &str, clause: Clause| {
        let column = Ident::new("qty");
        let mut analyser = Analyser::new(&catalog, &session).for_clause(clause, Some(&column));
        let ty = if clause == Clause::Default {
            Type::Int4
        } else {
            Type::Bool
        };
        let over = Some(&o).filter(|_| clause != Clause::Default);
        analyser
            .expression(text, over, Some((&ty, TypeModifier::None)))
            .unwrap_err()
            .message
    };
    assert_eq!(
        error("qty", Clause::Policy),
        "argument of POLICY must be type boolean, not type integer"
    );
    assert_eq!(
        error("count(*) > 1", Clause::Policy),
        "aggregate functions are not allowed in policy expressions"
    );
    assert_eq!(
        error("exists (select 1)", Clause::Check),
        "cannot use subquery in check constraint"
    );
    assert_eq!(
        error("now()", Clause::Default),
        "column \"qty\" is of type integer but default expression is of type timestamp with time zone"
    );
    assert_eq!(
        error("qty", Clause::Default),
        "cannot use column reference in DEFAULT expression"
    );
    assert_eq!(
        error("now() > '2024-01-01'", Clause::IndexPredicate),
        "functions in index predicate must be marked IMMUTABLE"
    );
}

#[test]
fn volatility_is_that_of_the_worst_part() {
    assert_eq!(analyse::volatility(&expr("upper(txt) || 'x'")), Volatility::Immutable);
    assert_eq!(
        analyse::volatility(&expr("now() - interval '1 day'")),
        Volatility::Stable
    );
    assert_eq!(
        analyse::volatility(&expr("coalesce(u, gen_random_uuid())")),
        Volatility::Volatile
    );
}

#[test]
fn functions_in_from_have_columns() {
    let (catalog, session) = catalog();
    let found = query(
        &catalog,
        &session,
        "select e.key, g from jsonb_each('{}') e, generate_series(1, 3) g",
    );
    let SetExpression::Select(select) = found.body else {
        panic!()
    };
    assert!(
        matches!(&select.from[0], FromItem::Function { call: TableFunction::Set { function, .. }, columns, .. }
        if function.name == "jsonb_each" && columns.len() == 2)
    );
    assert_eq!(found.columns[1].ty, Type::Int4);
}

#[test]
fn recursion_is_marked() {
    let (catalog, session) = catalog();
    let text = "with recursive c (n) as (select 1 union all select n + 1 from c where n < 5), d as (select 2) \
                select * from c, d";
    let found = query(&catalog, &session, text);
    assert_eq!(
        (found.ctes[0].recursive, found.ctes[1].recursive, found.recursive),
        (true, false, true)
    );
}

/// A file beside the repository; `None`, with one line to say so, where it is not.
fn shared(path: &str) -> Option<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    let text = std::fs::read_to_string(root).ok();
    if text.is_none() {
        assert!(std::env::var("CI").is_err(), "../shared/{path} is missing");
        println!("skipped: ../shared/{path} is not here");
    }
    text
}

#[test]
fn the_portable_fixtures_rows_and_views_are_analysed() {
    let (mut catalog, mut session) = catalog();
    for part in ["portable-roles.sql", "portable.sql", "portable-grants.sql"] {
        let Some(text) = shared(&format!("conformance/postgrest/fixtures/{part}")) else {
            return;
        };
        for statement in crate::parse::parse(&text).unwrap() {
            let result = match &statement.ast {
                crate::ast::Statement::Ddl(_) | crate::ast::Statement::Set(_) => {
                    crate::ddl::apply(&mut catalog, &mut session, &statement).map(drop)
                }
                crate::ast::Statement::Transaction(_) | crate::ast::Statement::Unsupported(_) => Ok(()),
                _ => Analyser::new(&catalog, &session).statement(&statement.ast).map(drop),
            };
            assert!(result.is_ok(), "{part} line {}: {result:?}", statement.line);
        }
    }
    let mut views = 0;
    for relation in catalog.relations.values().filter(|relation| relation.view.is_some()) {
        let query = Analyser::new(&catalog, &session).view(relation);
        assert!(query.is_ok(), "{}: {query:?}", relation.name);
        views += 1;
    }
    assert!(views > 10, "{views}");
}

#[test]
fn the_deepest_trees_fit_a_small_stack() {
    const STACK_BYTES: usize = 2 << 20;
    let (catalog, session) = catalog();
    let nested =
        |open: &str, close: &str, times: usize| format!("select {}1{} from t", open.repeat(times), close.repeat(times));
    let texts = [
        nested("1 + (", ")", 180),
        nested("upper(concat(", "))", 90),
        nested("case when true then ", " end", 180),
        nested("(select ", ")", 20),
        nested("(select 1 where 1 in (select ", "))", 10),
        format!("select txt{} from t", " || txt".repeat(180)),
        format!("select 1{}", " union all select 1".repeat(180)),
    ];
    let walk = move || {
        for text in &texts {
            let result = analyse(&catalog, &session, text);
            assert!(result.is_ok(), "{text}: {result:?}");
        }
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(walk)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn deeper_trees_are_refused() {
    let (catalog, session) = catalog();
    for text in [
        format!("select txt{} from t", " || txt".repeat(5_000)),
        format!("select {}1{}", "(select ".repeat(60), ")".repeat(60)),
        format!("select 1{}", " union select 1".repeat(2_000)),
        format!("select {}1{}", "@ (".repeat(3_000), ")".repeat(3_000)),
    ] {
        let error = analyse(&catalog, &session, &text).unwrap_err();
        assert_eq!(error.sqlstate, "54001", "{error:?}");
    }
}
