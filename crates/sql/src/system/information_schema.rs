//! Rows of the information schema's views: what a role owns or has some right on.

use mainstay_core::catalog::{
    CheckOption, ConstraintKind, Identity, ReferentialAction, Relation, RelationKind, Trigger, TriggerTiming,
};
use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};

use super::{Cell, Row, Source};
use crate::ddl::{Writable, writable};

/// What `current_database()` says on the embedded engine.
const DATABASE: &str = "postgres";

fn yes_or_no(value: bool) -> Cell {
    if value { "YES" } else { "NO" }.into()
}

impl Source<'_> {
    /// `None` for a view that is not made from the catalog.
    pub fn information_schema(&self, name: &str) -> Option<Vec<Row>> {
        Some(match name {
            "schemata" => self.schemata(),
            "tables" => self.tables(),
            "columns" => self.columns(),
            "table_constraints" => self.table_constraints(),
            "key_column_usage" => self.key_column_usage(),
            "constraint_column_usage" => self.constraint_column_usage(),
            "referential_constraints" => self.referential_constraints(),
            "views" => self.views(),
            "triggers" => self.triggers(DATABASE),
            "routines" => self.routines(),
            _ => return None,
        })
    }

    fn schemata(&self) -> Vec<Row> {
        let shown = self
            .catalog
            .schemas
            .iter()
            .filter(|(_, schema)| self.owns(&schema.owner));
        shown
            .map(|(name, schema)| vec![DATABASE.into(), name.into(), (&schema.owner).into()])
            .collect()
    }

    fn tables(&self) -> Vec<Row> {
        let shown = self
            .visible()
            .filter(|relation| relation.kind != RelationKind::MaterializedView);
        shown
            .map(|relation| {
                let kind = match relation.kind {
                    RelationKind::View => "VIEW",
                    RelationKind::ForeignTable => "FOREIGN",
                    _ => "BASE TABLE",
                };
                let [schema, name] = named(&relation.name);
                vec![
                    DATABASE.into(),
                    schema,
                    name,
                    kind.into(),
                    yes_or_no(self.by_itself(relation).insert),
                ]
            })
            .collect()
    }

    fn columns(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.visible() {
            for (index, column) in relation.columns.iter().enumerate() {
                let [schema, name] = named(&relation.name);
                let base = column.ty.base();
                let (precision, scale) = numeric(base, column.modifier);
                let [udt_schema, udt_name] = udt(base);
                rows.push(vec![
                    DATABASE.into(),
                    schema,
                    name,
                    (&column.name).into(),
                    (index + 1).into(),
                    yes_or_no(!column.not_null),
                    data_type(base).into(),
                    match column.modifier {
                        TypeModifier::Length(length) => i64::from(length).into(),
                        _ => Cell::Null,
                    },
                    precision,
                    scale,
                    udt_schema,
                    udt_name,
                    yes_or_no(column.identity.is_some()),
                    match column.identity {
                        Some(Identity::Always) => "ALWAYS".into(),
                        Some(Identity::ByDefault) => "BY DEFAULT".into(),
                        None => Cell::Null,
                    },
                    (if column.generated.is_some() { "ALWAYS" } else { "NEVER" }).into(),
                ]);
            }
        }
        rows
    }

    fn table_constraints(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.visible() {
            for constraint in &relation.constraints {
                let (kind, key) = match &constraint.kind {
                    ConstraintKind::PrimaryKey { .. } => ("PRIMARY KEY", None),
                    ConstraintKind::Unique { .. } => ("UNIQUE", None),
                    ConstraintKind::Check { .. } => ("CHECK", None),
                    ConstraintKind::ForeignKey(key) => ("FOREIGN KEY", Some(key)),
                };
                let [schema, name] = named(&relation.name);
                rows.push(vec![
                    DATABASE.into(),
                    schema.clone(),
                    (&constraint.name).into(),
                    DATABASE.into(),
                    schema,
                    name,
                    kind.into(),
                    yes_or_no(key.is_some_and(|key| key.deferrable)),
                    yes_or_no(key.is_some_and(|key| key.initially_deferred)),
                ]);
            }
        }
        rows
    }

    fn key_column_usage(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.visible() {
            for constraint in &relation.constraints {
                let columns = match &constraint.kind {
                    ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => columns,
                    ConstraintKind::ForeignKey(key) => &key.columns,
                    ConstraintKind::Check { .. } => continue,
                };
                for (place, column) in columns.iter().enumerate() {
                    let [schema, name] = named(&relation.name);
                    rows.push(vec![
                        DATABASE.into(),
                        schema.clone(),
                        (&constraint.name).into(),
                        DATABASE.into(),
                        schema,
                        name,
                        (&relation.columns[*column].name).into(),
                        (place + 1).into(),
                    ]);
                }
            }
        }
        rows
    }

    /// The columns that a constraint is about; for a foreign key those that it refers to. PostgreSQL shows them to the
    /// table's owner only.
    fn constraint_column_usage(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut add = |table: &QualifiedName, column: &str, schema: &str, constraint: &str| {
            let [table_schema, table_name] = named(table);
            rows.push(vec![
                DATABASE.into(),
                table_schema,
                table_name,
                column.into(),
                DATABASE.into(),
                schema.into(),
                constraint.into(),
            ]);
        };
        for relation in self.relations() {
            for constraint in &relation.constraints {
                let schema = &relation.name.schema;
                match &constraint.kind {
                    ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
                        if self.owns(&relation.owner) {
                            for column in columns {
                                let column = &relation.columns[*column].name;
                                add(&relation.name, column, schema, &constraint.name);
                            }
                        }
                    }
                    ConstraintKind::ForeignKey(key) => {
                        let target = self.catalog.relation(&key.target);
                        if target.is_some_and(|target| self.owns(&target.owner)) {
                            for column in &key.target_columns {
                                add(&key.target, column, schema, &constraint.name);
                            }
                        }
                    }
                    ConstraintKind::Check { .. } => {}
                }
            }
        }
        rows
    }

    fn referential_constraints(&self) -> Vec<Row> {
        let rule = |action: ReferentialAction| -> Cell {
            match action {
                ReferentialAction::NoAction => "NO ACTION",
                ReferentialAction::Restrict => "RESTRICT",
                ReferentialAction::Cascade => "CASCADE",
                ReferentialAction::SetNull => "SET NULL",
                ReferentialAction::SetDefault => "SET DEFAULT",
            }
            .into()
        };
        let mut rows = Vec::new();
        for relation in self.visible() {
            for constraint in &relation.constraints {
                let ConstraintKind::ForeignKey(key) = &constraint.kind else {
                    continue;
                };
                rows.push(vec![
                    DATABASE.into(),
                    (&relation.name.schema).into(),
                    (&constraint.name).into(),
                    "NONE".into(),
                    rule(key.on_update),
                    rule(key.on_delete),
                ]);
            }
        }
        rows
    }

    fn views(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.visible() {
            let Some(view) = &relation.view else { continue };
            let [schema, name] = named(&relation.name);
            let by_itself = self.by_itself(relation);
            let instead_of = |event: &dyn Fn(&Trigger) -> bool| {
                let mut triggers = relation.triggers.iter();
                triggers.any(|trigger| trigger.timing == TriggerTiming::InsteadOf && event(trigger))
            };
            rows.push(vec![
                DATABASE.into(),
                schema,
                name,
                match view.check_option {
                    None => "NONE",
                    Some(CheckOption::Local) => "LOCAL",
                    Some(CheckOption::Cascaded) => "CASCADED",
                }
                .into(),
                yes_or_no(by_itself.update && by_itself.delete),
                yes_or_no(by_itself.insert),
                yes_or_no(instead_of(&|trigger| trigger.on_update)),
                yes_or_no(instead_of(&|trigger| trigger.on_delete)),
                yes_or_no(instead_of(&|trigger| trigger.on_insert)),
            ]);
        }
        rows
    }

    /// What can be done to the relation's rows without INSTEAD OF triggers.
    fn by_itself(&self, relation: &Relation) -> Writable {
        // Kept texts have been analysed before: they do not fail.
        writable(self.catalog, relation, false).unwrap_or_default()
    }

    fn routines(&self) -> Vec<Row> {
        use mainstay_core::catalog::Privilege;
        let mut routines: Vec<_> = self.catalog.routines.values().flatten().collect();
        routines.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        routines.retain(|routine| {
            self.owns(&routine.owner)
                || mainstay_core::policy::acl_allows(
                    self.catalog,
                    self.role,
                    &routine.owner,
                    &routine.acl,
                    Privilege::Execute,
                )
        });
        routines
            .into_iter()
            .map(|routine| {
                let [schema, name] = named(&routine.name);
                vec![
                    DATABASE.into(),
                    schema,
                    name,
                    (if routine.is_procedure { "PROCEDURE" } else { "FUNCTION" }).into(),
                    routine.language.to_uppercase().into(),
                    (if routine.security_definer { "DEFINER" } else { "INVOKER" }).into(),
                ]
            })
            .collect()
    }
}

fn named(name: &QualifiedName) -> [Cell; 2] {
    [(&name.schema).into(), (&name.name).into()]
}

/// `USER-DEFINED` for what is not in `pg_catalog`, `ARRAY` for arrays, else the type's name without its modifier.
fn data_type(ty: &Type) -> String {
    match ty {
        Type::Enum(_) | Type::Composite(_) | Type::Other(_) => "USER-DEFINED".to_owned(),
        Type::Array(_) => "ARRAY".to_owned(),
        other => other.display(TypeModifier::None),
    }
}

fn udt(ty: &Type) -> [Cell; 2] {
    match ty {
        Type::Enum(name) | Type::Composite(name) | Type::Other(name) => named(name),
        Type::Array(element) => match element.base() {
            Type::Enum(name) | Type::Composite(name) | Type::Other(name) => {
                [(&name.schema).into(), format!("_{}", name.name).into()]
            }
            _ => ["pg_catalog".into(), ty.internal_name().into()],
        },
        other => ["pg_catalog".into(), other.internal_name().into()],
    }
}

/// Binary digits of integers and floats, decimal digits of `numeric(p, s)`.
fn numeric(ty: &Type, modifier: TypeModifier) -> (Cell, Cell) {
    let whole = |bits: i64| (Cell::Integer(bits), Cell::Integer(0));
    match (ty, modifier) {
        (Type::Int2, _) => whole(16),
        (Type::Int4, _) => whole(32),
        (Type::Int8, _) => whole(64),
        (Type::Float4, _) => (Cell::Integer(24), Cell::Null),
        (Type::Float8, _) => (Cell::Integer(53), Cell::Null),
        (Type::Numeric, TypeModifier::Numeric { precision, scale }) => {
            (i64::from(precision).into(), i64::from(scale).into())
        }
        _ => (Cell::Null, Cell::Null),
    }
}
