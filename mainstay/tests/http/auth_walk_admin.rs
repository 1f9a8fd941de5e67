//! The requests of the walk over sign-in that whoever has the secret key makes.

use http::Method;
use serde_json::{Value, json};

use crate::auth::{PASSWORD, Session};
use crate::auth_walk::{By, Sent, Walk};
use crate::auth_walk_steps::{ANN, APP, NEXT_PASSWORD, text};
use crate::security_key::SecurityKey;

impl Walk {
    pub async fn administration(&mut self, ann: &Session) {
        self.get("/admin/audit", "", By::Admin).await;
        self.get("/admin/users", "", By::Admin).await;
        self.post("/invite", "", By::Admin, json!({"email": "ida@example.com"}))
            .await;
        let body = json!({"type": "magiclink", "email": ANN});
        self.post("/admin/generate_link", "", By::Admin, body).await;
        let body = json!({"email": "bob@example.com", "password": PASSWORD, "email_confirm": true});
        let bob = text(&self.post("/admin/users", "", By::Admin, body).await.json(), "id");
        let body = json!({"users": [{"email": "cid@example.com"}]});
        self.post("/admin/users/import", "", By::Admin, body).await;
        let user = "/admin/users/{id}";
        self.admin(Method::GET, user, &[&bob], Value::Null).await;
        self.admin(Method::PUT, user, &[&bob], json!({"password": NEXT_PASSWORD}))
            .await;
        self.admin(Method::POST, "/admin/users/{id}/logout", &[&bob], json!({}))
            .await;
        // Ann's passkey of before is gone: she makes another one.
        let mut key = SecurityKey::new();
        let made = self.auth.add_passkey(ann, &mut key).await;
        let (factors, factor) = ("/admin/users/{id}/factors", "/admin/users/{id}/factors/{id}");
        let known = self.admin(Method::GET, factors, &[ann.id()], Value::Null).await;
        let mut number = known.as_array().unwrap().iter();
        let number = number.rfind(|factor| factor["factor_type"] == "phone");
        let number = text(number.unwrap(), "id");
        let ids = [ann.id(), number.as_str()];
        self.admin(Method::PUT, factor, &ids, json!({"friendly_name": "the number"}))
            .await;
        self.admin(Method::DELETE, factor, &ids, Value::Null).await;
        let (passkeys, passkey) = ("/admin/users/{id}/passkeys", "/admin/users/{id}/passkeys/{id}");
        self.admin(Method::GET, passkeys, &[ann.id()], Value::Null).await;
        self.admin(Method::DELETE, passkey, &[ann.id(), &text(&made, "id")], Value::Null)
            .await;
        let body = json!({"client_name": "Ours", "redirect_uris": [APP]});
        let made = self.post("/admin/oauth/clients", "", By::Admin, body).await.json();
        let id = text(&made, "client_id");
        self.get("/admin/oauth/clients", "", By::Admin).await;
        let client = "/admin/oauth/clients/{id}";
        self.admin(Method::GET, client, &[&id], Value::Null).await;
        self.admin(Method::PUT, client, &[&id], json!({"client_name": "Ours, too"}))
            .await;
        let renew = "/admin/oauth/clients/{id}/regenerate_secret";
        self.admin(Method::POST, renew, &[&id], Value::Null).await;
        self.admin(Method::DELETE, client, &[&id], Value::Null).await;
        self.admin(Method::DELETE, user, &[&bob], json!({})).await;
    }

    async fn admin(&mut self, method: Method, pattern: &'static str, ids: &[&str], body: Value) -> Value {
        let sent = match body {
            Value::Null => Sent::Nothing,
            body => Sent::Json(body),
        };
        let answer = self.ask(method, pattern, ids, "", By::Admin, sent).await;
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}
