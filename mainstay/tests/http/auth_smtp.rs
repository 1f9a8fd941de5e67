//! Mails that leave by SMTP: what a server gets, and what happens when it takes nothing, or when the process is killed.

use http::Method;
use mainstay_testing::{Engine, MailServer, Project};
use serde_json::json;

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, session};
use crate::auth_mail::{CLOCK, SETTINGS, pair};

fn project(server: &MailServer, more: &str) -> Project {
    Project::of(&format!(
        "{CLOCK}
         create function public.refused() returns trigger language plpgsql security definer set search_path = '' as $$
         begin
           if new.email = 'refused@example.com' then raise exception 'not this one'; end if;
           return new;
         end;
         $$;
         create trigger refused after insert on auth.users for each row execute function public.refused();"
    ))
    .config(&format!(
        "{SETTINGS}{more}[auth.email.smtp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"u\"\npass = \"p\"\n\
         admin_email = \"shop@example.com\"\nsender_name = \"The \\\"shop\\\"\"\n",
        server.port()
    ))
}

fn link_of(text: &str) -> String {
    let (_, rest) = text.split_once("href=\"").unwrap();
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

#[tokio::test]
async fn a_mail_server_gets_what_was_committed_and_nothing_else() {
    let mail = MailServer::start().await;
    on_each_engine(
        || project(&mail, "enable_confirmations = true\n"),
        async |engine, auth: Auth| {
            let before = mail.received().len();
            let refused_one = auth.try_sign_up("refused@example.com", json!({})).await;
            assert_eq!(refusal(&refused_one), refused(500, "unexpected_failure"));
            let answer = auth.try_sign_up("ann@example.com", json!({"name": "Ann"})).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            mail.wait(|mail| mail.received().len() > before).await;
            // Whoever has none is written nothing, and the next mail is the next one.
            auth.post("/recover", json!({"email": "nobody@example.com"})).await;
            auth.post("/resend", json!({"type": "signup", "email": "ann@example.com"}))
                .await;
            mail.wait(|mail| mail.received().len() > before + 1).await;
            let received = mail.received();
            let [first, second] = &received[before..] else {
                panic!("{engine:?}: {} mails", received.len() - before);
            };
            assert_eq!(
                (first.from.as_str(), first.to.as_slice()),
                ("shop@example.com", &["ann@example.com".to_owned()][..])
            );
            assert_eq!(first.header("From"), Some("\"The \\\"shop\\\"\" <shop@example.com>"));
            assert_eq!(first.header("To"), Some("ann@example.com"));
            assert_eq!(first.header("Subject"), Some("Confirm your e-mail address"));
            assert_eq!(first.header("Auto-Submitted"), Some("auto-generated"));
            assert!(first.header("Date").is_some() && first.header("Message-ID").is_some());
            assert!(first.text().contains("multipart/alternative"));
            let token = |text: &str| pair(link_of(text).split_once('?').unwrap().1, "token").unwrap();
            let void = json!({"type": "signup", "token_hash": token(&first.text())});
            assert_eq!(refusal(&auth.prove(void).await), refused(403, "otp_expired"));
            session(
                &auth
                    .prove(json!({"type": "signup", "token_hash": token(&second.text())}))
                    .await,
            );
            let log = auth.log().await;
            for secret in [
                token(&first.text()),
                token(&second.text()),
                "ann@example.com".into(),
                PASSWORD.into(),
            ] {
                assert!(!log.contains(&secret), "{secret} is in the log:\n{log}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_mail_outlives_a_kill_and_a_server_that_takes_nothing() {
    for engine in mainstay_testing::engines() {
        let mail = MailServer::start().await;
        mail.refuse(usize::MAX);
        let mut auth = Auth::start(engine, project(&mail, "")).await;
        auth.post("/otp", json!({"email": "ann@example.com"})).await;
        mail.wait(|mail| mail.refused() > 0).await;
        let log = auth.server.log_with("waits for another try").await;
        assert!(log.contains("waits for another try"), "{log}");
        auth.server.kill();
        mail.refuse(0);
        assert_eq!(mail.received().len(), 0);
        auth.server.run().unwrap();
        mail.wait(|mail| !mail.received().is_empty()).await;
        let text = mail.received()[0].text();
        let token = pair(link_of(&text).split_once('?').unwrap().1, "token").unwrap();
        // The flow goes on where it was: a kill between mail and link loses nothing.
        auth.server.kill();
        auth.server.run().unwrap();
        let ann = session(&auth.prove(json!({"type": "magiclink", "token_hash": token})).await);
        auth.server.kill();
        auth.server.run().unwrap();
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        let again = auth.prove(json!({"type": "magiclink", "token_hash": token})).await;
        assert_eq!(refusal(&again), refused(403, "otp_expired"));
    }
}

#[tokio::test]
async fn mails_are_counted() {
    let mail = MailServer::start().await;
    let limited = project(&mail, "[auth.rate_limit]\nemail_sent = 2\n");
    let auth = Auth::start(Engine::Sqlite, limited).await;
    for (path, email) in [("/recover", "nobody@example.com"), ("/otp", "ann@example.com")] {
        assert_eq!(auth.post(path, json!({"email": email})).await.status, 200);
    }
    // With and without a user alike.
    for email in ["ann@example.com", "nobody@example.com"] {
        let answer = auth.post("/recover", json!({"email": email})).await;
        assert_eq!(refusal(&answer), refused(429, "over_email_send_rate_limit"));
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    }
    // Between two mails to one address.
    let paused = project(&mail, "").config("");
    let text = std::fs::read_to_string(paused.path().join("supabase/config.toml")).unwrap();
    let paused = paused.file("supabase/config.toml", &text.replace("\"0s\"", "\"60s\""));
    let auth = Auth::start(Engine::Sqlite, paused).await;
    auth.sign_up("ann@example.com").await;
    for email in ["ann@example.com", "nobody@example.com"] {
        assert_eq!(auth.post("/recover", json!({"email": email})).await.status, 200);
        let again = auth.post("/recover", json!({"email": email.to_uppercase()})).await;
        assert_eq!(refusal(&again), refused(429, "over_email_send_rate_limit"));
        let message = again.json()["message"].as_str().unwrap().to_owned();
        assert!(
            message.starts_with("For security purposes, you can only request this after "),
            "{message}"
        );
    }
    let ann = auth.sign_in("ann@example.com").await;
    assert_eq!(
        auth.ask(
            Method::GET,
            "/reauthenticate",
            Some(&ann.access_token),
            serde_json::Value::Null
        )
        .await
        .status,
        200
    );
}
