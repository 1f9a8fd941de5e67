//! The load of `cargo xtask bench`: keep-alive connections over loopback that ask one question of the shop, as many
//! customers, for a fixed time. A question may be several requests one after the other, and may have been prepared by
//! asking the server something first.
//!
//! Prints `measuring` when the warm-up is over and one line of JSON at the end. Any unexpected answer is counted as an
//! error and the first is shown. Only loopback addresses are accepted.
//!
//! `load --url URL --operation NAME --pairs FILE --secret S --anon-key K [--connections N] [--warmup S] [--seconds S] [--once]`
//!
//! `FILE` holds lines `order,customer`. `--once` sends one request and prints the body, to compare answers.
//!
//! Of `given` each line of `FILE` is a request as it goes over the wire, as a JSON string; of `refresh` a refresh token,
//! which a connection exchanges for the next one again and again. Whoever is told to wait (429) waits.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ORDER: &str = "id,status,placed_at,note";
const HISTORY: &str = "id,status,placed_at,note,order_items(quantity,unit_price,products(id,name))";
const BULK_ROWS: usize = 100;
/// Different requests prepared at most.
const REQUESTS_MAX: usize = 2_000;
/// Questions that are prepared one by one, at most.
const PREPARED_MAX: usize = 500;
/// Rows of a batch, and of as many requests.
const SMALL_ROWS: usize = 20;
const PAGE_ROWS: u64 = 20;
/// The page far back.
const PAGE_FAR: u64 = 10_000;
const LONG_PAGE_ROWS: u64 = 1_000;
const TOKEN_SECONDS: u64 = 3_600;

struct Options {
    values: HashMap<String, String>,
    once: bool,
}

fn main() -> Result<()> {
    let mut options = Options {
        values: HashMap::new(),
        once: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--") {
            Some("once") => options.once = true,
            Some(name) => drop(
                options
                    .values
                    .insert(name.to_owned(), arguments.next().ok_or("a value is missing")?),
            ),
            None => return Err(format!("`{argument}` is not understood").into()),
        }
    }
    run(&options)
}

impl Options {
    fn text(&self, name: &str) -> Result<&str> {
        Ok(self.values.get(name).ok_or_else(|| format!("`--{name}` is missing"))?)
    }

    fn number(&self, name: &str, default: u64) -> Result<u64> {
        Ok(self.values.get(name).map_or(Ok(default), |text| text.parse())?)
    }
}

#[tokio::main]
async fn run(options: &Options) -> Result<()> {
    let address: SocketAddr = options
        .text("url")?
        .strip_prefix("http://")
        .ok_or("an http:// URL is needed")?
        .parse()?;
    if !address.ip().is_loopback() {
        return Err("only loopback is loaded".into());
    }
    let mut connection = Connection::open(address).await?;
    let questions = match options.text("operation")? {
        name @ ("list_20_unchanged" | "insert_20_single" | "insert_20_batch") => {
            let lists = requests(options, address, "list_20")?;
            prepared(options, &mut connection, name, lists).await?
        }
        "refresh" => Vec::new(),
        "given" => given(options)?,
        name if name.starts_with("page_") || name.starts_with("count_") => {
            vec![vec![
                of_numbers(&mut connection, address, options.text("anon-key")?, name).await?,
            ]]
        }
        name => requests(options, address, name)?
            .into_iter()
            .map(|only| vec![only])
            .collect(),
    };
    let mut tokens = match options.text("operation")? {
        "refresh" => std::fs::read_to_string(options.text("pairs")?)?
            .lines()
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    let requests = Arc::new(questions);
    if options.once {
        let status = connection.ask(&requests[0][0]).await?;
        println!("{status}\n{}", String::from_utf8_lossy(&connection.body));
        return Ok(());
    }
    drop(connection);

    let measuring = Arc::new(AtomicBool::new(false));
    let stopped = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..options.number("connections", 64)? {
        let (requests, measuring, stopped, next) = (requests.clone(), measuring.clone(), stopped.clone(), next.clone());
        let token = tokens.pop();
        if requests.is_empty() && token.is_none() {
            return Err("there are fewer tokens than connections".into());
        }
        tasks.push(tokio::spawn(async move {
            match token {
                Some(token) => refresh(address, token, &measuring, &stopped).await,
                None => drive(address, &requests, &measuring, &stopped, &next).await,
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(options.number("warmup", 2)?)).await;
    println!("measuring");
    measuring.store(true, Ordering::Relaxed);
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs(options.number("seconds", 5)?)).await;
    measuring.store(false, Ordering::Relaxed);
    let seconds = start.elapsed().as_secs_f64();
    println!("measured");
    stopped.store(true, Ordering::Relaxed);

    let mut all = Told::default();
    for task in tasks {
        let told = task.await??;
        all.latencies.extend(told.latencies);
        all.errors += told.errors;
        all.waits += told.waits;
    }
    let Told {
        mut latencies,
        errors,
        waits,
    } = all;
    latencies.sort_unstable();
    let at =
        |share: f64| latencies.get(((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1)));
    let micros = |share| at(share).copied().unwrap_or_default();
    println!(
        r#"{{"requests":{},"errors":{errors},"waits":{waits},"seconds":{seconds},"p50_us":{},"p99_us":{}}}"#,
        latencies.len(),
        micros(0.5),
        micros(0.99)
    );
    Ok(())
}

/// The requests as they go over the wire.
fn requests(options: &Options, address: SocketAddr, operation: &str) -> Result<Vec<Vec<u8>>> {
    let (key, anon) = (
        EncodingKey::from_secret(options.text("secret")?.as_bytes()),
        options.text("anon-key")?,
    );
    let mut requests = Vec::new();
    for (number, line) in std::fs::read_to_string(options.text("pairs")?)?
        .lines()
        .take(REQUESTS_MAX)
        .enumerate()
    {
        let (order, customer) = line
            .split_once(',')
            .ok_or("a line of the pairs is not `order,customer`")?;
        let (method, path, body) = match operation {
            "read_one" => ("GET", format!("orders?id=eq.{order}&select={ORDER}"), String::new()),
            "list_20" => (
                "GET",
                format!("orders?select={ORDER}&order=placed_at.desc&limit=20"),
                String::new(),
            ),
            "history" => (
                "GET",
                format!("orders?select={HISTORY}&order=placed_at.desc&limit=20"),
                String::new(),
            ),
            "insert_one" => (
                "POST",
                format!("orders?select={ORDER}"),
                format!(r#"{{"note":"benchmark {number}"}}"#),
            ),
            "insert_100" => {
                let rows: Vec<String> = (0..BULK_ROWS)
                    .map(|row| format!(r#"{{"note":"benchmark {number} {row}"}}"#))
                    .collect();
                ("POST", "orders".to_owned(), format!("[{}]", rows.join(",")))
            }
            other => return Err(format!("there is no operation `{other}`").into()),
        };
        let prefer = if operation == "insert_one" {
            "return=representation"
        } else {
            "return=minimal"
        };
        let token = token(&key, customer)?;
        let mut request = format!(
            "{method} /rest/v1/{path} HTTP/1.1\r\nhost: {address}\r\napikey: {anon}\r\nauthorization: Bearer {token}\r\naccept: */*\r\n"
        );
        if method == "POST" {
            request.push_str(&format!(
                "content-type: application/json\r\nprefer: {prefer}\r\ncontent-length: {}\r\n",
                body.len()
            ));
        }
        request.push_str("\r\n");
        request.push_str(&body);
        requests.push(request.into_bytes());
    }
    if requests.is_empty() {
        Err("the pairs are empty".into())
    } else {
        Ok(requests)
    }
}

/// Questions that need an answer first, or that are several requests.
async fn prepared(
    options: &Options,
    connection: &mut Connection,
    name: &str,
    lists: Vec<Vec<u8>>,
) -> Result<Vec<Vec<Vec<u8>>>> {
    let mut questions = Vec::with_capacity(lists.len());
    for (number, list) in lists.into_iter().take(PREPARED_MAX).enumerate() {
        let list = String::from_utf8(list)?;
        let (line, rest) = list.split_once("\r\n").ok_or("a request has no line")?;
        let headers = rest.strip_suffix("\r\n\r\n").ok_or("a request has no end")?;
        let post = |path: &str, body: &str| {
            let length = body.len();
            format!(
                "POST /rest/v1/{path} HTTP/1.1\r\n{headers}\r\ncontent-type: application/json\r\n\
                 prefer: return=minimal\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        };
        questions.push(match name {
            "list_20_unchanged" => {
                connection.ask(list.as_bytes()).await?;
                let tag = connection.header("etag").ok_or("the list has no ETag")?.to_owned();
                vec![format!("{line}\r\n{headers}\r\nif-none-match: {tag}\r\n\r\n").into_bytes()]
            }
            "insert_20_batch" => {
                let items: Vec<String> = (0..SMALL_ROWS)
                    .map(|row| {
                        format!(r#"{{"method":"POST","path":"/orders","body":{{"note":"batch {number} {row}"}}}}"#)
                    })
                    .collect();
                vec![post("batch", &format!(r#"{{"requests":[{}]}}"#, items.join(",")))]
            }
            _ => (0..SMALL_ROWS)
                .map(|row| post("orders", &format!(r#"{{"note":"single {number} {row}"}}"#)))
                .collect(),
        });
    }
    match questions.is_empty() {
        true => Err(format!("`{}` has no pairs", options.text("pairs")?).into()),
        false => Ok(questions),
    }
}

/// A question of the table `numbers`, which everybody may read.
async fn of_numbers(connection: &mut Connection, address: SocketAddr, anon: &str, name: &str) -> Result<Vec<u8>> {
    let request = |query: &str, prefer: &str| {
        format!(
            "GET /rest/v1/numbers?{query} HTTP/1.1\r\nhost: {address}\r\napikey: {anon}\r\naccept: */*\r\nprefer: {prefer}\r\n\r\n"
        )
        .into_bytes()
    };
    let page = format!("select=id,kind,note&order=kind.desc,id&limit={PAGE_ROWS}");
    Ok(match name {
        "page_offset_1" => request(&page, "count=none"),
        "page_offset_far" => request(&format!("{page}&offset={}", PAGE_ROWS * (PAGE_FAR - 1)), "count=none"),
        "page_cursor_1" => request(&page, "paging=cursor"),
        "page_cursor_far" => {
            // In long pages to the one before.
            let mut cursor = String::new();
            let mut left = PAGE_ROWS * (PAGE_FAR - 1);
            while left > 0 {
                let rows = left.min(LONG_PAGE_ROWS);
                let query = format!("select=id&order=kind.desc,id&limit={rows}&{cursor}");
                connection.ask(&request(&query, "paging=cursor")).await?;
                let next = connection.header("next-cursor").ok_or("the table is too short")?;
                cursor = format!("cursor={next}");
                left -= rows;
            }
            request(&format!("{page}&{cursor}"), "paging=cursor")
        }
        "count_exact" => request("select=id&limit=1", "count=exact"),
        "count_estimated" => request("select=id&limit=1", "count=estimated"),
        "count_filtered_exact" => request("select=id&limit=1&note=like.*7*", "count=exact"),
        "count_filtered_estimated" => request("select=id&limit=1&note=like.*7*", "count=estimated"),
        other => return Err(format!("there is no operation `{other}`").into()),
    })
}

fn token(key: &EncodingKey, customer: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = serde_json::json!({
        "sub": customer, "role": "authenticated", "aud": "authenticated", "iat": now, "exp": now + TOKEN_SECONDS,
    });
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, key)?)
}

/// Requests as they are given.
fn given(options: &Options) -> Result<Vec<Vec<Vec<u8>>>> {
    let mut questions = Vec::new();
    for line in std::fs::read_to_string(options.text("pairs")?)?.lines() {
        let request: String = serde_json::from_str(line)?;
        questions.push(vec![request.into_bytes()]);
    }
    match questions.is_empty() {
        true => Err("there are no requests".into()),
        false => Ok(questions),
    }
}

/// What one connection tells.
#[derive(Default)]
struct Told {
    /// Microseconds, while measuring.
    latencies: Vec<u64>,
    /// Unexpected answers.
    errors: u64,
    /// Answers 429.
    waits: u64,
}

impl Told {
    /// Counts an answer. True: it was the expected one.
    async fn hear(
        &mut self,
        status: u16,
        connection: &Connection,
        start: Instant,
        measuring: &AtomicBool,
    ) -> Result<bool> {
        match status {
            200..300 | 304 => {
                if measuring.load(Ordering::Relaxed) {
                    self.latencies.push(start.elapsed().as_micros() as u64);
                }
                return Ok(true);
            }
            429 => {
                self.waits += 1;
                let seconds = connection.header("retry-after").map_or(Ok(1), str::parse)?;
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            _ => {
                self.errors += 1;
                if self.errors == 1 {
                    eprintln!("unexpected {status}: {}", String::from_utf8_lossy(&connection.body));
                }
            }
        }
        Ok(false)
    }
}

/// Exchanges a refresh token for the next one until it is told to stop.
async fn refresh(address: SocketAddr, mut token: String, measuring: &AtomicBool, stopped: &AtomicBool) -> Result<Told> {
    let mut connection = Connection::open(address).await?;
    let mut told = Told::default();
    while !stopped.load(Ordering::Relaxed) {
        let body = serde_json::json!({ "refresh_token": token }).to_string();
        let request = format!(
            "POST /auth/v1/token?grant_type=refresh_token HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let start = Instant::now();
        let status = connection.ask(request.as_bytes()).await?;
        if told.hear(status, &connection, start, measuring).await? {
            let body: serde_json::Value = serde_json::from_slice(&connection.body)?;
            body["refresh_token"]
                .as_str()
                .ok_or("no refresh token")?
                .clone_into(&mut token);
        }
    }
    Ok(told)
}

/// Asks until it is told to stop.
async fn drive(
    address: SocketAddr,
    questions: &[Vec<Vec<u8>>],
    measuring: &AtomicBool,
    stopped: &AtomicBool,
    next: &AtomicUsize,
) -> Result<Told> {
    let mut connection = Connection::open(address).await?;
    let mut told = Told::default();
    while !stopped.load(Ordering::Relaxed) {
        let question = &questions[next.fetch_add(1, Ordering::Relaxed) % questions.len()];
        let start = Instant::now();
        let mut status = 0;
        for request in question {
            status = connection.ask(request).await?;
            if !matches!(status, 200..300 | 304) {
                break;
            }
        }
        told.hear(status, &connection, start, measuring).await?;
    }
    Ok(told)
}

/// One keep-alive connection that reads as much of HTTP/1.1 as our servers write.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Of the last answer.
    head: String,
    body: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
            head: String::new(),
            body: Vec::new(),
        })
    }

    /// A header of the last answer.
    fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.head, name)
    }

    /// Sends `request`, reads the whole answer into `body`, returns its status.
    async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let status: u16 = text.get(9..12).ok_or("the answer has no status")?.parse()?;
        let is_empty = status == 304 || status == 204;
        let length: Option<usize> = match is_empty {
            true => None,
            false => header_of(text, "content-length").map(str::parse).transpose()?,
        };
        let is_chunked =
            header_of(text, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        self.head.clear();
        self.head.push_str(text);
        self.body.clear();
        if is_chunked {
            self.read_chunks(head).await?;
        } else {
            let end = head + length.unwrap_or(0);
            while self.buffer.len() < end {
                self.more().await?;
            }
            self.body.extend_from_slice(&self.buffer[head..end]);
        }
        Ok(status)
    }

    async fn read_chunks(&mut self, mut at: usize) -> Result<()> {
        loop {
            let line = loop {
                if let Some(end) = find(&self.buffer[at..], b"\r\n") {
                    break at + end;
                }
                self.more().await?;
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.buffer[at..line])?.trim(), 16)?;
            let (start, end) = (line + 2, line + 2 + size);
            while self.buffer.len() < end + 2 {
                self.more().await?;
            }
            if size == 0 {
                return Ok(());
            }
            self.body.extend_from_slice(&self.buffer[start..end]);
            at = end + 2;
        }
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(())
    }
}

fn header_of<'t>(head: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
