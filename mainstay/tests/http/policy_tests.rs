//! `mainstay test`: the project's policy tests pass, fail when a policy is broken, and touch nothing.

use std::process::{Command, Output};

use mainstay_testing::{Engine, Project, Server, engines};

use crate::both::PROGRAM;
use crate::shop;

/// The shop with its tests; rows come from the seed.
fn shop() -> Project {
    let mut project = Project::new();
    for file in [
        "migrations/20260105090000_shop.sql",
        "migrations/20260105090100_access.sql",
        "seed.sql",
        "config.toml",
        "tests/shop.policy.toml",
    ] {
        project = project.file(&format!("supabase/{file}"), &shop::text(file));
    }
    project
}

fn run(project: &Project, engine: Engine, more: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("test").arg(project.path()).args(more);
    if engine == Engine::Postgres {
        // A database is made on the server that the URL names.
        command.args(["--database-url", &std::env::var("MAINSTAY_TEST_POSTGRES").unwrap()]);
    }
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_shop_s_policies_pass_alike_and_say_who_may_do_what() {
    let mut said = Vec::new();
    for engine in engines() {
        let project = shop();
        let output = run(&project, engine, &[]);
        let text = out(&output);
        assert!(output.status.success(), "{text}{}", err(&output));
        assert!(text.contains("ok    a customer sees their own orders"), "{text}");
        assert!(text.contains(" 0 failed"), "{text}");
        for line in [
            "public.orders (30 rows)  select  insert          update         delete",
            "  anon                   -       -               -              -",
            "  ada                    5/30    checked (note)  1/30 (status)  -",
            "  hugo                   0/30    checked (note)  0/30 (status)  -",
            "public.products (12 rows)  select  insert  update  delete",
            "  anon                     12/12   -       -       -",
            "  bruno                        4/30    -       -       -",
        ] {
            assert!(text.lines().any(|said| said == line), "{line}\nis not in\n{text}");
        }
        assert!(
            !project.path().join(".mainstay/data.db").exists(),
            "the project's own database is left alone"
        );
        said.push(text.replace("the embedded engine", "E").replace("PostgreSQL", "E"));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:#?}");
}

/// Every policy of the shop made wider, or narrower where it cannot be wider, and what a test then says.
const BROKEN: &[(&str, &str)] = &[
    (
        "alter policy products_read on products using (stock > 0)",
        "everybody sees the products",
    ),
    (
        "alter policy customers_read_own on customers using (true)",
        "a customer sees their own row and no other",
    ),
    (
        "alter policy orders_read_own on orders using (true)",
        "an order of somebody else is not there",
    ),
    (
        "alter policy orders_place_own on orders with check (customer_id <> (select auth.uid()))",
        "a customer places an order, which is theirs and pending",
    ),
    (
        "alter policy orders_cancel_own on orders using (customer_id = (select auth.uid()))",
        "an order that is paid is not cancelled any more",
    ),
    (
        "alter policy orders_cancel_own on orders with check (customer_id = (select auth.uid()))",
        "a customer does not say that they have paid",
    ),
    (
        "alter policy order_items_read_own on order_items using (true)",
        "a customer sees the lines of their own orders",
    ),
    (
        "alter policy order_items_place_own on order_items with check (true)",
        "a price of one's own is refused",
    ),
    (
        "alter policy order_items_place_own on order_items with check (exists (select 1 from products p where p.id = order_items.product_id and p.price = order_items.unit_price))",
        "an order that is paid takes no more lines",
    ),
    (
        "grant select on customers to anon",
        "the customers are not for strangers",
    ),
    ("grant select on orders to anon", "the orders are not for strangers"),
    (
        "grant insert (status) on orders to authenticated; alter policy orders_place_own on orders with check (true)",
        "nobody places an order that is paid already",
    ),
    (
        "grant insert (customer_id) on orders to authenticated; alter policy orders_place_own on orders with check (true)",
        "nobody places an order for somebody else",
    ),
    (
        "grant update (price) on products to authenticated; create policy p on products for update to authenticated using (true)",
        "nobody changes a price",
    ),
    ("grant delete on orders to authenticated", "nobody deletes an order"),
    (
        "alter table orders disable row level security",
        "an order of somebody else is not there",
    ),
    (
        "alter view order_totals set (security_invoker = false)",
        "the totals are of one's own orders",
    ),
];

#[test]
fn a_broken_policy_fails_the_test_that_guards_it() {
    for engine in engines() {
        for (change, test) in BROKEN {
            let project = shop().file("supabase/migrations/20260106000000_broken.sql", &format!("{change};\n"));
            let output = run(&project, engine, &["--no-matrix"]);
            let text = out(&output);
            assert_eq!(output.status.code(), Some(1), "{change}: {text}{}", err(&output));
            let failure = format!("FAIL  {test}  (supabase/tests/shop.policy.toml:");
            assert!(text.contains(&failure), "{change}\n{text}");
            assert!(err(&output).contains("test(s) failed"), "{}", err(&output));
        }
    }
}

#[test]
fn a_failure_shows_what_differs_and_why() {
    for engine in engines() {
        let wider = "alter policy orders_read_own on orders using (customer_id = (select auth.uid()) or id = 2);\n\
                     alter policy order_items_place_own on order_items with check (false);\n";
        let project = shop().file("supabase/migrations/20260106000000_broken.sql", wider);
        let output = run(&project, engine, &["--no-matrix"]);
        let text = out(&output);
        for line in [
            "        GET /orders?select=id,status&order=id as ada",
            "        expected 5 row(s), got 6",
            r#"        + {"id":2,"status":"delivered"}"#,
            "        expected status 201, got 403",
            "        why: The row order_id = 30, product_id = 1 of public.order_items may not be written: \
             by policy order_items_place_own, false is false.",
        ] {
            assert!(text.lines().any(|said| said == line), "{line}\nis not in\n{text}");
        }
        let only = run(&project, engine, &["--no-matrix", "--only", "products"]);
        assert!(only.status.success(), "{}", out(&only));
        assert!(out(&only).contains("1 test(s), 0 failed"), "{}", out(&only));
    }
}

const TABLE: &str = "
    create table notes (id int primary key, owner uuid default auth.uid(), body text);
    alter table notes enable row level security;
    grant select, insert, delete on notes to authenticated;
    create policy own on notes to authenticated using (owner = (select auth.uid()));
";

#[test]
fn no_test_sees_what_another_wrote() {
    let tests = r#"
        [users]
        me = { sub = "00000001-0000-4000-8000-000000000001", role = "authenticated", org = 7 }
        [[test]]
        name = "one writes"
        as = "me"
        request = "POST /notes"
        body = [{ id = 1, body = "a" }, { id = 2, body = "b" }]
        rows = 2
        [[test]]
        name = "another writes the same"
        as = "me"
        request = "POST /rest/v1/notes"
        prefer = "return=representation"
        body = '{"id": 1, "body": null}'
        rows = '[{"id": 1, "owner": "00000001-0000-4000-8000-000000000001", "body": null}]'
        [[test]]
        name = "and nothing is there"
        as = "me"
        request = "GET /notes"
        rows = []
        [[test]]
        name = "an error has its code"
        as = "me"
        request = "GET /notes?nonsense=eq.1"
        code = "42703"
        status = 400
    "#;
    for engine in engines() {
        let project = Project::of(TABLE).file("supabase/tests/notes.policy.toml", tests);
        let output = run(&project, engine, &[]);
        assert!(output.status.success(), "{}{}", out(&output), err(&output));
        assert!(out(&output).contains("4 test(s), 0 failed"), "{}", out(&output));
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let test = "[[test]]\nname = \"n\"\nas = \"anon\"\nrequest = \"GET /notes\"\ncode = \"42501\"\n";
    for (text, said) in [
        (
            format!("{test}row = 1\n"),
            "supabase/tests/a.policy.toml:6: unknown field `row`",
        ),
        (
            test.replace("\"anon\"", "\"nobody\""),
            "supabase/tests/a.policy.toml:1: `nobody` is neither a user of the file nor a role",
        ),
        (
            test.replace("GET /notes", "/notes"),
            "supabase/tests/a.policy.toml:1: `/notes` is not a request",
        ),
        (
            test.replace("code = \"42501\"\n", ""),
            "a.policy.toml:1: the test expects nothing",
        ),
        (
            format!("[users]\nada = \"a b\"\n{test}"),
            "a.policy.toml:2: `a b` is neither",
        ),
    ] {
        let project = Project::of(TABLE).file("supabase/tests/a.policy.toml", &text);
        let output = run(&project, Engine::Sqlite, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(said), "{said}\nis not in\n{}", err(&output));
    }
    let without = run(&Project::of(TABLE), Engine::Sqlite, &[]);
    assert!(
        !without.status.success() && err(&without).contains("there is no test"),
        "{}",
        err(&without)
    );
    let broken = Project::of("create table t (id int);\nnonsense;").file("supabase/tests/a.policy.toml", test);
    let output = run(&broken, Engine::Sqlite, &[]);
    assert!(
        !output.status.success() && err(&output).contains("42601"),
        "{}",
        err(&output)
    );
}

#[test]
fn the_template_carries_its_tests() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("shop");
    let init = Command::new(PROGRAM)
        .args(["init", "--template", "shop"])
        .arg(&target)
        .output()
        .unwrap();
    assert!(init.status.success());
    let output = Command::new(PROGRAM).arg("test").arg(&target).output().unwrap();
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
}

#[tokio::test]
async fn the_database_that_the_url_names_is_left_alone() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, Project::of("create table mine (id int);")).await;
        let Some(url) = server.database_url() else { continue };
        let project = shop();
        let output = Command::new(PROGRAM)
            .arg("test")
            .arg(project.path())
            .args(["--no-matrix", "--database-url", &url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}{}", out(&output), err(&output));
        let mut query = server.command(&[
            "db",
            "query",
            "--json",
            "select count(*) from pg_class where relname in ('mine', 'orders')",
        ]);
        assert_eq!(out(&query.output().unwrap()).trim(), r#"[{"count":"1"}]"#);
    }
}
