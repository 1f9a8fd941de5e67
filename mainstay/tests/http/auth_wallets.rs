//! Signing in by a message that a wallet has signed: `signInWithWeb3()`.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::{Answer, Engine, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, refusal, refused, send, session};
use crate::listener::Listener;
use crate::wallet::{Wallet, at};

const SCHEMA: &str = "
    create function public.only_friends(event jsonb) returns jsonb language plpgsql as $$
    begin
      if event -> 'user' -> 'user_metadata' -> 'custom_claims' ->> 'chain' = 'solana' then
        return jsonb_build_object('error', jsonb_build_object('http_code', 403, 'message', 'No strangers.'));
      end if;
      return '{}'::jsonb;
    end $$;
    create function public.counts() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_array((select count(*) from auth.users u), (select count(*) from auth.sessions s),
            (select count(*) from _mainstay.wallet_messages m))
    $$;
    grant execute on function public.counts to service_role;";

const OPEN: &str = "[auth]\nsite_url = \"https://shop.example\"\n\
     [auth.web3.ethereum]\nenabled = true\n[auth.web3.solana]\nenabled = true\n";

fn project() -> Project {
    Project::of(SCHEMA).config(OPEN)
}

async fn try_with(auth: &Auth, body: Value) -> Answer {
    auth.post("/token?grant_type=web3", body).await
}

async fn enter(auth: &Auth, wallet: &Wallet) -> Session {
    session(&try_with(auth, wallet.body(&wallet.message(0))).await)
}

/// The refusal of RFC 6749's shape.
fn grant_refused(answer: &Answer, about: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status.as_u16(), &body["error"]),
        (400, &json!("invalid_grant")),
        "{}",
        answer.text()
    );
    let described = body["error_description"].as_str().unwrap();
    assert!(described.contains(about), "{described}");
}

#[tokio::test]
async fn a_wallet_is_an_account() {
    on_each_engine(project, async |_, auth: Auth| {
        for wallet in [Wallet::ethereum(), Wallet::solana()] {
            let first = enter(&auth, &wallet).await;
            let (chain, address) = (wallet.chain(), wallet.address());
            assert_eq!(
                first.user["app_metadata"],
                json!({"provider": "web3", "providers": ["web3"]})
            );
            assert_eq!(
                (&first.user["email"], &first.user["is_anonymous"]),
                (&json!(""), &json!(false))
            );
            let identity = &first.user["identities"][0];
            assert_eq!(identity["id"], format!("web3:{chain}:{address}"));
            assert_eq!(identity["provider"], "web3");
            let network = if chain == "ethereum" { "1" } else { "solana:mainnet" };
            assert_eq!(
                identity["identity_data"]["custom_claims"],
                json!({"address": address, "chain": chain, "network": network, "domain": "shop.example",
                    "statement": "Hello, Ann"})
            );
            assert_eq!(first.user["user_metadata"], identity["identity_data"]);
            let claims = first.claims();
            assert_eq!(
                (&claims["amr"][0]["method"], &claims["aal"]),
                (&json!("web3"), &json!("aal1"))
            );
            assert_eq!(auth.user(&first.access_token).await.json()["id"], first.id());
            session(&auth.refresh(&first.refresh_token).await);

            // The same account again, and another wallet is another one.
            assert_eq!(enter(&auth, &wallet).await.id(), first.id());
            let other = if chain == "ethereum" {
                Wallet::ethereum()
            } else {
                Wallet::solana()
            };
            assert_ne!(enter(&auth, &other).await.id(), first.id());
            if chain == "ethereum" {
                let message = wallet.message(0).replace(&address, &wallet.checksummed());
                assert_eq!(session(&try_with(&auth, wallet.body(&message)).await).id(), first.id());
            }
        }
        let service = auth.client(Some(&mainstay_testing::token::role("service_role")));
        let log = send(&service, Method::GET, "/admin/audit?query=action:login", Value::Null).await;
        assert!(
            log.text().contains("\"uri\":\"https://shop.example/\""),
            "{}",
            log.text()
        );
    })
    .await;
}

#[tokio::test]
async fn a_message_signs_in_once() {
    on_each_engine(project, async |_, auth: Auth| {
        for wallet in [Wallet::ethereum(), Wallet::solana()] {
            let before = auth.call("counts", json!({})).await;
            let body = wallet.body(&wallet.message(0));
            let answers = join_all((0..20).map(|_| try_with(&auth, body.clone()))).await;
            let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!(good.len(), 1);
            for answer in &bad {
                grant_refused(answer, "used before");
            }
            let after = auth.call("counts", json!({})).await;
            for at in 0..3 {
                assert_eq!(
                    after[at].as_i64().unwrap(),
                    before[at].as_i64().unwrap() + 1,
                    "{after} {before}"
                );
            }
            // Another signature of the same message, where there is one, changes nothing.
            let mut bent = body;
            let signature = bent["signature"].as_str().unwrap().to_owned();
            bent["signature"] = match wallet.chain() {
                "ethereum" => json!(signature[2..].to_uppercase()),
                _ => json!(format!("{signature}==")),
            };
            grant_refused(&try_with(&auth, bent).await, "used before");
        }
    })
    .await;
}

#[tokio::test]
async fn whatever_was_not_signed_here_and_now_signs_nobody_in() {
    on_each_engine(project, async |_, auth: Auth| {
        for wallet in [Wallet::ethereum(), Wallet::solana()] {
            let stranger = if wallet.chain() == "ethereum" {
                Wallet::ethereum()
            } else {
                Wallet::solana()
            };
            let message = wallet.message(0);
            let mut forged = wallet.body(&message);
            forged["signature"] = json!(stranger.sign(&message));
            grant_refused(&try_with(&auth, forged).await, "does not match address");
            let mut bent = wallet.body(&message);
            bent["message"] = json!(message.replace("Hello, Ann", "Hello, Eve"));
            grant_refused(&try_with(&auth, bent).await, "does not match address");
            for (message, about) in [
                (message.replace("shop.example", "evil.example"), "another app"),
                (message.replace("https://shop.example", "http://shop.example"), "HTTPS"),
                (
                    message.replacen("shop.example wants", "evil.example wants", 1),
                    "Domain",
                ),
                (wallet.message(602), "too long ago"),
                (wallet.message(-602), "in the future"),
            ] {
                grant_refused(&try_with(&auth, wallet.body(&message)).await, about);
            }
            let issued = |more: &str| {
                let message = wallet.message(60);
                let (head, tail) = message.split_once("Issued At: ").unwrap();
                let (issued, tail) = tail.split_once('\n').unwrap_or((tail, ""));
                let tail = if tail.is_empty() {
                    String::new()
                } else {
                    format!("\n{tail}")
                };
                wallet.body(&format!("{head}Issued At: {issued}\n{more}{tail}"))
            };
            let expired = issued(&format!("Expiration Time: {}", at(-1)));
            grant_refused(&try_with(&auth, expired).await, "expired");
            let early = issued(&format!("Not Before: {}", at(60)));
            grant_refused(&try_with(&auth, early).await, "valid in the future");
            for (name, value) in [
                ("signature", json!("")),
                ("signature", json!("0x00")),
                ("message", json!("")),
                ("message", json!("x".repeat(21_000))),
                ("message", json!(message.replace("Version: 1", "Version: 2"))),
                ("message", json!(message.replace(&wallet.address(), "0x0"))),
            ] {
                let mut body = wallet.body(&message);
                body[name] = value.clone();
                let answer = try_with(&auth, body).await;
                assert_eq!(
                    refusal(&answer),
                    refused(400, "validation_failed"),
                    "{name}: {}",
                    answer.text()
                );
            }
            let mut elsewhere = wallet.body(&message);
            elsewhere["chain"] = json!("bitcoin");
            assert_eq!(
                refusal(&try_with(&auth, elsewhere).await),
                refused(400, "web3_unsupported_chain")
            );
        }
        assert_eq!(auth.call("counts", json!({})).await, json!([0, 0, 0]));
    })
    .await;
}

#[tokio::test]
async fn what_stands_before_other_sign_ins_stands_before_this_one() {
    let (ethereum, solana) = (Wallet::ethereum(), Wallet::solana());
    let off = Auth::start(Engine::Sqlite, Project::of(SCHEMA)).await;
    let answer = try_with(&off, ethereum.body(&ethereum.message(0))).await;
    assert_eq!(refusal(&answer), refused(422, "web3_provider_disabled"));
    let half = "[auth]\nsite_url = \"https://shop.example\"\n[auth.web3.ethereum]\nenabled = true\n\
         [mainstay.limits]\ntrusted_proxies = [\"127.0.0.1\"]\n[auth.rate_limit]\nweb3 = 2\n";
    let auth = Auth::start(Engine::Sqlite, Project::of(SCHEMA).config(half)).await;
    let answer = try_with(&auth, solana.body(&solana.message(0))).await;
    assert_eq!(refusal(&answer), refused(422, "web3_provider_disabled"));
    let client = auth.client(None).with("x-forwarded-for", "192.0.2.1");
    for expected in [200, 200, 429] {
        let body = ethereum.body(&ethereum.message(0));
        let answer = send(&client, Method::POST, "/token?grant_type=web3", body).await;
        assert_eq!(answer.status, expected, "{}", answer.text());
    }

    let hook =
        "[auth.hook.before_user_created]\nenabled = true\nuri = \"pg-functions://postgres/public/only_friends\"\n";
    let hooked = || Project::of(SCHEMA).config(&format!("{OPEN}{hook}"));
    on_each_engine(hooked, async |_, auth: Auth| {
        let answer = try_with(&auth, solana.body(&solana.message(0))).await;
        assert_eq!(refusal(&answer), refused(403, "unknown"), "{}", answer.text());
        enter(&auth, &ethereum).await;
    })
    .await;

    let closed = OPEN.replace("[auth]\n", "[auth]\nenable_signup = false\n");
    on_each_engine(
        || Project::of(SCHEMA).config(&closed),
        async |_, auth: Auth| {
            let body = ethereum.body(&ethereum.message(0));
            assert_eq!(refusal(&try_with(&auth, body).await), refused(422, "signup_disabled"));
            assert_eq!(auth.call("counts", json!({})).await, json!([0, 0, 0]));
        },
    )
    .await;

    let service = Listener::start(|_| (200, "application/json", json!({"success": false}).to_string())).await;
    let captcha = format!(
        "{OPEN}[auth.captcha]\nenabled = true\nprovider = \"turnstile\"\nsecret = \"s\"\n\
         [mainstay.captcha]\nurl = \"{}/\"\n[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n",
        service.url
    );
    let auth = Auth::start(Engine::Sqlite, Project::of(SCHEMA).config(&captcha)).await;
    let answer = try_with(&auth, ethereum.body(&ethereum.message(0))).await;
    assert_eq!(refusal(&answer), refused(400, "captcha_failed"));
}

#[tokio::test]
async fn a_banned_wallet_stays_outside_and_an_address_is_added_by_proof_alone() {
    on_each_engine(project, async |_, auth: Auth| {
        let wallet = Wallet::ethereum();
        let ann = enter(&auth, &wallet).await;
        let service = auth.client(Some(&mainstay_testing::token::role("service_role")));
        let path = format!("/admin/users/{}", ann.id());
        let ban = async |duration: &str| {
            let answer = send(&service, Method::PUT, &path, json!({"ban_duration": duration})).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        };
        ban("1h").await;
        let answer = try_with(&auth, wallet.body(&wallet.message(0))).await;
        assert_eq!(refusal(&answer), refused(403, "user_banned"));
        ban("none").await;
        // A wallet names no address, so it is linked to nobody's.
        let other = auth.sign_up("ann@example.com").await;
        assert_ne!(enter(&auth, &wallet).await.id(), other.id());
        assert_eq!(auth.try_sign_in("ann@example.com", PASSWORD).await.status, 200);
    })
    .await;
}
