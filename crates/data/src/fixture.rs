//! A small hand-built catalog and a backend that remembers what it was asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use mainstay_core::backend::{
    AppliedMigration, Backend, BoxFuture, CheckedMigration, Health, Migration, MigrationError, QueryMode, QueryResult,
    RowSink, Statement, TableRows,
};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{
    AclEntry, Argument, Catalog, Column, Constraint, ConstraintKind, Enforcement, ForeignKey, Grantee, Privilege,
    ReferentialAction, Relation, RelationKind, Returns, Role, Routine, RowSecurity, Schema, Volatility,
};
use mainstay_core::definition::{Definitions, Position};
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{Input, Outcome, Plan};
use mainstay_core::transaction::{Ended, Isolation, Script};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_http::{Request, Response};

use crate::{Config, DataRoom};

/// A backend without a database.
pub struct Fake {
    catalog: Arc<Catalog>,
    pub renders: Mutex<usize>,
    pub asked: Mutex<Vec<(Plan, Input)>>,
    pub answers: Mutex<Vec<Result<Outcome, BackendError>>>,
    pub validity: Mutex<Option<u64>>,
}

/// A room over a [`Fake`].
pub struct Fixture {
    pub fake: Arc<Fake>,
    pub room: DataRoom,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let fake = Arc::new(Fake {
            catalog: Arc::new(catalog()),
            renders: Mutex::default(),
            asked: Mutex::default(),
            answers: Mutex::default(),
            validity: Mutex::default(),
        });
        let mut config = Config {
            schemas: vec![Ident::new("test")],
            anon_role: Some(Ident::new("anon")),
            ..Config::default()
        };
        change(&mut config);
        Fixture {
            room: DataRoom::new(fake.clone(), config),
            fake,
        }
    }

    /// What the next statement gives.
    pub fn answers(&self, outcome: Outcome) -> &Self {
        self.fake.answers.lock().unwrap().push(Ok(outcome));
        self
    }

    pub async fn send(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Response {
        self.send_as("anon", request, headers, body).await
    }

    pub async fn send_as(&self, role: &str, request: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let (method, uri) = request.split_once(' ').unwrap();
        let (path, query) = match uri.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (uri, None),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let request = Request {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: path.to_owned(),
            query,
            headers: map,
            body: Bytes::copy_from_slice(body.as_bytes()),
            authentication: std::time::Duration::ZERO,
        };
        self.room.handle(&Caller::of_role(role), &request).await
    }

    /// The plan and the input of the last statement.
    pub fn last(&self) -> (Plan, Input) {
        self.fake.asked.lock().unwrap().last().cloned().unwrap()
    }
}

/// Status and body text.
pub fn told(response: &Response) -> (u16, String) {
    (
        response.status.as_u16(),
        String::from_utf8(response.body.to_vec()).unwrap(),
    )
}

/// A member of a JSON body.
pub fn member(response: &Response, name: &str) -> serde_json::Value {
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    body[name].clone()
}

/// A header's text, or nothing.
pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers
        .get(name)
        .map(|value| value.to_str().unwrap())
        .unwrap_or_default()
}

impl Backend for Fake {
    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    fn render(&self, plan: &Plan) -> Result<Statement, BackendError> {
        *self.renders.lock().unwrap() += 1;
        Ok(Statement {
            sql: Arc::from(""),
            engine: Arc::new(plan.clone()),
            reads_request: true,
        })
    }

    fn own(&self, _: &'static str) -> Result<Statement, BackendError> {
        unimplemented!()
    }

    fn run<'a>(
        &'a self,
        _: &'a Caller,
        statement: &'a Statement,
        input: Input,
    ) -> BoxFuture<'a, Result<Outcome, BackendError>> {
        let plan = statement.engine.downcast_ref::<Plan>().unwrap().clone();
        self.asked.lock().unwrap().push((plan, input));
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop()
            .unwrap_or_else(|| Ok(Outcome::default()));
        Box::pin(std::future::ready(answer))
    }

    fn transact<'a>(
        &'a self,
        _: &'a Ident,
        _: Isolation,
        _: Arc<Mutex<dyn Script>>,
    ) -> BoxFuture<'a, Result<Ended, BackendError>> {
        unimplemented!()
    }

    fn validity(&self, _: &Statement) -> Option<u64> {
        *self.validity.lock().unwrap()
    }

    fn query<'a>(
        &'a self,
        _: Option<&'a Caller>,
        _: &'a str,
        _: QueryMode,
    ) -> BoxFuture<'a, Result<QueryResult, BackendError>> {
        unimplemented!()
    }

    fn judge<'a>(
        &'a self,
        _: &'a Caller,
        _: &'a mainstay_core::trial::Trial,
    ) -> BoxFuture<'a, Result<Vec<Vec<mainstay_core::trial::Verdict>>, BackendError>> {
        unimplemented!()
    }

    fn compared(&self, _: &Relation, _: &str) -> Vec<mainstay_core::catalog::ColumnIndex> {
        Vec::new()
    }

    fn overseer(&self) -> Option<Ident> {
        None
    }

    fn migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, BackendError>> {
        unimplemented!()
    }

    fn migrate<'a>(&'a self, _: &'a Migration) -> BoxFuture<'a, Result<(), MigrationError>> {
        unimplemented!()
    }

    fn record<'a>(&'a self, _: &'a Migration) -> BoxFuture<'a, Result<(), BackendError>> {
        unimplemented!()
    }

    fn check<'a>(&'a self, _: &'a [Migration]) -> BoxFuture<'a, Vec<CheckedMigration>> {
        unimplemented!()
    }

    fn reset(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        unimplemented!()
    }

    fn is_empty(&self) -> BoxFuture<'_, Result<bool, BackendError>> {
        unimplemented!()
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        unimplemented!()
    }

    fn definitions(&self) -> BoxFuture<'_, Result<Definitions, BackendError>> {
        unimplemented!()
    }

    fn export<'a>(
        &'a self,
        _: &'a [TableRows],
        _: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Result<BTreeMap<QualifiedName, Position>, BackendError>> {
        unimplemented!()
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, BackendError>> {
        unimplemented!()
    }

    fn transfer(&self) -> &dyn mainstay_core::transfer::Transfer {
        unimplemented!()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        unimplemented!()
    }
}

/// clients ← projects ← tasks, users ⇄ tasks through users_tasks, family_tree on itself, agents ⇄ departments.
pub fn catalog() -> Catalog {
    let mut catalog = Catalog::empty(Enforcement::Catalog);
    catalog.version = 1;
    let owner = Ident::new("postgres");
    let usage = AclEntry {
        grantee: Grantee::Public,
        privilege: Privilege::Usage,
        column: None,
        grantable: false,
    };
    catalog.schemas = BTreeMap::from([(
        Ident::new("test"),
        Schema {
            owner: owner.clone(),
            comment: None,
            acl: vec![usage],
        },
    )]);
    for (role, member_of) in [
        ("anon", vec![]),
        ("author", vec![]),
        ("authenticator", vec![Ident::new("anon"), Ident::new("author")]),
    ] {
        let role = Role {
            name: Ident::new(role),
            superuser: false,
            bypass_rls: false,
            login: false,
            inherit: true,
            member_of,
            statement_timeout_ms: None,
            comment: None,
        };
        catalog.roles.insert(role.name.clone(), role);
    }
    for (name, columns, key, references) in [
        ("clients", "id name", "id", vec![]),
        ("projects", "id name client_id", "id", vec![("client_id", "clients")]),
        ("tasks", "id name project_id", "id", vec![("project_id", "projects")]),
        ("users", "id name", "id", vec![]),
        (
            "users_tasks",
            "user_id task_id",
            "user_id task_id",
            vec![("user_id", "users"), ("task_id", "tasks")],
        ),
        ("family_tree", "id name parent", "id", vec![("parent", "family_tree")]),
        (
            "agents",
            "id name department_id",
            "id",
            vec![("department_id", "departments")],
        ),
        ("departments", "id name head_id", "id", vec![("head_id", "agents")]),
        ("json", "id data", "id", vec![]),
        ("secret", "id name", "id", vec![]),
    ] {
        let relation = relation(name, columns, key, &references, &owner);
        catalog.relations.insert(relation.name.clone(), Arc::new(relation));
    }
    let mut routines: HashMap<QualifiedName, Vec<Arc<Routine>>> = HashMap::new();
    for (id, (name, arguments, returns)) in [("sayhello", "name", Type::Text), ("add_them", "a b", Type::Int4)]
        .into_iter()
        .enumerate()
    {
        let routine = routine(id as u64, name, arguments, returns, &owner);
        routines
            .entry(routine.name.clone())
            .or_default()
            .push(Arc::new(routine));
    }
    catalog.routines = routines;
    catalog.derive_relationships();
    catalog
}

fn relation(name: &str, columns: &str, key: &str, references: &[(&str, &str)], owner: &Ident) -> Relation {
    let names: Vec<&str> = columns.split(' ').collect();
    let index = |wanted: &str| names.iter().position(|name| *name == wanted).unwrap();
    let mut constraints = vec![Constraint {
        name: Ident::from(format!("{name}_pkey")),
        kind: ConstraintKind::PrimaryKey {
            columns: key.split(' ').map(index).collect(),
        },
        comment: None,
        not_valid: false,
    }];
    for (column, target) in references {
        constraints.push(Constraint {
            name: Ident::from(format!("{name}_{column}_fkey")),
            kind: ConstraintKind::ForeignKey(ForeignKey {
                columns: vec![index(column)],
                target: QualifiedName::new("test", *target),
                target_columns: vec![Ident::new("id")],
                on_delete: ReferentialAction::NoAction,
                on_update: ReferentialAction::NoAction,
                deferrable: false,
                initially_deferred: false,
            }),
            comment: None,
            not_valid: false,
        });
    }
    let rights = [
        Privilege::Select,
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
    ];
    let grant = |privilege| AclEntry {
        grantee: Grantee::Public,
        privilege,
        column: None,
        grantable: false,
    };
    let column = |name: &&str| Column {
        name: Ident::new(name),
        ty: match *name {
            "name" => Type::Text,
            "data" => Type::Jsonb,
            _ => Type::Int4,
        },
        modifier: TypeModifier::None,
        not_null: false,
        default: None,
        identity: None,
        generated: None,
        sequence: None,
        comment: None,
    };
    Relation {
        name: QualifiedName::new("test", name),
        kind: RelationKind::Table,
        owner: owner.clone(),
        columns: names.iter().map(column).collect(),
        constraints,
        indexes: Vec::new(),
        row_security: RowSecurity::default(),
        policies: Vec::new(),
        triggers: Vec::new(),
        acl: if name == "secret" {
            Vec::new()
        } else {
            rights.map(grant).to_vec()
        },
        view: None,
        insertable: true,
        updatable: true,
        deletable: true,
        comment: None,
        id: 0,
    }
}

fn routine(id: u64, name: &str, arguments: &str, returns: Type, owner: &Ident) -> Routine {
    let execute = AclEntry {
        grantee: Grantee::Public,
        privilege: Privilege::Execute,
        column: None,
        grantable: false,
    };
    let argument = |name: &str| Argument {
        name: Ident::new(name),
        ty: Type::Text,
        default: None,
        variadic: false,
    };
    Routine {
        name: QualifiedName::new("test", name),
        owner: owner.clone(),
        arguments: arguments.split(' ').map(argument).collect(),
        returns: Returns {
            at_most_one: false,
            ty: returns,
            set: false,
            columns: Vec::new(),
            relation: None,
        },
        volatility: Volatility::Immutable,
        strict: false,
        security_definer: false,
        language: Ident::new("sql"),
        body: String::new(),
        search_path: Vec::new(),
        acl: vec![execute],
        comment: None,
        is_procedure: false,
        id,
    }
}
