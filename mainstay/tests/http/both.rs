//! The same requests to every engine.

use http::Method;
use mainstay_testing::{Answer, Client, Engine, Project, Server, engines};

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

/// One server per engine, on the same project.
pub struct Both {
    pub servers: Vec<Server>,
}

impl Both {
    pub async fn start(project: impl Fn() -> Project) -> Self {
        let mut servers = Vec::new();
        for engine in engines() {
            servers.push(Server::start(PROGRAM, engine, project()).await);
        }
        Both { servers }
    }

    /// Sends `ask` to every engine as the client that `who` makes, and demands the same answer. Returns it.
    pub async fn same(&self, who: impl Fn(&Server) -> Client, ask: &Ask) -> Answer {
        let mut first: Option<(Engine, Answer)> = None;
        for server in &self.servers {
            let answer = ask.send(&who(server)).await;
            match &first {
                None => first = Some((server.engine, answer)),
                Some((engine, expected)) => assert_eq!(
                    expected.comparable(),
                    answer.comparable(),
                    "{:?} (left) and {:?} (right) differ on {ask:?}\n{}",
                    engine,
                    server.engine,
                    server.log()
                ),
            }
        }
        first.unwrap().1
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
