//! Security suite `passkeys`: keys that sign their users in. The other side is somebody else's authenticator.

use http::Method;
use mainstay_testing::{Answer, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, refusal, refused, session};
use crate::security_key::{ORIGIN, SecurityKey, decoded, encoded};

pub const SETTINGS: &str = "[auth.passkey]\nenabled = true\n[auth.webauthn]\nrp_id = \"shop.example\"\n\
     rp_display_name = \"The shop\"\nrp_origins = [\"https://shop.example\", \"https://app.shop.example\"]\n";

/// Functions with which a test moves time, and looks where requests may not.
pub const SCHEMA: &str = "
    create function public.age_passkey_challenges(seconds integer) returns void language sql security definer
        set search_path = '' as $$
        update auth.webauthn_challenges set expires_at = expires_at - make_interval(secs => seconds)
    $$;
    create function public.kept() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_object(
            'challenges', (select count(*) from auth.webauthn_challenges),
            'sessions', (select count(*) from auth.sessions),
            'passkeys', (select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'count', c.sign_count,
                'aaguid', c.aaguid, 'transports', c.transports, 'attestation', c.attestation_type,
                'key', encode(c.public_key, 'hex'), 'credential', encode(c.credential_id, 'hex'))
                order by c.created_at), '[]') from auth.webauthn_credentials c))
    $$;
    create function public.unconfirm(who uuid) returns void language sql security definer set search_path = '' as $$
        update auth.users set email_confirmed_at = null where id = who
    $$;
    grant execute on function public.age_passkey_challenges, public.kept, public.unconfirm to service_role;";

pub fn project() -> Project {
    Project::of(SCHEMA).config(SETTINGS)
}

impl Auth {
    /// What an authenticator is asked to make.
    pub async fn ask_passkey(&self, of: &Session) -> Answer {
        let path = "/passkeys/registration/options";
        self.ask(Method::POST, path, Some(&of.access_token), json!({})).await
    }

    pub async fn make_passkey(&self, of: &Session, challenge: &Value, credential: Value) -> Answer {
        let body = json!({"challenge_id": challenge, "credential": credential});
        let path = "/passkeys/registration/verify";
        self.ask(Method::POST, path, Some(&of.access_token), body).await
    }

    /// Gives a user a passkey. Returns it as it is shown.
    pub async fn add_passkey(&self, of: &Session, key: &mut SecurityKey) -> Value {
        let asked = self.ask_passkey(of).await;
        assert_eq!(asked.status, 200, "{}", asked.text());
        let asked = asked.json();
        let made = key.make(&asked["options"]).await;
        let answer = self.make_passkey(of, &asked["challenge_id"], made).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub async fn ask_to_sign_in(&self) -> Value {
        let answer = self.post("/passkeys/authentication/options", json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub async fn answer_passkey(&self, challenge: &Value, credential: &Value) -> Answer {
        let body = json!({"challenge_id": challenge, "credential": credential});
        self.post("/passkeys/authentication/verify", body).await
    }

    pub async fn sign_in_by(&self, key: &mut SecurityKey) -> Answer {
        let asked = self.ask_to_sign_in().await;
        let signed = key.sign(&asked["options"]).await;
        self.answer_passkey(&asked["challenge_id"], &signed).await
    }

    pub async fn passkeys(&self, of: &Session) -> Value {
        let answer = self
            .ask(Method::GET, "/passkeys", Some(&of.access_token), Value::Null)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        let service = token::role("service_role");
        self.ask(method, path, Some(&service), body).await
    }
}

pub fn wrong() -> (u16, String) {
    refused(400, "webauthn_verification_failed")
}

#[tokio::test]
async fn a_passkey_is_made_signs_in_and_is_looked_after() {
    on_each_engine(project, async |_, auth: Auth| {
        assert_eq!(
            auth.ask(Method::GET, "/settings", None, Value::Null).await.json()["passkeys_enabled"],
            true
        );
        let ann = auth.sign_up("ann@example.com").await;
        let asked = auth.ask_passkey(&ann).await.json();
        let lifetime = asked["expires_at"].as_i64().unwrap() - token::now();
        assert!((290..=301).contains(&lifetime), "{lifetime}");
        let options = &asked["options"];
        assert_eq!(options["rp"], json!({"name": "The shop", "id": "shop.example"}));
        assert_eq!(options["user"]["id"], json!(encoded(ann.id().as_bytes())));
        assert_eq!(
            (&options["user"]["name"], &options["user"]["displayName"]),
            (&json!("ann@example.com"), &json!("Ann"))
        );
        assert_eq!(
            options["authenticatorSelection"],
            json!({"residentKey": "required", "requireResidentKey": true, "userVerification": "required"})
        );
        assert_eq!(options["attestation"], "none");
        assert!(decoded(&options["challenge"]).len() >= 16);

        let mut key = SecurityKey {
            // A model that many people have.
            aaguid: 0xbada5566_a7aa_401f_bd96_45619a55120d_u128.to_be_bytes(),
            ..SecurityKey::new()
        };
        let made = key.make(options).await;
        let passkey = auth.make_passkey(&ann, &asked["challenge_id"], made).await.json();
        let names: Vec<&str> = passkey.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["id", "friendly_name", "created_at"]);
        assert_eq!(passkey["friendly_name"], "1Password");
        assert_eq!(auth.passkeys(&ann).await, json!([passkey]));
        let kept = auth.call("kept", json!({})).await;
        let row = &kept["passkeys"][0];
        assert_eq!(
            (&row["count"], &row["attestation"], &row["transports"], &row["aaguid"]),
            (
                &json!(0),
                &json!("none"),
                &json!(["internal"]),
                &json!("bada5566-a7aa-401f-bd96-45619a55120d")
            )
        );
        // A COSE key of P-256, in the order of its labels: RFC 9053 §7.1.1.
        let cose = row["key"].as_str().unwrap();
        assert!(
            cose.starts_with("a5010203262001215820") && cose.len() == 2 * 77,
            "{cose}"
        );

        // Its own authenticator is told of it; another one is not asked for what it has not.
        let again = auth.ask_passkey(&ann).await.json();
        let excluded = decoded(&again["options"]["excludeCredentials"][0]["id"]);
        let hex: String = excluded.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(row["credential"], json!(hex));

        let asked = auth.ask_to_sign_in().await;
        let options = &asked["options"];
        assert_eq!(
            (
                &options["rpId"],
                &options["allowCredentials"],
                &options["userVerification"]
            ),
            (&json!("shop.example"), &json!([]), &json!("required"))
        );
        let signed = key.sign(options).await;
        let answer = auth.answer_passkey(&asked["challenge_id"], &signed).await;
        let by_key = session(&answer);
        assert_eq!(answer.header("sb-auth-user-id"), ann.id());
        let claims = by_key.claims();
        assert_eq!((by_key.id(), &claims["aal"]), (ann.id(), &json!("aal1")));
        assert_eq!(claims["amr"].as_array().unwrap().len(), 1);
        assert_eq!(claims["amr"][0]["method"], "passkey");
        assert_eq!(
            session(&auth.refresh(&by_key.refresh_token).await).claims()["amr"],
            claims["amr"]
        );
        assert_eq!(auth.call("kept", json!({})).await["passkeys"][0]["count"], 1);
        let listed = auth.passkeys(&by_key).await;
        assert!(listed[0]["last_used_at"].is_string(), "{listed}");

        let own = format!("/passkeys/{}", passkey["id"].as_str().unwrap());
        let bearer = Some(by_key.access_token.as_str());
        let renamed = auth
            .ask(Method::PATCH, &own, bearer, json!({"friendly_name": "My phone"}))
            .await;
        assert_eq!(
            (renamed.status.as_u16(), &renamed.json()["friendly_name"]),
            (200, &json!("My phone"))
        );
        assert_eq!(auth.passkeys(&ann).await[0]["friendly_name"], "My phone");
        for bad in [
            json!({}),
            json!({"friendly_name": ""}),
            json!({"friendly_name": "x".repeat(121)}),
        ] {
            let answer = auth.ask(Method::PATCH, &own, bearer, bad).await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"));
        }

        // Nobody else's affair.
        let bob = auth.sign_up("bob@example.com").await;
        let other = Some(bob.access_token.as_str());
        for path in [
            own.as_str(),
            "/passkeys/x",
            "/passkeys/aaaaaaaa-0000-4000-8000-000000000009",
        ] {
            for (method, body) in [
                (Method::PATCH, json!({"friendly_name": "mine"})),
                (Method::DELETE, Value::Null),
            ] {
                let answer = auth.ask(method, path, other, body).await;
                assert_eq!(refusal(&answer), refused(404, "validation_failed"), "{path}");
                assert_eq!(answer.json()["message"], "Passkey not found");
            }
        }
        assert_eq!(auth.passkeys(&bob).await, json!([]));

        let gone = auth.ask(Method::DELETE, &own, bearer, Value::Null).await;
        assert_eq!((gone.status.as_u16(), gone.text().as_str()), (204, ""));
        assert_eq!(refusal(&auth.sign_in_by(&mut key).await), wrong());
        // The session goes on.
        assert_eq!(auth.passkeys(&by_key).await, json!([]));

        let log = auth.admin(Method::GET, "/admin/audit", Value::Null).await.json();
        let about_it = |entry: &&Value| entry["payload"]["traits"]["passkey_id"] == passkey["id"];
        let mut actions: Vec<&str> = log
            .as_array()
            .unwrap()
            .iter()
            .filter(about_it)
            .map(|entry| {
                assert_eq!(entry["payload"]["actor_id"], json!(ann.id()));
                entry["payload"]["action"].as_str().unwrap()
            })
            .collect();
        actions.sort_unstable();
        assert_eq!(
            actions,
            ["login", "passkey_created", "passkey_deleted", "passkey_updated"]
        );
    })
    .await;
}

#[tokio::test]
async fn switched_off_there_are_none() {
    on_each_engine(
        || Project::of(SCHEMA),
        async |_, auth: Auth| {
            assert_eq!(
                auth.ask(Method::GET, "/settings", None, Value::Null).await.json()["passkeys_enabled"],
                false
            );
            let ann = auth.sign_up("ann@example.com").await;
            let off = refused(404, "passkey_disabled");
            assert_eq!(refusal(&auth.ask_passkey(&ann).await), off);
            assert_eq!(
                refusal(&auth.post("/passkeys/authentication/options", json!({})).await),
                off
            );
            let answer = auth.answer_passkey(&json!("x"), &json!({})).await;
            assert_eq!(refusal(&answer), off);
            let listed = auth
                .ask(Method::GET, "/passkeys", Some(&ann.access_token), Value::Null)
                .await;
            assert_eq!(refusal(&listed), off);
        },
    )
    .await;
}

#[tokio::test]
async fn administrators_see_and_delete_passkeys() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let (mut key, mut bobs) = (SecurityKey::new(), SecurityKey::new());
        let passkey = auth.add_passkey(&ann, &mut key).await;
        let other = auth.add_passkey(&bob, &mut bobs).await;
        assert_eq!(passkey["friendly_name"], "Passkey");
        let path = format!("/admin/users/{}/passkeys", ann.id());
        assert_eq!(
            auth.admin(Method::GET, &path, Value::Null).await.json(),
            json!([passkey])
        );
        let id = |passkey: &Value| passkey["id"].as_str().unwrap().to_owned();
        for (path, code) in [
            (format!("{path}/{}", id(&other)), "validation_failed"),
            (format!("{path}/x"), "validation_failed"),
            (
                format!(
                    "/admin/users/aaaaaaaa-0000-4000-8000-000000000009/passkeys/{}",
                    id(&passkey)
                ),
                "user_not_found",
            ),
        ] {
            let answer = auth.admin(Method::DELETE, &path, Value::Null).await;
            assert_eq!(refusal(&answer), refused(404, code), "{path}");
        }
        let gone = auth
            .admin(Method::DELETE, &format!("{path}/{}", id(&passkey)), Value::Null)
            .await;
        assert_eq!(gone.status, 204);
        assert_eq!(refusal(&auth.sign_in_by(&mut key).await), wrong());
        session(&auth.sign_in_by(&mut bobs).await);
        let log = auth
            .admin(Method::GET, "/admin/audit?query=action:passkey_deleted", Value::Null)
            .await;
        let payload = &log.json()[0]["payload"];
        assert_eq!(
            payload["traits"],
            json!({"passkey_id": passkey["id"], "user_id": ann.id()})
        );
    })
    .await;
}

#[tokio::test]
async fn a_passkey_a_count_and_a_taken_challenge_survive_kill_9() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mut key = SecurityKey::new();
        auth.add_passkey(&ann, &mut key).await;
        let (used, open) = (auth.ask_to_sign_in().await, auth.ask_to_sign_in().await);
        let signed = key.sign(&used["options"]).await;
        let mut copy = key.clone();
        let by_key = session(&auth.answer_passkey(&used["challenge_id"], &signed).await);
        auth.server.kill();
        auth.server.run().unwrap();
        assert_eq!(auth.user(&by_key.access_token).await.status, 200);
        let replay = auth.answer_passkey(&used["challenge_id"], &signed).await;
        assert_eq!(refusal(&replay), refused(400, "webauthn_challenge_not_found"));
        let signed = key.sign(&open["options"]).await;
        session(&auth.answer_passkey(&open["challenge_id"], &signed).await);
        assert_eq!(refusal(&auth.sign_in_by(&mut copy).await), wrong());
        session(&auth.try_sign_in("ann@example.com", PASSWORD).await);
    })
    .await;
}

#[tokio::test]
async fn settings_that_make_no_relying_party_are_refused() {
    for (settings, wrong) in [
        ("[auth.webauthn]\nrp_id = \"127.0.0.1\"", "is no domain"),
        (
            "[auth.webauthn]\nrp_id = \"shop.example\"\nrp_origins = [\"https://other.example\"]",
            "none of the origins",
        ),
        (
            "[auth.webauthn]\nrp_id = \"shop.example\"\nrp_origins = [\"shop.example\"]",
            "is no origin",
        ),
        ("[auth]\nsite_url = \"http://192.0.2.1\"", "is no domain"),
    ] {
        let project = Project::new().config(&format!("[auth.passkey]\nenabled = true\n{settings}"));
        let error = mainstay::config::Config::load(project.path()).unwrap_err().to_string();
        assert!(
            error.contains("auth.webauthn.rp_id") && error.contains(wrong),
            "{error}"
        );
        // Nobody needs one where nothing asks for it.
        let project = Project::new().config(settings);
        mainstay::config::Config::load(project.path()).unwrap();
    }
    // The application's address is enough.
    let project = Project::new().config(&format!(
        "[auth]\nsite_url = \"{ORIGIN}\"\n[auth.passkey]\nenabled = true"
    ));
    mainstay::config::Config::load(project.path()).unwrap();
}
