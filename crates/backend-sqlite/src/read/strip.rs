//! `json_strip_nulls` on JSON text, for the media type without nulls.
//!
//! Source: PostgreSQL manual, 9.16 (`json_strip_nulls`): null members of objects go at every depth, null elements of
//! arrays stay, blanks go.

use mainstay_core::render;

use crate::values::json;

/// One open object or array.
struct Open {
    is_object: bool,
    /// Members written so far.
    count: usize,
    /// Where the current member of an object begins in the output, once its key is written.
    member: Option<usize>,
}

/// Writes `text`, which is valid JSON, without null members.
pub fn write_stripped(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut stack: Vec<Open> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => at += 1,
            b':' => {
                out.push(b':');
                at += 1;
            }
            close @ (b'}' | b']') => {
                out.push(close);
                stack.pop();
                ended(&mut stack);
                at += 1;
            }
            open @ (b'{' | b'[') => {
                begin(&mut stack, out);
                out.push(open);
                stack.push(Open {
                    is_object: open == b'{',
                    count: 0,
                    member: None,
                });
                at += 1;
            }
            b'"' => {
                let end = string_end(bytes, at);
                let is_key = stack.last().is_some_and(|open| open.is_object && open.member.is_none());
                if is_key && let Some(open) = stack.last_mut() {
                    open.member = Some(out.len());
                    if open.count > 0 {
                        out.push(b',');
                    }
                } else {
                    begin(&mut stack, out);
                }
                string(&text[at..end], out);
                if !is_key {
                    ended(&mut stack);
                }
                at = end;
            }
            _ => {
                let length = bytes[at..]
                    .iter()
                    .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
                    .unwrap_or(bytes.len() - at);
                let word = &bytes[at..at + length];
                at += length;
                if word == b"null"
                    && let Some(open) = stack.last_mut()
                    && let Some(start) = open.member.take()
                {
                    out.truncate(start);
                    continue;
                }
                begin(&mut stack, out);
                out.extend_from_slice(word);
                ended(&mut stack);
            }
        }
    }
}

/// Before an element of an array: the comma.
fn begin(stack: &mut [Open], out: &mut Vec<u8>) {
    if stack.last().is_some_and(|open| !open.is_object && open.count > 0) {
        out.push(b',');
    }
}

/// After a value: its member counts.
fn ended(stack: &mut [Open]) {
    if let Some(open) = stack.last_mut() {
        open.count += 1;
        open.member = None;
    }
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Escapes are read and written anew, as PostgreSQL does.
fn string(quoted: &str, out: &mut Vec<u8>) {
    match json::unescape(quoted) {
        Ok(plain) if quoted.contains('\\') => render::json_string(out, &plain),
        _ => out.extend_from_slice(quoted.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        let mut out = Vec::new();
        write_stripped(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn null_members_go_and_null_elements_stay() {
        assert_eq!(
            stripped(r#"{"a": null, "b": [1, null, {"c": null, "d": {}}], "e": "x, null"}"#),
            r#"{"b":[1,null,{"d":{}}],"e":"x, null"}"#
        );
        assert_eq!(stripped("null"), "null");
        assert_eq!(stripped(r#"{"a":null}"#), "{}");
        assert_eq!(stripped(r#"[ {"a" : 1} , {"b":null,"c":2} ]"#), r#"[{"a":1},{"c":2}]"#);
    }
}
