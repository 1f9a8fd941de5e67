//! Requests over one keep-alive connection, as much of HTTP/1.1 as the servers under test write.
//!
//! A hand-written client, because a dependency would be built before every task.

use crate::json::Json;
use crate::{Context, Error, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    address: String,
    headers: Vec<(String, String)>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Result<Json> {
        Json::parse(&self.body).context(format_args!("an answer {}: {}", self.status, self.body))
    }

    /// The answer, if its status is of success.
    pub fn good(self) -> Result<Self> {
        match self.status {
            200..300 => Ok(self),
            status => Err(Error::new(format!("answered {status}: {}", self.body))),
        }
    }
}

impl Client {
    /// Connects to `127.0.0.1:4000` or `http://127.0.0.1:4000`.
    pub fn connect(address: &str) -> Result<Self> {
        let address = address.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&address).context(&address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client {
            stream: BufReader::new(stream),
            address,
            headers: Vec::new(),
        })
    }

    /// The same with one more header on every request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A request as it goes over the wire.
    pub fn request(&self, method: &str, path: &str, body: &str) -> String {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in &self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            ));
        }
        request.push_str("\r\n");
        request.push_str(body);
        request
    }

    pub fn send(&mut self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let request = self.request(method, path, body);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.get(9..12).and_then(|text| text.parse().ok());
        let status = status.ok_or_else(|| Error::new(format!("no answer: {line:?}")))?;
        let (mut length, mut is_chunked) = (0_usize, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().context(value)?;
            }
            is_chunked |= name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked");
        }
        let mut body = vec![0; if status == 204 || status == 304 { 0 } else { length }];
        if is_chunked {
            body = self.chunks()?;
        } else {
            self.stream.read_exact(&mut body)?;
        }
        Ok(Answer {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).context("a chunk's size")?;
            let from = body.len();
            body.resize(from + size, 0);
            self.stream.read_exact(&mut body[from..])?;
            line.clear();
            self.stream.read_line(&mut line)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if u32::from(letter) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn answers_of_both_kinds_are_read_from_one_connection() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            for answer in [
                "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}",
                "HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
                "HTTP/1.1 204 No Content\r\n\r\n",
            ] {
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let mut client = Client::connect(&address).unwrap().with("x-a", "b");
        let first = client.send("GET", "/", "").unwrap();
        assert_eq!(
            (first.status, first.json().unwrap().get("a").number()),
            (200, Some(1.0))
        );
        let second = client.send("GET", "/", "").unwrap();
        assert_eq!((second.status, second.body.as_str()), (404, "{}"));
        assert!(second.good().is_err());
        assert_eq!(client.send("GET", "/", "").unwrap().status, 204);
        server.join().unwrap();
    }

    #[test]
    fn a_quoted_text_is_read_back() {
        for text in ["", "a\"b\\c\r\n\t", "\u{1}ä"] {
            assert_eq!(Json::parse(&quoted(text)).unwrap().str(), Some(text));
        }
    }
}
