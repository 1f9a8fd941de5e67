//! Absence and failure never mean more: a broken caller, a missing claim, a policy that fails.

use mainstay_testing::{Project, Server, token};
use serde_json::json;

use crate::both::{Ask, Both};

const USER: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn project() -> Project {
    Project::of(&format!(
        "create table mine (id int primary key, owner uuid);
         create table byrole (id int primary key);
         create table bymail (id int primary key, mail text);
         create table fails (id int primary key, n int);
         create table bysetting (id int primary key, tenant text);
         alter table mine enable row level security;
         alter table byrole enable row level security;
         alter table bymail enable row level security;
         alter table fails enable row level security;
         alter table bysetting enable row level security;
         create policy p on mine using (owner = auth.uid());
         create policy p on byrole using (auth.role() = 'authenticated');
         create policy p on bymail using (mail = auth.email());
         create policy p on fails using (10 / n > 0);
         create policy p on bysetting using (tenant = (current_setting('request.jwt.claims', true)::json ->> 'tenant'));
         insert into mine values (1, '{USER}'), (2, null);
         insert into byrole values (1);
         insert into bymail values (1, 'a@example.com'), (2, ''), (3, null);
         insert into fails values (1, 0);
         insert into bysetting values (1, 'acme'), (2, ''), (3, null);
         grant select on mine, byrole, bymail, fails, bysetting to anon, authenticated;"
    ))
}

#[tokio::test]
async fn missing_claims_show_nothing() {
    let both = Both::start(project).await;
    let claims = [
        json!({"role": "authenticated"}),
        json!({"role": "authenticated", "sub": null}),
        json!({"role": "authenticated", "sub": ""}),
        json!({"role": "authenticated", "sub": "not a uuid"}),
        json!({"role": "authenticated", "sub": 7}),
        json!({"role": "authenticated", "sub": [USER]}),
        json!({"role": "authenticated", "sub": {"a": USER}}),
        json!({"role": "authenticated", "email": null, "tenant": null}),
        json!({"role": "authenticated", "email": ["a@example.com"], "tenant": ["acme"]}),
        json!({"role": "anon", "sub": "bbbbbbbb-0000-4000-8000-000000000002"}),
    ];
    for claim in claims {
        let bearer = token::sign(&claim);
        for table in ["mine", "bymail", "bysetting"] {
            let answer = both
                .same(
                    |server| server.anonymous().bearer(&bearer),
                    &Ask::new(&format!("GET /{table}")),
                )
                .await;
            let shows = answer.status.is_success() && answer.json() != json!([]);
            assert!(!shows, "{claim} sees {table}: {}", answer.text());
        }
    }
    let answer = both.same(Server::anonymous, &Ask::new("GET /byrole")).await;
    assert_eq!(answer.json(), json!([]));
    let answer = both.same(|server| server.user(USER), &Ask::new("GET /mine")).await;
    assert_eq!(answer.json(), json!([{"id": 1, "owner": USER}]));
}

#[tokio::test]
async fn a_policy_that_fails_is_an_error() {
    let both = Both::start(project).await;
    let answer = both.same(|server| server.user(USER), &Ask::new("GET /fails")).await;
    assert_eq!(answer.code(), "22012", "{}", answer.text());
}

#[tokio::test]
async fn a_role_that_does_not_exist_or_may_not_be_taken_is_refused() {
    let both = Both::start(project).await;
    for role in [
        "nobody_knows",
        "ANON",
        "anon ",
        "anon\u{0}",
        "anon; set role postgres",
        "\"anon\"",
        "none",
    ] {
        let bearer = token::sign(&json!({"role": role, "sub": USER}));
        for server in &both.servers {
            let answer = server.anonymous().bearer(&bearer).get("mine").await;
            assert!(
                !answer.status.is_success(),
                "{:?}: role {role:?}: {} {}",
                server.engine,
                answer.status,
                answer.text()
            );
            assert!(
                answer.status.as_u16() < 500,
                "{:?}: role {role:?}: {} {}",
                server.engine,
                answer.status,
                answer.text()
            );
        }
    }
}

#[tokio::test]
async fn a_broken_credential_is_never_anonymous() {
    let both = Both::start(project).await;
    let good = token::user(USER);
    let mut cut = good.clone();
    cut.truncate(good.len() - 2);
    for (name, value) in [
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer x".to_owned()),
        ("authorization", format!("Bearer {cut}")),
        ("authorization", format!("Bearer {good}x")),
        ("authorization", "Bearer sb_secret_guess".to_owned()),
        ("apikey", "guess".to_owned()),
        ("apikey", "sb_publishable_guess".to_owned()),
    ] {
        let answer = both
            .same(|server| server.anonymous().with(name, &value), &Ask::new("GET /mine"))
            .await;
        assert_eq!(answer.status, 401, "{name}: {value}: {}", answer.text());
        assert!(!answer.code().is_empty());
    }
}
