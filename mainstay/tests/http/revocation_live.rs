//! A session that has ended, a user who is banned, deleted or has lost a role: no room takes their token any more, with the
//! answer that ended it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use mainstay_testing::{Answer, Client, Engine, Project, Server, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, refusal, refused, send};

pub const NOTES: &str = "
    create table notes (id int primary key, owner uuid default auth.uid(), body text);
    alter table notes enable row level security;
    create policy own on notes using (owner = auth.uid()) with check (owner = auth.uid());
    grant select, insert, update, delete on notes to authenticated, service_role;
    create function public.mine() returns bigint language sql stable as $$ select count(*) from public.notes $$;
    create function public.end_all() returns void language sql security definer set search_path = '' as $$
        delete from auth.sessions where true
    $$;
    grant execute on function public.mine to authenticated;
    grant execute on function public.end_all to service_role;";

/// How long another process's change may take to be found before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

fn project() -> Project {
    Project::of(NOTES)
}

/// The ways by which a token reaches rows.
const WAYS: &[(&str, &str, &str)] = &[
    ("GET", "/rest/v1/notes", ""),
    ("HEAD", "/rest/v1/notes", ""),
    ("POST", "/rest/v1/notes", r#"{"id":7,"body":"x"}"#),
    ("PATCH", "/rest/v1/notes?id=eq.7", r#"{"body":"y"}"#),
    ("DELETE", "/rest/v1/notes?id=eq.7", ""),
    ("POST", "/rest/v1/rpc/mine", "{}"),
    ("GET", "/rest/v1/rpc/mine", ""),
    (
        "POST",
        "/rest/v1/batch",
        r#"{"requests":[{"method":"GET","path":"/notes"}]}"#,
    ),
    ("GET", "/rest/v1/", ""),
];

async fn by(client: &Client, way: &(&str, &str, &'static str)) -> Answer {
    let headers = [("content-type", "application/json")];
    client.send(way.0.parse().unwrap(), way.1, &headers, way.2).await
}

/// Every way is open to the session, or is closed with this reason.
pub async fn expect(auth: &Auth, of: &Session, reason: Option<&str>) {
    let bearer = auth.client(Some(&of.access_token));
    let by_key = auth.client(None).with("apikey", &of.access_token);
    for client in [&bearer, &by_key] {
        for way in WAYS {
            let answer = by(client, way).await;
            match reason {
                None => assert!(
                    answer.status.is_success(),
                    "{way:?}: {} {}",
                    answer.status,
                    answer.text()
                ),
                Some(reason) => {
                    assert_eq!(answer.status, 401, "{way:?}: {}", answer.text());
                    assert!(answer.header("www-authenticate").contains(reason), "{way:?}");
                    if way.0 != "HEAD" {
                        assert_eq!(
                            (answer.code(), &answer.json()["message"]),
                            ("PGRST303".into(), &json!(reason))
                        );
                    }
                }
            }
        }
    }
}

pub async fn admin(auth: &Auth, method: Method, id: &str, body: Value) {
    let client = auth.client(Some(&token::role("service_role")));
    let answer = send(&client, method, &format!("/admin/users/{id}"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn sign_out(auth: &Auth, of: &Session, scope: &str) {
    let path = format!("/logout?scope={scope}");
    let out = auth.ask(Method::POST, &path, Some(&of.access_token), Value::Null).await;
    assert_eq!(out.status, 204);
}

pub const ENDED: Option<&str> = Some("JWT session has ended");
pub const BANNED: Option<&str> = Some("JWT user is banned");

#[tokio::test]
async fn whatever_ends_a_session_ends_its_token_everywhere_at_once() {
    on_each_engine(project, async |_, auth: Auth| {
        let first = auth.sign_up("ann@example.com").await;
        let (second, third) = (
            auth.sign_in("ann@example.com").await,
            auth.sign_in("ann@example.com").await,
        );
        let bob = auth.sign_up("bob@example.com").await;
        for session in [&first, &second, &third, &bob] {
            expect(&auth, session, None).await;
        }
        sign_out(&auth, &second, "local").await;
        expect(&auth, &second, ENDED).await;
        expect(&auth, &first, None).await;
        sign_out(&auth, &first, "others").await;
        expect(&auth, &third, ENDED).await;
        expect(&auth, &first, None).await;

        // A new password: the user's own ends the other sessions, an administrator's all.
        let other = auth.sign_in("ann@example.com").await;
        expect(&auth, &other, None).await;
        let body = json!({"password": "another horse 8 battery"});
        let changed = auth.ask(Method::PUT, "/user", Some(&first.access_token), body).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        expect(&auth, &other, ENDED).await;
        expect(&auth, &first, None).await;
        admin(&auth, Method::PUT, first.id(), json!({"password": PASSWORD})).await;
        expect(&auth, &first, ENDED).await;

        // A ban holds while it lasts.
        let ann = auth.sign_in("ann@example.com").await;
        expect(&auth, &ann, None).await;
        admin(&auth, Method::PUT, ann.id(), json!({"ban_duration": "1h"})).await;
        expect(&auth, &ann, BANNED).await;
        assert_eq!(
            refusal(&auth.user(&ann.access_token).await),
            refused(403, "user_banned")
        );
        admin(&auth, Method::PUT, ann.id(), json!({"ban_duration": "none"})).await;
        expect(&auth, &ann, None).await;

        sign_out(&auth, &ann, "global").await;
        expect(&auth, &ann, ENDED).await;

        let ann = auth.sign_in("ann@example.com").await;
        expect(&auth, &ann, None).await;
        admin(&auth, Method::DELETE, ann.id(), json!({"should_soft_delete": true})).await;
        expect(&auth, &ann, ENDED).await;
        expect(&auth, &bob, None).await;
        admin(&auth, Method::DELETE, bob.id(), json!({})).await;
        expect(&auth, &bob, ENDED).await;
    })
    .await;
}

#[tokio::test]
async fn a_role_that_was_taken_away_is_gone_from_every_room() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        admin(&auth, Method::PUT, ann.id(), json!({"role": "service_role"})).await;
        expect(&auth, &ann, Some("JWT role is not the user's any more")).await;
        let boss = auth.sign_in("ann@example.com").await;
        expect(&auth, &boss, None).await;
        let users = async |of: &Session| {
            auth.ask(Method::GET, "/admin/users", Some(&of.access_token), Value::Null)
                .await
        };
        assert_eq!(users(&boss).await.status, 200);
        // Whoever has the role has not the key: it ends, and the key does not.
        let metrics = auth
            .client(Some(&boss.access_token))
            .with("x-forwarded-for", "203.0.113.9");
        let metrics = metrics.send(Method::GET, "/metrics", &[], "").await;
        assert_eq!(metrics.status, 403, "{}", metrics.text());
        admin(&auth, Method::PUT, ann.id(), json!({"role": "authenticated"})).await;
        assert_eq!(refusal(&users(&boss).await), refused(403, "session_not_found"));
        expect(&auth, &boss, Some("JWT role is not the user's any more")).await;
        // The next token has the role that the user has.
        let next = crate::auth::session(&auth.refresh(&boss.refresh_token).await);
        expect(&auth, &next, None).await;
        assert_eq!(refusal(&users(&next).await), refused(403, "not_admin"));

        admin(&auth, Method::PUT, ann.id(), json!({"role": "service_role"})).await;
        let boss = auth.sign_in("ann@example.com").await;
        admin(&auth, Method::PUT, ann.id(), json!({"ban_duration": "1h"})).await;
        assert_eq!(refusal(&users(&boss).await), refused(403, "user_banned"));
    })
    .await;
}

#[tokio::test]
async fn a_token_without_a_session_goes_on() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        sign_out(&auth, &ann, "global").await;
        admin(&auth, Method::PUT, ann.id(), json!({"ban_duration": "1h"})).await;
        let claims = |more: Value| {
            let mut claims = json!({"role": "authenticated", "sub": ann.id(), "exp": token::now() + 3600});
            claims
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            token::sign(&claims)
        };
        for (more, status) in [
            (json!({}), 200),
            (json!({"session_id": null}), 200),
            (json!({"session_id": "somebody-else's"}), 200),
            (json!({"session_id": ann.claims()["session_id"]}), 401),
            (json!({"session_id": "aaaaaaaa-0000-4000-8000-000000000001"}), 401),
            (json!({"session_id": "AAAAAAAA-0000-4000-8000-000000000001"}), 401),
        ] {
            let client = auth.client(Some(&claims(more.clone())));
            assert_eq!(by(&client, &WAYS[0]).await.status, status, "{more}");
        }
        // One user's session is not another's.
        let bob = auth.sign_up("bob@example.com").await;
        expect(&auth, &bob, None).await;
        let mixed = claims(json!({"session_id": bob.claims()["session_id"]}));
        assert_eq!(by(&auth.client(Some(&mixed)), &WAYS[0]).await.status, 401);
        expect(&auth, &bob, None).await;
    })
    .await;
}

#[tokio::test]
async fn no_request_sent_after_the_sign_out_passes_however_many_are_under_way() {
    on_each_engine(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        for _ in 0..8 {
            let ann = auth.sign_in("ann@example.com").await;
            let (out, late) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
            let readers: Vec<_> = (0..8)
                .map(|_| {
                    let (out, late) = (out.clone(), late.clone());
                    let client = auth.client(Some(&ann.access_token));
                    tokio::spawn(async move {
                        let mut refusals = 0;
                        while refusals < 5 {
                            let is_late = out.load(Ordering::SeqCst);
                            let answer = by(&client, &WAYS[0]).await;
                            match answer.status.as_u16() {
                                200 if is_late => late.lock().unwrap().push(answer.text()),
                                401 => refusals += 1,
                                _ => {}
                            }
                        }
                    })
                })
                .collect();
            sign_out(&auth, &ann, "local").await;
            out.store(true, Ordering::SeqCst);
            for reader in readers {
                reader.await.unwrap();
            }
            assert!(late.lock().unwrap().is_empty());
        }
    })
    .await;
}

/// Asks until the token is refused.
async fn until_refused(client: &Client) {
    let begun = Instant::now();
    loop {
        let answer = by(client, &WAYS[0]).await;
        if answer.status == 401 {
            return;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(begun.elapsed() < PATIENCE, "it goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A second process on the server's database.
struct Beside(Child, String);

impl Beside {
    fn start(server: &Server) -> Self {
        let mut command = server.command(&["serve"]);
        command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .find(|line| line.starts_with("Mainstay is ready at "));
        Beside(
            child,
            ready.unwrap().trim_start_matches("Mainstay is ready at ").to_owned(),
        )
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_others_end_is_found_and_a_restart_forgets_nothing() {
    on_each_engine(project, async |engine, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        expect(&auth, &ann, None).await;
        // By SQL, past this room.
        auth.call("end_all", json!({})).await;
        until_refused(&auth.client(Some(&ann.access_token))).await;
        expect(&auth, &ann, ENDED).await;

        let (ann, other) = (
            auth.sign_in("ann@example.com").await,
            auth.sign_in("ann@example.com").await,
        );
        if engine == Engine::Postgres {
            let beside = Beside::start(&auth.server);
            let there = Client::new(&beside.1).bearer(&other.access_token);
            assert_eq!(by(&there, &WAYS[0]).await.status, 200);
            sign_out(&auth, &other, "local").await;
            until_refused(&there).await;
        }
        sign_out(&auth, &ann, "global").await;
        let bob = auth.sign_up("bob@example.com").await;
        auth.server.kill();
        auth.server.run().unwrap();
        expect(&auth, &ann, ENDED).await;
        expect(&auth, &bob, None).await;
    })
    .await;
}
