//! Security suite `mass_assignment` over sign-in: no body of any route gives its sender a role, an identity, a proof or a
//! level that it could not have. Every protected member is added to every body, alone and within the members that are the
//! sender's own, and what is stored is compared with what the same body makes without it.

use http::Method;
use mainstay_testing::{Engine, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, session};
use crate::auth_mail::{SETTINGS, on_each_engine_in_dev};
use crate::authenticator::App;
use crate::oauth_provider::{Person, Provider};

const OTHER: &str = "eeeeeeee-0000-4000-8000-00000000000e";
const SOON: &str = "2099-01-01T00:00:00Z";

const LOOK: &str = "
    create function public.standing() returns jsonb language sql security definer set search_path = '' as $$
        select coalesce(jsonb_agg(jsonb_build_object('email', u.email, 'phone', u.phone, 'aud', u.aud, 'role', u.role,
            'super', u.is_super_admin, 'app', u.raw_app_meta_data, 'instance', u.instance_id,
            'email_confirmed', u.email_confirmed_at is not null, 'phone_confirmed', u.phone_confirmed_at is not null,
            'invited', u.invited_at is not null, 'banned', u.banned_until is not null,
            'deleted', u.deleted_at is not null, 'anonymous', u.is_anonymous, 'sso', u.is_sso_user,
            'new_email', u.email_change, 'new_phone', u.phone_change, 'fresh', u.created_at > now() - interval '1 hour',
            'identities', (select count(*) from auth.identities i where i.user_id = u.id),
            'verified', (select count(*) from auth.mfa_factors f where f.user_id = u.id and f.status = 'verified'),
            'high', (select count(*) from auth.sessions s where s.user_id = u.id and s.aal <> 'aal1'),
            'timed', (select count(*) from auth.sessions s where s.user_id = u.id and s.not_after is not null),
            'applications', (select count(*) from auth.sessions s where s.user_id = u.id
                and s.oauth_client_id is not null))), '[]')
        from auth.users u
    $$;
    create function public.clients() returns jsonb language sql security definer set search_path = '' as $$
        select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'how', c.registration_type, 'name', c.client_name,
            'deleted', c.deleted_at is not null, 'hash', c.client_secret_hash, 'fresh', c.created_at > now() - interval '1 hour')),
            '[]') from auth.oauth_clients c
    $$;
    create function public.factors() returns jsonb language sql security definer set search_path = '' as $$
        select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'user', f.user_id, 'status', f.status, 'secret', f.secret,
            'fresh', f.created_at > now() - interval '1 hour')), '[]') from auth.mfa_factors f
    $$;
    grant execute on function public.standing, public.clients, public.factors to service_role;";

/// Members that nobody may set of themselves.
pub fn protected() -> Vec<(&'static str, Value)> {
    let admin = json!({"provider": "github", "providers": ["github"], "role": "admin", "is_admin": true});
    vec![
        ("id", json!(OTHER)),
        ("user_id", json!(OTHER)),
        ("sub", json!(OTHER)),
        ("instance_id", json!(OTHER)),
        ("aud", json!("service")),
        ("role", json!("service_role")),
        ("is_super_admin", json!(true)),
        ("raw_app_meta_data", admin.clone()),
        ("app_metadata", admin.clone()),
        ("user_metadata", json!({"email_verified": true, "sub": OTHER})),
        ("email_confirm", json!(true)),
        ("phone_confirm", json!(true)),
        ("email_confirmed_at", json!("2020-01-01T00:00:00Z")),
        ("phone_confirmed_at", json!("2020-01-01T00:00:00Z")),
        ("confirmed_at", json!("2020-01-01T00:00:00Z")),
        ("invited_at", json!("2020-01-01T00:00:00Z")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("banned_until", json!(SOON)),
        ("ban_duration", json!("24h")),
        ("deleted_at", json!(SOON)),
        ("not_after", json!(SOON)),
        ("is_anonymous", json!(true)),
        ("is_sso_user", json!(true)),
        (
            "password_hash",
            json!("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ),
        (
            "encrypted_password",
            json!("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ),
        ("new_email", json!("other@example.com")),
        ("email_change", json!("other@example.com")),
        ("phone_change", json!("4799999999")),
        ("confirmation_token", json!("x")),
        ("recovery_token", json!("x")),
        ("aal", json!("aal2")),
        ("amr", json!([{"method": "totp", "timestamp": 1}])),
        (
            "factors",
            json!([{"id": OTHER, "status": "verified", "factor_type": "totp"}]),
        ),
        (
            "identities",
            json!([{"provider": "github", "provider_id": "1", "identity_data": {"sub": "1"}}]),
        ),
        ("session_id", json!(OTHER)),
        ("oauth_client_id", json!(OTHER)),
        ("client_id", json!(OTHER)),
        ("scope", json!("openid admin")),
        ("__proto__", json!({"role": "service_role"})),
    ]
}

/// `body` with the member: beside its own, and within those whose content is the sender's.
fn hostile(body: &Value, name: &str, value: &Value) -> Vec<Value> {
    let mut bodies = Vec::new();
    for within in ["", "data", "options", "user", "gotrue_meta_security"] {
        let mut bent = body.clone();
        match within {
            // What is the body's own member stays: then it is no protected one.
            "" if bent.get(name).is_some() => continue,
            "" => bent[name] = value.clone(),
            within => {
                let inner = bent[within].as_object().cloned().unwrap_or_default();
                bent[within] = Value::Object(inner);
                bent[within][name] = value.clone();
            }
        }
        bodies.push(bent);
    }
    bodies
}

/// Every user as it stands, by address.
async fn standing(auth: &Auth) -> Vec<Value> {
    let found = auth.call("standing", json!({})).await;
    let mut all = found.as_array().unwrap().clone();
    all.sort_by_key(|user| format!("{}{}", user["email"], user["phone"]));
    all
}

/// The one user whose address is not among those, without what tells it from others.
fn made(before: &[Value], after: &[Value]) -> Value {
    let address = |user: &Value| (user["email"].clone(), user["phone"].clone());
    let mut new = after
        .iter()
        .filter(|user| !before.iter().any(|known| address(known) == address(user)));
    let mut user = new.next().expect("nobody was made").clone();
    assert!(new.next().is_none(), "more than one was made");
    for name in ["email", "phone"] {
        user[name] = json!(user[name].as_str().is_some_and(|text| !text.is_empty()));
    }
    user
}

/// What a token says of whoever has it.
fn told(of: &Session) -> Value {
    let claims = of.claims();
    let get = |name: &str| claims.get(name).cloned().unwrap_or_default();
    assert_eq!(get("sub"), of.user["id"]);
    json!([
        get("role"),
        get("aud"),
        get("aal"),
        get("is_anonymous"),
        get("app_metadata"),
        get("client_id"),
        get("scope"),
        get("amr").as_array().map(Vec::len)
    ])
}

#[tokio::test]
async fn nobody_is_made_with_more_than_the_route_gives() {
    let project = || Project::of(LOOK).config(&format!("{SETTINGS}[auth.sms]\nenable_signup = true\n"));
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let mut number = 0;
        for route in ["/signup", "/signup by number", "/otp", "/magiclink"] {
            let path = route.split(' ').next().unwrap();
            let body = |number: u32| match route {
                "/signup by number" => json!({"phone": format!("47{:08}", number), "password": PASSWORD, "data": {}}),
                "/signup" => json!({"email": format!("u{number}@example.com"), "password": PASSWORD, "data": {}}),
                _ => json!({"email": format!("u{number}@example.com"), "data": {}}),
            };
            let mut expected: Option<(Value, Option<Value>)> = None;
            let mut members = vec![("nothing", json!(1))];
            members.extend(protected());
            for (name, value) in members {
                // A sign-up costs a hash: the member stands in all places at once.
                let plain = body(number);
                number += 1;
                let mut bent = plain.clone();
                for hostile in hostile(&plain, name, &value) {
                    for (member, value) in hostile.as_object().unwrap() {
                        if bent.get(member).is_none_or(|own| own == &json!({})) {
                            bent[member] = value.clone();
                        }
                    }
                }
                let before = standing(&auth).await;
                let answer = auth.post(path, bent.clone()).await;
                assert_eq!(answer.status, 200, "{bent}: {}", answer.text());
                let stands = made(&before, &standing(&auth).await);
                let says = (path == "/signup").then(|| told(&session(&answer)));
                match &expected {
                    None => expected = Some((stands, says)),
                    Some(expected) => assert_eq!((stands, says), *expected, "{route} {name}"),
                }
            }
            let (stands, _) = expected.unwrap();
            assert_eq!(
                (
                    &stands["role"],
                    &stands["aud"],
                    &stands["super"],
                    &stands["high"],
                    &stands["fresh"]
                ),
                (
                    &json!("authenticated"),
                    &json!("authenticated"),
                    &Value::Null,
                    &json!(0),
                    &json!(true)
                ),
                "{route}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_becomes_more_by_what_they_send() {
    let project = || {
        Project::of(LOOK).config(&format!(
            "{SETTINGS}[auth.sms]\nenable_signup = true\n[auth.mfa]\nmax_enrolled_factors = 90\n"
        ))
    };
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let mut ann = auth.sign_up("ann@example.com").await;
        auth.sign_up("victim@example.com").await;
        let before = standing(&auth).await;
        let plain = told(&ann);
        for (name, value) in protected() {
            for (method, path, body) in [
                (Method::PUT, "/user", json!({})),
                (Method::PUT, "/user", json!({"data": {"nick": "ann"}})),
                (Method::POST, "/recover", json!({"email": "ann@example.com"})),
                (
                    Method::POST,
                    "/resend",
                    json!({"type": "signup", "email": "ann@example.com"}),
                ),
                (Method::POST, "/logout?scope=others", json!({})),
            ] {
                for bent in hostile(&body, name, &value) {
                    let answer = auth
                        .ask(method.clone(), path, Some(&ann.access_token), bent.clone())
                        .await;
                    let is_told = name == "app_metadata" && path == "/user";
                    assert!(
                        answer.status.is_success() || (is_told && answer.code() == "not_admin") || answer.status == 400,
                        "{path} {bent}: {}",
                        answer.text()
                    );
                    assert_eq!(standing(&auth).await, before, "{path} {bent}");
                }
            }
            let refreshing = json!({"refresh_token": ann.refresh_token});
            for bent in hostile(&refreshing, name, &value).into_iter().take(1) {
                ann = session(&auth.post("/token?grant_type=refresh_token", bent).await);
                assert_eq!(told(&ann), plain, "{name}");
            }
        }
        // Once more where it is a sign-in: by password, and by what a mail brought.
        for (name, value) in protected() {
            auth.post("/otp", json!({"email": "ann@example.com"})).await;
            let token = auth.mail("ann@example.com").await.token();
            let proof = json!({"type": "email", "token_hash": token});
            for bent in hostile(&proof, name, &value).into_iter().take(1) {
                let got = session(&auth.prove(bent).await);
                assert_eq!((got.id(), told(&got)), (ann.id(), plain.clone()), "{name}");
            }
        }
        let mut all = json!({"email": "ann@example.com", "password": PASSWORD});
        for (name, value) in protected() {
            all[name] = value;
        }
        let got = session(&auth.post("/token?grant_type=password", all).await);
        assert_eq!((got.id(), told(&got)), (ann.id(), plain));
        assert_eq!(standing(&auth).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_factor_is_its_users_unverified_and_of_a_secret_of_our_own() {
    on_each_engine(
        || Project::of(LOOK).config("[auth.mfa]\nmax_enrolled_factors = 90"),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            let mut hostile_members = protected();
            hostile_members.extend([
                ("status", json!("verified")),
                ("secret", json!("JBSWY3DPEHPK3PXP")),
                ("totp", json!({"secret": "JBSWY3DPEHPK3PXP"})),
                ("challenge_id", json!(OTHER)),
            ]);
            let mut last = None;
            for (name, value) in &hostile_members {
                let mut body = json!({"factor_type": "totp", "friendly_name": format!("my {name}")});
                body[*name] = value.clone();
                let made = auth.as_user(&ann, Method::POST, "/factors", body).await;
                assert_eq!(made.status, 200, "{name}: {}", made.text());
                last = Some(App::of(&made.json()));
            }
            let factors = auth.call("factors", json!({})).await;
            let factors = factors.as_array().unwrap();
            assert_eq!(factors.len(), hostile_members.len());
            for factor in factors {
                assert_eq!(
                    (&factor["user"], &factor["status"], &factor["fresh"]),
                    (&json!(ann.id()), &json!("unverified"), &json!(true))
                );
                assert!(factor["id"] != OTHER && factor["secret"] != "JBSWY3DPEHPK3PXP");
            }
            // A challenge and its answer take what they ask for alone.
            let app = last.unwrap();
            let mut all = json!({});
            for (name, value) in &hostile_members {
                all[*name] = value.clone();
            }
            let path = format!("/factors/{}/challenge", app.id);
            let challenge = auth.as_user(&ann, Method::POST, &path, all.clone()).await.json();
            assert!(challenge["id"] != OTHER);
            all["challenge_id"] = challenge["id"].clone();
            all["code"] = json!("000000");
            let path = format!("/factors/{}/verify", app.id);
            let wrong = auth.as_user(&ann, Method::POST, &path, all.clone()).await;
            assert_eq!(wrong.code(), "mfa_verification_failed");
            assert_eq!(standing(&auth).await[0]["verified"], 0);
            all["code"] = json!(app.code(0));
            let raised = session(&auth.as_user(&ann, Method::POST, &path, all).await);
            assert_eq!(
                (raised.id(), &raised.claims()["role"]),
                (ann.id(), &json!("authenticated"))
            );
            let stands = &standing(&auth).await[0];
            assert_eq!((&stands["verified"], &stands["high"]), (&json!(1), &json!(1)));
        },
    )
    .await;
}

#[tokio::test]
async fn an_application_that_registers_itself_is_one_like_any_other() {
    let project = || {
        Project::of(LOOK).config(
            "[auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/consent\"\n",
        )
    };
    on_each_engine(project, async |_, auth: Auth| {
        let mut members = protected();
        members.extend([
            ("client_secret", json!("known-beforehand")),
            ("client_secret_hash", json!("x")),
            ("registration_type", json!("manual")),
            ("is_trusted", json!(true)),
            ("skip_consent", json!(true)),
        ]);
        let mut all = json!({"redirect_uris": ["https://app.example/cb"], "client_name": "Ours"});
        for (name, value) in members {
            all[name] = value;
        }
        let made = auth.post("/oauth/clients/register", all).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert!(made.json()["client_id"] != OTHER && made.json()["client_secret"] != "known-beforehand");
        let clients = auth.call("clients", json!({})).await;
        let client = &clients[0];
        assert_eq!(clients.as_array().unwrap().len(), 1);
        assert_eq!(
            (&client["how"], &client["deleted"], &client["fresh"]),
            (&json!("dynamic"), &json!(false), &json!(true))
        );
        assert!(client["id"] != OTHER && client["hash"] != "x");
    })
    .await;
}

#[tokio::test]
async fn a_provider_says_who_somebody_is_and_not_what_they_may() {
    let provider = Provider::start().await;
    let project = || crate::oauth::project(&provider, "").migration(LOOK);
    on_each_engine(project, async |_, auth: Auth| {
        let plain = Person::new("plain-1", "plain@example.com", true);
        let mut hostile = Person::new("hostile-1", "hostile@example.com", true);
        for (name, value) in protected() {
            if name != "sub" && name != "aud" {
                hostile.claims[name] = value;
            }
        }
        let mut all = Vec::new();
        for person in [&plain, &hostile] {
            let before = standing(&auth).await;
            let token = provider.id_token(person, None, None);
            let body = json!({"provider": "custom:acme", "id_token": token});
            let got = session(&auth.post("/token?grant_type=id_token", body).await);
            all.push((told(&got), made(&before, &standing(&auth).await)));
        }
        assert_eq!(all[0], all[1]);
    })
    .await;
}

#[tokio::test]
async fn an_import_takes_the_columns_that_it_names() {
    on_each_engine(
        || Project::of(LOOK),
        async |engine: Engine, auth: Auth| {
            let service = token::role("service_role");
            let users: Vec<Value> = protected()
                .into_iter()
                .filter(|(name, _)| {
                    [
                        "is_super_admin",
                        "instance_id",
                        "aud",
                        "is_sso_user",
                        "deleted_at",
                        "invited_at",
                        "email_change",
                        "confirmation_token",
                        "recovery_token",
                        "aal",
                        "factors",
                        "email_confirm",
                        "confirmed_at",
                        "password_hash",
                        "app_metadata",
                        "__proto__",
                    ]
                    .contains(name)
                })
                .enumerate()
                .map(|(number, (name, value))| {
                    let mut user = json!({"email": format!("i{number}@example.com")});
                    user[name] = value;
                    user
                })
                .collect();
            let count = users.len();
            let answer = auth
                .ask(
                    Method::POST,
                    "/admin/users/import",
                    Some(&service),
                    json!({"users": users}),
                )
                .await;
            assert_eq!(answer.status, 200, "{engine:?}: {}", answer.text());
            let mut all = standing(&auth).await;
            assert_eq!(all.len(), count, "{}", answer.text());
            for user in &mut all {
                user["email"] = json!("");
            }
            assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
            // Who has no secret key imports nobody.
            let ann = auth.sign_up("ann@example.com").await;
            for token in [None, Some(ann.access_token.as_str())] {
                let body = json!({"users": [{"email": "x@example.com"}]});
                let answer = auth.ask(Method::POST, "/admin/users/import", token, body).await;
                assert!(matches!(answer.status.as_u16(), 401 | 403), "{}", answer.text());
            }
            assert_eq!(standing(&auth).await.len(), count + 1);
        },
    )
    .await;
}
