//! Compares an answer with what a test expects.

use mainstay_http::Response;
use serde_json::Value;

use super::file::{Expected, Rows};

/// What differs, a line each; nothing if the answer is as expected.
pub fn differences(expected: &Expected, answer: &Response) -> Vec<String> {
    let mut found = Vec::new();
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = answer.status.as_u16();
    let is_error = !answer.status.is_success() && !answer.status.is_redirection();
    let code = body["code"].as_str().filter(|_| is_error);
    let message = body["message"].as_str().filter(|_| is_error).unwrap_or_default();
    if let Some(wanted) = expected.status
        && wanted != status
    {
        found.push(format!("expected status {wanted}, got {status}"));
    }
    match (&expected.code, code) {
        (Some(wanted), Some(code)) if wanted == code => {}
        (Some(wanted), Some(code)) => found.push(format!("expected code {wanted}, got {code}: {message}")),
        (Some(wanted), None) => found.push(format!("expected code {wanted}, got status {status} and no error")),
        (None, _) => {}
    }
    match &expected.rows {
        None => {}
        Some(_) if is_error => {
            found.push(format!(
                "expected rows, got status {status}, {}: {message}",
                code.unwrap_or("no code")
            ));
        }
        Some(Rows::Count(wanted)) => {
            let count = match &body {
                Value::Array(rows) => rows.len() as u64,
                _ => answer.rows.unwrap_or(0),
            };
            if count != *wanted {
                found.push(format!("expected {wanted} row(s), got {count}"));
            }
        }
        Some(Rows::These(wanted)) => {
            let one = [body.clone()];
            let rows = match &body {
                Value::Array(rows) => rows.as_slice(),
                Value::Object(_) => &one,
                _ => &[],
            };
            found.extend(of_rows(wanted, rows));
        }
    }
    found
}

/// `-` is missing, `+` is there and should not be.
fn of_rows(wanted: &[Value], rows: &[Value]) -> Vec<String> {
    let is_same = wanted.len() == rows.len() && wanted.iter().zip(rows).all(|(one, other)| is_equal(one, other));
    if is_same {
        return Vec::new();
    }
    let mut found = vec![format!("expected {} row(s), got {}", wanted.len(), rows.len())];
    let mut left: Vec<&Value> = rows.iter().collect();
    let mut missing = Vec::new();
    for row in wanted {
        match left.iter().position(|other| is_equal(row, other)) {
            Some(place) => {
                left.remove(place);
            }
            None => missing.push(row),
        }
    }
    if missing.is_empty() && left.is_empty() {
        found.push("the rows are the same in another order: say `order` in the request".to_owned());
    }
    found.extend(missing.into_iter().map(|row| format!("- {row}")));
    found.extend(left.into_iter().map(|row| format!("+ {row}")));
    found
}

/// Numbers are equal by value: `9.9` is `9.90`.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| is_equal(value, other)))
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> Response {
        Response::body(
            StatusCode::from_u16(status).unwrap(),
            "application/json",
            body.to_string(),
        )
    }

    fn expected(status: Option<u16>, code: Option<&str>, rows: Option<Rows>) -> Expected {
        Expected {
            status,
            code: code.map(str::to_owned),
            rows,
        }
    }

    #[test]
    fn rows_are_compared_exactly_and_told_apart() {
        let rows = |wanted: Value| expected(None, None, Some(Rows::These(wanted.as_array().unwrap().clone())));
        let got = answer(200, &json!([{"id": 1, "price": 9.90}, {"id": 2, "price": 1}]));
        let same = rows(json!([{"price": 9.9, "id": 1}, {"id": 2, "price": 1.0}]));
        assert_eq!(differences(&same, &got), Vec::<String>::new());
        let other = rows(json!([{"id": 1, "price": 9.9}, {"id": 3, "price": 1}]));
        assert_eq!(
            differences(&other, &got),
            [
                "expected 2 row(s), got 2",
                r#"- {"id":3,"price":1}"#,
                r#"+ {"id":2,"price":1}"#
            ]
        );
        let order = rows(json!([{"id": 2, "price": 1}, {"id": 1, "price": 9.9}]));
        assert!(differences(&order, &got)[1].contains("another order"));
        assert_eq!(differences(&rows(json!([{"id": 1}])), &got).len(), 4, "columns count");
        assert_eq!(
            differences(&expected(None, None, Some(Rows::Count(3))), &got),
            ["expected 3 row(s), got 2"]
        );
    }

    #[test]
    fn an_error_is_neither_rows_nor_another_error() {
        let got = answer(
            403,
            &json!({"code": "42501", "message": "permission denied for table t"}),
        );
        assert!(differences(&expected(None, Some("42501"), None), &got).is_empty());
        assert!(differences(&expected(Some(403), None, None), &got).is_empty());
        assert_eq!(
            differences(&expected(Some(401), Some("23505"), None), &got),
            [
                "expected status 401, got 403",
                "expected code 23505, got 42501: permission denied for table t"
            ]
        );
        assert_eq!(differences(&expected(None, None, Some(Rows::Count(0))), &got).len(), 1);
        let fine = answer(200, &json!([{"code": "42501"}]));
        assert_eq!(
            differences(&expected(None, Some("42501"), None), &fine).len(),
            1,
            "a row is no error"
        );
    }
}
