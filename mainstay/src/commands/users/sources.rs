//! What other systems write of their users: Supabase's `auth.users` as CSV or JSON, Firebase's export.
//!
//! The answer is users as the admin API's import takes them. Pure: the text of a file in, users or a reason out.
//!
//! Source: Firebase, `auth:export` and "scrypt parameters"; Supabase Auth's table `auth.users`.

use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_ops::import::Cell;
use mainstay_ops::import::csv::{CsvReader, sniff};
use serde_json::{Map, Value, json};

use crate::cli::Firebase;

/// Columns of `auth.users` that are brought in.
const COLUMNS: &[&str] = &[
    "id",
    "role",
    "email",
    "phone",
    "encrypted_password",
    "email_confirmed_at",
    "phone_confirmed_at",
    "last_sign_in_at",
    "banned_until",
    "created_at",
    "is_anonymous",
    "raw_app_meta_data",
    "raw_user_meta_data",
    "identities",
];

/// Other names for them.
const ALIASES: &[(&str, &str)] = &[
    ("password_hash", "encrypted_password"),
    ("app_metadata", "raw_app_meta_data"),
    ("user_metadata", "raw_user_meta_data"),
    ("confirmed_at", "email_confirmed_at"),
];

/// Reads the users. Errors: why not, with the line where it is known.
pub fn users(text: &str, firebase: &Firebase) -> Result<Vec<Value>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let users = match text.trim_start().chars().next() {
        None => Vec::new(),
        Some('{') => match serde_json::from_str::<Value>(text) {
            Ok(whole) => of_json(whole, firebase)?,
            // One object a line.
            Err(_) => lines(text)?
                .into_iter()
                .map(|user| of_columns(&user))
                .collect::<Result<_, _>>()?,
        },
        Some('[') => of_json(
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?,
            firebase,
        )?,
        Some(_) => of_csv(text)?,
    };
    Ok(users)
}

fn lines(text: &str) -> Result<Vec<Value>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| serde_json::from_str(line).map_err(|error| format!("line {} is not JSON: {error}", at + 1)))
        .collect()
}

fn of_json(whole: Value, firebase: &Firebase) -> Result<Vec<Value>, String> {
    let users = match whole {
        Value::Array(users) => users,
        Value::Object(mut object) => match object.remove("users") {
            Some(Value::Array(users)) => users,
            _ => return Err("the object has no list `users`".into()),
        },
        _ => return Err("it is neither a list of users nor an object with one".into()),
    };
    let is_firebase = users.iter().any(|user| user.get("localId").is_some());
    users
        .iter()
        .map(|user| match is_firebase {
            true => of_firebase(user, firebase),
            false => of_columns(user),
        })
        .collect()
}

fn of_columns(user: &Value) -> Result<Value, String> {
    let given = user.as_object().ok_or("a user is no object")?;
    let mut taken = Map::new();
    for (name, value) in given {
        let name = ALIASES
            .iter()
            .find(|(alias, _)| alias == name)
            .map_or(name.as_str(), |(_, name)| name);
        if COLUMNS.contains(&name) && !value.is_null() && !taken.contains_key(name) {
            taken.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(Value::Array(identities)) = taken.get_mut("identities") {
        for identity in identities {
            // The API shows the provider's id as `id`.
            if identity.get("provider_id").is_none()
                && let Some(id) = identity.get("id").cloned()
            {
                identity["provider_id"] = id;
            }
        }
    }
    Ok(Value::Object(taken))
}

fn of_csv(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = CsvReader::new(text.as_bytes(), sniff(text.as_bytes()));
    let said = |fault: mainstay_ops::import::Fault| format!("line {}: {}", fault.line, fault.what);
    let Some((_, head)) = reader.record().map_err(said)? else {
        return Ok(Vec::new());
    };
    let names: Vec<String> = head.into_iter().map(|cell| filled(cell).unwrap_or_default()).collect();
    let known = |name: &String| COLUMNS.contains(&name.as_str()) || ALIASES.iter().any(|(alias, _)| alias == name);
    if !names.iter().any(known) {
        return Err("no column of the first line is one of auth.users".into());
    }
    let mut users = Vec::new();
    while let Some((line, cells)) = reader.record().map_err(said)? {
        let mut user = Map::new();
        for (name, cell) in names.iter().zip(cells) {
            let Some(text) = filled(cell) else { continue };
            let value = match name.as_str() {
                "raw_app_meta_data" | "raw_user_meta_data" | "app_metadata" | "user_metadata" | "identities" => {
                    serde_json::from_str(&text).map_err(|_| format!("line {line}: {name} is not JSON"))?
                }
                "is_anonymous" => json!(matches!(text.as_str(), "t" | "true" | "TRUE" | "1")),
                _ => json!(text),
            };
            user.insert(name.clone(), value);
        }
        users.push(of_columns(&Value::Object(user))?);
    }
    Ok(users)
}

fn filled(cell: Cell) -> Option<String> {
    match cell {
        Cell::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// A user of Firebase's export. Its id is no UUID: it goes into `app_metadata` as `firebase_uid`.
fn of_firebase(user: &Value, parameters: &Firebase) -> Result<Value, String> {
    let text = |name: &str| user[name].as_str().filter(|text| !text.is_empty());
    let id = text("localId").ok_or("a user has no localId")?;
    let created_at = milliseconds(&user["createdAt"]);
    let mut taken = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            taken.insert(name.to_owned(), value);
        }
    };
    put("email", text("email").map(|email| json!(email)));
    put("phone", text("phoneNumber").map(|phone| json!(phone)));
    put("created_at", created_at.clone());
    put("last_sign_in_at", milliseconds(&user["lastSignedInAt"]));
    let since = created_at.unwrap_or_else(|| json!(clock::now().to_string()));
    put(
        "email_confirmed_at",
        (user["emailVerified"] == true).then(|| since.clone()),
    );
    put("phone_confirmed_at", text("phoneNumber").map(|_| since));
    // For good, as far as such a time goes.
    put(
        "banned_until",
        (user["disabled"] == true).then(|| json!("9999-12-31T00:00:00Z")),
    );
    if let (Some(hash), Some(salt)) = (text("passwordHash"), text("salt")) {
        let key = parameters.firebase_signer_key.as_deref();
        let key = key.ok_or(
            "the users have passwords: --firebase-signer-key is needed (Firebase shows it as base64_signer_key)",
        )?;
        put(
            "encrypted_password",
            Some(json!(format!(
                "$fbscrypt$v=1,n={},r={},p=1,ss={},sk={}${}${}",
                parameters.firebase_mem_cost,
                parameters.firebase_rounds,
                standard(&parameters.firebase_salt_separator),
                standard(key),
                standard(salt),
                standard(hash),
            ))),
        );
    }
    let mut own = Map::new();
    for (name, at) in [("full_name", "displayName"), ("avatar_url", "photoUrl")] {
        if let Some(text) = text(at) {
            own.insert(name.into(), json!(text));
        }
    }
    let mut identities = Vec::new();
    for known in user["providerUserInfo"].as_array().into_iter().flatten() {
        let member = |name: &str| known[name].as_str().filter(|text| !text.is_empty());
        let (Some(provider), Some(subject)) = (member("providerId").and_then(provider), member("rawId")) else {
            continue;
        };
        let mut data = Map::from_iter([("sub".to_owned(), json!(subject))]);
        for (name, at) in [
            ("email", "email"),
            ("full_name", "displayName"),
            ("avatar_url", "photoUrl"),
        ] {
            if let Some(text) = member(at) {
                data.insert(name.into(), json!(text));
            }
        }
        identities.push(json!({"provider": provider, "provider_id": subject, "identity_data": data}));
    }
    let mut app = Map::from_iter([("firebase_uid".to_owned(), json!(id))]);
    if let Some(claims) = text("customAttributes").and_then(|text| serde_json::from_str::<Value>(text).ok())
        && let Value::Object(claims) = claims
    {
        app.insert("claims".into(), Value::Object(claims));
    }
    put("raw_app_meta_data", Some(Value::Object(app)));
    put("raw_user_meta_data", Some(Value::Object(own)));
    put("identities", (!identities.is_empty()).then(|| Value::Array(identities)));
    Ok(Value::Object(taken))
}

/// The provider's name here. Passwords and numbers are no providers of somebody else's.
fn provider(name: &str) -> Option<&'static str> {
    match name {
        "google.com" => Some("google"),
        "facebook.com" => Some("facebook"),
        "github.com" => Some("github"),
        "apple.com" => Some("apple"),
        "twitter.com" => Some("twitter"),
        "microsoft.com" => Some("azure"),
        _ => None,
    }
}

/// A time in milliseconds since 1970, as text or number.
fn milliseconds(value: &Value) -> Option<Value> {
    let number = match value {
        Value::String(text) => text.parse().ok()?,
        Value::Number(number) => number.as_i64()?,
        _ => return None,
    };
    Timestamp::from_millisecond(number)
        .ok()
        .map(|time| json!(time.to_string()))
}

/// Base64 with the letters of RFC 4648 §4; Firebase writes those of §5 in places.
fn standard(text: &str) -> String {
    text.trim().replace('-', "+").replace('_', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firebase(key: Option<&str>) -> Firebase {
        Firebase {
            firebase_signer_key: key.map(str::to_owned),
            firebase_salt_separator: "Bw==".into(),
            firebase_rounds: 8,
            firebase_mem_cost: 14,
        }
    }

    fn read(text: &str) -> Result<Vec<Value>, String> {
        users(text, &firebase(None))
    }

    #[test]
    fn users_of_supabase_are_read_from_csv_and_json_alike() {
        let csv = "id,email,encrypted_password,raw_user_meta_data,confirmed_at,is_anonymous,instance_id\n\
                   1,ann@example.com,$2a$10$x,\"{\"\"name\"\": \"\"Ann\"\"}\",2024-01-01 00:00:00+00,f,0\n\
                   2,,,,,t,0\n";
        let json = r#"[{"id": "1", "email": "ann@example.com", "encrypted_password": "$2a$10$x",
            "raw_user_meta_data": {"name": "Ann"}, "email_confirmed_at": "2024-01-01 00:00:00+00",
            "is_anonymous": false, "instance_id": "0", "phone": null}, {"id": "2", "is_anonymous": true}]"#;
        let (by_csv, by_json) = (read(csv).unwrap(), read(json).unwrap());
        assert_eq!(by_csv, by_json);
        assert_eq!(read(&format!("{{\"users\": {json}}}")).unwrap(), by_json);
        let by_line = "{\"id\": \"2\", \"is_anonymous\": true}\n\n{\"id\": \"3\"}\n";
        assert_eq!(read(by_line).unwrap().len(), 2);
        for bad in [
            "a,b\n1,2\n",
            "{\"people\": []}",
            "[1]",
            "id,raw_user_meta_data\n1,{\n",
            "\"id\n",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read("").unwrap(), Vec::<Value>::new());
    }

    #[test]
    fn users_of_firebase_keep_their_hash_and_who_they_are_elsewhere() {
        let export = r#"{"users": [
            {"localId": "x7", "email": "ann@example.com", "emailVerified": true, "passwordHash": "lSr_-Q==",
             "salt": "42x-", "displayName": "Ann", "createdAt": "1700000000000", "disabled": true,
             "customAttributes": "{\"plan\": \"gold\"}",
             "providerUserInfo": [{"providerId": "google.com", "rawId": "77", "email": "ann@example.com"},
                                  {"providerId": "password", "rawId": "ann@example.com"}]},
            {"localId": "x8", "phoneNumber": "+4712345678"}]}"#;
        let read = users(export, &firebase(Some("jx-_"))).unwrap();
        assert_eq!(
            read[0]["encrypted_password"],
            "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jx+/$42x+$lSr/+Q=="
        );
        assert_eq!(read[0]["created_at"], "2023-11-14T22:13:20Z");
        assert_eq!(read[0]["email_confirmed_at"], read[0]["created_at"]);
        assert_eq!(read[0]["banned_until"], "9999-12-31T00:00:00Z");
        assert_eq!(
            read[0]["raw_app_meta_data"],
            json!({"firebase_uid": "x7", "claims": {"plan": "gold"}})
        );
        assert_eq!(
            read[0]["identities"],
            json!([{"provider": "google", "provider_id": "77", "identity_data": {"sub": "77", "email": "ann@example.com"}}])
        );
        assert_eq!(read[1]["phone"], "+4712345678");
        assert!(
            users(export, &firebase(None))
                .unwrap_err()
                .contains("--firebase-signer-key")
        );
    }
}
