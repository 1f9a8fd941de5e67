//! Passwords, tokens, hashes and keys stand in no log at its most talkative, in no refusal, and in no file in clear.

use std::path::Path;

use http::Method;
use mainstay_testing::{Project, Server, engines, token};
use serde_json::{Value, json};

use crate::auth::{Auth, Session, send, session};
use crate::both::PROGRAM;

const PASSWORD: &str = "canary-password-4711";
const NEXT_PASSWORD: &str = "canary-second-password-4712";
const ADMIN_PASSWORD: &str = "canary-admin-password-4713";

/// Bytes of every file below `dir`.
pub fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map_while(Result::ok) {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default())),
        }
    }
    found
}

pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Every secret of a session.
fn secrets(of: &Session) -> Vec<String> {
    vec![of.access_token.clone(), of.refresh_token.clone()]
}

#[tokio::test]
async fn canaries_are_found_nowhere() {
    for engine in engines() {
        let project = Project::of(
            "create function public.hashes() returns jsonb language sql security definer set search_path = '' as $$
                 select coalesce(jsonb_agg(u.encrypted_password), '[]') from auth.users u where u.encrypted_password <> ''
             $$;
             grant execute on function public.hashes to service_role;",
        )
        .config("[auth]\nenable_anonymous_sign_ins = true");
        let auth = Auth {
            server: Server::start_with(PROGRAM, engine, project, &[("RUST_LOG", "trace")]).await,
        };
        let mut canaries: Vec<String> = [PASSWORD, NEXT_PASSWORD, ADMIN_PASSWORD].map(str::to_owned).into();
        let mut refusals = Vec::new();

        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let ann = session(&auth.post("/signup", body.clone()).await);
        let tab = session(&auth.post("/token?grant_type=password", body.clone()).await);
        let next = session(&auth.refresh(&tab.refresh_token).await);
        let nobody = session(&auth.post("/signup", json!({})).await);
        for of in [&ann, &tab, &next, &nobody] {
            canaries.extend(secrets(of));
        }
        let change = json!({"password": NEXT_PASSWORD});
        let changed = auth
            .ask(Method::PUT, "/user", Some(&next.access_token), change.clone())
            .await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        refusals.push(auth.ask(Method::PUT, "/user", Some(&next.access_token), change).await);
        refusals.push(auth.post("/signup", body.clone()).await);
        refusals.push(auth.post("/token?grant_type=password", body).await);
        refusals.push(auth.refresh(&ann.refresh_token).await);
        refusals.push(auth.user(&ann.access_token).await);
        refusals.push(
            auth.ask(
                Method::GET,
                "/user",
                Some(&format!("{}x", next.access_token)),
                Value::Null,
            )
            .await,
        );
        let admin = auth.client(Some(&token::role("service_role")));
        let bob = json!({"email": "bob@example.com", "password": ADMIN_PASSWORD});
        let made = send(&admin, Method::POST, "/admin/users", bob.clone()).await;
        assert_eq!(made.status, 200, "{}", made.text());
        refusals.push(send(&admin, Method::POST, "/admin/users", bob).await);
        let imported = json!({"users": [{"email": "cid@example.com", "encrypted_password": PASSWORD}]});
        refusals.push(send(&admin, Method::POST, "/admin/users/import", imported).await);
        // Bodies that cannot be read, with a secret in each.
        for bent in [
            format!("{{\"password\":\"{PASSWORD}\""),
            format!("{{\"password\":[\"{PASSWORD}\"]}}"),
            format!("[\"{PASSWORD}\"]"),
            format!("password={PASSWORD}"),
        ] {
            for path in [
                "/signup",
                "/token?grant_type=password",
                "/admin/users",
                "/admin/users/import",
            ] {
                let headers = [("content-type", "application/json")];
                refusals.push(
                    admin
                        .send(Method::POST, &format!("/auth/v1{path}"), &headers, bent.clone())
                        .await,
                );
            }
        }
        // A token where the data API refuses it.
        let ended = auth.client(Some(&ann.access_token)).get("nothing").await;
        assert_eq!(ended.status, 401);
        refusals.push(ended);
        let hashes = auth.call("hashes", json!({})).await;
        let hashes: Vec<String> = hashes
            .as_array()
            .unwrap()
            .iter()
            .map(|hash| hash.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(hashes.len(), 2);

        let log = auth.log().await;
        assert!(
            log.contains("TRACE") || log.contains("DEBUG"),
            "the log says too little"
        );
        for secret in canaries.iter().chain(&hashes).chain([&token::SECRET.to_owned()]) {
            assert!(!log.contains(secret.as_str()), "{engine:?}: the log has {secret}");
            // What a token says is nobody's secret, but its signature is.
            let signature = secret.rsplit('.').next().unwrap();
            assert!(!log.contains(signature), "{engine:?}: the log has {signature}");
            for refusal in &refusals {
                assert!(!refusal.text().contains(secret.as_str()), "{}", refusal.text());
                assert!(refusal.headers.values().all(|value| !holds(value.as_bytes(), secret)));
            }
        }
        for refusal in &refusals {
            assert!(
                refusal.status.as_u16() >= 400 || refusal.text().contains("refused"),
                "{}",
                refusal.text()
            );
        }
        for (name, bytes) in files(auth.server.project.path()) {
            for password in [PASSWORD, NEXT_PASSWORD, ADMIN_PASSWORD] {
                assert!(!holds(&bytes, password), "{name} has {password}");
            }
            // Access tokens are kept nowhere.
            for of in [&ann, &tab, &next, &nobody] {
                assert!(!holds(&bytes, &of.access_token), "{name} has an access token");
            }
        }
    }
}
