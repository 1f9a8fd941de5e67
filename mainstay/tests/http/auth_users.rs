//! `mainstay users`, beside a server that runs and without one; users of other systems with their passwords.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use mainstay_testing::{MailServer, Project, Server, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, session};
use crate::listener::{Heard, Listener};

/// bcrypt of `U*U`, cost 5: a published test vector of the algorithm.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// Argon2id of `password`, with parameters that are not ours: a published test vector of the algorithm.
const ARGON2: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
const ANN: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn project() -> Project {
    Project::of(
        "create function public.row_of(who text) returns jsonb language sql security definer set search_path = '' as $$
             select jsonb_build_object('hash', u.encrypted_password, 'created', u.created_at::text,
                 'identities', (select count(*) from auth.identities i where i.user_id = u.id))
             from auth.users u where u.email = who or u.phone = who
         $$;
         grant execute on function public.row_of to service_role;",
    )
}

fn run(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What a command that succeeds prints.
fn said(server: &Server, arguments: &[&str], input: &str) -> String {
    let mut all = vec!["users"];
    all.extend_from_slice(arguments);
    let output = run(server.command(&all), input);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that fails complains of.
fn complaint(server: &Server, arguments: &[&str], input: &str) -> String {
    let mut all = vec!["users"];
    all.extend_from_slice(arguments);
    let output = run(server.command(&all), input);
    assert!(
        !output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn an_operator_can_do_what_the_admin_api_can() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let made = said(
            &auth.server,
            &[
                "create",
                "bob@example.com",
                "--password",
                "--data",
                r#"{"full_name":"Bob Lee"}"#,
            ],
            &format!("{PASSWORD}\n"),
        );
        assert!(made.contains("bob@example.com is "), "{made}");
        let bob = auth.sign_in("bob@example.com").await;
        assert!(said(&auth.server, &["list"], "").contains("ann@example.com"));
        let found: Value =
            serde_json::from_str(&said(&auth.server, &["list", "--search", "bOB l", "--json"], "")).unwrap();
        assert_eq!(
            (found.as_array().unwrap().len(), &found[0]["id"]),
            (1, &json!(bob.id()))
        );
        let shown: Value = serde_json::from_str(&said(&auth.server, &["show", "Ann@Example.com"], "")).unwrap();
        assert_eq!(shown["id"], ann.id());
        let shown: Value = serde_json::from_str(&said(&auth.server, &["show", ann.id()], "")).unwrap();
        assert_eq!(shown["email"], "ann@example.com");

        said(&auth.server, &["sign-out", "ann@example.com"], "");
        assert_eq!(
            refusal(&auth.user(&ann.access_token).await),
            refused(403, "session_not_found")
        );
        said(&auth.server, &["ban", "bob@example.com", "--for", "24h"], "");
        assert_eq!(
            refusal(&auth.user(&bob.access_token).await),
            refused(403, "user_banned")
        );
        assert_eq!(
            refusal(&auth.try_sign_in("bob@example.com", PASSWORD).await),
            refused(400, "user_banned")
        );
        assert!(said(&auth.server, &["list"], "").contains("banned until"));
        said(&auth.server, &["unban", bob.id()], "");
        assert_eq!(auth.user(&bob.access_token).await.status, 200);

        for (arguments, input, wrong) in [
            (
                vec!["show", "eve@example.com"],
                "",
                "nobody is known as eve@example.com",
            ),
            (vec!["ban", ANN], "", "User not found"),
            (vec!["ban", "bob@example.com", "--for", "a while"], "", "ban duration"),
            (vec!["create", "bob@example.com"], "", "email_exists"),
            (vec!["create", "eve@example.com", "--password"], "\n", "standard input"),
            (vec!["create", "eve@example.com", "--data", "[]"], "", "--data"),
            (vec!["delete", "bob@example.com"], "", "--yes"),
        ] {
            let complaint = complaint(&auth.server, &arguments, input);
            assert!(complaint.contains(wrong), "{arguments:?}: {complaint}");
        }
        assert_eq!(auth.user(&bob.access_token).await.status, 200);
        said(&auth.server, &["delete", "bob@example.com", "--yes"], "");
        assert_eq!(
            refusal(&auth.user(&bob.access_token).await),
            refused(403, "user_not_found")
        );

        // Without a server the command has the database itself.
        auth.server.kill();
        assert!(said(&auth.server, &["list"], "").contains("(1 users)"));
        said(&auth.server, &["create", "+4712345678"], "");
        said(&auth.server, &["delete", "ann@example.com", "--soft", "--yes"], "");
        auth.server.run().unwrap();
        let admin = auth.client(Some(&token::role("service_role")));
        let log = crate::auth::send(
            &admin,
            http::Method::GET,
            "/admin/audit?query=author:service_role",
            Value::Null,
        )
        .await;
        let actions: Vec<Value> = log
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["payload"]["action"].clone())
            .collect();
        for action in ["user_signedup", "user_modified", "user_deleted", "logout"] {
            assert!(actions.contains(&json!(action)), "{action}: {actions:?}");
        }
        assert_eq!(
            auth.try_sign_in("ann@example.com", PASSWORD).await.code(),
            "invalid_credentials"
        );
    })
    .await;
}

#[tokio::test]
async fn users_of_other_systems_come_with_their_passwords() {
    on_each_engine(project, async |_, auth: Auth| {
        let dir = auth.server.project.path().to_owned();
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let csv = file(
            "users.csv",
            &format!(
                "id,email,encrypted_password,raw_user_meta_data,raw_app_meta_data,email_confirmed_at,created_at,role,aud\n\
                 {ANN},Ann@example.com,{BCRYPT},\"{{\"\"name\"\": \"\"Ann\"\"}}\",\"{{\"\"provider\"\": \"\"email\"\", \"\"plan\"\": \"\"gold\"\"}}\",\
                 2023-05-06 07:08:09+00,2023-05-06 07:08:09+00,,authenticated\n\
                 ,ben@example.com,\"{ARGON2}\",,,2023-05-06 07:08:09+00,,authenticated,authenticated\n\
                 ,cid@example.com,$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW,,,,,,\n\
                 ,nonsense,,,,,,,\n"
            ),
        );
        assert!(said(&auth.server, &["import", &csv, "--dry-run"], "").contains("4 users"));
        assert!(said(&auth.server, &["list"], "").contains("(0 users)"));
        let refusals = run(auth.server.command(&["users", "import", &csv]), "");
        let told = String::from_utf8_lossy(&refusals.stdout).into_owned();
        assert!(!refusals.status.success());
        assert!(told.contains("2 imported, 0 were there already, 2 refused"), "{told}");
        assert!(told.contains("user 3 was not imported") && told.contains("user 4 was not imported"), "{told}");
        assert!(!told.contains(BCRYPT));
        let export = json!({"users": [
            {"localId": "x7", "email": "dee@example.com", "emailVerified": true, "createdAt": "1700000000000",
             "passwordHash": "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
             "salt": "42xEC+ixf3L2lw==", "displayName": "Dee"},
            {"localId": "x8", "email": "eli@example.com", "providerUserInfo":
                [{"providerId": "google.com", "rawId": "77", "email": "eli@example.com"}]},
        ]});
        let firebase = file("firebase.json", &export.to_string());
        let key = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
        let told = said(&auth.server, &["import", &firebase, "--firebase-signer-key", key], "");
        assert!(told.contains("2 imported"), "{told}");
        let again = said(&auth.server, &["import", &firebase, "--firebase-signer-key", key], "");
        assert!(again.contains("0 imported, 2 were there already"), "{again}");

        for (email, password) in [("ann@example.com", "U*U"), ("ben@example.com", "password"), ("dee@example.com", "user1password")] {
            let row = async || auth.call("row_of", json!({"who": email})).await;
            let before = row().await;
            assert_eq!(before["identities"], 1);
            assert_eq!(auth.try_sign_in(email, "wrong horse").await.code(), "invalid_credentials");
            let signed_in = session(&auth.try_sign_in(email, password).await);
            // Whatever it was, it is ours from then on.
            let after = row().await;
            assert_ne!(after["hash"], before["hash"]);
            assert!(after["hash"].as_str().unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
            session(&auth.try_sign_in(email, password).await);
            assert_eq!(signed_in.user["email"], email);
        }
        let ann = session(&auth.try_sign_in("ann@example.com", "U*U").await);
        assert_eq!((ann.id(), &ann.user["user_metadata"]["name"]), (ANN, &json!("Ann")));
        assert_eq!(ann.user["app_metadata"], json!({"plan": "gold", "provider": "email"}));
        assert!(auth.call("row_of", json!({"who": "ann@example.com"})).await["created"].as_str().unwrap().starts_with("2023-05-06"));
        let dee = session(&auth.try_sign_in("dee@example.com", "user1password").await);
        assert_eq!(dee.user["app_metadata"]["firebase_uid"], "x7");
        assert_eq!(auth.try_sign_in("eli@example.com", "").await.code(), "invalid_credentials");
        assert_eq!(auth.call("row_of", json!({"who": "eli@example.com"})).await["identities"], 1);
    })
    .await;
}

/// The mail server answers while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_sent_beside_a_server_and_without_one() {
    let mail = MailServer::start().await;
    let smtp = format!(
        "[auth.email.smtp]\nhost = \"127.0.0.1\"\nport = {}\nadmin_email = \"shop@example.com\"\n",
        mail.port()
    );
    on_each_engine(
        || Project::new().config(&smtp),
        async |_, mut auth: Auth| {
            for (email, is_running) in [("ann@example.com", true), ("bob@example.com", false)] {
                if !is_running {
                    auth.server.kill();
                }
                let before = mail.received().len();
                let told = said(&auth.server, &["invite", email, "--data", r#"{"team":"red"}"#], "");
                assert!(told.contains(&format!("{email} is invited")), "{told}");
                mail.wait(|mail| mail.received().len() > before).await;
                if !is_running {
                    auth.server.run().unwrap();
                }
                let received = mail.received().pop().unwrap();
                assert_eq!(received.to, [email]);
                let text = received.text();
                let (_, rest) = text.split_once("<strong>").unwrap();
                let code = rest.split('<').next().unwrap();
                let body = json!({"type": "invite", "email": email, "token": code});
                let invited = session(&auth.post("/verify", body).await);
                assert_eq!(
                    (&invited.user["email"], &invited.user["user_metadata"]["team"]),
                    (&json!(email), &json!("red"))
                );
            }
            let again = complaint(&auth.server, &["invite", "ann@example.com"], "");
            assert!(again.contains("email_exists"), "{again}");
        },
    )
    .await;
    let alone = Auth::start(mainstay_testing::Engine::Sqlite, Project::new()).await;
    let complaint = complaint(&alone.server, &["invite", "ann@example.com"], "");
    assert!(complaint.contains("email_provider_disabled"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_left_in_the_queue_is_sent_with_an_invitation() {
    let mail = MailServer::start().await;
    let status = Arc::new(AtomicU16::new(503));
    let said_now = Arc::clone(&status);
    let sender =
        Listener::start(move |_: &Heard| (said_now.load(Ordering::Relaxed), "application/json", "{}".into())).await;
    let settings = format!(
        "[auth.email.smtp]\nhost = \"127.0.0.1\"\nport = {}\nadmin_email = \"shop@example.com\"\n\
         [auth.sms]\nenable_signup = true\n[auth.sms.twilio]\nenabled = true\naccount_sid = \"AC1\"\n\
         message_service_sid = \"MG1\"\nauth_token = \"t\"\n[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n",
        mail.port()
    );
    let project = || {
        let project = Project::new().config(&settings);
        let text = std::fs::read_to_string(project.path().join("supabase/config.toml")).unwrap();
        let url = format!("[mainstay]\nsms_url = \"{}\"\n", sender.url);
        project.file("supabase/config.toml", &text.replacen("[mainstay]\n", &url, 1))
    };
    on_each_engine(project, async |engine, mut auth: Auth| {
        status.store(503, Ordering::Relaxed);
        let before = sender.heard().len();
        assert_eq!(auth.post("/otp", json!({"phone": "4799999991"})).await.status, 200);
        let log = auth.server.log_with("waits for another try").await;
        assert!(log.contains("waits for another try"), "{log}");
        auth.server.kill();
        status.store(201, Ordering::Relaxed);
        let query = |more: &[&str]| {
            let output = run(auth.server.command(&[&["db", "query", "--json"], more].concat()), "");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{errors}");
            String::from_utf8(output.stdout).unwrap()
        };
        let waiting = || query(&["select channel, attempts from _mainstay.messages"]);
        assert!(waiting().contains("sms"), "{}", waiting());
        query(&["--write", "update _mainstay.messages set due_at = now()"]);
        let mails = mail.received().len();
        said(&auth.server, &["invite", "ann@example.com"], "");
        mail.wait(|mail| mail.received().len() > mails).await;
        let heard = sender.heard();
        assert!(heard.len() > before + 1, "{engine:?}: {}", waiting());
        assert!(heard.last().unwrap().body.contains("To=%2B4799999991"));
        assert!(!waiting().contains("sms"), "{engine:?}: {}", waiting());
    })
    .await;
}
