//! The lines of COPY's text format, and arrays between their JSON form and PostgreSQL's `{…}`.
//!
//! Source: PostgreSQL 15 manual, COPY ("Text Format"), 8.15.2 (array value input).

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::transfer::Rows;
use mainstay_core::transfer::copy_text::unescape;
use mainstay_core::types::Type;
use serde_json::value::RawValue;

/// Reads one line: its first field is given back, the others become a row.
pub fn read_line(line: &[u8], rows: &mut Rows) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut fields = line.split(|byte| *byte == b'\t');
    let first = fields.next().unwrap_or_default();
    for field in fields {
        if field == b"\\N" {
            rows.push(None);
        } else {
            rows.push_with(|out| unescape(field, out));
        }
    }
    rows.end_row();
    String::from_utf8_lossy(first).into_owned()
}

/// Writes rows as lines; `types` are those of the columns. Errors: an array that is no JSON array (22P02).
pub fn lines(rows: &Rows, types: &[&Type]) -> Result<Vec<u8>, BackendError> {
    let mut out = Vec::with_capacity(rows.bytes() + rows.len() * (rows.width() + 1));
    let mut array = String::new();
    rows.each(|row| {
        for (position, (value, ty)) in row.iter().zip(types).enumerate() {
            if position > 0 {
                out.push(b'\t');
            }
            match (value, ty) {
                (None, _) => out.extend_from_slice(b"\\N"),
                // A dump has arrays in PostgreSQL's own form.
                (Some(json), Type::Array(element)) if !json.starts_with(b"{") => {
                    array.clear();
                    write_array(json, element.base(), &mut array).ok_or_else(|| {
                        let text = String::from_utf8_lossy(json);
                        DatabaseError::new("22P02", format!("malformed array: {text}"))
                    })?;
                    escape(array.as_bytes(), &mut out);
                }
                (Some(bytes), _) => escape(bytes, &mut out),
            }
        }
        out.push(b'\n');
        Ok::<(), DatabaseError>(())
    })?;
    Ok(out)
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.push(*other),
        }
    }
}

/// `[1,null,"x"]` → `{"1",NULL,"x"}`. Nested arrays are further dimensions, but for elements that are JSON themselves.
fn write_array(json: &[u8], element: &Type, out: &mut String) -> Option<()> {
    let items: Vec<&RawValue> = serde_json::from_slice(json).ok()?;
    out.push('{');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        let raw = item.get();
        match raw.as_bytes().first() {
            Some(b'n') if !element.is_json() => out.push_str("NULL"),
            Some(b'[') if !element.is_json() => write_array(raw.as_bytes(), element, out)?,
            Some(b'"') if !element.is_json() => quote(&serde_json::from_str::<String>(raw).ok()?, out),
            _ => quote(raw, out),
        }
    }
    out.push('}');
    Some(())
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_as_it_went_out() {
        let mut rows = Rows::new(4);
        rows.push(Some("a\tb\\c\nd\re".as_bytes()));
        rows.push(None);
        rows.push(Some(b"\\N"));
        rows.push(Some(b""));
        rows.end_row();
        let text = Type::Text;
        let out = lines(&rows, &[&text, &text, &text, &text]).unwrap();
        assert_eq!(out, b"a\\tb\\\\c\\nd\\re\t\\N\t\\\\N\t\n");
        let mut line = b"(0,1)\t".to_vec();
        line.extend_from_slice(&out);
        let mut back = Rows::new(4);
        assert_eq!(read_line(&line, &mut back), "(0,1)");
        back.each::<()>(|row| {
            assert_eq!(
                row,
                [Some(&b"a\tb\\c\nd\re"[..]), None, Some(&b"\\N"[..]), Some(&b""[..])]
            );
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn arrays_are_quoted_element_by_element() {
        let written = |json: &str, element: Type| {
            let mut out = String::new();
            write_array(json.as_bytes(), &element, &mut out).map(|()| out)
        };
        assert_eq!(
            written(r#"[1.50,null,-2]"#, Type::Numeric).as_deref(),
            Some(r#"{"1.50",NULL,"-2"}"#)
        );
        assert_eq!(
            written(r#"["a\"b","c\\d","null",null,""]"#, Type::Text).as_deref(),
            Some(r#"{"a\"b","c\\d","null",NULL,""}"#)
        );
        assert_eq!(
            written(r#"[{"a":"b"},[1]]"#, Type::Jsonb).as_deref(),
            Some(r#"{"{\"a\":\"b\"}","[1]"}"#)
        );
        assert_eq!(
            written("[[1,2],[3,4]]", Type::Int4).as_deref(),
            Some(r#"{{"1","2"},{"3","4"}}"#)
        );
        assert_eq!(written("[]", Type::Int4).as_deref(), Some("{}"));
        assert_eq!(written("{1,2}", Type::Int4), None);
    }
}
