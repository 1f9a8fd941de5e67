//! Hooks that are told of something: what a mail or a text message has to prove, and that there is a new user.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use mainstay_testing::{Engine, MailServer, Project};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, send, session};
use crate::auth_hooks_web::{SECRET, is_signed};
use crate::listener::{Heard, Listener};

/// Functions that keep what they are told, the first time with a refusal for whoever is called `late`.
const FUNCTIONS: &str = r#"
    create table told (id serial primary key, hook text, event jsonb);
    create table attempts (address text primary key);
    create function public.keep(event jsonb) returns jsonb language plpgsql as $$
    declare
      told_to text := event -> 'user' ->> 'email';
    begin
      if told_to like 'late@%' and not exists (select 1 from public.attempts a where a.address = told_to) then
        insert into public.attempts (address) values (told_to);
        return jsonb_build_object('error', jsonb_build_object('http_code', 503, 'message', 'Not now.'));
      elsif told_to like 'never@%' then
        return jsonb_build_object('error', jsonb_build_object('http_code', 400, 'message', 'Not to you.'));
      elsif told_to like 'broken@%' then
        raise exception 'cannot send %', event;
      end if;
      insert into public.told (hook, event) values (event -> 'metadata' ->> 'name', event);
      return '{}'::jsonb;
    end $$;
    create function public.waiting() returns integer language sql security definer set search_path = '' as $$
        select count(*)::integer from _mainstay.messages m
    $$;
    create function public.due() returns void language sql security definer set search_path = '' as $$
        update _mainstay.messages set due_at = now() - interval '1 second'
    $$;
    grant select on told to service_role;
    grant execute on function public.waiting, public.due to service_role;"#;

const SETTINGS: &str = "[auth]\nsite_url = \"https://shop.example\"\nenable_anonymous_sign_ins = true\n\
     [auth.email]\nmax_frequency = \"0s\"\nenable_confirmations = true\n\
     [auth.sms]\nenable_signup = true\nenable_confirmations = true\nmax_frequency = \"0s\"\n\
     [auth.sms.test_otp]\n4799999990 = \"123456\"\n";

fn hooks(names: &[&str], how: &str) -> String {
    names
        .iter()
        .map(|name| format!("[auth.hook.{name}]\nenabled = true\n{how}\n"))
        .collect()
}

/// What the hooks were told, once the queue is empty; oldest first.
async fn told(auth: &Auth, hook: &str) -> Vec<Value> {
    settled(auth).await;
    let path = format!("told?select=event&hook=eq.{hook}&order=id");
    let answer = auth.server.service().get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rows = answer.json();
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| row["event"].clone())
        .collect()
}

async fn settled(auth: &Auth) {
    for _ in 0..1000 {
        if auth.call("waiting", json!({})).await == json!(0) {
            return;
        }
        auth.call("due", json!({})).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = auth.server.log();
    panic!("messages wait:\n{}", &log[log.len().saturating_sub(2_000)..]);
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[tokio::test]
async fn the_project_sends_its_mails_itself() {
    let hook = hooks(&["send_email"], "uri = \"pg-functions://postgres/public/keep\"");
    let project = || Project::of(FUNCTIONS).config(&format!("{SETTINGS}{hook}"));
    on_each_engine(project, async |_, auth: Auth| {
        let made = auth.try_sign_up("ann@example.com", json!({"name": "Ann"})).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let events = told(&auth, "send-email").await;
        assert_eq!(events.len(), 1);
        let (event, data) = (&events[0], &events[0]["email_data"]);
        assert_eq!(text(&event["metadata"], "ip_address"), "127.0.0.1");
        assert_eq!(text(&event["user"], "id"), text(&made.json(), "id"));
        assert_eq!(event["user"]["user_metadata"]["name"], "Ann");
        assert_eq!(text(data, "email_action_type"), "signup");
        assert_eq!(text(data, "redirect_to"), "https://shop.example");
        assert_eq!(text(data, "site_url"), format!("{}/auth/v1", auth.server.url));
        for empty in [
            "token_new",
            "token_hash_new",
            "old_email",
            "old_phone",
            "provider",
            "factor_type",
        ] {
            assert_eq!(text(data, empty), "", "{empty}");
        }
        let body = json!({"type": "signup", "token_hash": text(data, "token_hash")});
        let ann = session(&auth.post("/verify", body).await);

        // Nobody, and the same answer.
        let told_nobody = auth.post("/recover", json!({"email": "nobody@example.com"})).await;
        let told_ann = auth.post("/recover", json!({"email": "ann@example.com"})).await;
        assert_eq!(told_nobody.comparable(), told_ann.comparable());
        let events = told(&auth, "send-email").await;
        assert_eq!(events.len(), 2);
        let data = &events[1]["email_data"];
        assert_eq!(text(data, "email_action_type"), "recovery");
        let body = json!({"type": "recovery", "email": "ann@example.com", "token": text(data, "token")});
        session(&auth.post("/verify", body).await);

        // A change that both addresses are asked about is told once, crosswise.
        let change = json!({"email": "anna@example.com"});
        let asked = auth.ask(Method::PUT, "/user", Some(&ann.access_token), change).await;
        assert_eq!(asked.status, 200, "{}", asked.text());
        let events = told(&auth, "send-email").await;
        assert_eq!(events.len(), 3);
        let (event, data) = (&events[2], &events[2]["email_data"]);
        assert_eq!(text(data, "email_action_type"), "email_change");
        assert_eq!(text(&event["user"], "new_email"), "anna@example.com");
        let body = json!({"type": "email_change", "email": "ann@example.com", "token": text(data, "token")});
        let half = auth.post("/verify", body).await;
        assert_eq!(half.status, 200, "{}", half.text());
        let body = json!({"type": "email_change", "token_hash": text(data, "token_hash")});
        assert_eq!(
            session(&auth.post("/verify", body).await).user["email"],
            "anna@example.com"
        );
        assert_ne!(text(data, "token_new"), text(data, "token"));
        assert!(!text(data, "token_hash_new").is_empty());

        // Whoever refuses for now is asked again; whoever refuses for good is not.
        for address in ["late@example.com", "never@example.com"] {
            assert_eq!(auth.try_sign_up(address, json!({})).await.status, 200);
        }
        let events = told(&auth, "send-email").await;
        let addresses: Vec<&str> = events
            .iter()
            .skip(3)
            .map(|event| text(&event["user"], "email"))
            .collect();
        assert_eq!(addresses, ["late@example.com"]);
        let log = auth.log().await;
        assert!(log.contains("a message was given up"), "{log}");
        for event in &events {
            for secret in ["token", "token_hash"] {
                let secret = text(&event["email_data"], secret);
                assert!(secret.is_empty() || !log.contains(secret), "{log}");
            }
        }

        // What a function raises may repeat what it was told: the log has its code alone, and once for each try.
        assert_eq!(auth.try_sign_up("broken@example.com", json!({})).await.status, 200);
        let log = auth.server.log_with("P0001").await;
        assert!(log.contains("hook send_email") && log.contains("P0001"), "{log}");
        assert!(!log.contains("cannot send") && !log.contains("a hook failed"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn the_project_sends_its_text_messages_itself() {
    let hook = hooks(&["send_sms"], "uri = \"pg-functions://postgres/public/keep\"");
    let settings = SETTINGS.replace("enable_confirmations = true\n[auth.sms]", "[auth.sms]");
    let project = || Project::of(FUNCTIONS).config(&format!("{settings}{hook}"));
    on_each_engine(project, async |_, auth: Auth| {
        for phone in ["4799999991", "4799999990"] {
            let answer = auth.post("/otp", json!({"phone": phone})).await;
            assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({})));
        }
        let unknown = json!({"phone": "4799999992", "create_user": false});
        assert_eq!(auth.post("/otp", unknown).await.json(), json!({}));
        let events = told(&auth, "send-sms").await;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(text(&events[0]["user"], "phone"), "4799999991");
        assert_eq!(text(&events[0]["sms"], "phone"), "4799999991");
        let body = json!({"type": "sms", "phone": "4799999991", "token": text(&events[0]["sms"], "otp")});
        session(&auth.post("/verify", body).await);
    })
    .await;
}

#[tokio::test]
async fn the_project_hears_of_new_users_once_they_are_there() {
    let hook = hooks(
        &["after_user_created", "send_email", "send_sms"],
        "uri = \"pg-functions://postgres/public/keep\"",
    );
    let project = || Project::of(FUNCTIONS).config(&format!("{SETTINGS}{hook}"));
    on_each_engine(project, async |_, auth: Auth| {
        let service = auth.client(Some(&mainstay_testing::token::role("service_role")));
        auth.try_sign_up("ann@example.com", json!({})).await;
        // The same once more is nobody new.
        auth.try_sign_up("ann@example.com", json!({})).await;
        auth.post("/otp", json!({"email": "bob@example.com"})).await;
        auth.post("/otp", json!({"phone": "4799999991"})).await;
        let anonymous = session(&auth.post("/signup", json!({})).await);
        for (path, email) in [("/invite", "eve@example.com"), ("/admin/users", "admin@example.com")] {
            let answer = send(&service, Method::POST, path, json!({"email": email})).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let refused_one = auth
            .post("/signup", json!({"email": "x@example.com", "password": "1"}))
            .await;
        assert_eq!(refusal(&refused_one), refused(422, "weak_password"));
        let mut users: Vec<String> = told(&auth, "after-user-created")
            .await
            .iter()
            .map(|event| {
                let user = &event["user"];
                assert!(user["created_at"].is_string());
                format!("{}{}{}", text(user, "email"), text(user, "phone"), user["is_anonymous"])
            })
            .collect();
        users.sort();
        let expected = [
            "4799999991false",
            "ann@example.comfalse",
            "bob@example.comfalse",
            "eve@example.comfalse",
            "true",
        ];
        assert_eq!(users, expected);
        assert_eq!(auth.user(&anonymous.access_token).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn what_a_hook_by_http_was_not_told_waits_for_it_even_through_kill_9() {
    let status = Arc::new(AtomicU16::new(503));
    let said = Arc::clone(&status);
    let hook = Listener::start(move |_: &Heard| (said.load(Ordering::Relaxed), "application/json", "{}".into())).await;
    let hooked = hooks(
        &["send_email"],
        &format!("uri = \"{}/hook\"\nsecrets = \"v1,whsec_{SECRET}\"", hook.url),
    );
    let allowed = "[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n";
    let project = Project::of(FUNCTIONS).config(&format!("{SETTINGS}{hooked}{allowed}"));
    let mut auth = Auth::start(Engine::Sqlite, project).await;
    // Whatever the hook says, the client has its answer.
    assert_eq!(auth.try_sign_up("ann@example.com", json!({})).await.status, 200);
    let heard = async |count: usize| {
        for _ in 0..1000 {
            if hook.heard().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the hook was not asked");
    };
    heard(1).await;
    auth.server.kill();
    status.store(200, Ordering::Relaxed);
    auth.server.run().unwrap();
    settled(&auth).await;
    let all = hook.heard();
    assert!(all.len() >= 2);
    for heard in &all {
        assert!(is_signed(heard, SECRET));
        assert_eq!(heard.headers["webhook-id"], all[0].headers["webhook-id"]);
        assert_eq!(heard.body, all[0].body);
        assert!(!heard.body.contains(PASSWORD));
    }
    let event: Value = serde_json::from_str(&all[0].body).unwrap();
    let token = text(&event["email_data"], "token");
    let body = json!({"type": "signup", "email": "ann@example.com", "token": token});
    session(&auth.post("/verify", body).await);
    let log = auth.log().await;
    assert!(!log.contains(SECRET) && !log.contains(token), "{log}");
}

/// A hook that takes what it is told and never says a word. Returns its URL and how often it was asked.
async fn hanging() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let asked: Arc<AtomicUsize> = Arc::default();
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_hook_that_hangs_holds_up_neither_mails_nor_other_hooks() {
    /// New users of whom the hook is told first, five seconds for each.
    const NEW: usize = 8;
    let mail = MailServer::start().await;
    let (url, asked) = hanging().await;
    let by_web = format!("uri = \"{url}\"\nsecrets = \"v1,whsec_{SECRET}\"");
    let by_function = "uri = \"pg-functions://postgres/public/keep\"";
    let settings = format!(
        "{SETTINGS}[auth.email.smtp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"u\"\npass = \"p\"\n\
         admin_email = \"shop@example.com\"\n{}{}[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n",
        mail.port(),
        hooks(&["after_user_created"], &by_web),
        hooks(&["send_sms"], by_function),
    );
    let project = || Project::of(FUNCTIONS).config(&settings);
    on_each_engine(project, async |engine, auth: Auth| {
        let (before, mails) = (asked.load(Ordering::Relaxed), mail.received().len());
        for _ in 0..NEW {
            session(&auth.post("/signup", json!({})).await);
        }
        assert_eq!(auth.try_sign_up("ann@example.com", json!({})).await.status, 200);
        assert_eq!(auth.post("/otp", json!({"phone": "4799999991"})).await.status, 200);
        mail.wait(|mail| mail.received().len() > mails).await;
        let texts = async || auth.server.service().get("told?hook=eq.send-sms").await.json();
        for _ in 0..1000 {
            if texts().await != json!([]) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(texts().await.as_array().unwrap().len(), 1, "{engine:?}");
        let asked = asked.load(Ordering::Relaxed) - before;
        assert!(asked < NEW, "{engine:?}: the hook was asked {asked} times first");
        assert_ne!(auth.call("waiting", json!({})).await, json!(0));
    })
    .await;
}
