//! `kill -9` and clocks that jump, in the middle of signing in and refreshing: no session that was answered is lost, and
//! no refresh token has two successors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use mainstay_testing::{Client, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, session};

const LOOK: &str = "
    create function public.jump(seconds integer) returns void language sql security definer set search_path = '' as $$
        update auth.refresh_tokens set updated_at = updated_at + make_interval(secs => seconds),
            created_at = created_at + make_interval(secs => seconds);
        update auth.sessions set created_at = created_at + make_interval(secs => seconds),
            refreshed_at = refreshed_at + make_interval(secs => seconds);
        update auth.users set last_sign_in_at = last_sign_in_at + make_interval(secs => seconds);
    $$;
    create function public.torn() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_object(
            'forked', (select count(*) from (select t.parent from auth.refresh_tokens t where t.parent is not null
                group by t.parent having count(*) > 1) as f),
            'two_active', (select count(*) from (select t.session_id from auth.refresh_tokens t where not t.revoked
                group by t.session_id having count(*) > 1) as a),
            'without_token', (select count(*) from auth.sessions s where not exists
                (select 1 from auth.refresh_tokens t where t.session_id = s.id)),
            'without_method', (select count(*) from auth.sessions s where not exists
                (select 1 from auth.mfa_amr_claims c where c.session_id = s.id)),
            'without_identity', (select count(*) from auth.users u where not exists
                (select 1 from auth.identities i where i.user_id = u.id)),
            'without_entry', (select count(*) from auth.users u where not exists
                (select 1 from auth.audit_log_entries e where e.payload ->> 'actor_id' = u.id::text)))
    $$;
    grant execute on function public.jump, public.torn to service_role;";

fn project() -> Project {
    Project::of(LOOK)
}

/// Tokens that were answered to one client, oldest first, of each of its sessions.
type Answered = Arc<Mutex<Vec<Vec<String>>>>;

/// Signs up and refreshes until the server is gone.
async fn live(client: Client, number: usize, stop: Arc<AtomicBool>, answered: Answered) {
    let headers = [("content-type", "application/json")];
    let ask = async |path: &str, body: Value| {
        let answer = client
            .try_send(Method::POST, &format!("/auth/v1{path}"), &headers, body.to_string())
            .await
            .ok()?;
        (answer.status == 200).then(|| answer.json()["refresh_token"].as_str().unwrap().to_owned())
    };
    for round in 0.. {
        let body = json!({"email": format!("user-{number}-{round}@example.com"), "password": PASSWORD});
        let Some(mut token) = ask("/signup", body).await else {
            return;
        };
        let at = {
            let mut all = answered.lock().unwrap();
            all.push(vec![token.clone()]);
            all.len() - 1
        };
        for _ in 0..5 {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let body = json!({"refresh_token": token});
            let Some(next) = ask("/token?grant_type=refresh_token", body).await else {
                return;
            };
            answered.lock().unwrap()[at].push(next.clone());
            token = next;
        }
    }
}

#[tokio::test]
async fn kill_9_loses_no_session_and_forks_none() {
    on_each_engine(project, async |_, mut auth: Auth| {
        for pause in [150, 400] {
            let stop = Arc::new(AtomicBool::new(false));
            let clients: Vec<Answered> = (0..4).map(|_| Answered::default()).collect();
            let lives: Vec<_> = clients
                .iter()
                .enumerate()
                .map(|(number, answered)| {
                    let life = live(auth.client(None), pause * 10 + number, stop.clone(), answered.clone());
                    tokio::spawn(life)
                })
                .collect();
            // Something has been answered, and something is under way.
            while clients
                .iter()
                .any(|answered| answered.lock().unwrap().iter().flatten().count() < 3)
            {
                let is_asking = lives.iter().all(|life| !life.is_finished());
                assert!(is_asking, "a client stopped: {}", auth.server.log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(pause as u64)).await;
            assert!(lives.iter().any(|life| !life.is_finished()), "nobody asks any more");
            auth.server.kill();
            stop.store(true, Ordering::Relaxed);
            for life in lives {
                life.await.unwrap();
            }
            auth.server.run().unwrap();
            let torn = auth.call("torn", json!({})).await;
            assert!(torn.as_object().unwrap().values().all(|count| *count == 0), "{torn}");
            for tokens in clients.iter().flat_map(|answered| answered.lock().unwrap().clone()) {
                // Whether or not the last one's successor was made before the end: its client goes on.
                session(&auth.refresh(tokens.last().unwrap()).await);
            }
            assert_eq!(auth.call("torn", json!({})).await["two_active"], 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_jumps_ends_no_session_and_makes_no_used_token_new() {
    on_each_engine(project, async |_, auth: Auth| {
        // Ahead as if the clock had been put back, and behind as if it had been put forward.
        for (name, seconds) in [("back", 7_200), ("forward", -7_200)] {
            let ann = auth.sign_up(&format!("{name}@example.com")).await;
            let second = session(&auth.refresh(&ann.refresh_token).await);
            let third = session(&auth.refresh(&second.refresh_token).await);
            auth.call("jump", json!({"seconds": seconds})).await;
            assert_eq!(auth.user(&third.access_token).await.status, 200, "{name}");
            let fourth = session(&auth.refresh(&third.refresh_token).await);
            session(&auth.try_sign_in(&format!("{name}@example.com"), PASSWORD).await);
            auth.call("jump", json!({"seconds": seconds})).await;
            let stolen = auth.refresh(&ann.refresh_token).await;
            assert_eq!(refusal(&stolen), refused(400, "refresh_token_already_used"), "{name}");
            let ended = auth.refresh(&fourth.refresh_token).await;
            assert_eq!(refusal(&ended), refused(400, "refresh_token_already_used"), "{name}");
        }
    })
    .await;
}
