//! Rows of `pg_catalog`'s relations.

use mainstay_core::catalog::{
    ConstraintKind, Grantee, Identity, PolicyCommand, ReferentialAction, RelationKind, Volatility,
};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::identifiers::{BUILT_IN_TYPES, Object, PG_CATALOG};
use super::index_columns::index_names;
use super::{Cell, Row, Source};

impl Source<'_> {
    /// `None` for a relation that is not made from the catalog.
    pub fn pg_catalog(&self, name: &str) -> Option<Vec<Row>> {
        Some(match name {
            "pg_namespace" => self.pg_namespace(),
            "pg_class" => self.pg_class(),
            "pg_attribute" => self.pg_attribute(),
            "pg_type" => self.pg_type(),
            "pg_enum" => self.pg_enum(),
            "pg_proc" => self.pg_proc(),
            "pg_constraint" => self.pg_constraint(),
            "pg_policy" => self.pg_policy(),
            "pg_trigger" => self.pg_trigger(),
            "pg_policies" => self.pg_policies(),
            "pg_tables" => self.pg_tables(),
            "pg_views" => self.pg_views(),
            "pg_indexes" => self.pg_indexes(),
            "pg_sequences" => self.pg_sequences(),
            "pg_extension" => self.pg_extension(),
            "pg_roles" => self.pg_roles(),
            _ => return None,
        })
    }

    fn pg_namespace(&self) -> Vec<Row> {
        let owner = |owner: &Ident| self.identifiers.role(owner);
        let system = [(PG_CATALOG, "pg_catalog")].map(|(oid, name)| {
            let postgres = Ident::new("postgres");
            vec![oid.into(), name.into(), owner(&postgres)]
        });
        let own = self
            .catalog
            .schemas
            .iter()
            .map(|(name, schema)| vec![self.identifiers.schema(name), name.into(), owner(&schema.owner)]);
        system.into_iter().chain(own).collect()
    }

    fn pg_class(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut add = |name: &QualifiedName, owner: &Ident, kind: &str, columns: usize, security: (bool, bool)| {
            rows.push(vec![
                self.identifiers.relation(name),
                (&name.name).into(),
                self.identifiers.schema(&name.schema),
                self.identifiers.role(owner),
                kind.into(),
                "p".into(),
                columns.into(),
                security.0.into(),
                security.1.into(),
                false.into(),
            ]);
        };
        for relation in self.relations() {
            let kind = match relation.kind {
                RelationKind::Table => "r",
                RelationKind::PartitionedTable => "p",
                RelationKind::View => "v",
                RelationKind::MaterializedView => "m",
                RelationKind::ForeignTable => "f",
            };
            let security = (relation.row_security.enabled, relation.row_security.forced);
            add(&relation.name, &relation.owner, kind, relation.columns.len(), security);
            for index in self.indexes(relation) {
                let name = QualifiedName::new(relation.name.schema.clone(), index.name);
                add(&name, &relation.owner, "i", index.columns.len(), (false, false));
            }
        }
        let mut sequences: Vec<_> = self.catalog.sequences.values().collect();
        sequences.sort_by(|a, b| a.name.cmp(&b.name));
        for sequence in sequences {
            // last_value, log_cnt, is_called
            add(&sequence.name, &sequence.owner, "S", 3, (false, false));
        }
        rows
    }

    fn pg_attribute(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.relations() {
            for (index, column) in relation.columns.iter().enumerate() {
                let identity = match column.identity {
                    Some(Identity::Always) => "a",
                    Some(Identity::ByDefault) => "d",
                    None => "",
                };
                rows.push(vec![
                    self.identifiers.relation(&relation.name),
                    (&column.name).into(),
                    self.identifiers.ty(&column.ty),
                    (index + 1).into(),
                    column.not_null.into(),
                    (column.default.is_some() || column.generated.is_some()).into(),
                    identity.into(),
                    (if column.generated.is_some() { "s" } else { "" }).into(),
                    false.into(),
                ]);
            }
            for index in self.indexes(relation) {
                let name = QualifiedName::new(relation.name.schema.clone(), index.name);
                for (at, (column, ty)) in index.columns.iter().enumerate() {
                    rows.push(self.hidden_attribute(&name, column, ty, at, false));
                }
            }
        }
        for sequence in self.catalog.sequences.keys() {
            let columns = [
                ("last_value", Type::Int8),
                ("log_cnt", Type::Int8),
                ("is_called", Type::Bool),
            ];
            for (at, (column, ty)) in columns.iter().enumerate() {
                rows.push(self.hidden_attribute(sequence, &Ident::new(column), ty, at, true));
            }
        }
        rows
    }

    /// A column of an index or a sequence.
    fn hidden_attribute(&self, of: &QualifiedName, column: &Ident, ty: &Type, at: usize, not_null: bool) -> Row {
        vec![
            self.identifiers.relation(of),
            column.into(),
            self.identifiers.ty(ty),
            (at + 1).into(),
            not_null.into(),
            false.into(),
            "".into(),
            "".into(),
            false.into(),
        ]
    }

    fn pg_type(&self) -> Vec<Row> {
        let postgres = self.identifiers.role(&Ident::new("postgres"));
        let none = || Cell::Integer(0);
        let mut rows: Vec<Row> = BUILT_IN_TYPES
            .iter()
            .map(|(name, oid)| {
                let kind = if matches!(*name, "record" | "void" | "trigger") {
                    "p"
                } else {
                    "b"
                };
                vec![
                    (*oid).into(),
                    (*name).into(),
                    PG_CATALOG.into(),
                    postgres.clone(),
                    kind.into(),
                    none(),
                    none(),
                    false.into(),
                ]
            })
            .collect();
        let mut enums: Vec<_> = self.catalog.enums.values().collect();
        enums.sort_by(|a, b| a.name.cmp(&b.name));
        for kind in enums {
            rows.push(vec![
                self.identifiers.get(&Object::Type(kind.name.clone())),
                (&kind.name.name).into(),
                self.identifiers.schema(&kind.name.schema),
                self.identifiers.role(&kind.owner),
                "e".into(),
                none(),
                none(),
                false.into(),
            ]);
        }
        let mut domains: Vec<_> = self.catalog.domains.values().collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        for domain in domains {
            rows.push(vec![
                self.identifiers.get(&Object::Type(domain.name.clone())),
                (&domain.name.name).into(),
                self.identifiers.schema(&domain.name.schema),
                self.identifiers.role(&domain.owner),
                "d".into(),
                none(),
                self.identifiers.ty(&domain.base),
                domain.not_null.into(),
            ]);
        }
        for relation in self.relations() {
            rows.push(vec![
                self.identifiers.get(&Object::RowType(relation.name.clone())),
                (&relation.name.name).into(),
                self.identifiers.schema(&relation.name.schema),
                self.identifiers.role(&relation.owner),
                "c".into(),
                self.identifiers.relation(&relation.name),
                none(),
                false.into(),
            ]);
        }
        rows
    }

    fn pg_enum(&self) -> Vec<Row> {
        let mut enums: Vec<_> = self.catalog.enums.values().collect();
        enums.sort_by(|a, b| a.name.cmp(&b.name));
        let mut rows = Vec::new();
        for kind in enums {
            for (index, label) in kind.labels.iter().enumerate() {
                rows.push(vec![
                    self.identifiers
                        .get(&Object::EnumLabel(kind.name.clone(), label.clone())),
                    self.identifiers.get(&Object::Type(kind.name.clone())),
                    (index + 1).into(),
                    label.as_str().into(),
                ]);
            }
        }
        rows
    }

    fn pg_proc(&self) -> Vec<Row> {
        let mut routines: Vec<_> = self.catalog.routines.values().flatten().collect();
        routines.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let row = |routine: &&std::sync::Arc<mainstay_core::catalog::Routine>| {
            let defaults = routine
                .arguments
                .iter()
                .filter(|argument| argument.default.is_some())
                .count();
            vec![
                self.identifiers.routine(routine),
                (&routine.name.name).into(),
                self.identifiers.schema(&routine.name.schema),
                self.identifiers.role(&routine.owner),
                (if routine.is_procedure { "p" } else { "f" }).into(),
                routine.security_definer.into(),
                routine.strict.into(),
                routine.returns.set.into(),
                match routine.volatility {
                    Volatility::Immutable => "i",
                    Volatility::Stable => "s",
                    Volatility::Volatile => "v",
                }
                .into(),
                routine.arguments.len().into(),
                defaults.into(),
                self.identifiers.ty(&routine.returns.ty),
                routine.body.as_str().into(),
            ]
        };
        routines.iter().map(row).collect()
    }

    fn pg_constraint(&self) -> Vec<Row> {
        let action = |action: ReferentialAction| match action {
            ReferentialAction::NoAction => "a",
            ReferentialAction::Restrict => "r",
            ReferentialAction::Cascade => "c",
            ReferentialAction::SetNull => "n",
            ReferentialAction::SetDefault => "d",
        };
        let mut rows = Vec::new();
        for relation in self.relations() {
            for constraint in &relation.constraints {
                let key = match &constraint.kind {
                    ConstraintKind::ForeignKey(key) => Some(key),
                    _ => None,
                };
                let object = Object::Constraint(relation.name.clone(), constraint.name.clone());
                rows.push(vec![
                    self.identifiers.get(&object),
                    (&constraint.name).into(),
                    self.identifiers.schema(&relation.name.schema),
                    match constraint.kind {
                        ConstraintKind::PrimaryKey { .. } => "p",
                        ConstraintKind::Unique { .. } => "u",
                        ConstraintKind::Check { .. } => "c",
                        ConstraintKind::ForeignKey(_) => "f",
                    }
                    .into(),
                    key.is_some_and(|key| key.deferrable).into(),
                    key.is_some_and(|key| key.initially_deferred).into(),
                    (!constraint.not_valid).into(),
                    self.identifiers.relation(&relation.name),
                    key.map_or(Cell::Integer(0), |key| self.identifiers.relation(&key.target)),
                    key.map_or(" ", |key| action(key.on_update)).into(),
                    key.map_or(" ", |key| action(key.on_delete)).into(),
                ]);
            }
        }
        rows
    }

    fn pg_policy(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.relations() {
            for policy in &relation.policies {
                rows.push(vec![
                    self.identifiers
                        .get(&Object::Policy(relation.name.clone(), policy.name.clone())),
                    (&policy.name).into(),
                    self.identifiers.relation(&relation.name),
                    match policy.command {
                        PolicyCommand::All => "*",
                        PolicyCommand::Select => "r",
                        PolicyCommand::Insert => "a",
                        PolicyCommand::Update => "w",
                        PolicyCommand::Delete => "d",
                    }
                    .into(),
                    policy.permissive.into(),
                ]);
            }
        }
        rows
    }

    fn pg_policies(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.relations() {
            for policy in &relation.policies {
                let roles = policy.roles.iter().map(|grantee| match grantee {
                    Grantee::Public => "public".to_owned(),
                    Grantee::Role(role) => role.to_string(),
                });
                rows.push(vec![
                    (&relation.name.schema).into(),
                    (&relation.name.name).into(),
                    (&policy.name).into(),
                    (if policy.permissive { "PERMISSIVE" } else { "RESTRICTIVE" }).into(),
                    Cell::Names(roles.collect()),
                    match policy.command {
                        PolicyCommand::All => "ALL",
                        PolicyCommand::Select => "SELECT",
                        PolicyCommand::Insert => "INSERT",
                        PolicyCommand::Update => "UPDATE",
                        PolicyCommand::Delete => "DELETE",
                    }
                    .into(),
                ]);
            }
        }
        rows
    }

    fn pg_tables(&self) -> Vec<Row> {
        let tables = self.relations().into_iter().filter(|relation| !relation.kind.is_view());
        tables
            .map(|relation| {
                vec![
                    (&relation.name.schema).into(),
                    (&relation.name.name).into(),
                    (&relation.owner).into(),
                    (index_names(relation).next().is_some()).into(),
                    relation.row_security.enabled.into(),
                ]
            })
            .collect()
    }

    fn pg_views(&self) -> Vec<Row> {
        let views = self
            .relations()
            .into_iter()
            .filter(|relation| relation.kind == RelationKind::View);
        views
            .map(|relation| {
                vec![
                    (&relation.name.schema).into(),
                    (&relation.name.name).into(),
                    (&relation.owner).into(),
                ]
            })
            .collect()
    }

    fn pg_indexes(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self.relations() {
            for index in index_names(relation) {
                rows.push(vec![
                    (&relation.name.schema).into(),
                    (&relation.name.name).into(),
                    (&index).into(),
                ]);
            }
        }
        rows
    }

    fn pg_sequences(&self) -> Vec<Row> {
        let mut sequences: Vec<_> = self.catalog.sequences.values().collect();
        sequences.sort_by(|a, b| a.name.cmp(&b.name));
        sequences
            .into_iter()
            .map(|sequence| {
                vec![
                    (&sequence.name.schema).into(),
                    (&sequence.name.name).into(),
                    (&sequence.owner).into(),
                    sequence.start.into(),
                    sequence.min.into(),
                    sequence.max.into(),
                    sequence.increment.into(),
                    sequence.cycle.into(),
                ]
            })
            .collect()
    }

    fn pg_extension(&self) -> Vec<Row> {
        self.catalog
            .extensions
            .iter()
            .map(|(name, schema)| {
                vec![
                    self.identifiers.get(&Object::Extension(name.clone())),
                    name.into(),
                    self.identifiers.schema(schema),
                ]
            })
            .collect()
    }

    fn pg_roles(&self) -> Vec<Row> {
        let mut roles: Vec<_> = self.catalog.roles.values().collect();
        roles.sort_by(|a, b| a.name.cmp(&b.name));
        roles
            .into_iter()
            .map(|role| {
                vec![
                    self.identifiers.role(&role.name),
                    (&role.name).into(),
                    role.superuser.into(),
                    role.inherit.into(),
                    role.login.into(),
                    role.bypass_rls.into(),
                    Cell::Integer(-1),
                ]
            })
            .collect()
    }
}
