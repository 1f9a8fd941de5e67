//! Reads end to end: plan → statements → bytes.

use mainstay_backend_sqlite::SqliteBackend;
use mainstay_core::backend::{Backend, QueryMode};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::Catalog;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{
    Count, Field, Format, IsValue, JsonStep, Operator, Options, Order, OrderTarget, Output, Predicate, Quantifier,
};

use crate::plans::{Reading, Values, backend, body, run, run_as};

const FIXTURE: &str = "
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL, born date);
CREATE TABLE projects (
    id int PRIMARY KEY, name text NOT NULL, client_id int REFERENCES clients (id), price numeric(10,2), open boolean,
    mood mood, extra jsonb
);
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, boss int REFERENCES users (id));
CREATE TABLE members (
    project int NOT NULL REFERENCES projects (id), member int NOT NULL REFERENCES users (id),
    PRIMARY KEY (project, member)
);
CREATE VIEW open_projects AS SELECT id, name, client_id FROM projects WHERE open;
INSERT INTO clients VALUES (1, 'Apple', '1976-04-01'), (2, 'O''Hara \"x\"', NULL);
INSERT INTO projects VALUES
    (1, 'alpha', 1, 10.50, true, 'ok', '{\"b\": [1, {\"c\": null}], \"a\": \"x\"}'),
    (2, 'beta', 1, NULL, false, 'happy', NULL),
    (3, 'gamma', 2, 9.00, NULL, 'sad', '{\"a\": 2}'),
    (4, 'delta', NULL, 100.00, true, NULL, 'null');
INSERT INTO users VALUES (1, 'ann', NULL), (2, 'bob', 1), (3, 'cat', 1);
INSERT INTO members VALUES (1, 1), (1, 2), (2, 2), (3, 3);
";

async fn fixture(folder: &tempfile::TempDir) -> (SqliteBackend, std::sync::Arc<Catalog>) {
    let backend = backend(folder, FIXTURE).await;
    let catalog = backend.catalog();
    (backend, catalog)
}

fn of<'a>(catalog: &'a Catalog, table: &str) -> Reading<'a> {
    Reading::of(catalog, "postgres", table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_written_as_postgresql_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let plan = of(&catalog, "projects")
        .select(&["id", "name", "client_id", "price", "open", "mood", "extra"])
        .order("id", false)
        .plan(Format::Json);
    assert_eq!(
        body(&backend, &plan, Values::default()).await,
        concat!(
            r#"{"id":1,"name":"alpha","client_id":1,"price":10.50,"open":true,"mood":"ok","#,
            r#""extra":{"a": "x", "b": [1, {"c": null}]}},"#,
            r#"{"id":2,"name":"beta","client_id":1,"price":null,"open":false,"mood":"happy","extra":null},"#,
            r#"{"id":3,"name":"gamma","client_id":2,"price":9.00,"open":null,"mood":"sad","extra":{"a": 2}},"#,
            r#"{"id":4,"name":"delta","client_id":null,"price":100.00,"open":true,"mood":null,"extra":null}"#
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_one_and_to_many_embeds_nest() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let projects = of(&catalog, "projects").select(&["name"]).order("id", true);
    let plan = of(&catalog, "clients")
        .select(&["name"])
        .embed("projects", projects)
        .order("id", false);
    assert_eq!(
        body(&backend, &plan.plan(Format::Json), Values::default()).await,
        concat!(
            r#"{"name":"Apple","projects":[{"name":"beta"},{"name":"alpha"}]},"#,
            r#"{"name":"O'Hara \"x\"","projects":[{"name":"gamma"}]}"#
        )
    );
    let client = of(&catalog, "clients").select(&["id", "born"]);
    let plan = of(&catalog, "projects")
        .select(&["id"])
        .embed("client", client)
        .order("id", false);
    assert_eq!(
        body(&backend, &plan.plan(Format::Json), Values::default()).await,
        concat!(
            r#"{"id":1,"client":{"id":1,"born":"1976-04-01"}},{"id":2,"client":{"id":1,"born":"1976-04-01"}},"#,
            r#"{"id":3,"client":{"id":2,"born":null}},{"id":4,"client":null}"#
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_to_many_goes_through_the_junction_and_self_joins_work() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let users = of(&catalog, "users").select(&["name"]).order("id", false);
    let plan = of(&catalog, "projects")
        .select(&["id"])
        .embed("users", users)
        .order("id", false);
    assert_eq!(
        body(&backend, &plan.plan(Format::Json), Values::default()).await,
        concat!(
            r#"{"id":1,"users":[{"name":"ann"},{"name":"bob"}]},{"id":2,"users":[{"name":"bob"}]},"#,
            r#"{"id":3,"users":[{"name":"cat"}]},{"id":4,"users":[]}"#
        )
    );
    let boss = of(&catalog, "users").select(&["name"]);
    let mut reading = of(&catalog, "users")
        .select(&["name"])
        .embed("boss", boss)
        .order("id", false);
    let to_one = catalog
        .relationships_of(&reading.read.source.relation.name)
        .iter()
        .find(|relationship| relationship.is_self && relationship.is_to_one())
        .unwrap();
    reading.read.embeds[0].relationship = to_one.clone();
    reading.read.embeds[0].cardinality = mainstay_core::plan::Cardinality::One;
    assert_eq!(
        body(&backend, &reading.plan(Format::Json), Values::default()).await,
        r#"{"name":"ann","boss":null},{"name":"bob","boss":{"name":"ann"}},{"name":"cat","boss":{"name":"ann"}}"#
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embeds_reach_through_views() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let open = of(&catalog, "open_projects").select(&["name"]).order("name", false);
    let plan = of(&catalog, "clients")
        .select(&["id"])
        .embed("open", open)
        .order("id", false);
    assert_eq!(
        body(&backend, &plan.plan(Format::Json), Values::default()).await,
        r#"{"id":1,"open":[{"name":"alpha"}]},{"id":2,"open":[]}"#
    );
    let client = of(&catalog, "clients").select(&["name"]);
    let plan = of(&catalog, "open_projects")
        .select(&["id"])
        .embed("clients", client)
        .order("id", false);
    assert_eq!(
        body(&backend, &plan.plan(Format::Json), Values::default()).await,
        r#"{"id":1,"clients":{"name":"Apple"}},{"id":4,"clients":null}"#
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inner_embeds_and_null_embeds_filter_the_parent() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let mut values = Values::default();
    let name = values.text("alpha");
    let projects = of(&catalog, "projects")
        .select(&["id"])
        .compare("name", Operator::Eq, name);
    let plan = of(&catalog, "clients")
        .select(&["id"])
        .inner("projects", projects)
        .plan(Format::Json);
    assert_eq!(body(&backend, &plan, values).await, r#"{"id":1,"projects":[{"id":1}]}"#);

    let clients = of(&catalog, "clients");
    let mut reading = of(&catalog, "projects").select(&["id"]).embed("clients", clients);
    reading.read.output.truncate(1);
    let without = reading.filter(Predicate::EmbedIsNull(0)).plan(Format::Json);
    assert_eq!(body(&backend, &without, Values::default()).await, r#"{"id":4}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spreads_are_flat() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let client = of(&catalog, "clients").select(&["name", "born"]);
    let plan = of(&catalog, "projects")
        .select(&["id"])
        .spread("clients", client)
        .order("id", true);
    let mut values = Values::default();
    let plan = plan.limit(values.integer(2)).plan(Format::Json);
    assert_eq!(
        body(&backend, &plan, values).await,
        r#"{"id":4,"name":null,"born":null},{"id":3,"name":"O'Hara \"x\"","born":null}"#
    );
    let projects = of(&catalog, "projects").select(&["name", "price"]).order("id", false);
    let plan = of(&catalog, "clients")
        .select(&["id"])
        .spread("projects", projects)
        .order("id", false);
    assert_eq!(
        body(&backend, &plan.plan(Format::Json), Values::default()).await,
        concat!(
            r#"{"id":1,"name":["alpha","beta"],"price":[10.50,null]},"#,
            r#"{"id":2,"name":["gamma"],"price":[9.00]}"#
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_take_the_columns_type() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let ids = async |build: &dyn Fn(Reading<'_>, &mut Values) -> Predicate| {
        let mut values = Values::default();
        let reading = of(&catalog, "projects");
        let predicate = build(of(&catalog, "projects"), &mut values);
        let plan = reading
            .select(&["id"])
            .filter(predicate)
            .order("id", false)
            .plan(Format::Json);
        body(&backend, &plan, values)
            .await
            .replace(r#"{"id":"#, "")
            .replace('}', "")
    };
    let compare = |column: &'static str, operator: Operator, text: &'static str| {
        move |reading: Reading<'_>, values: &mut Values| Predicate::Compare {
            field: reading.field(column),
            operator,
            value: values.text(text),
        }
    };
    assert_eq!(ids(&compare("price", Operator::Eq, "10.5")).await, "1");
    assert_eq!(ids(&compare("price", Operator::Gt, "9.9")).await, "1,4");
    assert_eq!(ids(&compare("mood", Operator::Gte, "ok")).await, "1,2");
    assert_eq!(ids(&compare("open", Operator::Eq, "t")).await, "1,4");
    assert_eq!(ids(&compare("name", Operator::Like, "%a%t%")).await, "");
    assert_eq!(ids(&compare("name", Operator::Like, "al%")).await, "1");
    assert_eq!(ids(&compare("name", Operator::Ilike, "%TA")).await, "2,4");
    assert_eq!(ids(&compare("name", Operator::Match, "^(al|be)")).await, "1,2");
    assert_eq!(ids(&compare("extra", Operator::Contains, r#"{"a":2}"#)).await, "3");
    let list = |reading: Reading<'_>, values: &mut Values| Predicate::In {
        field: reading.field("price"),
        values: values.list(&["9", "100.0"]),
    };
    assert_eq!(ids(&list).await, "3,4");
    let empty = |reading: Reading<'_>, values: &mut Values| Predicate::In {
        field: reading.field("price"),
        values: values.list(&[]),
    };
    assert_eq!(ids(&empty).await, "");
    let any = |reading: Reading<'_>, values: &mut Values| Predicate::Quantified {
        field: reading.field("name"),
        operator: Operator::Like,
        quantifier: Quantifier::Any,
        values: values.list(&["a%", "%eta"]),
    };
    assert_eq!(ids(&any).await, "1,2");
    let all = |reading: Reading<'_>, values: &mut Values| Predicate::Quantified {
        field: reading.field("id"),
        operator: Operator::Gt,
        quantifier: Quantifier::All,
        values: values.list(&["1", "2"]),
    };
    assert_eq!(ids(&all).await, "3,4");
    let is = |what: IsValue| {
        move |reading: Reading<'_>, _: &mut Values| Predicate::Is {
            field: reading.field("open"),
            what,
        }
    };
    assert_eq!(ids(&is(IsValue::Null)).await, "3");
    assert_eq!(ids(&is(IsValue::NotNull)).await, "1,2,4");
    assert_eq!(ids(&is(IsValue::True)).await, "1,4");
    assert_eq!(ids(&is(IsValue::Unknown)).await, "3");
    let not = |reading: Reading<'_>, _: &mut Values| {
        Predicate::Not(Box::new(Predicate::Is {
            field: reading.field("open"),
            what: IsValue::True,
        }))
    };
    assert_eq!(ids(&not).await, "2,3");
    let distinct = |reading: Reading<'_>, values: &mut Values| Predicate::IsDistinct {
        field: reading.field("price"),
        value: values.text("9"),
    };
    assert_eq!(ids(&distinct).await, "1,2,4");
    let either = |reading: Reading<'_>, values: &mut Values| {
        let eq = |reading: &Reading<'_>, value| Predicate::Compare {
            field: reading.field("id"),
            operator: Operator::Eq,
            value,
        };
        let (one, four) = (values.text("1"), values.text("4"));
        Predicate::Or(vec![eq(&reading, one), eq(&reading, four)])
    };
    assert_eq!(ids(&either).await, "1,4");
    let within = |reading: Reading<'_>, values: &mut Values| Predicate::Compare {
        field: Field {
            path: vec![JsonStep::Key(values.text("a"))],
            as_text: true,
            ..reading.field("extra")
        },
        operator: Operator::Eq,
        value: values.text("x"),
    };
    assert_eq!(ids(&within).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_value_is_refused_as_postgresql_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    for (column, text, sqlstate, message) in [
        ("id", "abc", "22P02", "invalid input syntax for type integer: \"abc\""),
        (
            "id",
            "99999999999",
            "22003",
            "value \"99999999999\" is out of range for type integer",
        ),
        ("mood", "angry", "22P02", "invalid input value for enum mood: \"angry\""),
    ] {
        let mut values = Values::default();
        let value = values.text(text);
        let plan = of(&catalog, "projects")
            .select(&["id"])
            .compare(column, Operator::Eq, value)
            .plan(Format::Json);
        match run(&backend, &plan, values).await {
            Err(BackendError::Refused(error)) => {
                assert_eq!((error.sqlstate.as_str(), error.message.as_str()), (sqlstate, message));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_filters_work_and_too_many_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let ids = |count: usize, values: &mut Values| {
        let field = of(&catalog, "projects").field("id");
        let one = |values: &mut Values, id: usize| {
            let value = values.text(&id.to_string());
            Predicate::Compare {
                field: field.clone(),
                operator: Operator::Eq,
                value,
            }
        };
        Predicate::Or((0..count).map(|id| one(values, id)).collect())
    };
    let mut values = Values::default();
    let filter = ids(10_000, &mut values);
    let plan = of(&catalog, "projects")
        .select(&["id"])
        .filter(filter)
        .order("id", false)
        .plan(Format::Json);
    assert_eq!(
        body(&backend, &plan, values).await,
        r#"{"id":1},{"id":2},{"id":3},{"id":4}"#
    );

    let mut values = Values::default();
    let filter = ids(40_000, &mut values);
    let plan = of(&catalog, "projects")
        .select(&["id"])
        .filter(filter)
        .plan(Format::Json);
    let error = run(&backend, &plan, values).await.unwrap_err();
    assert_eq!(crate::harness::sqlstate(&error), "54001");

    let mut values = Values::default();
    let mut filter = ids(1, &mut values);
    for _ in 0..140 {
        filter = Predicate::Not(Box::new(filter));
    }
    let plan = of(&catalog, "projects")
        .select(&["id"])
        .filter(filter.clone())
        .plan(Format::Json);
    assert_eq!(body(&backend, &plan, values.clone()).await, "");
    for _ in 0..20 {
        filter = Predicate::Not(Box::new(filter));
    }
    let plan = of(&catalog, "projects")
        .select(&["id"])
        .filter(filter)
        .plan(Format::Json);
    let error = run(&backend, &plan, values).await.unwrap_err();
    assert_eq!(crate::harness::sqlstate(&error), "54001");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_puts_nulls_where_postgresql_puts_them() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    for (column, descending, nulls_first, expected) in [
        ("price", false, None, "3,1,4,2"),
        ("price", true, None, "2,4,1,3"),
        ("price", true, Some(false), "4,1,3,2"),
        ("mood", false, None, "3,1,2,4"),
        ("open", true, Some(false), "1,4,2,3"),
    ] {
        let mut reading = of(&catalog, "projects").select(&["id"]);
        let target = OrderTarget::Field(reading.field(column));
        reading.read.order.push(Order {
            target,
            descending,
            nulls_first,
        });
        let reading = reading.order("id", false);
        let text = body(&backend, &reading.plan(Format::Json), Values::default()).await;
        assert_eq!(
            text.replace(r#"{"id":"#, "").replace('}', ""),
            expected,
            "{column} {descending} {nulls_first:?}"
        );
    }
    let mut reading = of(&catalog, "projects")
        .select(&["id"])
        .embed("clients", of(&catalog, "clients"));
    reading.read.output.truncate(1);
    let field = of(&catalog, "clients").field("name");
    let target = OrderTarget::Related { embed: 0, field };
    reading.read.order.push(Order {
        target,
        descending: true,
        nulls_first: None,
    });
    let reading = reading.order("id", false);
    assert_eq!(
        body(&backend, &reading.plan(Format::Json), Values::default()).await,
        r#"{"id":4},{"id":3},{"id":1},{"id":2}"#
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_table_comes_in_the_order_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    // The index on client_id holds both columns.
    let plan = of(&catalog, "projects").select(&["client_id", "id"]).plan(Format::Json);
    assert_eq!(
        body(&backend, &plan, Values::default()).await,
        concat!(
            r#"{"client_id":1,"id":1},{"client_id":1,"id":2},{"client_id":2,"id":3},"#,
            r#"{"client_id":null,"id":4}"#
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_casts_csv_and_stripped_nulls() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let mut values = Values::default();
    let (key, index) = (values.text("b"), values.integer(1));
    let plan = of(&catalog, "projects")
        .path("whole", "extra", vec![JsonStep::Key(key)], false)
        .path(
            "second",
            "extra",
            vec![JsonStep::Key(key), JsonStep::Index(index)],
            true,
        )
        .order("id", false)
        .limit(values.integer(1))
        .plan(Format::Json);
    assert_eq!(
        body(&backend, &plan, values).await,
        r#"{"whole":[1, {"c": null}],"second":"{\"c\": null}"}"#
    );

    let mut reading = of(&catalog, "projects").select(&["id", "open"]).order("id", false);
    for output in &mut reading.read.output {
        let Output::Column { cast, .. } = output else { continue };
        *cast = Some(mainstay_core::plan::Cast {
            name: "text".into(),
            ty: Some(mainstay_core::types::Type::Text),
        });
    }
    assert_eq!(
        body(&backend, &reading.plan(Format::Json), Values::default()).await,
        concat!(
            r#"{"id":"1","open":"true"},{"id":"2","open":"false"},"#,
            r#"{"id":"3","open":null},{"id":"4","open":"true"}"#
        )
    );

    let client = of(&catalog, "clients").select(&["name"]);
    let plan = of(&catalog, "projects")
        .select(&["id", "price", "open"])
        .embed("client", client)
        .order("id", false);
    assert_eq!(
        body(&backend, &plan.plan(Format::Csv), Values::default()).await,
        concat!(
            "id,price,open,client\n1,10.50,t,\"{\"\"name\"\":\"\"Apple\"\"}\"\n",
            "2,,f,\"{\"\"name\"\":\"\"Apple\"\"}\"\n",
            "3,9.00,,\"{\"\"name\"\":\"\"O'Hara \\\"\"x\\\"\"\"\"}\"\n4,100.00,t,"
        )
    );

    let plan = of(&catalog, "projects")
        .select(&["id", "price", "extra"])
        .order("id", false)
        .plan(Format::JsonStripNulls);
    assert_eq!(
        body(&backend, &plan, Values::default()).await,
        r#"{"id":1,"price":10.50,"extra":{"a":"x","b":[1,{}]}},{"id":2},{"id":3,"price":9.00,"extra":{"a":2}},{"id":4,"price":100.00}"#
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_ignore_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    for count in [Count::Exact, Count::Planned, Count::Estimated] {
        for (limit, offset, rows) in [(2, 0, 2), (2, 3, 1), (10, 0, 4), (0, 0, 0), (5, 9, 0)] {
            let mut values = Values::default();
            let (limit, offset) = (values.integer(limit), values.integer(offset));
            let plan = of(&catalog, "projects")
                .select(&["id"])
                .limit(limit)
                .offset(offset)
                .count(count)
                .plan(Format::Json);
            let options = Options {
                count_max: Some(2),
                ..Options::default()
            };
            let outcome = run_as(&backend, &Caller::of_role("postgres"), &plan, values, options)
                .await
                .unwrap();
            assert_eq!(
                (outcome.rows, outcome.total),
                (rows, Some(4)),
                "{count:?} {limit} {offset}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn singular_wants_exactly_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let plan = of(&catalog, "projects").select(&["id"]).plan(Format::Json);
    let options = Options {
        singular: true,
        ..Options::default()
    };
    let caller = Caller::of_role("postgres");
    let error = run_as(&backend, &caller, &plan, Values::default(), options)
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::NotSingular { rows: 4 }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_filter_rows_embeds_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let backend = backend(
        &folder,
        "CREATE ROLE web NOLOGIN;
         CREATE TABLE notes (id int PRIMARY KEY, owner text NOT NULL);
         CREATE TABLE lines (id int PRIMARY KEY, note int NOT NULL REFERENCES notes (id));
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes FOR SELECT USING (owner = current_setting('request.jwt.claims', true)::jsonb ->> 'name');
         GRANT SELECT ON notes, lines TO web;
         INSERT INTO notes VALUES (1, 'ann'), (2, 'bob');
         INSERT INTO lines VALUES (1, 1), (2, 2);",
    )
    .await;
    let catalog = backend.catalog();
    let caller = Caller {
        claims: r#"{"role":"web","name":"ann"}"#.into(),
        ..Caller::of_role("web")
    };
    let mut values = Values::default();
    let note = Reading::of(&catalog, "web", "notes").select(&["owner"]);
    let plan = Reading::of(&catalog, "web", "lines")
        .select(&["id"])
        .embed("note", note)
        .order("id", false)
        .limit(values.integer(5))
        .plan(Format::Json);
    let outcome = run_as(&backend, &caller, &plan, values, Options::default())
        .await
        .unwrap();
    assert_eq!(
        String::from_utf8(outcome.body).unwrap(),
        r#"{"id":1,"note":{"owner":"ann"}},{"id":2,"note":null}"#
    );
    let mut values = Values::default();
    let limit = values.integer(1);
    let plan = Reading::of(&catalog, "web", "notes")
        .select(&["id"])
        .limit(limit)
        .count(Count::Exact)
        .plan(Format::Json);
    let outcome = run_as(&backend, &caller, &plan, values, Options::default())
        .await
        .unwrap();
    assert_eq!(outcome.total, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_an_old_catalog_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, catalog) = fixture(&folder).await;
    let plan = of(&catalog, "projects").select(&["id"]).plan(Format::Json);
    let statement = backend.render(&plan).unwrap();
    backend
        .query(None, "CREATE TABLE later (id int)", QueryMode::ReadWrite)
        .await
        .unwrap();
    let input = mainstay_core::plan::Input::default();
    let error = backend
        .run(&Caller::of_role("postgres"), &statement, input)
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::StaleCatalog), "{error:?}");
    assert!(matches!(backend.render(&plan).unwrap_err(), BackendError::StaleCatalog));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_reads_writes_and_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, _) = fixture(&folder).await;
    let shown = backend
        .query(
            None,
            "SELECT id, open, price FROM projects ORDER BY id",
            QueryMode::ReadOnly,
        )
        .await
        .unwrap();
    assert_eq!(shown.columns, ["id", "open", "price"]);
    assert_eq!(
        shown.rows[0],
        [Some("1".into()), Some("t".into()), Some("10.50".into())]
    );
    assert_eq!(shown.tag, "SELECT 4");
    let refused = backend
        .query(None, "DELETE FROM projects", QueryMode::ReadOnly)
        .await
        .unwrap_err();
    assert_eq!(crate::harness::sqlstate(&refused), "25006");
    let inserted = backend
        .query(None, "INSERT INTO users VALUES (9, 'zed', NULL)", QueryMode::ReadWrite)
        .await
        .unwrap();
    assert_eq!(inserted.tag, "INSERT 0 1");
    let failed = backend
        .query(
            None,
            "INSERT INTO users VALUES (10, 'y', NULL); INSERT INTO users VALUES (9, 'x', NULL)",
            QueryMode::ReadWrite,
        )
        .await
        .unwrap_err();
    assert_eq!(crate::harness::sqlstate(&failed), "23505");
    let left = backend
        .query(None, "SELECT count(*) FROM users", QueryMode::ReadOnly)
        .await
        .unwrap();
    assert_eq!(left.rows, [[Some("4".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_undoes_nothing_silently_and_heeds_no_setting_it_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, _) = fixture(&folder).await;
    for text in [
        "BEGIN; DELETE FROM members; ROLLBACK",
        "DELETE FROM members; SAVEPOINT s",
        "SET timezone = 'Europe/Berlin'; SELECT '2024-01-01'::date::timestamptz",
        "SET extra_float_digits = 0; SELECT 0.1::float8 + 0.2",
        "SET ROLE anon; SELECT * FROM members",
    ] {
        for mode in [QueryMode::ReadOnly, QueryMode::ReadWrite] {
            let Err(error) = backend.query(None, text, mode).await else {
                panic!("{text}");
            };
            let expected: &[&str] = if mode == QueryMode::ReadOnly {
                &["0A000", "25006"]
            } else {
                &["0A000"]
            };
            assert!(expected.contains(&crate::harness::sqlstate(&error)), "{text}: {error}");
        }
    }
    let text = "BEGIN; SET search_path = public; SET statement_timeout = 0; SELECT count(*) FROM members; COMMIT";
    backend.query(None, text, QueryMode::ReadWrite).await.unwrap();
    let kept = backend
        .query(None, "SELECT count(*) FROM members", QueryMode::ReadOnly)
        .await
        .unwrap();
    assert_eq!(kept.rows, [[Some("4".to_owned())]]);
}
