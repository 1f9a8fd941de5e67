//! Access tokens of issuers elsewhere that the settings trust.

use mainstay_http::signing::{Signer, SigningAlgorithm, SigningKey};
use mainstay_testing::{Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, on_each_engine, refusal, refused};
use crate::oauth_provider::{Person, Provider};

fn project(provider: &Provider) -> Project {
    Project::of(
        "create table notes (id int primary key, owner text not null);
         alter table notes enable row level security;
         create policy own on notes to authenticated using (owner = auth.jwt() ->> 'sub');
         grant select on notes to authenticated, service_role;
         insert into notes values (1, 'abroad|ann'), (2, 'abroad|bob');",
    )
    .config(&format!(
        "{}[mainstay.third_party.abroad]\nissuer = \"{}\"\naudience = \"the shop\"\n",
        provider.settings(),
        provider.url()
    ))
}

fn token_of(provider: &Provider, forged: Value) -> String {
    provider.id_token(
        &Person::new("abroad|ann", "ann@example.com", true).forged(forged),
        None,
        None,
    )
}

#[tokio::test]
async fn tokens_of_a_trusted_issuer_say_who_asks() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider),
        async |_, auth: Auth| {
            let notes = async |token: &str| auth.server.anonymous().bearer(token).get("notes?select=id").await;
            let ann = token_of(&provider, json!({"role": "authenticated"}));
            // The issuer is read in the background.
            let mut answer = notes(&ann).await;
            for _ in 0..500 {
                if answer.status == 200 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                answer = notes(&ann).await;
            }
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, r#"[{"id":1}]"#));
            // Without a role it is nobody special.
            assert_eq!(
                refusal(&notes(&token_of(&provider, json!({}))).await),
                refused(401, "42501")
            );

            let stranger = Signer::of_keys(vec![SigningKey::generate(SigningAlgorithm::Es256, 0).unwrap()]);
            let forged = json!({"iss": provider.url(), "aud": "the shop", "sub": "abroad|ann", "role": "authenticated",
            "exp": token::now() + 60});
            let forged = stranger.sign(&forged, token::now()).unwrap();
            for (name, token, code) in [
                ("strange key", forged.expose().clone(), "PGRST301"),
                (
                    "the secret's role",
                    token_of(&provider, json!({"role": "service_role"})),
                    "PGRST303",
                ),
                (
                    "a service's role",
                    token_of(&provider, json!({"role": "supabase_admin"})),
                    "PGRST303",
                ),
                (
                    "the connection's role",
                    token_of(&provider, json!({"role": "authenticator"})),
                    "PGRST303",
                ),
                (
                    "another audience",
                    token_of(&provider, json!({"role": "authenticated", "aud": "x"})),
                    "PGRST303",
                ),
                (
                    "no audience",
                    token_of(&provider, json!({"role": "authenticated", "aud": null})),
                    "PGRST303",
                ),
                (
                    "expired",
                    token_of(&provider, json!({"role": "authenticated", "exp": 1})),
                    "PGRST303",
                ),
                (
                    "endless",
                    token_of(&provider, json!({"role": "authenticated", "exp": null})),
                    "PGRST303",
                ),
                (
                    "another issuer",
                    token_of(&provider, json!({"role": "authenticated", "iss": "https://x.example"})),
                    "PGRST301",
                ),
            ] {
                assert_eq!(refusal(&notes(&token).await), refused(401, code), "{name}");
            }

            // What its issuer calls a session is none of this server's, whatever it looks like.
            let id = "5f0c2f0e-9b8e-4e55-8f0b-0a3b7c1f9d11";
            let with_session = json!({"role": "authenticated", "sub": id, "session_id": id});
            assert_eq!(notes(&token_of(&provider, with_session)).await.status, 200);

            // Whomever it names: it is nobody who signs in here, and no administrator.
            let bob = auth.sign_up("bob@example.com").await;
            let as_bob = token_of(&provider, json!({"role": "authenticated", "sub": bob.id()}));
            assert_eq!(refusal(&auth.user(&as_bob).await), refused(403, "bad_jwt"));
            let admin = auth
                .ask(http::Method::GET, "/admin/users", Some(&as_bob), Value::Null)
                .await;
            assert_eq!(refusal(&admin), refused(403, "bad_jwt"));
        },
    )
    .await;
}
