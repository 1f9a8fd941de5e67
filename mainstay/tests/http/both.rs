//! The same requests to every engine.

use std::sync::Mutex;

use http::Method;
use mainstay_testing::{Answer, Client, Project, Server, engines};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mainstay");

/// A request, as tables of tests spell it.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Ask {
    /// `"GET /orders?select=id"`, below `/rest/v1`.
    pub fn new(line: &str) -> Self {
        let (method, path) = line.split_once(' ').unwrap();
        let path: String = path
            .bytes()
            .map(|byte| match byte {
                b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => format!("%{byte:02X}"),
                _ => char::from(byte).to_string(),
            })
            .collect();
        Ask {
            method: method.parse().unwrap(),
            path: format!("/rest/v1{path}"),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn prefer(self, value: &str) -> Self {
        self.header("prefer", value)
    }

    pub fn json(mut self, body: &str) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    pub async fn send(&self, client: &Client) -> Answer {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        client
            .send(self.method.clone(), &self.path, &headers, self.body.clone())
            .await
    }
}

/// Differences shown when a test ends; the rest are counted.
const DIFFERENCES_SHOWN_MAX: usize = 60;

/// One server per engine, on the same project. Differences are gathered, and fail the test when this is dropped.
pub struct Both {
    pub servers: Vec<Server>,
    differences: Mutex<Vec<String>>,
}

impl Both {
    pub async fn start(project: impl Fn() -> Project) -> Self {
        let mut servers = Vec::new();
        for engine in engines() {
            servers.push(Server::start(PROGRAM, engine, project()).await);
        }
        Both {
            servers,
            differences: Mutex::default(),
        }
    }

    /// Sends `ask` to every engine as the client that `who` makes, and notes any difference. Returns the last answer,
    /// which is PostgreSQL's where there is one.
    pub async fn same(&self, who: impl Fn(&Server) -> Client, ask: &Ask) -> Answer {
        let mut answers: Vec<Answer> = Vec::new();
        for server in &self.servers {
            let answer = ask.send(&who(server)).await;
            if let Some(first) = answers.first() {
                let (left, right) = (first.comparable(), answer.comparable());
                if left != right {
                    self.note(ask, &left, &right);
                }
            }
            answers.push(answer);
        }
        answers.pop().unwrap()
    }

    fn note(&self, ask: &Ask, left: &Comparable, right: &Comparable) {
        let only = |one: &Comparable, other: &Comparable| -> Vec<String> {
            let missing = one.1.iter().filter(|header| !other.1.contains(header));
            missing.map(|(name, value)| format!("{name}: {value}")).collect()
        };
        let cut = |text: &str| text.chars().take(400).collect::<String>();
        self.differences.lock().unwrap().push(format!(
            "{} {} {:?} {}\n    embedded   {} {:?} {}\n    PostgreSQL {} {:?} {}",
            ask.method,
            ask.path,
            ask.headers,
            cut(&ask.body),
            left.0,
            only(left, right),
            cut(&left.2),
            right.0,
            only(right, left),
            cut(&right.2),
        ));
    }

    /// The embedded engine's answer alone, of what the other engine has otherwise.
    pub async fn embedded(&self, who: impl Fn(&Server) -> Client, ask: &Ask) -> Answer {
        let server = &self.servers[0];
        ask.send(&who(server)).await
    }

    /// The rows of a table as `service_role` sees them, the same on every engine.
    pub async fn table(&self, path: &str) -> String {
        self.same(Server::service, &Ask::new(&format!("GET /{path}")))
            .await
            .text()
    }
}

impl Ask {
    pub fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }
}

/// Status, headers, body.
type Comparable = (u16, Vec<(String, String)>, String);

impl Drop for Both {
    fn drop(&mut self) {
        let differences = std::mem::take(&mut *self.differences.lock().unwrap());
        if differences.is_empty() || std::thread::panicking() {
            return;
        }
        let shown = differences
            .iter()
            .take(DIFFERENCES_SHOWN_MAX)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        panic!("the engines differ {} time(s):\n{shown}", differences.len());
    }
}
