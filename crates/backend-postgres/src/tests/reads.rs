use mainstay_core::backend::{Backend, QueryMode};
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::*;

use super::{done, opened, text};
use crate::testing::plans::{embed, equals, field, plan, read, read_plan, relation};
use crate::testing::{run, run_with};

const SHOP: &str = "
create table customers (id int primary key, name text, born date);
create table orders (id int primary key, customer_id int references customers, total numeric(10,2), data jsonb);
create table products (id int primary key, name text);
create table lines (order_id int references orders, product_id int references products, primary key (order_id, product_id));
insert into customers values (1, 'Ada', '1815-12-10'), (2, 'Bob', null), (3, 'Eve', null);
insert into orders values (10, 1, 9.90, '{\"a\": {\"b\": [1, \"x\"]}, \"n\": null}'), (11, 1, 100, null), (12, 2, 0.5, '[]'), (13, null, null, null);
insert into products values (7, 'pen'), (8, 'ink');
insert into lines values (10, 7), (10, 8), (12, 8);
";

/// Every type whose binary form is decoded here, at its edges.
const VALUES: &str = r#"
create type mood as enum ('a b', 'ü"\');
create domain small as int check (value < 10);
create type pair as (a int, b text);
create table v (
  b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, t text, vc varchar(9), bc char(4), nm name,
  u uuid, tz timestamptz, ts timestamp, d date, ti time, iv interval, j json, jb jsonb, by bytea, m mood, sm small,
  ai int[], at text[], am mood[], az timestamptz[], aj jsonb[], p pair, ps pair[], r int4range, ip inet, ch "char", o oid, x xml, mo money, ba bit(3)
);
insert into v values
 (true, -32768, 2147483647, -9223372036854775808, 1.5e-7, 1e308, 'NaN', E'q"\\\n\t\u0001\u007f€', 'é', 'ab', 'n',
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '2024-02-29 23:59:59.123456+02', '0044-03-15 12:00:00 BC', '9999-12-31', '24:00', '1 year -2 days', '{"a" : 1 }', '{"a" : 1e2 }', '\xdeadbeef', 'ü"\', 9,
  '{{1,2},{3,NULL}}', '{"a,b","NULL",NULL,""}', '{"a b"}', '{"2020-01-01 00:00:00.5+00"}', '{"1"}', '(1,"x,y")', '{"(1,)"}', '[1,5)', '10.0.0.1/8', 'c', 4294967295, '<a/>', 12.5, '101'),
 (false, 0, 0, 0, 'NaN', '-Infinity', '-0.000000012300', '', '', '', '', '00000000-0000-0000-0000-000000000000', 'infinity', '-infinity', 'infinity', '00:00:00.000001', '0', 'null', 'null', '', 'a b', null,
  '{}', '{}', null, '{infinity}', '{}', '(,)', '{}', 'empty', null, '', 0, null, null, null),
 (null, 32767, -1, 9223372036854775807, 16777216, 0.1, 'Infinity', '/', null, null, null, null, '1883-11-18 12:03:58-00:00:30', '294276-12-31 23:59:59.999999', '4713-01-01 BC', '23:59:59.9', null, '[]', '"\u20ac"', null, null, 1,
  '[0:1]={7,8}', null, null, null, null, null, null, null, null, null, null, null, null, null),
 (null, null, null, null, 3.4028235e38, 123456789012345680, 123456789012345678901234567890.123456789000, null, null, null, null, null, '0001-01-01 00:00:00+00 BC', null, '10000-01-01', null, null, null, '1.50', null, null, null,
  null, null, null, null, null, null, null, null, null, null, null, null, null, null),
 (null, null, null, null, 1e6, 1e15, 10000, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
  null, null, null, null, null, null, null, null, null, null, null, null, null, null),
 (null, null, null, null, -0.0001, 0.00001, 0.00, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
  null, null, null, null, null, null, null, null, null, null, null, null, null, null);
"#;

#[tokio::test]
async fn values_print_byte_for_byte_as_postgresql_prints_them() {
    let Some((database, backend)) = opened(VALUES).await else {
        return;
    };
    let expected = backend
        .query(None, "select row_to_json(v)::text from v", QueryMode::ReadOnly)
        .await
        .unwrap();
    let expected: Vec<String> = expected.rows.into_iter().map(|row| row[0].clone().unwrap()).collect();
    let plan = read_plan(&backend, read(&backend, "v", &[]));
    let outcome = run(&backend, "anon", &plan, vec![]).await.unwrap();
    assert_eq!(text(&outcome.body), expected.join(","));
    assert_eq!(outcome.rows, 6);

    // The same under another time zone, where PostgreSQL renders what depends on it.
    let zoned = "set local timezone = 'Asia/Kolkata'; select row_to_json(v)::text from v";
    let expected = backend.query(None, zoned, QueryMode::ReadOnly).await.unwrap();
    let expected: Vec<String> = expected.rows.into_iter().map(|row| row[0].clone().unwrap()).collect();
    let mut caller = Caller::of_role("anon");
    caller.request.time_zone = Some("Asia/Kolkata".into());
    let outcome = run_with(&backend, &caller, &plan, Input::default()).await.unwrap();
    assert_eq!(text(&outcome.body), expected.join(","));
    done(database, backend).await;
}

#[tokio::test]
async fn csv_and_stripped_nulls_print_as_postgresql_prints_them() {
    let Some((database, backend)) = opened(VALUES).await else {
        return;
    };
    let stripped = "select json_strip_nulls(row_to_json(v))::text from v";
    let expected = backend.query(None, stripped, QueryMode::ReadOnly).await.unwrap();
    let expected: Vec<String> = expected.rows.into_iter().map(|row| row[0].clone().unwrap()).collect();
    let all = read(&backend, "v", &[]);
    let outcome = run(
        &backend,
        "anon",
        &plan(&backend, Format::JsonStripNulls, Action::Read(all)),
        vec![],
    )
    .await
    .unwrap();
    assert_eq!(text(&outcome.body), expected.join(","));

    let some = read(&backend, "v", &["b", "tz", "t", "p", "ai", "n"]);
    let mut csv = plan(&backend, Format::Csv, Action::Read(some));
    if let Action::Read(read) = &mut csv.action {
        read.limit = Some(0);
    }
    let outcome = run(&backend, "anon", &csv, vec![Value::Integer(2)]).await.unwrap();
    assert_eq!(
        text(&outcome.body),
        "b,tz,t,p,ai,n\nt,2024-02-29 21:59:59.123456+00,\"q\"\"\\\n\t\u{1}\u{7f}€\",\"(1,\"\"x,y\"\")\",\"{{1,2},{3,NULL}}\",NaN\nf,infinity,\"\",\"(,)\",{},-0.000000012300"
    );
    done(database, backend).await;
}

#[tokio::test]
async fn embeds_of_every_kind_come_in_one_statement() {
    let Some((database, backend)) = opened(SHOP).await else {
        return;
    };
    let mut orders = read(&backend, "orders", &["id"]);
    embed(
        &backend,
        &mut orders,
        "customer",
        read(&backend, "customers", &["name", "born"]),
        false,
    );
    let mut products = read(&backend, "products", &["name"]);
    products.order.push(Order {
        target: OrderTarget::Field(field(&relation(&backend, "products"), "name")),
        descending: false,
        nulls_first: None,
    });
    embed(&backend, &mut orders, "products", products, false);
    orders.order.push(Order {
        target: OrderTarget::Related {
            embed: 0,
            field: field(&relation(&backend, "customers"), "name"),
        },
        descending: true,
        nulls_first: Some(false),
    });
    orders.order.push(Order {
        target: OrderTarget::Field(field(&relation(&backend, "orders"), "id")),
        descending: false,
        nulls_first: None,
    });
    let outcome = run(&backend, "anon", &read_plan(&backend, orders.clone()), vec![])
        .await
        .unwrap();
    assert_eq!(
        text(&outcome.body),
        concat!(
            r#"{"id":12,"customer":{"name":"Bob","born":null},"products":[{"name":"ink"}]},"#,
            r#"{"id":10,"customer":{"name":"Ada","born":"1815-12-10"},"products":[{"name":"ink"},{"name":"pen"}]},"#,
            r#"{"id":11,"customer":{"name":"Ada","born":"1815-12-10"},"products":[]},"#,
            r#"{"id":13,"customer":null,"products":[]}"#
        )
    );

    let mut nested = read(&backend, "customers", &["name"]);
    orders.order.clear();
    orders.output.remove(1);
    orders.filter = Some(Predicate::EmbedIsNull(1));
    embed(&backend, &mut nested, "orders", orders, true);
    let outcome = run(&backend, "anon", &read_plan(&backend, nested), vec![])
        .await
        .unwrap();
    assert_eq!(
        text(&outcome.body),
        r#"{"name":"Ada","orders":[{"id":11,"products":[]}]}"#
    );
    done(database, backend).await;
}

#[tokio::test]
async fn spreads_flatten_one_row_and_gather_many() {
    let Some((database, backend)) = opened(SHOP).await else {
        return;
    };
    let mut customers = read(&backend, "customers", &["id"]);
    let mut orders = read(&backend, "orders", &["total"]);
    embed(
        &backend,
        &mut orders,
        "lines",
        read(&backend, "lines", &["product_id"]),
        false,
    );
    embed(&backend, &mut customers, "orders", orders, false);
    customers.output[1] = Output::Spread { embed: 0 };
    let id = relation(&backend, "customers");
    customers.order.push(Order {
        target: OrderTarget::Field(field(&id, "id")),
        descending: false,
        nulls_first: None,
    });
    let outcome = run(&backend, "anon", &read_plan(&backend, customers), vec![])
        .await
        .unwrap();
    assert_eq!(
        text(&outcome.body),
        concat!(
            r#"{"id":1,"total":[9.90,100.00],"lines":[[{"product_id":7},{"product_id":8}],[]]},"#,
            r#"{"id":2,"total":[0.50],"lines":[[{"product_id":8}]]},{"id":3,"total":[],"lines":[]}"#
        )
    );
    let mut orders = read(&backend, "orders", &["id"]);
    embed(
        &backend,
        &mut orders,
        "c",
        read(&backend, "customers", &["name"]),
        false,
    );
    orders.output[1] = Output::Spread { embed: 0 };
    orders.filter = Some(Predicate::In {
        field: field(&relation(&backend, "orders"), "id"),
        values: 0,
    });
    let values = vec![Value::List(vec!["13".into(), "12".into()])];
    let outcome = run(
        &backend,
        "anon",
        &plan(&backend, Format::Csv, Action::Read(orders)),
        values,
    )
    .await
    .unwrap();
    assert_eq!(text(&outcome.body), "id,name\n12,Bob\n13,");
    done(database, backend).await;
}

#[tokio::test]
async fn filters_paths_casts_and_counts() {
    let Some((database, backend)) = opened(SHOP).await else {
        return;
    };
    let orders = relation(&backend, "orders");
    let data = orders.column("data").unwrap().0;
    let mut read = read(&backend, "orders", &["id"]);
    let path = Field {
        base: mainstay_core::plan::Base::Column(data),
        path: vec![JsonStep::Key(0), JsonStep::Key(1), JsonStep::Index(2)],
        as_text: true,
    };
    read.output.push(Output::Column {
        name: "x".into(),
        field: path.clone(),
        cast: None,
    });
    read.output.push(Output::Column {
        name: "t".into(),
        field: field(&orders, "total"),
        cast: Some(Cast {
            name: "int".into(),
            ty: None,
        }),
    });
    read.filter = Some(Predicate::Compare {
        field: path,
        operator: Operator::Like,
        value: 3,
    });
    let values = || {
        vec![
            Value::Text("a".into()),
            Value::Text("b".into()),
            Value::Integer(1),
            Value::Text("x%".into()),
        ]
    };
    let outcome = run(&backend, "anon", &read_plan(&backend, read.clone()), values())
        .await
        .unwrap();
    assert_eq!(text(&outcome.body), r#"{"id":10,"x":"x","t":10}"#);

    let mut counted = super::reads::read(&backend, "orders", &["id"]);
    (counted.limit, counted.offset) = (Some(0), Some(1));
    for (count, total) in [
        (Count::Exact, Some(4)),
        (Count::Estimated, Some(4)),
        (Count::None, None),
    ] {
        counted.count = count;
        let values = vec![Value::Integer(1), Value::Integer(9)];
        let outcome = run(&backend, "anon", &read_plan(&backend, counted.clone()), values)
            .await
            .unwrap();
        assert_eq!((outcome.rows, outcome.total), (0, total), "{count:?}");
    }
    counted.count = Count::Planned;
    let values = vec![Value::Integer(1), Value::Integer(0)];
    let outcome = run(&backend, "anon", &read_plan(&backend, counted), values)
        .await
        .unwrap();
    assert!(outcome.total.is_some_and(|total| total > 0));
    done(database, backend).await;
}

#[tokio::test]
async fn refusals_are_the_databases_own_and_leave_the_connection_usable() {
    let Some((database, backend)) = opened(SHOP).await else {
        return;
    };
    backend
        .query(None, "revoke select on customers from anon", QueryMode::ReadWrite)
        .await
        .unwrap();
    let orders = relation(&backend, "orders");
    let mut by_id = read(&backend, "orders", &["id"]);
    by_id.filter = Some(equals(&orders, "id", 0));
    let by_id = read_plan(&backend, by_id);
    for _ in 0..3 {
        let error = run(&backend, "anon", &by_id, vec![Value::Text("ten".into())])
            .await
            .unwrap_err();
        let BackendError::Refused(error) = error else {
            panic!("{error:?}")
        };
        assert_eq!(error.sqlstate, "22P02");
        assert_eq!(error.message, "invalid input syntax for type integer: \"ten\"");
        let error = run(
            &backend,
            "anon",
            &read_plan(&backend, read(&backend, "customers", &[])),
            vec![],
        )
        .await;
        assert!(matches!(error, Err(BackendError::Refused(error)) if error.sqlstate == "42501"));
        let outcome = run(&backend, "anon", &by_id, vec![Value::Text("10".into())])
            .await
            .unwrap();
        assert_eq!(text(&outcome.body), r#"{"id":10}"#);
    }
    let error = run(&backend, "nobody_knows", &by_id, vec![Value::Integer(10)])
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Refused(error) if error.message.contains("nobody_knows")));
    let old = Plan {
        catalog_version: 1,
        ..by_id
    };
    assert!(matches!(
        run(&backend, "anon", &old, vec![]).await,
        Err(BackendError::StaleCatalog)
    ));
    done(database, backend).await;
}

#[tokio::test]
async fn a_changed_table_makes_the_catalog_stale_and_never_a_wrong_value() {
    let Some((database, backend)) =
        opened("create table t (id int primary key, at timestamptz default 'epoch'); insert into t values (1)").await
    else {
        return;
    };
    let plan = read_plan(&backend, read(&backend, "t", &["at"]));
    let statement = backend.render(&plan).unwrap();
    let caller = Caller::of_role("anon");
    backend.run(&caller, &statement, Input::default()).await.unwrap();
    let other = crate::testing::connect(&database.url).await;
    let alter = "alter table t alter at drop default, alter at type bigint using 7";
    crate::console::simple(&other, alter).await.unwrap();
    let result = backend.run(&caller, &statement, Input::default()).await;
    assert!(matches!(result, Err(BackendError::StaleCatalog)), "{result:?}");
    let outcome = run(
        &backend,
        "anon",
        &read_plan(&backend, read(&backend, "t", &["at"])),
        vec![],
    )
    .await
    .unwrap();
    assert_eq!(text(&outcome.body), r#"{"at":7}"#);
    done(database, backend).await;
}

#[tokio::test]
async fn a_cast_is_resolved_under_each_requests_own_search_path() {
    let schema = "create table t (id int); insert into t values (7); create schema one; create schema two;
        create domain one.shown as text; create domain two.shown as numeric(4,2);
        grant usage on schema one, two to anon";
    let Some((database, backend)) = opened(schema).await else {
        return;
    };
    let mut casted = read(&backend, "t", &[]);
    casted.output = vec![Output::Column {
        name: "x".into(),
        field: Field::column(0),
        cast: Some(Cast {
            name: "shown".into(),
            ty: None,
        }),
    }];
    let statement = backend.render(&read_plan(&backend, casted)).unwrap();
    let mut caller = Caller::of_role("anon");
    for (path, expected) in [
        ("one", r#"{"x":"7"}"#),
        ("two", r#"{"x":7.00}"#),
        ("one", r#"{"x":"7"}"#),
    ] {
        caller.request.search_path = vec![path.into()].into();
        let outcome = backend.run(&caller, &statement, Input::default()).await.unwrap();
        assert_eq!(text(&outcome.body), expected);
    }
    caller.request.search_path = vec!["public".into()].into();
    let error = backend.run(&caller, &statement, Input::default()).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(error) if error.sqlstate == "42704"));
    done(database, backend).await;
}

/// Every relation of PostgREST's fixtures, as PostgreSQL itself prints its rows.
#[tokio::test]
async fn every_relation_of_the_conformance_fixtures_prints_as_postgresql_prints_it() {
    let Some(url) = crate::testing::conformance_url() else {
        return;
    };
    let backend = crate::PostgresBackend::open(crate::Options::new(url)).await.unwrap();
    let catalog = backend.catalog();
    let mut caller = Caller::of_role("postgres");
    caller.request.search_path = ["test", "public"].map(mainstay_core::name::Ident::new).to_vec().into();
    let (mut compared, mut rows) = (0, 0);
    let mut names: Vec<_> = catalog.relations.keys().collect();
    names.sort();
    for name in names {
        let relation = &catalog.relations[name];
        let mut read = Read {
            source: Source {
                relation: relation.clone(),
                access: mainstay_core::policy::Access::system(),
            },
            output: Vec::new(),
            embeds: Vec::new(),
            filter: None,
            order: Vec::new(),
            limit: None,
            offset: None,
            count: Count::None,
            grouping: None,
            paging: None,
        };
        let columns = relation.columns.iter().enumerate();
        read.output = columns
            .map(|(index, column)| Output::Column {
                name: column.name.clone(),
                field: Field::column(index),
                cast: None,
            })
            .collect();
        let quoted = format!(
            "{}.{}",
            crate::render::sql::quoted(&name.schema),
            crate::render::sql::quoted(&name.name)
        );
        let sql = format!("select row_to_json(x)::text from {quoted} x");
        let expected = backend.query(Some(&caller), &sql, QueryMode::ReadOnly).await;
        let found = run_with(&backend, &caller, &read_plan(&backend, read), Input::default()).await;
        match (expected, found) {
            (Ok(expected), Ok(found)) => {
                let lines: Vec<String> = expected.rows.into_iter().filter_map(|mut row| row.remove(0)).collect();
                assert_eq!(text(&found.body), lines.join(","), "{name}");
                compared += 1;
                rows += lines.len();
            }
            (Err(BackendError::Refused(expected)), Err(BackendError::Refused(found))) => {
                assert_eq!(expected.sqlstate, found.sqlstate, "{name}");
            }
            (expected, found) => panic!("{name}: {:?} but {:?}", expected.map(|_| ()), found.map(|_| ())),
        }
    }
    eprintln!("{compared} relations, {rows} rows");
    assert!(compared > 200);
}
