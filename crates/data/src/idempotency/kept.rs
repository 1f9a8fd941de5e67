//! An answer as the bytes that are kept of it.
//!
//! `1, fingerprint (32), status (2), headers (2), {name length (2), name, value length (4), value}…, body`; numbers are
//! little-endian.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use mainstay_http::Response;

/// The form's number. Another one is not read.
const FORM: u8 = 1;

/// The bytes of an answer to a request with this fingerprint.
pub fn written(fingerprint: &[u8; 32], response: &Response) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + response.body.len());
    out.push(FORM);
    out.extend_from_slice(fingerprint);
    out.extend_from_slice(&response.status.as_u16().to_le_bytes());
    // A header map holds at most 2^15 values, a name is at most 2^16 bytes.
    out.extend_from_slice(&(response.headers.len() as u16).to_le_bytes());
    for (name, value) in &response.headers {
        out.extend_from_slice(&(name.as_str().len() as u16).to_le_bytes());
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(&response.body);
    out
}

/// The fingerprint and the answer. `None`: the bytes are of another form.
pub fn read(bytes: &[u8]) -> Option<([u8; 32], Response)> {
    let (form, rest) = bytes.split_first_chunk::<1>()?;
    if form[0] != FORM {
        return None;
    }
    let (fingerprint, rest) = rest.split_first_chunk::<32>()?;
    let (status, rest) = rest.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let mut response = Response::empty(StatusCode::from_u16(u16::from_le_bytes(*status)).ok()?);
    for _ in 0..u16::from_le_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (value, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (name, value) = (HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
        response.headers.append(name, value);
        rest = after;
    }
    response.body = Bytes::copy_from_slice(rest);
    Some((*fingerprint, response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let mut response = Response::empty(StatusCode::CREATED);
        for value in ["a=1", "b=2"] {
            response.headers.append("set-cookie", HeaderValue::from_static(value));
        }
        response.headers.insert("x", HeaderValue::from_bytes(b"\xff").unwrap());
        response.body = Bytes::from_static(b"\0[1]\xff");
        let bytes = written(&[7; 32], &response);
        let (fingerprint, back) = read(&bytes).unwrap();
        assert_eq!(fingerprint, [7; 32]);
        assert_eq!(
            (back.status, &back.headers, &back.body),
            (response.status, &response.headers, &response.body)
        );
        let head = bytes.len() - response.body.len();
        for cut in 0..head {
            assert!(read(&bytes[..cut]).is_none(), "{cut}");
        }
        assert!(read(&[&[9], &bytes[1..]].concat()).is_none());
    }
}
