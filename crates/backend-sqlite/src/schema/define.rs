//! The file's own definitions of what the catalog lists: `CREATE TABLE` and `CREATE INDEX`.
//!
//! Tables are STRICT. Keys are unique indexes beside the table, so that they come and go without touching rows; only a
//! primary key over one integer column is the row's own id. Collations stand in indexes, never on columns: then a file
//! opens in other tools. There are no defaults, but for the constant that `SET DEFAULT` needs.
//!
//! Source: `portability.md` §§2.2–2.4, 3, 5.

use std::sync::Arc;

use mainstay_core::catalog::{Column, ConstraintKind, ForeignKey, Index, IndexPart, ReferentialAction, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::typed::{CastMethod, Expr, ExprKind, Literal};

use crate::emit::compiled::Compiled;
use crate::emit::types::collation;
use crate::emit::writer::{SqlWriter, physical_name};
use crate::emit::{Emitter, Rte, is_compared_singly};

type Result<T> = std::result::Result<T, DatabaseError>;

/// The beginning of the names of indexes that foreign keys get by themselves.
pub const KEY_INDEX_PREFIX: &str = "_ms_fk:";

/// A column as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredColumn {
    pub name: String,
    /// `INTEGER`, `TEXT` …
    pub storage: String,
    /// It is the row's own id.
    pub is_row_id: bool,
}

/// How a table is to be spelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spelling<'a> {
    /// The columns in the file's order; those the catalog no longer has are kept plain. Empty: the catalog's.
    pub stored: &'a [StoredColumn],
    /// Another name for the table.
    pub called: Option<&'a str>,
    /// Foreign keys to these tables are left out.
    pub without_targets: &'a [QualifiedName],
}

/// `CREATE TABLE` for a relation of the catalog.
pub fn table(compiled: &Compiled, relation: &Arc<Relation>, spelling: Spelling<'_>) -> Result<String> {
    let mut emitter = Emitter::new(compiled, &relation.owner).for_schema().for_each_row();
    let row_id = match spelling.stored {
        [] => row_id(relation),
        stored => stored
            .iter()
            .find(|column| column.is_row_id)
            .and_then(|column| relation.column(&column.name))
            .map(|(position, _)| position),
    };
    let writer = emitter.writer();
    writer.sql("CREATE TABLE ");
    match spelling.called {
        Some(name) => writer.ident(&Ident::new(name)),
        None => writer.object(&relation.name),
    };
    writer.sql(" (");
    let mut first = true;
    let mut separate = |writer: &mut SqlWriter| {
        writer.sql(if std::mem::take(&mut first) { "\n  " } else { ",\n  " });
    };
    if spelling.stored.is_empty() {
        for (position, column) in relation.columns.iter().enumerate() {
            separate(emitter.writer());
            self::column(&mut emitter, relation, column, row_id == Some(position))?;
        }
    } else {
        for stored in spelling.stored {
            separate(emitter.writer());
            match relation.column(&stored.name) {
                Some((position, column)) => {
                    self::column(&mut emitter, relation, column, row_id == Some(position))?;
                }
                None => {
                    let storage = static_storage(&stored.storage);
                    emitter.writer().ident(&Ident::new(&stored.name)).sql(" ").sql(storage);
                }
            }
        }
    }
    for constraint in &relation.constraints {
        match &constraint.kind {
            ConstraintKind::Check { expression } => {
                separate(emitter.writer());
                emitter
                    .writer()
                    .sql("CONSTRAINT ")
                    .ident(&constraint.name)
                    .sql(" CHECK (");
                emitter.condition(
                    relation,
                    expression,
                    &Rte::Bare {
                        relation: Arc::clone(relation),
                    },
                )?;
                emitter.writer().sql(")");
            }
            ConstraintKind::ForeignKey(key) if !spelling.without_targets.contains(&key.target) => {
                separate(emitter.writer());
                let carried = compiled
                    .carried_keys()
                    .contains(&(relation.name.clone(), constraint.name.clone()));
                foreign_key(emitter.writer(), relation, &constraint.name, key, carried);
            }
            _ => {}
        }
    }
    emitter.writer().sql("\n) STRICT");
    Ok(emitter.finish().0)
}

/// The column that is the row's own id in a new table: the only column of the primary key, an integer.
pub fn row_id(relation: &Relation) -> Option<usize> {
    match relation.primary_key() {
        [only] if relation.columns[*only].ty.is_integer() => Some(*only),
        _ => None,
    }
}

/// The storage class of a type (`portability.md` §3).
pub fn storage(ty: &Type) -> &'static str {
    match ty.base() {
        Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 | Type::Oid => "INTEGER",
        Type::Float4 | Type::Float8 => "REAL",
        Type::Bytea | Type::Vector => "BLOB",
        _ => "TEXT",
    }
}

fn static_storage(text: &str) -> &'static str {
    ["INTEGER", "REAL", "BLOB"]
        .into_iter()
        .find(|known| text.eq_ignore_ascii_case(known))
        .unwrap_or("TEXT")
}

fn column(emitter: &mut Emitter<'_>, relation: &Arc<Relation>, column: &Column, is_row_id: bool) -> Result<()> {
    let writer = emitter.writer();
    writer.ident(&column.name).sql(" ").sql(storage(&column.ty));
    if column.not_null {
        writer.sql(" NOT NULL");
    }
    if is_row_id {
        writer.sql(" PRIMARY KEY");
    }
    if sets_default(relation, column)
        && let Some(text) = &column.default
    {
        constant_default(emitter, relation, column, text)?;
    }
    if let Some(text) = &column.generated {
        emitter.writer().sql(" GENERATED ALWAYS AS (");
        let bound = emitter
            .compiled()
            .generated(relation, text, &column.ty, column.modifier)?;
        let row = Rte::Bare {
            relation: Arc::clone(relation),
        };
        emitter.fragment(crate::emit::emitter::Scope::of(bound.rte, row), |emitter| {
            emitter.expr(&bound.expr)
        })?;
        emitter.writer().sql(") STORED");
    }
    type_check(emitter, column);
    Ok(())
}

/// A second look at what the typed input has made of a value: it fails only if that has a bug.
fn type_check(emitter: &mut Emitter<'_>, column: &Column) {
    let labels = match column.ty.base() {
        Type::Enum(name) => emitter.catalog().enums.get(name).map(|entry| entry.labels.clone()),
        _ => None,
    };
    let writer = emitter.writer();
    let name = Ident::from(format!("_ms_type:{}", column.name));
    let mut check = |write: &dyn Fn(&mut SqlWriter)| {
        writer.sql(" CONSTRAINT ").ident(&name).sql(" CHECK (");
        write(writer);
        writer.sql(")");
    };
    let between = |low: i64, high: i64| {
        move |writer: &mut SqlWriter| {
            writer
                .ident(&column.name)
                .sql(" BETWEEN ")
                .number(low)
                .sql(" AND ")
                .number(high);
        }
    };
    match (column.ty.base(), column.modifier) {
        (Type::Int2, _) => check(&between(i16::MIN.into(), i16::MAX.into())),
        (Type::Int4, _) => check(&between(i32::MIN.into(), i32::MAX.into())),
        (Type::Bool, _) => check(&|writer| {
            writer.ident(&column.name).sql(" IN (0, 1)");
        }),
        (Type::Varchar, TypeModifier::Length(length)) => check(&|writer| {
            writer
                .sql("length(")
                .ident(&column.name)
                .sql(") <= ")
                .number(length.into());
        }),
        (Type::Enum(_), _) => check(&|writer| {
            let labels = labels.as_deref().unwrap_or_default();
            if is_compared_singly(labels.len()) {
                writer.list(" OR ", labels, |writer, label| {
                    writer.ident(&column.name).sql(" = ").literal(label);
                });
                return;
            }
            writer.ident(&column.name).sql(" IN (");
            writer.list(", ", labels, |writer, label| {
                writer.literal(label);
            });
            writer.sql(")");
        }),
        _ => {}
    }
}

/// True if a foreign key's action may set this column to its default.
fn sets_default(relation: &Relation, column: &Column) -> bool {
    relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::ForeignKey(key) => {
            [key.on_delete, key.on_update].contains(&ReferentialAction::SetDefault)
                && key
                    .columns
                    .iter()
                    .any(|index| relation.columns[*index].name == column.name)
        }
        _ => false,
    })
}

/// Errors: 0A000 for a default that is computed.
fn constant_default(emitter: &mut Emitter<'_>, relation: &Arc<Relation>, column: &Column, text: &str) -> Result<()> {
    let bound = emitter
        .compiled()
        .default(relation, text, &column.ty, column.modifier)?;
    let refused = || {
        let feature = "ON DELETE or UPDATE SET DEFAULT with a default that is computed";
        DatabaseError::unavailable(
            feature,
            &format!("{}.{}", relation.name.name, column.name),
            1,
            Some("a constant"),
        )
    };
    let mut expr = &bound.expr;
    while let ExprKind::Cast { expr: inner, .. } = &expr.kind {
        expr = inner;
    }
    let ExprKind::Literal(literal) = &expr.kind else {
        return Err(refused());
    };
    let writer = emitter.writer();
    writer.sql(" DEFAULT ");
    match literal {
        Literal::Null => writer.sql("NULL"),
        Literal::Bool(value) => writer.number(i64::from(*value)),
        Literal::Integer(value) => writer.sql("(").number(*value).sql(")"),
        Literal::Float(value) => writer.sql("(").real(*value).sql(")"),
        Literal::Numeric(text) => writer.literal(text),
        Literal::Text(text) if column.ty.is_textual() || matches!(column.ty.base(), Type::Uuid | Type::Enum(_)) => {
            writer.literal(text)
        }
        Literal::Text(_) => return Err(refused()),
    };
    Ok(())
}

/// `carried`: the engine carries its actions out, so it has none in the file.
fn foreign_key(writer: &mut SqlWriter, relation: &Relation, name: &Ident, key: &ForeignKey, carried: bool) {
    writer.sql("CONSTRAINT ").ident(name).sql(" FOREIGN KEY (");
    writer.list(", ", &key.columns, |writer, index| {
        writer.ident(&relation.columns[*index].name);
    });
    writer.sql(") REFERENCES ").object(&key.target).sql(" (");
    writer.list(", ", &key.target_columns, |writer, column| {
        writer.ident(column);
    });
    writer.sql(")");
    for (event, action) in [(" ON DELETE ", key.on_delete), (" ON UPDATE ", key.on_update)] {
        let spelled = match action {
            ReferentialAction::NoAction => continue,
            ReferentialAction::Restrict => "RESTRICT",
            _ if carried => continue,
            ReferentialAction::Cascade => "CASCADE",
            ReferentialAction::SetNull => "SET NULL",
            ReferentialAction::SetDefault => "SET DEFAULT",
        };
        writer.sql(event).sql(spelled);
    }
    if key.deferrable {
        writer.sql(" DEFERRABLE");
        if key.initially_deferred {
            writer.sql(" INITIALLY DEFERRED");
        }
    }
}

/// `CREATE UNIQUE INDEX` for a primary key or unique constraint.
pub fn key(relation: &Relation, name: &Ident, columns: &[usize]) -> String {
    let mut writer = SqlWriter::new();
    writer
        .sql("CREATE UNIQUE INDEX ")
        .object(&beside(relation, name))
        .sql(" ON ")
        .object(&relation.name)
        .sql(" (");
    writer.list(", ", columns, |writer, index| {
        key_column(writer, &relation.columns[*index])
    });
    writer.sql(")");
    writer.finish().0
}

/// A column in an index. An enum's own order is left to the query: equal labels are equal texts, and an index that
/// compares as texts serves `=` and foreign keys, which are what indexes on enums are for.
fn key_column(writer: &mut SqlWriter, column: &Column) {
    writer.ident(&column.name);
    collate(writer, &column.ty);
}

fn collate(writer: &mut SqlWriter, ty: &Type) {
    if let Some(collation) = collation(ty).filter(|collation| collation.changes_equality()) {
        writer.sql(" COLLATE ").ident(&collation.name());
    }
}

/// `CREATE INDEX`; `None` for access methods that the embedded engine answers by scan or by `documents`.
pub fn index(compiled: &Compiled, relation: &Arc<Relation>, index: &Index) -> Result<Option<String>> {
    if !matches!(index.method.as_str(), "btree" | "hash") {
        return Ok(None);
    }
    let mut emitter = Emitter::new(compiled, &relation.owner).for_schema();
    let writer = emitter.writer();
    writer.sql(if index.unique {
        "CREATE UNIQUE INDEX "
    } else {
        "CREATE INDEX "
    });
    writer
        .object(&beside(relation, &index.name))
        .sql(" ON ")
        .object(&relation.name)
        .sql(" (");
    for (position, key) in index.keys.iter().enumerate() {
        if position > 0 {
            emitter.writer().sql(", ");
        }
        match &key.part {
            IndexPart::Column(column) => key_column(emitter.writer(), &relation.columns[*column]),
            IndexPart::Expression(text) => {
                let bound = compiled.value(relation, text)?;
                let row = Rte::Bare {
                    relation: Arc::clone(relation),
                };
                // A column under another type would be taken for the column itself, also in what SQLite says of it.
                emitter.writer().sql(if is_column(&bound.expr) { "(+" } else { "(" });
                emitter.fragment(crate::emit::emitter::Scope::of(bound.rte, row), |emitter| {
                    emitter.expr(&bound.expr)
                })?;
                emitter.writer().sql(")");
                collate(emitter.writer(), &bound.expr.ty);
            }
        }
        if key.descending {
            emitter.writer().sql(" DESC");
        }
    }
    emitter.writer().sql(")");
    if let Some(predicate) = &index.predicate {
        emitter.writer().sql(" WHERE ");
        emitter.condition(
            relation,
            predicate,
            &Rte::Bare {
                relation: Arc::clone(relation),
            },
        )?;
    }
    Ok(Some(emitter.finish().0))
}

/// True for a column whose stored form is relabelled at most.
fn is_column(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Cast {
            expr,
            method: CastMethod::Relabel,
            ..
        } => is_column(expr),
        kind => matches!(kind, ExprKind::Column { .. }),
    }
}

/// The indexes that a table's foreign keys need and nothing else provides: name in the file, and statement.
///
/// PostgreSQL works without them; here every delete of a referenced row would read the whole table.
pub fn key_indexes(relation: &Relation) -> Vec<(String, String)> {
    let mut wanted = Vec::new();
    for constraint in &relation.constraints {
        let ConstraintKind::ForeignKey(key) = &constraint.kind else {
            continue;
        };
        if is_led_by(relation, &key.columns) {
            continue;
        }
        let mut name = String::from(KEY_INDEX_PREFIX);
        name.push_str(&physical_name(&relation.name));
        name.push(':');
        name.push_str(&constraint.name);
        let mut writer = SqlWriter::new();
        writer
            .sql("CREATE INDEX ")
            .ident(&Ident::new(&name))
            .sql(" ON ")
            .object(&relation.name)
            .sql(" (");
        writer.list(", ", &key.columns, |writer, index| {
            writer.ident(&relation.columns[*index].name);
        });
        writer.sql(")");
        wanted.push((name, writer.finish().0));
    }
    wanted
}

/// True if a key or a full index begins with exactly these columns, in any order.
fn is_led_by(relation: &Relation, columns: &[usize]) -> bool {
    let leads = |other: &[usize]| {
        other.len() >= columns.len() && columns.iter().all(|column| other[..columns.len()].contains(column))
    };
    relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => leads(columns),
        _ => false,
    }) || relation.indexes.iter().any(|index| {
        let plain: Vec<usize> = index
            .keys
            .iter()
            .map_while(|key| match key.part {
                IndexPart::Column(column) => Some(column),
                IndexPart::Expression(_) => None,
            })
            .collect();
        index.predicate.is_none() && matches!(index.method.as_str(), "btree" | "hash") && leads(&plain)
    })
}

/// An index's name in the file: like a table of the same schema.
pub fn beside(relation: &Relation, name: &Ident) -> QualifiedName {
    QualifiedName::new(relation.name.schema.clone(), name.clone())
}
