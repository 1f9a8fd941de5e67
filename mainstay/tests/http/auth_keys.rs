//! The keys that sign access tokens: published, verified with by anybody, changed while the server runs.

use std::time::{Duration, Instant};

use http::Method;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use mainstay_testing::{Project, Server};
use serde_json::{Value, json};

use crate::auth::{Auth, Session, on_each_engine, refusal, refused, session};

/// How long a running server may take to see a new key.
const DEADLINE: Duration = Duration::from_secs(60);

fn project() -> Project {
    Project::of(
        "create table notes (id int primary key, owner uuid default auth.uid());
         alter table notes enable row level security;
         create policy own on notes to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
         grant select, insert on notes to authenticated;",
    )
}

async fn jwks(auth: &Auth) -> JwkSet {
    let answer = auth
        .server
        .anonymous()
        .send(Method::GET, "/auth/v1/.well-known/jwks.json", &[], "")
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "public, max-age=600");
    for key in answer.json()["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "`{private}` is published");
        }
    }
    serde_json::from_slice(&answer.body).unwrap()
}

fn header(session: &Session) -> Header {
    jsonwebtoken::decode_header(&session.access_token).unwrap()
}

/// As `getClaims` does it: with nothing but the published keys.
fn claims_by(keys: &JwkSet, session: &Session) -> Value {
    let header = header(session);
    let jwk: &Jwk = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["authenticated"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    jsonwebtoken::decode(&session.access_token, &key, &validation)
        .unwrap()
        .claims
}

fn run(server: &Server, arguments: &[&str]) -> String {
    let output = std::process::Command::new(crate::both::PROGRAM)
        .args(arguments)
        .arg(server.project.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn tokens_are_es256_and_verified_by_the_published_keys() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        assert_eq!(header(&ann).alg, Algorithm::ES256);
        let keys = jwks(&auth).await;
        assert_eq!(keys.keys.len(), 1);
        assert_eq!(claims_by(&keys, &ann)["sub"], ann.id());
        let mine = auth.server.anonymous().bearer(&ann.access_token);
        let made = mine.insert("notes?select=owner", &json!({"id": 1})).await;
        assert_eq!(made.text(), format!("[{{\"owner\":\"{}\"}}]", ann.id()));
        // The project's secret goes on verifying: keys and tokens of one's own servers.
        assert_eq!(auth.server.service().get("notes?select=id").await.status, 403);
        let own = auth.server.user(ann.id()).get("notes?select=id").await;
        assert_eq!(own.text(), r#"[{"id":1}]"#);
    })
    .await;
}

#[tokio::test]
async fn a_published_key_signs_for_nobody() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let keys = jwks(&auth).await;
        let jwk = serde_json::to_string(&keys.keys[0]).unwrap();
        let kid = header(&ann).kid;
        let claims = json!({"sub": ann.id(), "role": "service_role", "exp": 4_000_000_000_i64});
        let forge = |algorithm: Algorithm, key: &EncodingKey| {
            let header = Header {
                kid: kid.clone(),
                ..Header::new(algorithm)
            };
            jsonwebtoken::encode(&header, &claims, key).unwrap()
        };
        let mut forged = vec![forge(Algorithm::HS256, &EncodingKey::from_secret(jwk.as_bytes()))];
        if let jsonwebtoken::jwk::AlgorithmParameters::EllipticCurve(curve) = &keys.keys[0].algorithm {
            forged.push(forge(Algorithm::HS256, &EncodingKey::from_secret(curve.x.as_bytes())));
        }
        let mut bent = ann.access_token.clone();
        bent.replace_range(bent.len() - 4.., "AAAA");
        forged.push(bent);
        for token in forged {
            let rest = auth.server.anonymous().bearer(&token).get("notes").await;
            assert_eq!(rest.status, 401, "{token}");
            let user = auth.user(&token).await;
            assert_eq!(refusal(&user), refused(403, "bad_jwt"));
        }
    })
    .await;
}

#[tokio::test]
async fn the_algorithm_is_a_setting() {
    let set = |name: &str| {
        // Within [mainstay], the section that the tests' settings end with.
        project().config(&format!("signing_algorithm = \"{name}\""))
    };
    on_each_engine(
        || set("RS256"),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            assert_eq!(header(&ann).alg, Algorithm::RS256);
            assert_eq!(claims_by(&jwks(&auth).await, &ann)["sub"], ann.id());
            assert_eq!(auth.user(&ann.access_token).await.status, 200);
        },
    )
    .await;
    on_each_engine(
        || set("HS256"),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            assert_eq!((header(&ann).alg, header(&ann).kid), (Algorithm::HS256, None));
            assert!(jwks(&auth).await.keys.is_empty());
            let mut validation = Validation::new(Algorithm::HS256);
            validation.set_audience(&["authenticated"]);
            let key = DecodingKey::from_secret(mainstay_testing::token::SECRET.as_bytes());
            let decoded = jsonwebtoken::decode::<Value>(&ann.access_token, &key, &validation).unwrap();
            assert_eq!(decoded.claims["sub"], ann.id());
            assert_eq!(auth.user(&ann.access_token).await.status, 200);
            let mine = auth.server.anonymous().bearer(&ann.access_token);
            assert_eq!(mine.get("notes?select=id").await.text(), "[]");
        },
    )
    .await;
}

#[tokio::test]
async fn keys_are_rotated_under_a_running_server() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let first = header(&ann).kid.unwrap();
        assert!(run(&auth.server, &["keys"]).contains(&format!("ES256  {first}  signs")));

        // Published at once, signing later.
        let said = run(&auth.server, &["keys", "rotate"]);
        let second = said.split(' ').nth(2).unwrap().to_owned();
        assert!(said.contains("in 10 minutes"), "{said}");
        let until = Instant::now() + DEADLINE;
        while jwks(&auth).await.find(&second).is_none() {
            assert!(Instant::now() < until, "the new key was not taken up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(header(&auth.sign_in("ann@example.com").await).kid.unwrap(), first);
        assert!(run(&auth.server, &["keys"]).contains(&format!("ES256  {second}  is next")));

        // Signing at once; the one that never signed is gone.
        let said = run(&auth.server, &["keys", "rotate", "--now"]);
        let third = said.split(' ').nth(2).unwrap().to_owned();
        let until = Instant::now() + DEADLINE;
        let next = loop {
            let next = session(&auth.refresh(&ann.refresh_token).await);
            if header(&next).kid.as_ref() == Some(&third) {
                break next;
            }
            assert!(Instant::now() < until, "the new key does not sign");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let keys = jwks(&auth).await;
        assert!(keys.find(&first).is_some() && keys.find(&second).is_none());
        for of in [&ann, &next] {
            assert_eq!(claims_by(&keys, of)["sub"], ann.id());
            assert_eq!(auth.user(&of.access_token).await.status, 200);
            let mine = auth.server.anonymous().bearer(&of.access_token);
            assert_eq!(mine.get("notes?select=id").await.status, 200);
        }
        auth.server.kill();
        auth.server.run().unwrap();
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        assert_eq!(header(&auth.sign_in("ann@example.com").await).kid.unwrap(), third);
        let log = auth.server.log_with("signing keys read anew").await;
        assert!(
            !log.contains("pkcs8") && log.contains("signing keys read anew"),
            "{log}"
        );
    })
    .await;
}
