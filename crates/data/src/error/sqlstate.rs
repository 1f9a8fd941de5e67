//! The HTTP status for what the database refuses.
//!
//! Source: PostgREST documentation, "Errors": HTTP status codes from PostgreSQL error codes.

use http::StatusCode;
use mainstay_core::error::DatabaseError;

/// The status of a database error; `is_anonymous`: the caller showed no token, and may have the right once it does.
pub fn status(error: &DatabaseError, is_anonymous: bool) -> StatusCode {
    let code = error.sqlstate.as_str();
    match code {
        "23503" | "23505" => return StatusCode::CONFLICT,
        // Not PostgREST's 500: the view takes no such method, as `Allow` says.
        "55000" if is_of_view(&error.message) => return StatusCode::METHOD_NOT_ALLOWED,
        "25006" => return StatusCode::METHOD_NOT_ALLOWED,
        "21000" if error.message.ends_with("requires a WHERE clause") => return StatusCode::BAD_REQUEST,
        "21000" => return StatusCode::INTERNAL_SERVER_ERROR,
        "22023" if error.message.starts_with("role") && error.message.ends_with("does not exist") => {
            return StatusCode::UNAUTHORIZED;
        }
        "22023" => return StatusCode::BAD_REQUEST,
        "53400" => return StatusCode::INTERNAL_SERVER_ERROR,
        "57P01" => return StatusCode::SERVICE_UNAVAILABLE,
        "P0001" => return StatusCode::BAD_REQUEST,
        "42883" if error.message.starts_with("function xmlagg(") => return StatusCode::NOT_ACCEPTABLE,
        "42883" | "42P01" => return StatusCode::NOT_FOUND,
        "42P17" => return StatusCode::INTERNAL_SERVER_ERROR,
        "42501" if is_anonymous => return StatusCode::UNAUTHORIZED,
        "42501" => return StatusCode::FORBIDDEN,
        _ => {}
    }
    if let Some(custom) = code.strip_prefix("PT") {
        return custom
            .parse()
            .ok()
            .and_then(|number: u16| StatusCode::from_u16(number).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    match code.get(..2).unwrap_or_default() {
        "08" | "53" => StatusCode::SERVICE_UNAVAILABLE,
        "0L" | "0P" | "28" => StatusCode::FORBIDDEN,
        "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58" | "F0" | "HV" | "P0" | "XX" => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

/// `cannot delete from view "v"`: no row can be traced through it, and no trigger takes it.
fn is_of_view(message: &str) -> bool {
    [
        "cannot insert into view \"",
        "cannot update view \"",
        "cannot delete from view \"",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_takes_no_writes_has_no_such_method() {
        let status_of = |message: &str| status(&DatabaseError::new("55000", message), false).as_u16();
        assert_eq!(status_of("cannot insert into view \"v\""), 405);
        assert_eq!(status_of("cannot update view \"v\""), 405);
        assert_eq!(status_of("cannot delete from view \"v\""), 405);
        assert_eq!(status_of("lastval is not yet defined in this session"), 500);
    }

    #[test]
    fn statuses_follow_postgrest() {
        for (code, anonymous, known) in [
            ("23505", 409, 409),
            ("23503", 409, 409),
            ("23502", 400, 400),
            ("42501", 401, 403),
            ("42P01", 404, 404),
            ("42703", 400, 400),
            ("08006", 503, 503),
            ("53300", 503, 503),
            ("53400", 500, 500),
            ("54001", 500, 500),
            ("57014", 500, 500),
            ("P0001", 400, 400),
            ("P0002", 500, 500),
            ("PT402", 402, 402),
            ("PT00x", 500, 500),
            ("25006", 405, 405),
            ("40001", 500, 500),
        ] {
            let error = DatabaseError::new(code, "x");
            assert_eq!(
                (status(&error, true).as_u16(), status(&error, false).as_u16()),
                (anonymous, known),
                "{code}"
            );
        }
    }
}
