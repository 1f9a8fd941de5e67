//! The audit log: what has happened is in it, with what happened; what was refused is not.

use http::Method;
use mainstay_testing::{Answer, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, send, session};

fn project() -> Project {
    Project::of(
        "create function public.refuse_some() returns trigger language plpgsql as $$
         begin
           if new.email like '%@refused.example' then raise exception 'no'; end if;
           return new;
         end $$;
         create trigger refuse_some after insert on auth.users for each row execute function public.refuse_some();
         create function public.reading() returns bigint language sql security definer set search_path = '' as $$
             select count(*) from auth.audit_log_entries
         $$;
         grant execute on function public.reading to service_role;",
    )
    .config("[auth]\nenable_anonymous_sign_ins = true")
}

async fn audit(auth: &Auth, query: &str) -> Answer {
    let admin = auth.client(Some(&token::role("service_role")));
    let answer = send(&admin, Method::GET, &format!("/admin/audit{query}"), Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// The actions, sorted: those of one transaction have one time.
async fn actions(auth: &Auth, query: &str) -> Vec<String> {
    let entries = audit(auth, query).await.json();
    let mut actions: Vec<String> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["payload"]["action"].as_str().unwrap().to_owned())
        .collect();
    actions.sort_unstable();
    actions
}

#[tokio::test]
async fn every_event_is_recorded_with_what_it_did() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let admin = auth.client(Some(&token::role("service_role")));
        let ann = auth.sign_up("ann@example.com").await;
        assert_eq!(actions(&auth, "").await, ["login", "user_signedup"]);
        let entry = audit(&auth, "?query=action:login").await.json()[0].clone();
        assert_eq!(
            entry["payload"],
            json!({
                "action": "login",
                "actor_id": ann.id(),
                "actor_username": "ann@example.com",
                "actor_via_sso": false,
                "log_type": "account",
                "traits": {"provider": "email"},
            })
        );
        assert_eq!(entry["ip_address"], "127.0.0.1");
        assert_eq!(entry.as_object().unwrap().len(), 4);

        // What is refused is not recorded, whether it is refused here or by the project's own trigger.
        let count = auth.call("reading", json!({})).await;
        assert_eq!(auth.try_sign_in("ann@example.com", "wrong horse").await.status, 400);
        assert_eq!(auth.refresh("abcdefghijkl").await.status, 400);
        assert_eq!(auth.try_sign_up("eve@refused.example", json!({})).await.status, 500);
        assert_eq!(auth.try_sign_up("ann@example.com", json!({})).await.status, 422);
        let body = json!({"password": PASSWORD});
        assert_eq!(
            auth.ask(Method::PUT, "/user", Some(&ann.access_token), body)
                .await
                .status,
            422
        );
        let nobody = "/admin/users/aaaaaaaa-0000-4000-8000-000000000001";
        assert_eq!(send(&admin, Method::DELETE, nobody, json!({})).await.status, 404);
        assert_eq!(auth.call("reading", json!({})).await, count);

        let again = auth.sign_in("ann@example.com").await;
        session(&auth.refresh(&again.refresh_token).await);
        let body = json!({"password": "another horse 8 battery", "data": {"full_name": "Ann Lee"}});
        assert_eq!(
            auth.ask(Method::PUT, "/user", Some(&again.access_token), body)
                .await
                .status,
            200
        );
        let out = auth
            .ask(Method::POST, "/logout", Some(&again.access_token), Value::Null)
            .await;
        assert_eq!(out.status, 204);
        let body = json!({"email": "bob@example.com", "password": PASSWORD});
        let bob = send(&admin, Method::POST, "/admin/users", body).await.json();
        let path = format!("/admin/users/{}", bob["id"].as_str().unwrap());
        let changed = send(&admin, Method::PUT, &path, json!({"ban_duration": "1h"})).await;
        assert_eq!(changed.status, 200);
        assert_eq!(send(&admin, Method::DELETE, &path, json!({})).await.status, 200);
        session(&auth.post("/signup", json!({})).await);
        let all = [
            "user_signedup",
            "login",
            "login",
            "token_refreshed",
            "token_revoked",
            "user_updated_password",
            "user_modified",
            "logout",
            "user_signedup",
            "user_modified",
            "user_deleted",
            "user_signedup",
            "login",
        ];
        let mut wanted = all;
        wanted.sort_unstable();
        assert_eq!(actions(&auth, "").await, wanted);

        // By whom, what and which kind.
        let deleted = audit(&auth, "?query=action:user_deleted").await.json();
        assert_eq!(deleted[0]["payload"]["actor_username"], "service_role");
        assert_eq!(
            deleted[0]["payload"]["actor_id"],
            "00000000-0000-0000-0000-000000000000"
        );
        assert_eq!(
            deleted[0]["payload"]["traits"],
            json!({"user_id": bob["id"], "user_email": "bob@example.com", "user_phone": ""})
        );
        assert_eq!(actions(&auth, "?query=author:ann%20LEE").await.len(), 3);
        assert_eq!(actions(&auth, "?query=author:service_role").await.len(), 3);
        assert_eq!(actions(&auth, "?query=type:token").await.len(), 2);
        assert_eq!(actions(&auth, "?query=type:").await.len(), all.len());
        assert_eq!(actions(&auth, "?query=action:%25").await.len(), 0);

        let page = audit(&auth, "?page=2&per_page=5").await;
        assert_eq!(page.header("x-total-count"), all.len().to_string());
        assert_eq!(
            page.header("link"),
            "</admin/audit?page=3&per_page=5>; rel=\"next\", </admin/audit?page=3&per_page=5>; rel=\"last\""
        );
        for query in ["?query=who:ann", "?query=ann", "?page=0", "?per_page=x"] {
            let answer = send(&admin, Method::GET, &format!("/admin/audit{query}"), Value::Null).await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"), "{query}");
        }
        for (bearer, status, code) in [
            (None, 401, "no_authorization"),
            (Some(token::role("authenticated")), 403, "not_admin"),
        ] {
            let answer = auth
                .ask(Method::GET, "/admin/audit", bearer.as_deref(), Value::Null)
                .await;
            assert_eq!(refusal(&answer), refused(status, code));
        }
        let text = audit(&auth, "?per_page=1000").await.text();
        for secret in [
            PASSWORD,
            "another horse",
            &ann.access_token,
            &again.refresh_token,
            "argon2",
        ] {
            assert!(!text.contains(secret));
        }
        auth.server.kill();
        auth.server.run().unwrap();
        assert_eq!(actions(&auth, "").await.len(), all.len());
    })
    .await;
}
