//! Tokens: every way to forge or bend one is refused with 401, on the wire.

use http::Method;
use mainstay_testing::{Engine, Project, Server, token};
use serde_json::{Value, json};

use crate::both::PROGRAM;

fn part(value: &Value) -> String {
    base64(value.to_string().as_bytes())
}

/// RFC 4648 §5, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = u32::from(chunk[0]) << 16
            | u32::from(*chunk.get(1).unwrap_or(&0)) << 8
            | u32::from(*chunk.get(2).unwrap_or(&0));
        for index in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * index)) as usize & 63]));
        }
    }
    text
}

#[tokio::test]
async fn bent_tokens_are_refused() {
    let project = Project::of("create table t (id int primary key); grant select on t to anon, authenticated;")
        .config("[rest]\njwt_aud = \"us\"");
    let server = Server::start(PROGRAM, Engine::Sqlite, project).await;
    let claims = json!({"role": "service_role"});
    let mut tokens: Vec<String> = Vec::new();
    for alg in [
        "none", "None", "NONE", "HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA", "PS256", "ES512", "", "hs256",
        "HS257",
    ] {
        let header = json!({"alg": alg, "typ": "JWT"});
        for signature in ["", "AA", "eyJ9", "....", &"A".repeat(43)] {
            tokens.push(format!("{}.{}.{signature}", part(&header), part(&claims)));
        }
        tokens.push(format!("{}.{}", part(&header), part(&claims)));
    }
    let now = token::now();
    for bad in [
        json!({"role": "service_role", "exp": now - 3600}),
        json!({"role": "service_role", "exp": "9999999999"}),
        json!({"role": "service_role", "exp": true}),
        json!({"role": "service_role", "exp": [now + 100]}),
        json!({"role": "service_role", "exp": {"a": 1}}),
        json!({"role": "service_role", "exp": -1}),
        json!({"role": "service_role", "exp": 1.5}),
        json!({"role": "service_role", "nbf": now + 3600}),
        json!({"role": "service_role", "nbf": "x"}),
        json!({"role": "service_role", "iat": now + 3600}),
        json!({"role": "service_role", "aud": "them"}),
        json!({"role": "service_role", "aud": ""}),
        json!({"role": "service_role", "aud": ["them", "others"]}),
        json!({"role": "service_role", "aud": 7}),
        json!({"role": "service_role", "aud": [7]}),
        json!({"role": 7}),
        json!({"role": ["service_role"]}),
        json!({"role": {"a": "service_role"}}),
        json!({"role": ""}),
        json!(["service_role"]),
        json!("service_role"),
        json!(null),
    ] {
        tokens.push(token::sign(&bad));
    }
    let good = token::sign(&claims);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    tokens.push(format!(
        "{header}.{}.{signature}",
        part(&json!({"role": "service_role", "extra": 1}))
    ));
    tokens.push(format!(
        "{}.{payload}.{signature}",
        part(&json!({"alg": "HS256", "crit": ["exp"]}))
    ));
    tokens.push(format!("{good}="));
    tokens.push(format!("{good}.x"));
    tokens.push(format!("{header}..{signature}"));
    tokens.push(format!(".{payload}.{signature}"));
    tokens.push("..".into());
    tokens.push("A".repeat(40_000));
    for bent in tokens {
        let answer = server.anonymous().bearer(&bent).get("t").await;
        assert_eq!(answer.status, 401, "{bent}: {}", answer.text());
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{bent}");
        assert!(answer.code().starts_with("PGRST30"), "{bent}: {}", answer.text());
        let by_key = server.anonymous().with("apikey", &bent).get("t").await;
        assert_eq!(by_key.status, 401, "as apikey: {bent}");
        let by_query = server
            .anonymous()
            .send(Method::GET, &format!("/rest/v1/t?apikey={bent}"), &[], "")
            .await;
        assert!(
            by_query.status == 401 || bent.is_empty(),
            "in the query: {bent}: {}",
            by_query.text()
        );
    }
    assert_eq!(
        server.anonymous().bearer(&good).get("t").await.status,
        403,
        "service_role has no grant on t"
    );
    assert_eq!(
        server
            .anonymous()
            .bearer(&token::user("x"))
            .get("t?select=id")
            .await
            .status,
        401,
        "aud is not ours"
    );
}

#[tokio::test]
async fn key_sets_verify_by_kid_and_family() {
    // A shared secret (oct) and a public key in one set: the public key must never verify an HMAC.
    let secret = "a secret of a key set, long enough";
    let set = json!({"keys": [
        {"kty": "oct", "kid": "shared", "alg": "HS256", "k": base64(secret.as_bytes())},
        {"kty": "EC", "crv": "P-256", "kid": "public", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
    ]});
    let project = Project::of("create table t (id int primary key); grant select on t to authenticated;");
    let server = Server::start_with(
        PROGRAM,
        Engine::Sqlite,
        project,
        &[("PGRST_JWT_SECRET", &set.to_string())],
    )
    .await;
    let sign = |kid: Option<&str>, key: &str| {
        let header = jsonwebtoken::Header {
            kid: kid.map(str::to_owned),
            ..Default::default()
        };
        let claims = json!({"role": "authenticated"});
        jsonwebtoken::encode(
            &header,
            &claims,
            &jsonwebtoken::EncodingKey::from_secret(key.as_bytes()),
        )
        .unwrap()
    };
    let status = async |token: String| server.anonymous().bearer(&token).get("t").await.status.as_u16();
    assert_eq!(status(sign(Some("shared"), secret)).await, 200);
    assert_eq!(status(sign(None, secret)).await, 200);
    assert_eq!(status(sign(Some("public"), secret)).await, 401);
    assert_eq!(
        status(sign(Some("shared"), "another secret, long enough too ...")).await,
        401
    );
    assert_eq!(status(sign(Some("public"), &set["keys"][1].to_string())).await, 401);
}
