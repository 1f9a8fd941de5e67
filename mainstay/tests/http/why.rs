//! `Prefer: explain=policy` and `mainstay why`: who may ask, and what is told.

use http::Method;
use mainstay_testing::{Answer, Client, Engine, Project, Server, engines};
use serde_json::{Value, json};

use crate::both::{Ask, PROGRAM};
use crate::shop::{self, ADA, BRUNO};

const EXPLAIN: &str = "explain=policy";
const AS: &str = "mainstay-as";

async fn servers(project: impl Fn() -> Project) -> Vec<Server> {
    let mut servers = Vec::new();
    for engine in engines() {
        servers.push(Server::start(PROGRAM, engine, project()).await);
    }
    servers
}

async fn explained(server: &Server, stand_in: &str, ask: &Ask) -> Value {
    let answer = ask
        .clone()
        .prefer(EXPLAIN)
        .header(AS, stand_in)
        .send(&server.service())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("preference-applied"), EXPLAIN);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

/// What both engines must say alike: everything but texts, which PostgreSQL spells in its own way.
fn alike(report: &Value) -> Value {
    match report {
        Value::Object(members) => {
            let kept = members
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "expression" | "summary" | "saw" | "note"));
            kept.map(|(name, value)| (name.clone(), alike(value))).collect()
        }
        Value::Array(items) => items.iter().map(alike).collect(),
        other => other.clone(),
    }
}

/// Asks every engine, compares, and gives back every report.
async fn same(servers: &[Server], stand_in: &str, ask: &Ask) -> Vec<Value> {
    let mut reports = Vec::new();
    for server in servers {
        reports.push(explained(server, stand_in, ask).await);
    }
    if let [embedded, postgres] = reports.as_slice() {
        assert_eq!(alike(embedded), alike(postgres), "{ask:?}");
    }
    reports
}

/// The values that a part of a condition saw, by the column or call.
fn saw<'a>(tried: &'a Value, name: &str) -> &'a Value {
    let parts = tried["parts"].as_array().unwrap();
    let of = parts.iter().map(|part| &part["saw"][name]);
    of.into_iter().find(|value| !value.is_null()).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_hidden_row_names_the_policy_and_what_it_saw() {
    let servers = servers(shop::project).await;
    for report in same(&servers, ADA, &Ask::new("GET /orders?id=eq.2&select=id,status")).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        assert_eq!(
            report["answer"],
            json!({"status": 200, "rows": 0, "code": null, "message": null})
        );
        assert_eq!(report["caller"]["role"], "authenticated");
        assert_eq!(report["caller"]["claims"]["sub"], ADA);
        let orders = &report["relations"][0];
        assert_eq!(orders["relation"], "public.orders");
        assert_eq!(orders["row_security"]["applies"], true);
        assert_eq!(orders["grants"][1]["privilege"], "SELECT");
        assert_eq!(orders["grants"][1]["columns"], json!(["id", "status"]));
        assert_eq!(orders["grants"][1]["held"], true);
        assert_eq!(orders["gates"][0]["policies"][0]["name"], "orders_read_own");
        assert_eq!(orders["rows"]["found"], 1);
        assert_eq!(orders["rows"]["passing"], 0);
        let row = &orders["rows"]["sample"][0];
        assert_eq!(row["key"], json!({"id": "2"}));
        assert_eq!(row["passes"], false);
        let tried = &row["gates"][0]["policies"][0];
        assert_eq!(tried["value"], false);
        assert_eq!(saw(tried, "customer_id"), BRUNO);
        assert_eq!(saw(tried, "auth.uid()"), ADA);
        let summary = report["summary"].as_str().unwrap();
        assert!(
            summary.contains("id = 2") && summary.contains("orders_read_own"),
            "{summary}"
        );
    }
    for report in same(&servers, ADA, &Ask::new("GET /orders?id=eq.1&select=id")).await {
        assert_eq!(report["because"], "allowed", "{report:#}");
        assert_eq!(report["relations"][0]["rows"]["passing"], 1);
    }
    for report in same(&servers, ADA, &Ask::new("GET /orders?id=eq.99&select=id")).await {
        assert_eq!(report["because"], "no_rows", "{report:#}");
    }
}

#[tokio::test]
async fn a_missing_grant_is_named_with_its_columns() {
    let servers = servers(shop::project).await;
    for report in same(&servers, "anon", &Ask::new("GET /orders?select=id")).await {
        assert_eq!(report["because"], "grant", "{report:#}");
        assert_eq!(report["answer"]["code"], "42501");
        assert_eq!(report["answer"]["status"], 401);
        assert_eq!(report["relations"][0]["grants"][1]["missing"], json!(["id"]));
        assert_eq!(report["summary"], "anon lacks SELECT (id) on table public.orders.");
        assert_eq!(report["relations"][0]["gates"][0]["policies"][0]["applies"], false);
    }
    let insert = Ask::new("POST /orders").json(r#"{"note":"x","status":"paid"}"#);
    for report in same(&servers, ADA, &insert).await {
        assert_eq!(report["because"], "grant", "{report:#}");
        let grants = report["relations"][0]["grants"].as_array().unwrap();
        let lacking: Vec<&Value> = grants.iter().filter(|grant| grant["held"] == false).collect();
        assert_eq!(lacking.len(), 1, "{report:#}");
        assert_eq!(lacking[0]["privilege"], "INSERT");
        assert_eq!(lacking[0]["missing"], json!(["status"]));
    }
}

#[tokio::test]
async fn a_refused_write_names_the_check_and_the_row_and_leaves_nothing() {
    let servers = servers(shop::project).await;
    // Order 30 is Ada's and pending; the price is not the product's.
    let line = json!({"order_id": 30, "product_id": 1, "quantity": 1, "unit_price": 1}).to_string();
    let insert = Ask::new("POST /order_items").json(&line);
    for report in same(&servers, ADA, &insert).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        assert_eq!(report["answer"]["code"], "42501");
        let row = &report["relations"][0]["rows"]["sample"][0];
        assert_eq!(row["of"], "new");
        let tried = &row["gates"][0]["policies"][0];
        assert_eq!(row["gates"][0]["clause"], "with_check");
        let values: Vec<&Value> = tried["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| &part["value"])
            .collect();
        assert_eq!(values, [&json!(true), &json!(false)], "{tried:#}");
        assert_eq!(saw(tried, "unit_price"), "1.00");
    }
    let update = Ask::new("PATCH /orders?id=in.(1,2,30)").json(r#"{"status":"paid"}"#);
    for report in same(&servers, ADA, &update).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        let sample = report["relations"][0]["rows"]["sample"].as_array().unwrap();
        let of = |side: &str, id: &str| sample.iter().find(|row| row["of"] == side && row["key"]["id"] == id);
        assert_eq!(of("existing", "1").unwrap()["passes"], false, "it is not pending");
        assert_eq!(of("existing", "2").unwrap()["passes"], false, "it is Bruno's");
        assert!(of("new", "1").is_none(), "what is skipped is not written");
        let refused = of("new", "30").unwrap();
        assert_eq!(refused["passes"], false);
        let tried = &refused["gates"][0]["policies"][0];
        assert_eq!(saw(tried, "status"), "paid");
        assert!(report["summary"].as_str().unwrap().contains("id = 30"), "{report:#}");
    }
    // The product is in orders: a foreign key decides, neither a grant nor a policy.
    let delete = Ask::new("DELETE /products?id=eq.1");
    for report in same(&servers, "service_role", &delete).await {
        assert_eq!(report["because"], "error", "{report:#}");
        assert_eq!(report["answer"]["code"], "23503");
    }
    let cancel = Ask::new("PATCH /orders?id=eq.30").json(r#"{"status":"cancelled"}"#);
    for report in same(&servers, ADA, &cancel).await {
        assert_eq!(report["because"], "allowed", "{report:#}");
        assert_eq!(report["answer"]["status"], 204);
    }
    let place = Ask::new("POST /orders").json(r#"{"note":"explained"}"#);
    for server in &servers {
        // On PostgreSQL a sequence goes on whether its row is kept or not, so the ids are not the same.
        let report = explained(server, ADA, &place).await;
        assert_eq!(report["because"], "allowed", "{report:#}");
        assert_eq!(report["answer"]["status"], 201);
    }
    for server in &servers {
        let service = server.service();
        let orders = service.get("orders?select=status&id=eq.30").await.json();
        assert_eq!(orders, json!([{"status": "pending"}]));
        assert_eq!(
            service.get("orders?select=id&note=eq.explained").await.json(),
            json!([])
        );
        let lines = service
            .get("order_items?select=product_id&order_id=eq.30&product_id=eq.1")
            .await;
        assert_eq!(lines.json(), json!([]));
    }
}

#[tokio::test]
async fn embeds_and_views_are_examined_too() {
    let servers = servers(shop::project).await;
    let nested = Ask::new("GET /products?select=name,order_items(quantity,orders(status))&id=eq.7");
    for report in same(&servers, ADA, &nested).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        let relations = report["relations"].as_array().unwrap();
        let of = |path: &[&str]| relations.iter().find(|told| told["path"] == json!(path)).unwrap();
        assert_eq!(of(&[])["rows"]["passing"], 1);
        let lines = of(&["order_items"]);
        assert_eq!(lines["relation"], "public.order_items");
        assert_eq!(lines["rows"]["found"], 5);
        assert_eq!(lines["rows"]["passing"], 0, "none of them is Ada's");
        assert_eq!(of(&["order_items", "orders"])["rows"]["passing"], 0);
    }
    for report in same(&servers, ADA, &Ask::new("GET /order_totals?order_id=eq.2")).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        let base = report["relations"].as_array().unwrap();
        let base = base.iter().find(|told| told["relation"] == "public.orders").unwrap();
        assert_eq!(
            base["through"],
            json!({"view": "public.order_totals", "role": "authenticated"})
        );
        assert_eq!(base["row_security"]["applies"], true);
    }
    for report in same(&servers, ADA, &Ask::new("GET /order_totals?order_id=eq.1")).await {
        assert_eq!(report["because"], "allowed", "{report:#}");
    }
}

/// Everything that a policy may stumble over.
const ODD: &str = r#"
    create table "Odd ""t""" (
        id int primary key, "Owner" uuid, tags text[], kind text, doc jsonb, at timestamptz, raw bytea, price numeric(8,3)
    );
    alter table "Odd ""t""" enable row level security;
    grant select, delete on "Odd ""t""" to authenticated, service_role;
    create policy "it's mine" on "Odd ""t""" for select to authenticated
        using ("Owner" = (select auth.uid()) or 'public' = any (tags) or doc ->> 'org' = auth.jwt() -> 'app_metadata' ->> 'org');
    create policy recent on "Odd ""t""" as restrictive for all to authenticated
        using (at > '2020-01-01T00:00:00Z' and price is not null and length(raw) > 0);
    create policy divides on "Odd ""t""" for delete to authenticated using (10 / (id - 2) > 0);
    create table secrets (id int primary key, note text);
    create table quiet (id int primary key, note text);
    alter table quiet enable row level security;
    grant select on quiet to authenticated;
    create table looked_up (id int primary key, member uuid);
    alter table looked_up enable row level security;
    grant select on looked_up to authenticated;
    create table guarded (id int primary key);
    alter table guarded enable row level security;
    grant select on guarded to authenticated;
    create policy members on guarded for select to authenticated
        using (exists (select 1 from looked_up l where l.id = guarded.id));
    insert into "Odd ""t""" values
        (1, '00000001-0000-4000-8000-000000000001', '{a,"b c"}', 'x', '{"org": "acme"}', '2024-05-05 10:00:00.5+02', '\x00ff', 1.5),
        (2, null, '{public}', 'it''s \ odd', null, '2024-05-05 10:00:00+00', '\x5c27', 0),
        (3, '00000001-0000-4000-8000-000000000001', null, null, null, '2010-05-05 10:00:00+00', '\x01', 2),
        (4, '00000002-0000-4000-8000-000000000002', null, null, '{"org": "acme"}', '2024-05-05 10:00:00+00', '\x01', 2);
    insert into quiet values (1, 'x');
    insert into looked_up values (1, '00000001-0000-4000-8000-000000000001');
    insert into guarded values (1);
"#;

#[tokio::test]
async fn odd_names_types_and_failing_policies_are_told() {
    let servers = servers(|| Project::of(ODD)).await;
    let all = Ask::new("GET /Odd%20%22t%22?select=id&order=id");
    for report in same(&servers, ADA, &all).await {
        let rows = &report["relations"][0]["rows"];
        assert_eq!((&rows["found"], &rows["passing"]), (&json!(4), &json!(2)), "{report:#}");
        let row = |id: &str| {
            let sample = rows["sample"].as_array().unwrap();
            sample.iter().find(|row| row["key"]["id"] == id).unwrap().clone()
        };
        assert_eq!(row("3")["passes"], false, "the restrictive policy refuses it");
        let restrictive = &row("3")["gates"][0]["policies"][1];
        assert_eq!(
            (&restrictive["name"], &restrictive["permissive"]),
            (&json!("recent"), &json!(false))
        );
        assert_eq!(row("4")["passes"], false);
        assert_eq!(saw(&row("4")["gates"][0]["policies"][0], "Owner"), BRUNO);
    }
    let of_acme = json!({"sub": ADA, "app_metadata": {"org": "acme"}}).to_string();
    for report in same(&servers, &of_acme, &all).await {
        assert_eq!(report["relations"][0]["rows"]["passing"], 3, "{report:#}");
    }
    let delete = Ask::new("DELETE /Odd%20%22t%22?id=in.(1,2)");
    for report in same(&servers, ADA, &delete).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        let summary = report["summary"].as_str().unwrap();
        assert!(summary.contains("policy divides fails with"), "{summary}");
        let sample = report["relations"][0]["rows"]["sample"].as_array().unwrap();
        let failing = sample.iter().find(|row| row["key"]["id"] == "2").unwrap();
        let error = failing["gates"][0]["policies"][0]["error"].as_str().unwrap();
        assert_eq!(error, "division by zero [22012]");
    }
    for report in same(&servers, ADA, &Ask::new("GET /quiet")).await {
        assert_eq!(report["because"], "policy");
        let summary = report["summary"].as_str().unwrap();
        assert!(
            summary.contains("no policy for select is for the role authenticated"),
            "{summary}"
        );
    }
    // What a policy looks up is guarded by that table's own policies, of which there are none.
    for report in same(&servers, ADA, &Ask::new("GET /guarded")).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        assert_eq!(report["relations"][0]["rows"]["passing"], 0);
    }
    for report in same(&servers, ADA, &Ask::new("GET /secrets")).await {
        assert_eq!(report["because"], "grant");
    }
    for report in same(&servers, ADA, &Ask::new("GET /nowhere")).await {
        assert_eq!(report["because"], "error");
        assert_eq!(report["answer"]["code"], "PGRST205");
        assert_eq!(report["relations"], json!([]));
    }
}

#[tokio::test]
async fn an_upsert_tries_each_row_by_what_becomes_of_it() {
    let schema = format!(
        "create table todos (id int primary key, owner uuid default auth.uid(), task text unique);
        alter table todos enable row level security;
        grant select, insert, update on todos to authenticated;
        create policy seen on todos for select to authenticated using (true);
        create policy made on todos for insert to authenticated with check (owner = (select auth.uid()) and id < 100);
        create policy changed on todos for update to authenticated using (owner = (select auth.uid()));
        insert into todos values (1, '{ADA}', 'a'), (2, '{BRUNO}', 'b');"
    );
    let servers = servers(|| Project::of(&schema)).await;
    let upsert = |body: &str| {
        Ask::new("POST /todos?columns=id,task")
            .json(body)
            .prefer("resolution=merge-duplicates, missing=default")
    };
    // A statement that fails for two reasons may name either, so each has its own.
    for (body, id, of, command) in [
        (
            r#"[{"id":1,"task":"x"},{"id":2,"task":"y"},{"id":9,"task":"z"}]"#,
            "2",
            "existing",
            "update",
        ),
        (
            r#"[{"id":1,"task":"x"},{"id":9,"task":"z"},{"id":100,"task":"w"}]"#,
            "100",
            "new",
            "insert",
        ),
    ] {
        for report in same(&servers, ADA, &upsert(body)).await {
            assert_eq!(report["because"], "policy", "{report:#}");
            let rows = &report["relations"][0]["rows"];
            assert_eq!((&rows["found"], &rows["passing"]), (&json!(3), &json!(2)), "{report:#}");
            let sample = rows["sample"].as_array().unwrap();
            let refused: Vec<&Value> = sample.iter().filter(|row| row["passes"] == false).collect();
            assert_eq!(refused.len(), 1, "{report:#}");
            assert_eq!(refused[0]["key"]["id"], id);
            assert_eq!(refused[0]["of"], of);
            assert_eq!(refused[0]["gates"][0]["command"], command);
        }
    }
    let fine = upsert(r#"[{"id":1,"task":"x"},{"id":9,"task":"z"}]"#);
    for report in same(&servers, ADA, &fine).await {
        assert_eq!(report["because"], "allowed", "{report:#}");
        assert_eq!(report["answer"]["status"], 201);
    }
}

#[tokio::test]
async fn long_values_are_cut_and_a_table_without_a_key_is_told_of() {
    let schema = "
        create table keyless (a int, body text);
        alter table keyless enable row level security;
        grant select, update on keyless to authenticated;
        create policy short on keyless to authenticated using (length(body) < 10) with check (length(body) < 10);
        insert into keyless values (1, repeat('é', 2000)), (2, 'short');
    ";
    let servers = servers(|| Project::of(schema)).await;
    for report in same(&servers, ADA, &Ask::new("GET /keyless?select=a&order=a")).await {
        let rows = &report["relations"][0]["rows"];
        assert_eq!((&rows["found"], &rows["passing"]), (&json!(2), &json!(1)), "{report:#}");
        let tried = &rows["sample"][0]["gates"][0]["policies"][0];
        let shown = saw(tried, "body").as_str().unwrap();
        assert_eq!(shown.chars().count(), 501, "{shown}");
    }
    let update = Ask::new("PATCH /keyless?a=eq.2").json(r#"{"body":"much too long"}"#);
    for report in same(&servers, ADA, &update).await {
        assert_eq!(report["because"], "policy", "{report:#}");
        assert_eq!(report["answer"]["code"], "42501");
        let note = report["relations"][0]["note"].as_str().unwrap();
        assert!(note.contains("no key"), "{note}");
    }
}

#[tokio::test]
async fn calls_tell_their_grants_and_no_superuser_is_tried() {
    let schema = "
        create function free() returns int language sql as 'select 1';
        create function kept() returns int language sql security definer as 'select 1';
        revoke execute on function kept() from public, anon, authenticated;
        create table t (id int primary key);
    ";
    let servers = servers(|| Project::of(schema)).await;
    for report in same(&servers, ADA, &Ask::new("GET /rpc/kept")).await {
        assert_eq!(report["because"], "grant", "{report:#}");
        assert_eq!(report["answer"]["code"], "42501");
        assert_eq!(
            report["summary"],
            "authenticated lacks EXECUTE on function public.kept."
        );
        assert_eq!(report["routines"][0]["runs_as"], "postgres");
    }
    for report in same(&servers, ADA, &Ask::new("GET /rpc/free")).await {
        assert_eq!(report["because"], "allowed", "{report:#}");
        assert_eq!(report["routines"][0]["runs_as"], "authenticated");
        assert_eq!(report["routines"][0]["grants"][1]["held"], true);
    }
    for report in same(&servers, "postgres", &Ask::new("GET /t")).await {
        assert_eq!(report["answer"]["code"], "42501", "{report:#}");
        assert_eq!(report["relations"], json!([]));
    }
    for report in same(&servers, "nobody", &Ask::new("GET /t")).await {
        assert_eq!(report["answer"]["code"], "22023", "{report:#}");
    }
}

/// A connection of one's own that may switch to the API's roles, and no more.
#[tokio::test]
async fn on_postgresql_a_connection_without_rights_looks_as_the_secret_role() {
    let Some(Engine::Postgres) = engines().pop() else {
        return;
    };
    let server = Server::start(PROGRAM, Engine::Postgres, shop::project()).await;
    let role = format!("mainstay_why_{}", std::process::id());
    let administer = |sql: &str| {
        let output = server.command(&["db", "query", "--write", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    administer(&format!("create role {role} login noinherit"));
    administer(&format!("grant anon, authenticated, service_role to {role}"));
    let url = server.database_url().unwrap();
    let (_, host) = url.rsplit_once('@').unwrap();
    let url = format!("postgres://{role}@{host}");
    let told = || {
        let output = std::process::Command::new(PROGRAM)
            .args(["why", "--json", "--as", ADA, "GET /orders?id=eq.2&select=id"])
            .arg(server.project.path())
            .args(["--database-url", &url])
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    let (seen, unseen) = (told(), {
        administer("revoke select on orders from service_role");
        told()
    });
    administer(&format!("drop role {role}"));
    assert_eq!(seen["because"], "policy", "{seen:#}");
    assert_eq!(seen["relations"][0]["rows"]["found"], 1);
    assert_eq!(unseen["because"], "unknown", "{unseen:#}");
    let note = unseen["relations"][0]["note"].as_str().unwrap();
    assert!(note.contains("permission denied for table orders"), "{note}");
}

/// All that a client sees, without what differs between any two answers.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    answer.comparable()
}

#[tokio::test]
async fn an_ordinary_caller_s_preference_means_nothing() {
    for server in servers(shop::project).await {
        let ordinary: Vec<(&str, Client)> = vec![
            ("nobody", server.anonymous()),
            ("Ada", server.user(ADA)),
            (
                "another role",
                server
                    .anonymous()
                    .bearer(&mainstay_testing::token::role("authenticated")),
            ),
        ];
        let asks = [
            Ask::new("GET /orders?id=eq.2"),
            Ask::new("GET /products?select=id&limit=1"),
            Ask::new("POST /orders").json(r#"{"status":"paid"}"#),
            Ask::new("PATCH /orders?id=eq.2").json(r#"{"status":"cancelled"}"#),
            Ask::new("GET /orders?id=eq.2").prefer("handling=strict"),
        ];
        for (who, client) in &ordinary {
            for ask in &asks {
                let unknown = ask.clone().prefer("explain=polity").header("mainstay-at", ADA);
                let asked = ask.clone().prefer(EXPLAIN).header(AS, ADA);
                let (unknown, asked) = (unknown.send(client).await, asked.send(client).await);
                let (mut unknown, asked) = (seen(&unknown), seen(&asked));
                unknown.2 = unknown.2.replace("explain=polity", EXPLAIN);
                assert_eq!(unknown, asked, "{ask:?} as {who}");
                assert!(!asked.2.contains("relations"), "{}", asked.2);
            }
        }
    }
}

#[tokio::test]
async fn the_secret_key_may_ask_for_the_user_whose_token_it_brings() {
    for server in servers(shop::project).await {
        let keys = server.keys();
        let secret = keys["secret_key"].as_str().unwrap();
        let publishable = keys["publishable_key"].as_str().unwrap();
        let ask = Ask::new("GET /orders?id=eq.2&select=id").prefer(EXPLAIN);
        let report = ask.send(&server.user(ADA).with("apikey", secret)).await.json();
        assert_eq!(report["caller"]["claims"]["sub"], ADA, "{report:#}");
        assert_eq!(report["because"], "policy");
        let plain = ask.send(&server.user(ADA).with("apikey", publishable)).await;
        assert_eq!(plain.text(), "[]");
        let own = ask.send(&server.anonymous().with("apikey", secret)).await.json();
        assert_eq!(own["caller"]["role"], "service_role");
        assert_eq!(own["because"], "allowed");
        assert_eq!(
            own["relations"][0]["row_security"]["reason"],
            "the role passes row security"
        );
        let bad = ask.clone().header(AS, "two words").send(&server.service()).await;
        assert_eq!(
            (bad.status.as_u16(), bad.code().as_str()),
            (400, "MS-HTTP-007"),
            "{}",
            bad.text()
        );
    }
}

#[tokio::test]
async fn dev_explains_to_this_machine_and_to_its_own_pages_only() {
    use std::io::{BufRead, BufReader};
    let project = shop::project();
    let mut child = std::process::Command::new(PROGRAM)
        .args(["dev", project.path().to_str().unwrap(), "--listen", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next().unwrap().unwrap();
    let url = ready.strip_prefix("Mainstay is ready at ").unwrap().to_owned();
    let client = Client::new(&url);
    let path = "/rest/v1/orders?id=eq.2&select=id";
    let asking = [("prefer", EXPLAIN), (AS, ADA)];
    let told = client.send(Method::GET, path, &asking, "").await;
    let mut refused = Vec::new();
    for (name, value) in [
        ("origin", "https://elsewhere.example"),
        ("x-forwarded-for", "203.0.113.7"),
        ("host", "rebound.example"),
    ] {
        let asking = [("prefer", EXPLAIN), (AS, ADA), (name, value)];
        refused.push((name, client.send(Method::GET, path, &asking, "").await));
    }
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(told.json()["because"], "policy", "{}", told.text());
    for (name, answer) in refused {
        assert_eq!(answer.code(), "42501", "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_command_says_the_same_while_the_database_is_served() {
    for server in servers(shop::project).await {
        let ask = "GET /rest/v1/orders?id=eq.2&select=id,status";
        let told = |arguments: &[&str]| {
            let mut command = std::process::Command::new(PROGRAM);
            command.args(["why", ask]).arg(server.project.path()).args(arguments);
            if let Some(url) = server.database_url() {
                command.args(["--database-url", &url]);
            }
            command.output().unwrap()
        };
        let output = told(&["--as", ADA, "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let served = explained(&server, ADA, &Ask::new("GET /orders?id=eq.2&select=id,status")).await;
        assert_eq!(report, served);
        let text = String::from_utf8(told(&["--as", ADA]).stdout).unwrap();
        assert!(
            text.contains("orders_read_own is false") && text.contains(BRUNO),
            "{text}"
        );
        let refused = told(&["--as", "two words"]);
        assert!(!refused.status.success());
        // A write beside the server leaves it as it was.
        let mut command = std::process::Command::new(PROGRAM);
        command
            .args([
                "why",
                "--json",
                "--as",
                ADA,
                "--body",
                r#"{"note":"beside"}"#,
                "POST /orders",
            ])
            .arg(server.project.path());
        if let Some(url) = server.database_url() {
            command.args(["--database-url", &url]);
        }
        let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        assert_eq!(report["answer"]["status"], 201, "{report:#}");
        let placed = Ask::new("POST /orders").json(r#"{"note":"served"}"#);
        assert_eq!(placed.send(&server.user(ADA)).await.status, 201);
        let notes = server.service().get("orders?select=note&note=in.(beside,served)").await;
        assert_eq!(notes.json(), json!([{"note": "served"}]));
        // The log is written in order: once it has the last request, it has all before.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while server.log().matches("/rest/v1/orders").count() < 3 {
            assert!(std::time::Instant::now() < end, "{}", server.log());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(!server.log().contains("another program"), "{}", server.log());
    }
}

/// The guide's examples: what follows a `$ mainstay …` line in a block is what the command prints.
#[test]
fn the_guide_says_what_the_command_says() {
    let project = shop::project();
    let project = project.path().to_str().unwrap();
    let run = |arguments: &[String]| {
        let output = std::process::Command::new(PROGRAM).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    run(&["migrate", "up", project].map(String::from));
    let guide = include_str!("../../../docs/guides/why.md");
    let mut examples = 0;
    for block in guide.split("```").filter_map(|block| block.strip_prefix("console\n")) {
        let (line, expected) = block.split_once('\n').unwrap();
        let mut arguments = words(line.strip_prefix("$ mainstay ").unwrap());
        arguments.push(project.to_owned());
        let said = run(&arguments);
        if arguments.iter().any(|argument| argument == "--json") {
            let (said, expected): (Value, Value) = (
                serde_json::from_str(&said).unwrap(),
                serde_json::from_str(expected).unwrap(),
            );
            assert_eq!(said, expected, "{line}");
        } else {
            assert_eq!(said, expected, "{line}");
        }
        examples += 1;
    }
    assert!(examples >= 3, "{examples}");
}

/// Splits a command line; single quotes keep words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
