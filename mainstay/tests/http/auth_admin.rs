//! The admin API of users, and hashes that users bring along.

use http::Method;
use mainstay_testing::{Answer, Client, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, send, session};

/// bcrypt of `U*U`, cost 5: a published test vector of the algorithm.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const NOBODY: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn project() -> Project {
    Project::of(
        "create table notes (id int primary key, owner uuid references auth.users (id) on delete cascade);
         create table bills (id int primary key, owner uuid references auth.users (id));
         grant select, insert on notes, bills to service_role;
         create function public.hash_of(who uuid) returns text language sql security definer set search_path = '' as $$
             select u.encrypted_password from auth.users u where u.id = who
         $$;
         grant execute on function public.hash_of to service_role;",
    )
}

fn admin(auth: &Auth) -> Client {
    auth.client(Some(&token::role("service_role")))
}

async fn ask(auth: &Auth, method: Method, path: &str, body: Value) -> Answer {
    send(&admin(auth), method, &format!("/admin/users{path}"), body).await
}

async fn create(auth: &Auth, body: Value) -> Value {
    let answer = ask(auth, Method::POST, "", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn path(user: &Value) -> String {
    format!("/{}", user["id"].as_str().unwrap())
}

#[tokio::test]
async fn nobody_but_the_secret_key_is_an_administrator() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let routes = [
            (Method::GET, "/admin/users".to_owned()),
            (Method::POST, "/admin/users".to_owned()),
            (Method::GET, format!("/admin/users/{}", ann.id())),
            (Method::PUT, format!("/admin/users/{}", ann.id())),
            (Method::DELETE, format!("/admin/users/{}", ann.id())),
            // Whether the user is there is not said before who asks is known.
            (Method::GET, format!("/admin/users/{NOBODY}")),
            (Method::GET, "/admin/users/x".to_owned()),
        ];
        let expired = token::sign(&json!({"role": "service_role", "exp": token::now() - 60}));
        for (method, route) in routes {
            for (token, status, code) in [
                (None, 401, "no_authorization"),
                (Some(ann.access_token.clone()), 403, "not_admin"),
                (Some(token::role("anon")), 403, "not_admin"),
                (Some(token::role("authenticated")), 403, "not_admin"),
                (Some(token::role("postgres")), 403, "not_admin"),
                (Some(expired.clone()), 403, "bad_jwt"),
                (Some("nonsense".into()), 403, "bad_jwt"),
            ] {
                let body = json!({"email": "eve@example.com", "role": "service_role", "password": PASSWORD});
                let answer = auth.ask(method.clone(), &route, token.as_deref(), body).await;
                assert_eq!(refusal(&answer), refused(status, code), "{method} {route} {token:?}");
                assert!(!answer.text().contains("ann@example.com"));
            }
        }
        let users = ask(&auth, Method::GET, "", Value::Null).await;
        assert_eq!(users.header("x-total-count"), "1");
        assert_eq!(users.json()["users"][0], ann.user);
    })
    .await;
}

#[tokio::test]
async fn users_are_made_shown_changed_and_deleted() {
    on_each_engine(project, async |_, auth: Auth| {
        let bob = create(
            &auth,
            json!({"email": "Bob@Example.com", "password": PASSWORD, "email_confirm": true, "role": "clerk",
                   "user_metadata": {"name": "Bob"}, "app_metadata": {"plan": "pro"}, "phone": "+47 999 99 999",
                   "phone_confirm": true, "id": NOBODY}),
        )
        .await;
        assert_eq!(bob["id"], NOBODY);
        assert_eq!(
            (&bob["email"], &bob["phone"], &bob["role"]),
            (&json!("bob@example.com"), &json!("4799999999"), &json!("clerk"))
        );
        assert_eq!(
            bob["app_metadata"],
            json!({"provider": "email", "providers": ["email", "phone"], "plan": "pro"})
        );
        assert_eq!(bob["user_metadata"], json!({"name": "Bob", "email_verified": true}));
        assert!(bob["email_confirmed_at"].is_string() && bob["phone_confirmed_at"].is_string());
        assert!(bob.get("last_sign_in_at").is_none());
        let mut providers: Vec<&str> = bob["identities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["provider"].as_str().unwrap())
            .collect();
        providers.sort_unstable();
        assert_eq!(providers, ["email", "phone"]);
        assert_eq!(ask(&auth, Method::GET, &path(&bob), Value::Null).await.json(), bob);
        let signed = auth.sign_in("bob@example.com").await;
        assert_eq!((signed.id(), &signed.claims()["role"]), (NOBODY, &json!("clerk")));

        let changed = ask(
            &auth,
            Method::PUT,
            &path(&bob),
            json!({"email": "rob@example.com", "role": "authenticated", "app_metadata": {"plan": null, "seats": 3},
                   "user_metadata": {"name": "Rob"}}),
        )
        .await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let rob = changed.json();
        assert_eq!(
            (&rob["email"], &rob["role"]),
            (&json!("rob@example.com"), &json!("authenticated"))
        );
        assert_eq!(
            rob["app_metadata"],
            json!({"provider": "email", "providers": ["email", "phone"], "seats": 3})
        );
        assert_eq!(rob["user_metadata"]["name"], "Rob");
        let by_email = rob["identities"]
            .as_array()
            .unwrap()
            .iter()
            .find(|i| i["provider"] == "email")
            .unwrap();
        assert_eq!(by_email["email"], "rob@example.com");
        assert_eq!(auth.sign_in("rob@example.com").await.id(), NOBODY);
        let old = auth.try_sign_in("bob@example.com", PASSWORD).await;
        assert_eq!(refusal(&old), refused(400, "invalid_credentials"));

        let inserted = auth
            .server
            .service()
            .insert("notes", &json!({"id": 1, "owner": NOBODY}))
            .await;
        assert_eq!(inserted.status, 201, "{}", inserted.text());
        let gone = ask(&auth, Method::DELETE, &path(&bob), Value::Null).await;
        assert_eq!((gone.status.as_u16(), gone.text()), (200, "{}".into()));
        assert_eq!(auth.server.service().get("notes").await.text(), "[]");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let answer = ask(&auth, method.clone(), &path(&bob), json!({})).await;
            assert_eq!(refusal(&answer), refused(404, "user_not_found"), "{method}");
            let answer = ask(&auth, method, "/not-an-id", json!({})).await;
            assert_eq!(refusal(&answer), refused(404, "validation_failed"));
        }
        let user = auth.user(&signed.access_token).await;
        assert_eq!(refusal(&user), refused(403, "user_not_found"));
        let refresh = auth.refresh(&signed.refresh_token).await;
        assert_eq!(refusal(&refresh), refused(400, "refresh_token_not_found"));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = create(&auth, json!({"email": "ann@example.com", "phone": "4799999999"})).await;
        let bob = create(&auth, json!({"email": "bob@example.com"})).await;
        for (body, status, code) in [
            (json!({}), 400, "validation_failed"),
            (json!({"email": "ANN@example.com"}), 422, "email_exists"),
            (
                json!({"email": "x@example.com", "phone": "+4799999999"}),
                422,
                "phone_exists",
            ),
            (
                json!({"email": "x@example.com", "id": ann["id"]}),
                400,
                "validation_failed",
            ),
            (json!({"email": "x@example.com", "id": "x"}), 400, "validation_failed"),
            (
                json!({"email": "x@example.com", "ban_duration": "soon"}),
                400,
                "validation_failed",
            ),
            (
                json!({"email": "x@example.com", "password": "x".repeat(73)}),
                400,
                "validation_failed",
            ),
            (
                json!({"email": "x@example.com", "password": "a", "password_hash": BCRYPT}),
                400,
                "validation_failed",
            ),
            (
                json!({"email": "x@example.com", "password_hash": "plain text"}),
                400,
                "validation_failed",
            ),
            (json!({"email": "x"}), 400, "validation_failed"),
            (json!({"phone": "007"}), 400, "validation_failed"),
            (json!({"email": "x@example.com", "user_metadata": 1}), 400, "bad_json"),
        ] {
            let answer = ask(&auth, Method::POST, "", body.clone()).await;
            assert_eq!(refusal(&answer), refused(status, code), "{body}: {}", answer.text());
        }
        for (body, status, code) in [
            (json!({"email": "ann@example.com"}), 422, "email_exists"),
            (json!({"phone": "4799999999"}), 422, "phone_exists"),
            (json!({"password": "short"}), 422, "weak_password"),
            (json!({"ban_duration": "1 day"}), 400, "validation_failed"),
        ] {
            let answer = ask(&auth, Method::PUT, &path(&bob), body.clone()).await;
            assert_eq!(refusal(&answer), refused(status, code), "{body}: {}", answer.text());
        }
        assert_eq!(ask(&auth, Method::GET, &path(&bob), Value::Null).await.json(), bob);
        // What refers to the user without a cascade keeps the user.
        let inserted = auth
            .server
            .service()
            .insert("bills", &json!({"id": 1, "owner": bob["id"]}))
            .await;
        assert_eq!(inserted.status, 201, "{}", inserted.text());
        let kept = ask(&auth, Method::DELETE, &path(&bob), Value::Null).await;
        assert_eq!(refusal(&kept), refused(500, "unexpected_failure"));
        assert_eq!(kept.json()["message"], "Database error deleting user");
        let users = ask(&auth, Method::GET, "", Value::Null).await;
        assert_eq!(users.header("x-total-count"), "2");
    })
    .await;
}

#[tokio::test]
async fn users_are_listed_by_pages() {
    on_each_engine(project, async |_, auth: Auth| {
        for number in 0..5 {
            create(&auth, json!({"email": format!("u{number}@example.com")})).await;
        }
        let page = async |query: &str| ask(&auth, Method::GET, query, Value::Null).await;
        let emails = |answer: &Answer| -> Vec<String> {
            let users = answer.json()["users"].clone();
            users
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["email"].as_str().unwrap()[..2].to_owned())
                .collect()
        };
        let all = page("").await;
        assert_eq!(emails(&all), ["u4", "u3", "u2", "u1", "u0"]);
        assert_eq!(all.json()["aud"], "authenticated");
        assert_eq!(all.json()["users"][0]["identities"][0]["email"], "u4@example.com");
        assert_eq!(all.header("link"), "</admin/users?page=1&per_page=50>; rel=\"last\"");
        let second = page("?page=2&per_page=2").await;
        assert_eq!(emails(&second), ["u2", "u1"]);
        assert_eq!(second.header("x-total-count"), "5");
        assert_eq!(
            second.header("link"),
            "</admin/users?page=3&per_page=2>; rel=\"next\", </admin/users?page=3&per_page=2>; rel=\"last\""
        );
        assert_eq!(emails(&page("?page=9&per_page=2").await), [] as [&str; 0]);
        assert_eq!(emails(&page(&format!("?page={}", u64::MAX)).await), [] as [&str; 0]);
        for bad in ["?page=0", "?page=-1", "?page=x", "?per_page=0", "?per_page=1.5"] {
            assert_eq!(refusal(&page(bad).await), refused(400, "validation_failed"), "{bad}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_banned_user_is_out_at_once_and_back_when_it_is_lifted() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let ban = async |duration: &str| {
            let answer = ask(&auth, Method::PUT, &path(&ann.user), json!({"ban_duration": duration})).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()
        };
        assert!(ban("1h").await["banned_until"].is_string());
        let sign_in = auth.try_sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(refusal(&sign_in), refused(400, "user_banned"));
        // Not before the password was right.
        let wrong = auth.try_sign_in("ann@example.com", "wrong").await;
        assert_eq!(refusal(&wrong), refused(400, "invalid_credentials"));
        assert_eq!(
            refusal(&auth.user(&ann.access_token).await),
            refused(403, "user_banned")
        );
        assert_eq!(
            refusal(&auth.refresh(&ann.refresh_token).await),
            refused(400, "user_banned")
        );
        assert!(ban("none").await.get("banned_until").is_none());
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        session(&auth.refresh(&ann.refresh_token).await);
        // A ban that is over.
        ban("-1h").await;
        auth.sign_in("ann@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn an_unconfirmed_user_signs_in_after_confirmation() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = create(&auth, json!({"email": "ann@example.com", "password": PASSWORD})).await;
        assert!(ann.get("email_confirmed_at").is_none());
        let early = auth.try_sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(refusal(&early), refused(400, "email_not_confirmed"));
        let wrong = auth.try_sign_in("ann@example.com", "wrong").await;
        assert_eq!(refusal(&wrong), refused(400, "invalid_credentials"));
        // Somebody else may not take the address over.
        let taken = auth.try_sign_up("ann@example.com", json!({})).await;
        assert_eq!(refusal(&taken), refused(422, "user_already_exists"));
        let confirmed = ask(&auth, Method::PUT, &path(&ann), json!({"email_confirm": true})).await;
        assert!(confirmed.json()["email_confirmed_at"].is_string());
        assert_eq!(confirmed.json()["user_metadata"]["email_verified"], true);
        assert_eq!(auth.sign_in("ann@example.com").await.id(), ann["id"]);
        // Without a password there is none that is right.
        create(&auth, json!({"email": "bob@example.com", "email_confirm": true})).await;
        for password in ["", PASSWORD] {
            let answer = auth.try_sign_in("bob@example.com", password).await;
            assert_eq!(refusal(&answer), refused(400, "invalid_credentials"));
        }
    })
    .await;
}

#[tokio::test]
async fn an_administrators_new_password_ends_every_session() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let answer = ask(
            &auth,
            Method::PUT,
            &path(&ann.user),
            json!({"password": "another one 8 times"}),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            refusal(&auth.user(&ann.access_token).await),
            refused(403, "session_not_found")
        );
        let old = auth.try_sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(refusal(&old), refused(400, "invalid_credentials"));
        session(&auth.try_sign_in("ann@example.com", "another one 8 times").await);
    })
    .await;
}

#[tokio::test]
async fn bcrypt_hashes_are_verified_and_made_anew() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = create(
            &auth,
            json!({"email": "ann@example.com", "password_hash": BCRYPT, "email_confirm": true}),
        )
        .await;
        let hash = async || auth.call("hash_of", json!({"who": ann["id"]})).await;
        assert_eq!(hash().await, BCRYPT);
        let wrong = auth.try_sign_in("ann@example.com", "U*V").await;
        assert_eq!(refusal(&wrong), refused(400, "invalid_credentials"));
        assert_eq!(hash().await, BCRYPT);
        session(&auth.try_sign_in("ann@example.com", "U*U").await);
        let renewed = hash().await;
        assert!(
            renewed.as_str().unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{renewed}"
        );
        session(&auth.try_sign_in("ann@example.com", "U*U").await);
        assert_eq!(hash().await, renewed);
        let log = auth.log().await;
        assert!(!log.contains(BCRYPT) && !log.contains("U*U"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_user_that_is_buried_leaves_a_row_without_a_name() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let id = ann.id().to_owned();
        auth.server
            .service()
            .insert("bills", &json!({"id": 1, "owner": id}))
            .await;
        let answer = ask(
            &auth,
            Method::DELETE,
            &path(&ann.user),
            json!({"should_soft_delete": true}),
        )
        .await;
        assert_eq!(answer.text(), "{}");
        let shown = ask(&auth, Method::GET, &path(&ann.user), Value::Null).await;
        let user = shown.json();
        assert!(user["deleted_at"].is_string());
        assert!(
            !shown.text().contains("ann@example.com") && !shown.text().contains("Ann"),
            "{}",
            shown.text()
        );
        assert_eq!(
            (&user["user_metadata"], &user["app_metadata"]),
            (&json!({}), &json!({}))
        );
        assert_eq!(
            refusal(&auth.user(&ann.access_token).await),
            refused(403, "user_not_found")
        );
        let refresh = auth.refresh(&ann.refresh_token).await;
        assert_eq!(refusal(&refresh), refused(400, "refresh_token_not_found"));
        let old = auth.try_sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(refusal(&old), refused(400, "invalid_credentials"));
        assert_eq!(
            auth.server.service().get("bills?select=owner").await.json()[0]["owner"],
            json!(id)
        );
        // The address is free again.
        assert_ne!(auth.sign_up("ann@example.com").await.id(), id);
    })
    .await;
}
