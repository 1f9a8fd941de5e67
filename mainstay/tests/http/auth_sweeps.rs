//! What nobody can use any more goes by itself; what can be used stays.

use std::time::{Duration, Instant};

use http::Method;
use mainstay_testing::Project;
use serde_json::{Value, json};

use crate::auth::{Auth, on_each_engine, refusal, refused, session};

/// Functions with which a test moves one user's time, and looks where requests may not.
const CLOCK: &str = "
    create function public.age(who uuid, hours integer) returns void language sql security definer set search_path = ''
    as $$
        update auth.refresh_tokens set updated_at = updated_at - make_interval(hours => hours)
            where session_id in (select s.id from auth.sessions s where s.user_id = who);
        update auth.sessions set created_at = created_at - make_interval(hours => hours),
            refreshed_at = refreshed_at - make_interval(hours => hours) where user_id = who;
    $$;
    create function public.end_at(who uuid, ago integer) returns void language sql security definer set search_path = ''
    as $$ update auth.sessions set not_after = now() - make_interval(hours => ago) where user_id = who $$;
    create function public.left_of(who uuid) returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_object(
            'users', (select count(*) from auth.users u where u.id = who),
            'sessions', (select count(*) from auth.sessions s where s.user_id = who),
            'tokens', (select count(*) from auth.refresh_tokens t where t.user_id = who::text))
    $$;
    create function public.leave(who uuid, hours integer) returns void language sql security definer set search_path = ''
    as $$
        insert into auth.flow_state (id, provider_type, authentication_method, created_at)
            values (gen_random_uuid(), 'email', 'magiclink', now() - make_interval(hours => hours));
        insert into auth.oauth_client_states (id, provider_type, code_verifier, created_at)
            values (gen_random_uuid(), 'github', 'x', now() - make_interval(hours => hours));
        insert into auth.oauth_clients (id, registration_type, redirect_uris, grant_types, token_endpoint_auth_method)
            values (who, 'manual', 'https://app.example/', 'authorization_code', 'none') on conflict do nothing;
        insert into auth.oauth_authorizations (id, authorization_id, client_id, redirect_uri, scope, created_at, expires_at)
            values (gen_random_uuid(), gen_random_uuid()::text, who, 'https://app.example/', 'email',
                now() - make_interval(hours => hours + 1), now() - make_interval(hours => hours));
        insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at)
            values (gen_random_uuid(), who, 'recovery_token', 'x', 'x', now() - make_interval(hours => hours));
        insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
            values (who, who, 'totp', 'verified', now(), now());
        insert into auth.mfa_challenges (id, factor_id, created_at, ip_address)
            values (gen_random_uuid(), who, now() - make_interval(hours => hours), '127.0.0.1');
        insert into _mainstay.wallet_messages (digest, expires_at)
            values (who::text, now() - make_interval(hours => hours));
        insert into _mainstay.page_sessions (digest, session_id, expires_at)
            select who::text, s.id, now() + make_interval(hours => 48 - hours)
                from auth.sessions s join auth.users u on u.id = s.user_id where u.email = 'ann@example.com';
        insert into _mainstay.page_flows (flow_id, session_id)
            select case when hours > 48 then gen_random_uuid() else (select f.id from auth.flow_state f limit 1) end, s.id
                from auth.sessions s join auth.users u on u.id = s.user_id where u.email = 'ann@example.com';
    $$;
    create function public.unfinished() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_array((select count(*) from auth.flow_state), (select count(*) from auth.one_time_tokens),
            (select count(*) from auth.oauth_client_states), (select count(*) from auth.oauth_authorizations),
            (select count(*) from auth.mfa_challenges), (select count(*) from _mainstay.wallet_messages),
            (select count(*) from _mainstay.page_sessions), (select count(*) from _mainstay.page_flows))
    $$;
    grant execute on function public.age, public.end_at, public.left_of, public.leave, public.unfinished
        to service_role;";

/// How long a sweep may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn project() -> Project {
    Project::of(CLOCK).config(
        "[auth]\nenable_anonymous_sign_ins = true\n[auth.sessions]\ntimebox = \"200h\"\ninactivity_timeout = \"100h\"",
    )
}

async fn left(auth: &Auth, who: &str) -> Value {
    auth.call("left_of", json!({"who": who})).await
}

#[tokio::test]
async fn what_has_ended_is_swept_and_the_rest_stays() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let mut users = Vec::new();
        // Hours of age, or since a session's own end; whether it stays.
        for (name, age, ended, stays) in [
            ("fresh", 0, None, true),
            ("idle", 123, None, true),
            ("long-idle", 125, None, false),
            ("dated", 0, Some(23), true),
            ("long-dated", 0, Some(25), false),
        ] {
            let user = auth.sign_up(&format!("{name}@example.com")).await;
            auth.call("age", json!({"who": user.id(), "hours": age})).await;
            if let Some(ago) = ended {
                auth.call("end_at", json!({"who": user.id(), "ago": ago})).await;
            }
            users.push((name, user, stays));
        }
        // Refreshed often enough, and yet too old.
        let boxed = auth.sign_up("boxed@example.com").await;
        auth.call("age", json!({"who": boxed.id(), "hours": 90})).await;
        let boxed = session(&auth.refresh(&boxed.refresh_token).await);
        auth.call("age", json!({"who": boxed.id(), "hours": 90})).await;
        let boxed = session(&auth.refresh(&boxed.refresh_token).await);
        assert_eq!(left(&auth, boxed.id()).await["tokens"], 3);
        auth.call("age", json!({"who": boxed.id(), "hours": 50})).await;
        users.push(("boxed", boxed, false));
        // A used token that is old goes, the one that is active stays, however old.
        let ann = auth.sign_up("ann@example.com").await;
        let ann = session(&auth.refresh(&ann.refresh_token).await);
        let nobody = session(&auth.post("/signup", json!({})).await);
        auth.call("age", json!({"who": nobody.id(), "hours": 130})).await;
        // Codes and sign-ins that nobody finished.
        auth.call("leave", json!({"who": ann.id(), "hours": 47})).await;
        auth.call("leave", json!({"who": nobody.id(), "hours": 49})).await;
        assert_eq!(
            auth.call("unfinished", json!({})).await,
            json!([2, 2, 2, 2, 2, 2, 2, 2])
        );

        auth.server.kill();
        auth.server.run().unwrap();
        let begun = Instant::now();
        while auth.call("unfinished", json!({})).await != json!([1, 1, 1, 1, 1, 1, 1, 1]) {
            assert!(begun.elapsed() < PATIENCE, "nothing was swept: {}", auth.server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // An anonymous user without a session is still a user.
        assert_eq!(
            left(&auth, nobody.id()).await,
            json!({"users": 1, "sessions": 0, "tokens": 0})
        );
        for (name, user, stays) in &users {
            let kept = i64::from(*stays);
            let found = left(&auth, user.id()).await;
            assert_eq!(found["sessions"], kept, "{name}");
            assert_eq!(found["users"], 1, "{name}");
            let answer = auth.user(&user.access_token).await;
            match stays {
                true => assert_eq!(answer.status, 200, "{name}"),
                false => assert_eq!(refusal(&answer), refused(403, "session_not_found"), "{name}"),
            }
        }
        assert_eq!(left(&auth, ann.id()).await["tokens"], 2);
        session(&auth.refresh(&ann.refresh_token).await);
        let data = auth
            .ask(Method::GET, "/user", Some(&ann.access_token), Value::Null)
            .await;
        assert_eq!(data.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_used_refresh_token_is_forgotten_after_a_week_and_the_active_one_is_not() {
    let project = || Project::of(CLOCK);
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let next = session(&auth.refresh(&ann.refresh_token).await);
        auth.call("age", json!({"who": ann.id(), "hours": 24 * 7 - 1})).await;
        let bob = auth.sign_up("bob@example.com").await;
        session(&auth.refresh(&bob.refresh_token).await);
        auth.call("age", json!({"who": bob.id(), "hours": 24 * 7 + 1})).await;
        auth.server.kill();
        auth.server.run().unwrap();
        let begun = Instant::now();
        while left(&auth, bob.id()).await["tokens"] != 1 {
            assert!(begun.elapsed() < PATIENCE, "nothing was swept: {}", auth.server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(left(&auth, bob.id()).await["sessions"], 1);
        assert_eq!(left(&auth, ann.id()).await["tokens"], 2);
        let again = session(&auth.refresh(&ann.refresh_token).await);
        assert_eq!(again.refresh_token, next.refresh_token);
        session(&auth.refresh(&next.refresh_token).await);
    })
    .await;
}
