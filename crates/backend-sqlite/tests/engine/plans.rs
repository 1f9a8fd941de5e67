//! Plans by hand, as the data API would make them.

use std::sync::Arc;

use mainstay_backend_sqlite::SqliteBackend;
use mainstay_core::backend::{Backend, Migration};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::Catalog;
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{
    Action, Cardinality, Count, Embed, Field, Format, Input, JsonStep, Operator, Options, Order, OrderTarget, Outcome,
    Output, Plan, Predicate, Read, Source, Value, ValueRef,
};
use mainstay_core::policy::{Needs, authorize};

/// A read in the making. Values are shared by the read and its embeds.
pub struct Reading<'a> {
    pub catalog: &'a Catalog,
    pub role: &'a str,
    pub read: Read,
}

/// The values that reads refer to.
#[derive(Clone, Default)]
pub struct Values(pub Vec<Value>);

impl Values {
    pub fn text(&mut self, text: &str) -> ValueRef {
        self.0.push(Value::Text(text.to_owned()));
        self.0.len() - 1
    }

    pub fn integer(&mut self, number: i64) -> ValueRef {
        self.0.push(Value::Integer(number));
        self.0.len() - 1
    }

    pub fn list(&mut self, items: &[&str]) -> ValueRef {
        self.0
            .push(Value::List(items.iter().map(|item| (*item).to_owned()).collect()));
        self.0.len() - 1
    }
}

impl<'a> Reading<'a> {
    /// All rows of `table`, no columns.
    pub fn of(catalog: &'a Catalog, role: &'a str, table: &str) -> Self {
        let source = source(catalog, role, table);
        let read = Read {
            source,
            output: Vec::new(),
            embeds: Vec::new(),
            filter: None,
            order: Vec::new(),
            limit: None,
            offset: None,
            count: Count::None,
            grouping: None,
            paging: None,
        };
        Reading { catalog, role, read }
    }

    pub fn field(&self, column: &str) -> Field {
        Field::column(self.read.source.relation.column(column).unwrap().0)
    }

    pub fn select(mut self, columns: &[&str]) -> Self {
        for column in columns {
            let field = self.field(column);
            self.read.output.push(Output::Column {
                name: Ident::new(column),
                field,
                cast: None,
            });
        }
        self
    }

    pub fn path(mut self, name: &str, column: &str, steps: Vec<JsonStep>, as_text: bool) -> Self {
        let field = Field {
            path: steps,
            as_text,
            ..self.field(column)
        };
        self.read.output.push(Output::Column {
            name: Ident::new(name),
            field,
            cast: None,
        });
        self
    }

    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.read.filter = Some(match self.read.filter.take() {
            None => predicate,
            Some(before) => Predicate::And(vec![before, predicate]),
        });
        self
    }

    pub fn compare(self, column: &str, operator: Operator, value: ValueRef) -> Self {
        let field = self.field(column);
        self.filter(Predicate::Compare { field, operator, value })
    }

    pub fn order(mut self, column: &str, descending: bool) -> Self {
        let target = OrderTarget::Field(self.field(column));
        self.read.order.push(Order {
            target,
            descending,
            nulls_first: None,
        });
        self
    }

    fn attach(&mut self, name: &str, child: Reading<'_>, inner: bool) -> usize {
        let relationship = self
            .catalog
            .relationships_of(&self.read.source.relation.name)
            .iter()
            .find(|relationship| relationship.to == child.read.source.relation.name)
            .unwrap()
            .clone();
        let junction = match &relationship.kind {
            mainstay_core::catalog::RelationshipKind::ManyToMany { junction, .. } => {
                Some(source(self.catalog, self.role, &junction.name))
            }
            _ => None,
        };
        let cardinality = if relationship.is_to_one() {
            Cardinality::One
        } else {
            Cardinality::Many
        };
        let name = Ident::new(name);
        self.read.embeds.push(Embed {
            name,
            relationship,
            junction,
            cardinality,
            inner,
            read: child.read,
        });
        self.read.embeds.len() - 1
    }

    pub fn embed(mut self, name: &str, child: Reading<'_>) -> Self {
        let embed = self.attach(name, child, false);
        self.read.output.push(Output::Embed {
            name: Ident::new(name),
            embed,
        });
        self
    }

    pub fn inner(mut self, name: &str, child: Reading<'_>) -> Self {
        let embed = self.attach(name, child, true);
        self.read.output.push(Output::Embed {
            name: Ident::new(name),
            embed,
        });
        self
    }

    pub fn spread(mut self, name: &str, child: Reading<'_>) -> Self {
        let embed = self.attach(name, child, false);
        self.read.output.push(Output::Spread { embed });
        self
    }

    pub fn limit(mut self, value: ValueRef) -> Self {
        self.read.limit = Some(value);
        self
    }

    pub fn offset(mut self, value: ValueRef) -> Self {
        self.read.offset = Some(value);
        self
    }

    pub fn count(mut self, count: Count) -> Self {
        self.read.count = count;
        self
    }

    pub fn plan(self, format: Format) -> Plan {
        Plan {
            catalog_version: self.catalog.version,
            role: Ident::new(self.role),
            format,
            handler: None,
            explain: None,
            action: Action::Read(self.read),
        }
    }
}

pub fn source(catalog: &Catalog, role: &str, table: &str) -> Source {
    let relation = Arc::clone(catalog.relation(&QualifiedName::new("public", table)).unwrap());
    let needs = Needs {
        select: (0..relation.columns.len()).collect(),
        select_any: true,
        ..Needs::default()
    };
    let access = authorize(catalog, &Ident::new(role), &relation, &needs).unwrap();
    Source { relation, access }
}

/// A backend with one migration applied.
pub async fn backend(folder: &tempfile::TempDir, sql: &str) -> SqliteBackend {
    let options = mainstay_backend_sqlite::Options::at(folder.path().join("data.db"));
    let backend = SqliteBackend::open(options).unwrap();
    let migration = Migration {
        version: "20260101000000".into(),
        name: "fixture".into(),
        sql: sql.into(),
    };
    backend.migrate(&migration).await.unwrap();
    backend
}

/// Runs a plan as its role.
pub async fn run(backend: &SqliteBackend, plan: &Plan, values: Values) -> Result<Outcome, BackendError> {
    run_as(
        backend,
        &Caller::of_role(plan.role.clone()),
        plan,
        values,
        Options::default(),
    )
    .await
}

/// Runs a plan as a caller.
pub async fn run_as(
    backend: &SqliteBackend,
    caller: &Caller,
    plan: &Plan,
    values: Values,
    options: Options,
) -> Result<Outcome, BackendError> {
    let statement = backend.render(plan)?;
    backend
        .run(
            caller,
            &statement,
            Input {
                values: values.0,
                payload: None,
                options,
            },
        )
        .await
}

/// The body as text.
pub async fn body(backend: &SqliteBackend, plan: &Plan, values: Values) -> String {
    String::from_utf8(run(backend, plan, values).await.unwrap().body).unwrap()
}
