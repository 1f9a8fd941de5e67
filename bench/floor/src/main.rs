//! The floor: five operations of the shop, written by hand on hyper with rusqlite or tokio-postgres.
//!
//! It verifies the token, keeps each customer to their own rows and answers in the shape of the API, and has nothing
//! else: no router of relations, parser of filters, limits, log or CORS. It is a bound for `cargo xtask bench`, not a
//! product.
//!
//! `floor load SQL DATABASE` makes the SQLite file, `floor sqlite DATABASE` and `floor postgres URL` serve. The secret of
//! the tokens is read from `FLOOR_SECRET`.

mod json;
mod postgres;
mod sqlite;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use std::error::Error;
use std::sync::Arc;
use tokio::net::TcpListener;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// What the load asks for.
pub enum Operation {
    ReadOne { order: i64 },
    List,
    History,
    InsertOne { note: Option<String> },
    InsertMany { notes: Vec<Option<String>> },
}

/// Rows of a list and of a history.
pub const PAGE_ROWS: i64 = 20;

enum Store {
    Sqlite(sqlite::Store),
    Postgres(postgres::Store),
}

impl Store {
    /// Runs `operation` for the customer whose id is `customer`. Returns the body's JSON, empty for a bulk insert.
    async fn run(&self, customer: &str, claims: &str, operation: Operation) -> Result<Vec<u8>> {
        match self {
            Store::Sqlite(store) => store.run(customer, operation).await,
            Store::Postgres(store) => store.run(claims, operation).await,
        }
    }
}

struct Server {
    store: Store,
    key: DecodingKey,
    validation: Validation,
}

#[derive(serde::Deserialize)]
struct Claims {
    sub: String,
    role: String,
}

#[derive(serde::Deserialize)]
struct NewOrder {
    note: Option<String>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["load", sql, database] => sqlite::load(sql, database),
        [engine @ ("sqlite" | "postgres"), database] => serve(engine, database),
        _ => Err("usage: floor load SQL DATABASE | floor sqlite DATABASE | floor postgres URL".into()),
    }
}

#[tokio::main]
async fn serve(engine: &str, database: &str) -> Result<()> {
    let secret = std::env::var("FLOOR_SECRET").map_err(|_| "FLOOR_SECRET is not set")?;
    let store = match engine {
        "sqlite" => Store::Sqlite(sqlite::Store::open(database)?),
        _ => Store::Postgres(postgres::Store::connect(database).await?),
    };
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    let server = Arc::new(Server {
        store,
        key: DecodingKey::from_secret(secret.as_bytes()),
        validation,
    });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("floor is ready at http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let server = server.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let server = server.clone();
                async move { Ok::<_, std::convert::Infallible>(server.answer(request).await) }
            });
            // A client that goes away is no fault of this program.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match self.respond(request).await {
            Ok(response) => response,
            Err(error) => {
                eprintln!("{error}");
                reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let Some(claims) = self.verify(&request) else {
            return Ok(reply(StatusCode::UNAUTHORIZED, Vec::new()));
        };
        if request.uri().path() != "/rest/v1/orders" {
            return Ok(reply(StatusCode::NOT_FOUND, Vec::new()));
        }
        let operation = read_operation(request).await?;
        let is_insert = matches!(operation, Operation::InsertOne { .. } | Operation::InsertMany { .. });
        // The database reads the role and the id from the claims, as PostgREST hands them over.
        let text = format!(r#"{{"sub":"{}","role":"{}"}}"#, claims.sub, claims.role);
        let body = self.store.run(&claims.sub, &text, operation).await?;
        Ok(reply(
            if is_insert { StatusCode::CREATED } else { StatusCode::OK },
            body,
        ))
    }

    fn verify(&self, request: &Request<Incoming>) -> Option<Claims> {
        let header = request.headers().get("authorization")?.to_str().ok()?;
        let token = header.strip_prefix("Bearer ")?;
        let data = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).ok()?;
        Some(data.claims)
    }
}

async fn read_operation(request: Request<Incoming>) -> Result<Operation> {
    let query = request.uri().query().unwrap_or_default();
    if request.method() == Method::GET {
        let key = query.split('&').find_map(|part| part.strip_prefix("id=eq."));
        return Ok(match key {
            Some(key) => Operation::ReadOne { order: key.parse()? },
            None if query.contains("order_items(") => Operation::History,
            None => Operation::List,
        });
    }
    let body = request.into_body().collect().await?.to_bytes();
    if body.first() == Some(&b'[') {
        let orders: Vec<NewOrder> = serde_json::from_slice(&body)?;
        return Ok(Operation::InsertMany {
            notes: orders.into_iter().map(|order| order.note).collect(),
        });
    }
    let order: NewOrder = serde_json::from_slice(&body)?;
    Ok(Operation::InsertOne { note: order.note })
}

fn reply(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}
