//! The room from request to response, over a backend without a database.

use mainstay_core::plan::{Action, CallResult, Cardinality, Outcome, Output, Predicate, Read, Value};
use serde_json::json;

use crate::fixture::{Fixture, header, member, told};
use crate::{Config, TxEnd};

fn rows(body: &str, rows: u64) -> Outcome {
    Outcome {
        body: body.into(),
        rows,
        ..Outcome::default()
    }
}

async fn planned(request: &str) -> (Read, Vec<Value>) {
    let fixture = Fixture::new();
    let response = fixture.send(request, &[], "").await;
    assert!(response.status.is_success(), "{request}: {:?}", told(&response));
    let (plan, input) = fixture.last();
    match plan.action {
        Action::Read(read) => (read, input.values),
        other => panic!("{other:?}"),
    }
}

fn names(read: &Read) -> Vec<String> {
    read.output
        .iter()
        .map(|output| match output {
            Output::Column { name, .. } | Output::Embed { name, .. } => name.to_string(),
            Output::Spread { embed } => format!("...{}", read.embeds[*embed].name),
        })
        .collect()
}

#[tokio::test]
async fn a_read_shows_every_column_in_an_array() {
    let fixture = Fixture::new();
    let response = fixture
        .answers(rows(r#"{"id":1,"name":"x"}"#, 1))
        .send("GET /clients", &[], "")
        .await;
    assert_eq!(told(&response), (200, r#"[{"id":1,"name":"x"}]"#.into()));
    assert_eq!(header(&response, "content-type"), "application/json; charset=utf-8");
    assert_eq!(header(&response, "content-range"), "0-0/*");
    assert_eq!(header(&response, "content-location"), "/clients");
    assert_eq!(header(&response, "vary"), "Accept, Prefer, Range");
    let (plan, _) = fixture.last();
    assert!(matches!(&plan.action, Action::Read(read) if names(read) == ["id", "name"]));
}

#[tokio::test]
async fn values_are_apart_from_the_plan_and_the_plan_is_kept() {
    let fixture = Fixture::new();
    for (filter, expected) in [("eq.1", "1"), ("eq.2", "2")] {
        fixture
            .send(
                &format!("GET /projects?select=id,data:name&id={filter}&limit=5"),
                &[],
                "",
            )
            .await;
        let (_, input) = fixture.last();
        assert_eq!(input.values, [Value::Text(expected.into()), Value::Integer(5)]);
    }
    assert_eq!(*fixture.fake.renders.lock().unwrap(), 1);
    fixture
        .send_as("author", "GET /projects?select=id,data:name&id=eq.1&limit=5", &[], "")
        .await;
    assert_eq!(
        *fixture.fake.renders.lock().unwrap(),
        2,
        "another role has its own plan"
    );
}

#[tokio::test]
async fn a_cursors_values_are_apart_from_the_plan_and_the_plan_is_kept() {
    let fixture = Fixture::new();
    let paged = [("prefer", "paging=cursor")];
    let full = |keys: [&str; 2]| Outcome {
        last_keys: Some(keys.map(|key| Some(key.to_owned())).to_vec()),
        has_more: true,
        ..rows("{},{}", 2)
    };
    let path = "GET /projects?select=id&name=neq.x&order=name.desc&limit=2";
    let first = fixture.answers(full(["a", "7"])).send(path, &paged, "").await;
    let (_, input) = fixture.last();
    assert_eq!(input.values, [Value::Text("x".into()), Value::Integer(3)]);
    assert_eq!(input.options.page_rows, Some(2));
    let mut cursor = header(&first, "next-cursor").to_owned();
    let mut seen = Vec::new();
    for (keys, next) in [(["a", "7"], ["b", "9"]), (["b", "9"], ["c", "11"])] {
        let page = fixture
            .answers(full(next))
            .send(&format!("{path}&cursor={cursor}"), &paged, "")
            .await;
        assert_eq!(page.status.as_u16(), 200, "{:?}", told(&page));
        let (_, input) = fixture.last();
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(
            input.values,
            [text("x"), Value::Integer(3), text(keys[0]), text(keys[1])]
        );
        cursor = header(&page, "next-cursor").to_owned();
        assert!(!seen.contains(&cursor));
        seen.push(cursor.clone());
    }
    assert_eq!(
        *fixture.fake.renders.lock().unwrap(),
        2,
        "one for the first page, one for all others"
    );
}

#[tokio::test]
async fn embeds_follow_keys_junctions_and_hints() {
    let (read, _) = planned("GET /projects?select=name,clients(name),tasks(id,users(name))").await;
    assert_eq!(names(&read), ["name", "clients", "tasks"]);
    assert_eq!(read.embeds[0].cardinality, Cardinality::One);
    assert_eq!(read.embeds[1].cardinality, Cardinality::Many);
    assert!(read.embeds[1].read.embeds[0].junction.is_some());
    let (read, _) = planned("GET /family_tree?select=id,parent(name),children:family_tree!parent(name)").await;
    assert_eq!(names(&read), ["id", "parent", "children"]);
    assert_eq!(
        (read.embeds[0].cardinality, read.embeds[1].cardinality),
        (Cardinality::One, Cardinality::Many)
    );
    let (read, _) = planned("GET /projects?select=id,...clients(client:name)&clients.name=eq.x").await;
    assert_eq!(names(&read), ["id", "...clients"]);
    assert!(read.embeds[0].read.filter.is_some());
}

#[tokio::test]
async fn an_empty_embed_filters_and_shows_nothing() {
    let (read, _) = planned("GET /clients?select=id,projects!inner()&projects=not.is.null").await;
    assert_eq!(names(&read), ["id"]);
    assert!(read.embeds[0].inner);
    assert!(matches!(read.filter, Some(Predicate::Not(inner)) if matches!(*inner, Predicate::EmbedIsNull(0))));
}

#[tokio::test]
async fn json_paths_are_constants_of_the_shape() {
    let (read, values) = planned("GET /json?select=data->a->0->>b,data->1&data->>c=like.x*").await;
    assert_eq!(names(&read), ["b", "data"]);
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(
        values,
        [
            text("a"),
            Value::Integer(0),
            text("b"),
            Value::Integer(1),
            text("c"),
            text("x%")
        ]
    );
}

#[tokio::test]
async fn limits_are_capped_at_every_level() {
    let fixture = Fixture::with(|config| config.max_rows = Some(2));
    fixture
        .send(
            "GET /clients?select=id,projects(id)&limit=10&offset=1&projects.limit=1",
            &[],
            "",
        )
        .await;
    let (plan, input) = fixture.last();
    let Action::Read(read) = plan.action else { panic!() };
    assert_eq!(input.values[read.limit.unwrap()], Value::Integer(2));
    assert_eq!(input.values[read.offset.unwrap()], Value::Integer(1));
    assert_eq!(input.values[read.embeds[0].read.limit.unwrap()], Value::Integer(1));
}

#[tokio::test]
async fn unknown_names_are_told_with_suggestions() {
    let fixture = Fixture::new();
    let response = fixture.send("GET /projecxx", &[], "").await;
    assert_eq!(response.status, 404);
    assert_eq!(member(&response, "code"), "PGRST205");
    assert_eq!(member(&response, "hint"), "Perhaps you meant the table 'test.projects'");
    assert_eq!(header(&response, "proxy-status"), "PostgREST; error=PGRST205");
    let response = fixture.send("GET /projects?select=nam", &[], "").await;
    assert_eq!(member(&response, "message"), "column projects.nam does not exist");
    assert_eq!(
        member(&response, "hint"),
        "Perhaps you meant to reference the column \"projects.name\"."
    );
    let response = fixture.send("GET /clients?select=projects(x)", &[], "").await;
    assert_eq!(member(&response, "message"), "column projects_1.x does not exist");
    let response = fixture.send("GET /clients?select=*,tasks(*)", &[], "").await;
    assert_eq!(
        (response.status.as_u16(), member(&response, "code")),
        (400, json!("PGRST200"))
    );
    let response = fixture.send("GET /clients?x.id=eq.1", &[], "").await;
    assert_eq!(member(&response, "code"), "PGRST108");
    let response = fixture
        .send("GET /clients?select=id,projects(id)&order=projects(id)", &[], "")
        .await;
    assert_eq!(member(&response, "code"), "PGRST118");
}

#[tokio::test]
async fn an_ambiguous_embed_lists_its_candidates() {
    let response = Fixture::new()
        .send("GET /agents?select=*,departments(*)", &[], "")
        .await;
    assert_eq!(response.status, 300);
    assert_eq!(
        member(&response, "details"),
        json!([
            {"cardinality": "one-to-many", "embedding": "agents with departments",
             "relationship": "departments_head_id_fkey using agents(id) and departments(head_id)"},
            {"cardinality": "many-to-one", "embedding": "agents with departments",
             "relationship": "agents_department_id_fkey using agents(department_id) and departments(id)"}
        ])
    );
    assert_eq!(
        member(&response, "hint"),
        "Try changing 'departments' to one of the following: 'departments!departments_head_id_fkey', \
         'departments!agents_department_id_fkey'. Find the desired relationship in the 'details' key."
    );
}

#[tokio::test]
async fn what_is_not_granted_is_refused_by_who_asks() {
    let fixture = Fixture::new();
    for (role, status) in [("anon", 401), ("author", 403)] {
        for request in [
            "GET /secret",
            "DELETE /secret?id=eq.1",
            "GET /secret?select=id&name=eq.x",
        ] {
            let response = fixture.send_as(role, request, &[], "").await;
            assert_eq!(response.status.as_u16(), status);
            assert_eq!(member(&response, "message"), "permission denied for table secret");
        }
        let response = fixture.send_as(role, "POST /secret", &[], r#"{"id":1}"#).await;
        assert_eq!(response.status.as_u16(), status);
    }
    assert!(fixture.fake.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn counts_make_ranges() {
    let counted = |rows: u64, total| Outcome {
        rows,
        total: Some(total),
        ..Outcome::default()
    };
    let exact = &[("prefer", "count=exact")];
    let fixture = Fixture::new();
    let response = fixture
        .answers(counted(2, 15))
        .send("GET /clients?limit=2", exact, "")
        .await;
    assert_eq!(
        (response.status.as_u16(), header(&response, "content-range")),
        (206, "0-1/15")
    );
    let response = fixture
        .answers(counted(0, 15))
        .send("GET /clients?offset=100", exact, "")
        .await;
    assert_eq!(
        (response.status.as_u16(), header(&response, "content-range")),
        (416, "*/15")
    );
    assert_eq!(
        member(&response, "details"),
        "An offset of 100 was requested, but there are only 15 rows."
    );
    let response = fixture.answers(counted(0, 15)).send("HEAD /clients", exact, "").await;
    assert_eq!(
        (response.status.as_u16(), header(&response, "content-range")),
        (200, "0-14/15")
    );
    let response = fixture.answers(rows("{},{}", 2)).send("GET /clients", exact, "").await;
    assert_eq!(
        (response.status.as_u16(), header(&response, "content-range")),
        (200, "0-1/2")
    );
    let response = fixture.send("GET /clients", &[("range", "1-0")], "").await;
    assert_eq!(
        (response.status.as_u16(), member(&response, "code")),
        (416, json!("PGRST103"))
    );
}

#[tokio::test]
async fn inserts_answer_as_preferred() {
    let fixture = Fixture::new();
    let inserted = |body: &str| Outcome {
        affected: 1,
        inserted: 1,
        ..rows(body, 1)
    };
    let response = fixture
        .answers(inserted(""))
        .send("POST /clients", &[], r#"{"name":"x","id":1}"#)
        .await;
    assert_eq!(told(&response), (201, String::new()));
    assert_eq!(header(&response, "content-range"), "*/*");
    assert_eq!(header(&response, "content-type"), "");
    let full = &[("prefer", "return=representation, count=exact")];
    let response = fixture
        .answers(inserted(r#"{"id":1}"#))
        .send("POST /clients?select=id", full, r#"{"id":1}"#)
        .await;
    assert_eq!(told(&response), (201, r#"[{"id":1}]"#.into()));
    assert_eq!(header(&response, "content-range"), "*/1");
    assert_eq!(
        header(&response, "preference-applied"),
        "return=representation, count=exact"
    );
    let located = Outcome {
        location: vec![("id".into(), "1".into())],
        ..inserted("")
    };
    let response = fixture
        .answers(located)
        .send("POST /clients", &[("prefer", "return=headers-only")], r#"{"id":1}"#)
        .await;
    assert_eq!(header(&response, "location"), "/clients?id=eq.1");
    let response = fixture.send("POST /clients", &[], r#"{"nope":1}"#).await;
    assert_eq!(
        (response.status.as_u16(), member(&response, "code")),
        (400, json!("PGRST204"))
    );
}

#[tokio::test]
async fn upserts_merge_on_the_key_or_what_is_named() {
    let fixture = Fixture::new();
    let merge = &[("prefer", "resolution=merge-duplicates")];
    let response = fixture.send("POST /clients", merge, r#"[{"id":1,"name":"x"}]"#).await;
    assert_eq!(response.status, 200, "nothing was new");
    assert_eq!(header(&response, "preference-applied"), "resolution=merge-duplicates");
    let Action::Insert(insert) = fixture.last().0.action else {
        panic!()
    };
    assert_eq!(insert.conflict.unwrap().columns, [0]);
    fixture
        .send("POST /clients?on_conflict=name", merge, r#"[{"id":1,"name":"x"}]"#)
        .await;
    let Action::Insert(insert) = fixture.last().0.action else {
        panic!()
    };
    assert_eq!(insert.conflict.unwrap().columns, [1]);
}

#[tokio::test]
async fn put_asks_for_exactly_the_key() {
    let fixture = Fixture::new();
    for (request, code) in [
        ("PUT /clients?name=eq.x", "PGRST105"),
        ("PUT /clients?id=gt.1", "PGRST105"),
        ("PUT /clients?id=eq.1&name=eq.x", "PGRST105"),
        ("PUT /clients?id=eq.1&or=(id.eq.1,id.eq.2)", "PGRST105"),
        ("PUT /clients?id=eq.1&limit=1", "PGRST114"),
    ] {
        let response = fixture.send(request, &[], r#"{"id":1,"name":"x"}"#).await;
        assert_eq!(member(&response, "code"), code, "{request}");
    }
    let inserted = Outcome {
        inserted: 1,
        affected: 1,
        ..Outcome::default()
    };
    let response = fixture
        .answers(inserted)
        .send("PUT /clients?id=eq.1", &[], r#"{"id":1,"name":"x"}"#)
        .await;
    assert_eq!(response.status, 204);
    let (plan, input) = fixture.last();
    let Action::Insert(insert) = plan.action else { panic!() };
    assert_eq!(insert.must_match, [(0, 0)]);
    assert_eq!(input.values, [Value::Text("1".into())]);
}

#[tokio::test]
async fn updates_take_one_object_and_empty_ones_change_nothing() {
    let fixture = Fixture::new();
    let changed = Outcome {
        affected: 3,
        ..Outcome::default()
    };
    let response = fixture
        .answers(changed)
        .send(
            "PATCH /clients?id=gt.1",
            &[("prefer", "count=exact")],
            r#"[{"name":"x"}]"#,
        )
        .await;
    assert_eq!(
        (response.status.as_u16(), header(&response, "content-range")),
        (204, "0-2/3")
    );
    assert_eq!(fixture.last().1.payload.unwrap(), r#"{"name":"x"}"#);
    let before = fixture.fake.asked.lock().unwrap().len();
    let response = fixture
        .send("PATCH /clients?id=eq.1", &[("prefer", "return=representation")], "{}")
        .await;
    assert_eq!(told(&response), (200, "[]".into()));
    assert_eq!(header(&response, "content-range"), "*/*");
    assert_eq!(fixture.fake.asked.lock().unwrap().len(), before);
}

#[tokio::test]
async fn transactions_end_as_set_and_asked() {
    for (tx_end, wanted, rollback, applied) in [
        (TxEnd::Commit, "tx=rollback", false, ""),
        (TxEnd::CommitAllowOverride, "tx=rollback", true, "tx=rollback"),
        (TxEnd::RollbackAllowOverride, "count=none", true, ""),
        (TxEnd::RollbackAllowOverride, "tx=commit", false, "tx=commit"),
        (TxEnd::Rollback, "tx=commit", true, ""),
    ] {
        let fixture = Fixture::with(|config: &mut Config| config.tx_end = tx_end);
        let response = fixture.send("DELETE /clients?id=eq.1", &[("prefer", wanted)], "").await;
        assert_eq!(fixture.last().1.options.rollback, rollback);
        assert_eq!(header(&response, "preference-applied"), applied);
    }
}

#[tokio::test]
async fn routines_are_found_by_name_and_arguments() {
    let fixture = Fixture::new();
    let response = fixture
        .answers(rows("\"Hello\"", 1))
        .send("GET /rpc/sayhello?name=x", &[], "")
        .await;
    assert_eq!(told(&response), (200, "\"Hello\"".into()));
    let (plan, input) = fixture.last();
    assert!(matches!(plan.action, Action::Call(call) if matches!(call.result, CallResult::Scalar)));
    assert_eq!(
        (input.values, input.options.read_only),
        (vec![Value::Text("x".into())], true)
    );
    fixture
        .answers(rows("3", 1))
        .send("POST /rpc/add_them", &[], r#"{"b": 2, "a": 1}"#)
        .await;
    assert_eq!(
        fixture.last().1.values,
        [Value::Json("1".into()), Value::Json("2".into())]
    );
    let response = fixture.send("GET /rpc/sayhello?nam=Peter", &[], "").await;
    assert_eq!(response.status, 404);
    assert_eq!(
        member(&response, "details"),
        "Searched for the function test.sayhello with parameter nam, but no matches were found in the schema cache."
    );
    assert_eq!(
        member(&response, "hint"),
        "Perhaps you meant to call the function test.sayhello(name)"
    );
}

#[tokio::test]
async fn options_say_what_may_be_done() {
    let fixture = Fixture::new();
    let response = fixture.send("OPTIONS /clients", &[], "").await;
    assert_eq!(header(&response, "allow"), "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE");
    assert_eq!(fixture.send("OPTIONS /nope", &[], "").await.status, 404);
}

#[tokio::test]
async fn strange_requests_have_codes() {
    let fixture = Fixture::new();
    let deep = format!("GET /clients?and=({}id.eq.1{})", "and(".repeat(5000), ")".repeat(5000));
    let many = format!("GET /clients?{}", "id=eq.1&".repeat(10_000));
    let wide = format!("GET /clients?select=id{}", ",projects(id)".repeat(101));
    for (request, headers, body, status, code) in [
        ("GET /a/b", &[][..], "", 404, "PGRST125"),
        ("TRACE /clients", &[], "", 405, "PGRST117"),
        ("PATCH /rpc/sayhello", &[], "", 405, "PGRST101"),
        ("GET /clients", &[("accept", "text/html")], "", 406, "PGRST107"),
        ("GET /clients", &[("accept-profile", "nope")], "", 406, "PGRST106"),
        (
            "GET /clients",
            &[("prefer", "handling=strict, what")],
            "",
            400,
            "PGRST122",
        ),
        ("GET /clients?select=id.count()", &[], "", 400, "PGRST123"),
        ("GET /clients?id=%ff", &[], "", 400, "PGRST100"),
        ("GET /clients?id=eq.%00", &[], "", 400, "22021"),
        ("POST /clients", &[("content-type", "text/html")], "x", 400, "PGRST102"),
        ("POST /clients", &[], "[{\"a\":1},{}]", 400, "PGRST102"),
        ("POST /clients", &[], "{\"a\":\"\u{1}", 400, "PGRST102"),
        (&deep, &[], "", 400, "MS-DATA-002"),
        (&many, &[], "", 400, "MS-DATA-001"),
        (&wide, &[], "", 400, "MS-DATA-001"),
    ] {
        let response = fixture.send(request, headers, body).await;
        let got = (response.status.as_u16(), member(&response, "code"));
        assert_eq!(got, (status, json!(code)), "{}", &request[..request.len().min(60)]);
    }
}

#[test]
fn every_code_is_documented() {
    let documented = include_str!("../../../docs/errors.md");
    let source = include_str!("error/mod.rs");
    for code in source
        .split("Code::fixed(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            documented.contains(&format!("`{code}`")),
            "{code} is not in docs/errors.md"
        );
    }
}

/// What the shared conformance cases say of parsing alone: what is answered must be readable, and what cannot be read
/// must be refused in the same words.
#[test]
fn conformance_requests_are_read_or_refused_as_expected() {
    use crate::error::Error;
    use crate::request::{Query, query, shape};

    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/postgrest/cases-dev.json"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        assert!(std::env::var_os("CI").is_none(), "../shared is not there");
        println!("skipped: ../shared is not there");
        return;
    };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for case in &cases {
        let Some(request) = case["requests"].as_array().and_then(|requests| requests.last()) else {
            continue;
        };
        let (Some(path), Some(method)) = (request["path"].as_str(), request["method"].as_str()) else {
            continue;
        };
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let is_call = path.starts_with("/rpc/") && method != "POST" || path.starts_with("/?");
        let read = query::parameters(query).and_then(|parameters| {
            let shape = shape::shape_of(&parameters, &mut Vec::new());
            Query::read(&parameters, &shape.slots, is_call)
        });
        let expected = &case["expect"];
        match read {
            Ok(_) => assert_ne!(expected["body"]["code"], "PGRST100", "{path}"),
            Err(Error::QueryParameter { message, details }) => {
                assert_eq!(expected["status"], 400, "{path}: {message} {details}");
                if expected["body"]["message"].is_string() {
                    assert_eq!(expected["body"]["message"], message, "{path}");
                    assert_eq!(expected["body"]["details"], details, "{path}");
                }
            }
            Err(other) => panic!("{path}: {other}"),
        }
        checked += 1;
    }
    assert!(checked > 900);
}

/// Not a check: prints what a request of a known shape costs this room. Run with
/// `cargo test -p mainstay-data --release -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn measure_a_known_shape() {
    let fixture = Fixture::new();
    let request = "GET /projects?select=id,name,tasks(id,name)&client_id=eq.7&order=id.desc&limit=20";
    let headers = &[("accept", "*/*"), ("authorization", "Bearer x"), ("user-agent", "test")];
    fixture.send(request, headers, "").await;
    let rounds = 20_000_u32;
    let began = std::time::Instant::now();
    for _ in 0..rounds {
        fixture.fake.asked.lock().unwrap().clear();
        std::hint::black_box(fixture.send(request, headers, "").await);
    }
    println!(
        "{} ns a request, with the fake backend's clones",
        (began.elapsed() / rounds).as_nanos()
    );
    let mut key = Vec::new();
    let parameters = crate::request::query::parameters(request.split_once('?').unwrap().1).unwrap();
    let began = std::time::Instant::now();
    for _ in 0..rounds {
        key.clear();
        std::hint::black_box(crate::request::shape::shape_of(&parameters, &mut key));
    }
    println!("{} ns for the shape", (began.elapsed() / rounds).as_nanos());
}

#[tokio::test]
async fn what_is_still_valid_is_not_asked_again() {
    let fixture = Fixture::new();
    let ask = |tag: String| {
        let fixture = &fixture;
        async move {
            fixture.answers(rows(r#"{"id":1}"#, 1));
            let before = fixture.fake.asked.lock().unwrap().len();
            let response = fixture
                .send("GET /clients?select=id", &[("if-none-match", &tag)], "")
                .await;
            let asked = fixture.fake.asked.lock().unwrap().len() - before;
            if asked == 0 {
                fixture.fake.answers.lock().unwrap().clear();
            }
            (response.status.as_u16(), asked, header(&response, "etag").to_owned())
        }
    };
    *fixture.fake.validity.lock().unwrap() = Some(1);
    let (status, _, tag) = ask("\"other\"".into()).await;
    assert_eq!(status, 200);
    assert_eq!(ask(tag.clone()).await, (304, 0, tag.clone()));
    assert_eq!(ask("\"other\"".into()).await, (200, 1, tag.clone()));
    *fixture.fake.validity.lock().unwrap() = Some(2);
    assert_eq!(ask(tag.clone()).await, (304, 1, tag.clone()));
    assert_eq!(ask(tag.clone()).await, (304, 0, tag.clone()));
    *fixture.fake.validity.lock().unwrap() = None;
    assert_eq!(ask(tag.clone()).await, (304, 1, tag.clone()));
    assert_eq!(ask(tag.clone()).await, (304, 1, tag));
}
