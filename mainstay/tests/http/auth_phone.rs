//! Numbers proved by text message.

use http::Method;
use mainstay_testing::{Engine, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, refusal, refused, session};
use crate::auth_mail::{CLOCK, SETTINGS, on_each_engine_in_dev};

const SMS: &str = "[auth.sms]\nenable_signup = true\nenable_confirmations = true\nmax_frequency = \"0s\"\n\
     template = \"{{ .Code }} is your code\"\n[auth.sms.test_otp]\n4799999990 = \"123456\"\n";

fn project() -> Project {
    Project::of(CLOCK).config(&format!("{SETTINGS}{SMS}"))
}

async fn code_to(auth: &Auth, phone: &str) -> String {
    let newest = auth.mails().await.into_iter().next().expect("no message came");
    assert_eq!(newest.to, phone);
    let (code, rest) = newest.html.split_once(' ').unwrap();
    assert_eq!(rest, "is your code");
    code.to_owned()
}

async fn prove(auth: &Auth, kind: &str, phone: &str, code: &str) -> mainstay_testing::Answer {
    auth.prove(json!({"type": kind, "phone": phone, "token": code})).await
}

#[tokio::test]
async fn a_number_signs_up_and_in() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let settings = auth.ask(Method::GET, "/settings", None, Value::Null).await.json();
        assert_eq!(
            (&settings["external"]["phone"], &settings["phone_autoconfirm"]),
            (&json!(true), &json!(false))
        );
        let by_phone =
            |password: &str| json!({"phone": "+47 999 99 991", "password": password, "data": {"name": "Ann"}});
        let made = auth.post("/signup", by_phone(PASSWORD)).await;
        assert_eq!(made.status, 200, "{}", made.text());
        assert_eq!(
            (&made.json()["phone"], &made.json()["email"]),
            (&json!("4799999991"), &json!(""))
        );
        assert!(made.json().get("access_token").is_none());
        let sign_in = async |password: &str| auth.post("/token?grant_type=password", by_phone(password)).await;
        assert_eq!(refusal(&sign_in(PASSWORD).await), refused(400, "phone_not_confirmed"));
        let code = code_to(&auth, "4799999991").await;
        for (kind, phone, sent) in [
            ("phone_change", "4799999991", code.as_str()),
            ("sms", "4799999992", code.as_str()),
            ("sms", "4799999991", if code == "000000" { "000001" } else { "000000" }),
        ] {
            assert_eq!(
                refusal(&prove(&auth, kind, phone, sent).await),
                refused(403, "otp_expired"),
                "{kind} {phone}"
            );
        }
        let ann = session(&prove(&auth, "sms", "+4799999991", &code).await);
        assert!(ann.user["phone_confirmed_at"].is_string());
        assert_eq!(
            ann.user["app_metadata"],
            json!({"provider": "phone", "providers": ["phone"]})
        );
        assert_eq!(ann.user["identities"][0]["identity_data"]["phone_verified"], true);
        assert_eq!(
            refusal(&prove(&auth, "sms", "4799999991", &code).await),
            refused(403, "otp_expired")
        );
        assert_eq!(session(&sign_in(PASSWORD).await).id(), ann.id());
        assert_eq!(refusal(&sign_in("wrong").await), refused(400, "invalid_credentials"));
        // Again, and nobody learns of it.
        let before = auth.mails().await.len();
        let again = auth.post("/signup", by_phone("another horse 8")).await.json();
        assert_ne!(again["id"], ann.user["id"]);
        assert_eq!(auth.mails().await.len(), before);
        assert_eq!(
            refusal(&sign_in("another horse 8").await),
            refused(400, "invalid_credentials")
        );

        // By a code alone; it holds for a minute.
        assert_eq!(
            auth.post("/otp", json!({"phone": "4799999991"})).await.json(),
            json!({})
        );
        let code = code_to(&auth, "4799999991").await;
        assert_eq!(session(&prove(&auth, "sms", "4799999991", &code).await).id(), ann.id());
        auth.post("/otp", json!({"phone": "4799999991"})).await;
        let code = code_to(&auth, "4799999991").await;
        auth.call("age", json!({"seconds": 61})).await;
        assert_eq!(
            refusal(&prove(&auth, "sms", "4799999991", &code).await),
            refused(403, "otp_expired")
        );

        // Somebody new, and somebody whose number another person has signed up with.
        auth.post("/otp", json!({"phone": "4799999993"})).await;
        let code = code_to(&auth, "4799999993").await;
        session(&prove(&auth, "sms", "4799999993", &code).await);
        let mallory = json!({"phone": "4799999994", "password": "mallorys own 1"});
        auth.post("/signup", mallory.clone()).await;
        auth.post("/otp", json!({"phone": "4799999994"})).await;
        let code = code_to(&auth, "4799999994").await;
        session(&prove(&auth, "sms", "4799999994", &code).await);
        let answer = auth.post("/token?grant_type=password", mallory).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_credentials"));

        // Nobody learns who is there.
        let mut told = Vec::new();
        for phone in ["4799999991", "4799999998"] {
            let body = json!({"phone": phone, "create_user": false});
            told.push(auth.post("/otp", body).await.comparable());
            told.push(
                auth.post("/resend", json!({"type": "sms", "phone": phone}))
                    .await
                    .comparable(),
            );
        }
        assert!(told.iter().all(|answer| *answer == told[0]));
        for bad in [
            json!({"phone": "nonsense"}),
            json!({"phone": "4799999991", "channel": "pigeon"}),
        ] {
            assert_eq!(
                refusal(&auth.post("/otp", bad.clone()).await),
                refused(400, "validation_failed"),
                "{bad}"
            );
        }
        // A number of the settings gets no message.
        let before = auth.mails().await.len();
        auth.post("/otp", json!({"phone": "4799999990"})).await;
        assert_eq!(auth.mails().await.len(), before);
        session(&prove(&auth, "sms", "4799999990", "123456").await);
    })
    .await;
}

#[tokio::test]
async fn a_new_number_needs_its_consent() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let change = async |phone: &str| {
            auth.ask(Method::PUT, "/user", Some(&ann.access_token), json!({"phone": phone}))
                .await
        };
        let asked = change("4799999991").await;
        assert_eq!(
            (&asked.json()["phone"], &asked.json()["new_phone"]),
            (&json!(""), &json!("4799999991"))
        );
        let code = code_to(&auth, "4799999991").await;
        assert_eq!(
            refusal(&prove(&auth, "sms", "4799999991", &code).await),
            refused(403, "otp_expired")
        );
        let changed = session(&prove(&auth, "phone_change", "4799999991", &code).await);
        assert_eq!((changed.id(), &changed.user["phone"]), (ann.id(), &json!("4799999991")));
        assert_eq!(changed.user["app_metadata"]["providers"], json!(["email", "phone"]));
        let bob = auth.sign_up("bob@example.com").await;
        let taken = auth
            .ask(
                Method::PUT,
                "/user",
                Some(&bob.access_token),
                json!({"phone": "4799999991"}),
            )
            .await;
        assert_eq!(refusal(&taken), refused(422, "phone_exists"));
    })
    .await;
}

#[tokio::test]
async fn without_confirmations_a_number_is_its_users_at_once_and_without_a_sender_none_is_sent() {
    let open = "[auth.sms]\nenable_signup = true\n";
    let auth = Auth::start(Engine::Sqlite, Project::new().config(open)).await;
    let body = json!({"phone": "4799999991", "password": PASSWORD});
    let ann = session(&auth.post("/signup", body.clone()).await);
    assert!(ann.user["phone_confirmed_at"].is_string());
    assert_eq!(
        refusal(&auth.post("/signup", body).await),
        refused(422, "user_already_exists")
    );
    assert_eq!(
        refusal(&auth.post("/otp", json!({"phone": "4799999991"})).await),
        refused(422, "phone_provider_disabled")
    );
    let auth = Auth::start(Engine::Sqlite, Project::new()).await;
    assert_eq!(
        refusal(&auth.post("/otp", json!({"phone": "4799999991"})).await),
        refused(400, "phone_provider_disabled")
    );
}

/// A server that takes one message after another, and says what it was asked.
async fn sender() -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, asks) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = String::new();
            let mut chunk = [0_u8; 4096];
            // The body is the form, whose last field is the text.
            while !request.contains("Body=") {
                match stream.read(&mut chunk).await {
                    Ok(count) if count > 0 => request.push_str(&String::from_utf8_lossy(&chunk[..count])),
                    _ => break,
                }
            }
            let answer = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            let _ = stream.write_all(answer.as_bytes()).await;
            if asked.send(request).is_err() {
                return;
            }
        }
    });
    (port, asks)
}

#[tokio::test]
async fn messages_leave_by_the_account_of_the_settings() {
    let (port, mut asks) = sender().await;
    let settings = format!(
        "{SMS}[auth.sms.twilio]\nenabled = true\naccount_sid = \"AC1\"\nmessage_service_sid = \"MG1\"\nauth_token = \"secret token\"\n\
         [mainstay.outgoing]\nallow = [\"127.0.0.0/8\"]\n"
    );
    let project = Project::of(CLOCK).config(&format!("{SETTINGS}{settings}"));
    let text = std::fs::read_to_string(project.path().join("supabase/config.toml")).unwrap();
    let url = format!("[mainstay]\nsms_url = \"http://127.0.0.1:{port}\"\n");
    let project = project.file("supabase/config.toml", &text.replacen("[mainstay]\n", &url, 1));
    let auth = Auth::start(Engine::Sqlite, project).await;
    assert_eq!(
        auth.post("/otp", json!({"phone": "4799999991"})).await.json(),
        json!({})
    );
    let request = asks.recv().await.unwrap();
    assert!(
        request.starts_with("POST /2010-04-01/Accounts/AC1/Messages.json "),
        "{request}"
    );
    // base64 of `AC1:secret token`
    assert!(request.contains("Basic QUMxOnNlY3JldCB0b2tlbg=="), "{request}");
    assert!(
        request.contains("To=%2B4799999991") && request.contains("MessagingServiceSid=MG1"),
        "{request}"
    );
    let (_, body) = request.split_once("Body=").unwrap();
    let code: String = body.chars().take_while(char::is_ascii_digit).collect();
    assert_eq!(code.len(), 6);
    session(&prove(&auth, "sms", "4799999991", &code).await);
    let log = auth.log().await;
    assert!(
        !log.contains(&code) && !log.contains("4799999991") && !log.contains("secret token"),
        "{log}"
    );
}
