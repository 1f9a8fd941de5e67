//! Puts the rows together into a [`Catalog`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mainstay_core::catalog::{
    AclEntry, Catalog, CheckOption, Column, ColumnIndex, ColumnSource, Constraint, ConstraintKind, DefaultPrivilege,
    DefaultPrivilegeObject, DomainType, Enforcement, EnumType, ForeignKey, Grantee, Identity, Index, IndexKey,
    IndexPart, MediaHandler, Policy, PolicyCommand, Privilege, ReferentialAction, Relation, RelationKind,
    Representation, RepresentationKind, Role, RowSecurity, Schema, Sequence, View, media_type_of,
};
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::rows::{
    AclRow, ColumnRow, ConstraintRow, DefaultPrivilegeRow, DomainRow, EnumRow, ExtensionRow, IndexRow, MediaHandlerRow,
    PolicyRow, RelationRow, RepresentationRow, RoleRow, RoleSettingRow, RoutineRow, RuleRow, SchemaRow, SequenceRow,
    Server, TypeRow,
};
use super::types::{Types, modifier};
use super::views::Origins;
use super::{Answers, Surroundings, queries, routines, unreadable};

/// `pg_relation_is_updatable`'s bits (`1 << CMD_…`).
const UPDATABLE: i32 = 1 << 2;
const INSERTABLE: i32 = 1 << 3;
const DELETABLE: i32 = 1 << 4;

/// What rows refer to by OID.
pub struct Context<'a> {
    pub types: &'a Types,
    roles: &'a HashMap<u32, Ident>,
    /// Names of the relations that the catalog lists.
    pub relation_names: &'a HashMap<u32, QualifiedName>,
    columns: &'a HashMap<u32, Vec<&'a ColumnRow>>,
}

impl Context<'_> {
    /// The role with that OID; a role dropped meanwhile is named by its number.
    pub fn role(&self, oid: u32) -> Ident {
        self.roles
            .get(&oid)
            .cloned()
            .unwrap_or_else(|| Ident::from(oid.to_string()))
    }

    /// Grants as the catalog lists them; privileges we know nothing of are left out.
    pub fn acl(&self, rows: Option<&[AclRow]>, column: Option<ColumnIndex>) -> Vec<AclEntry> {
        rows.unwrap_or_default()
            .iter()
            .filter_map(|(grantee, name, grantable)| {
                Some(AclEntry {
                    grantee: self.grantee(*grantee),
                    privilege: privilege(name)?,
                    column,
                    grantable: *grantable,
                })
            })
            .collect()
    }

    fn grantee(&self, oid: u32) -> Grantee {
        if oid == 0 {
            Grantee::Public
        } else {
            Grantee::Role(self.role(oid))
        }
    }

    /// Columns of a composite type by its relation's OID.
    pub fn composite_columns(&self, relation: u32) -> Vec<(Ident, Type)> {
        let rows = self.columns.get(&relation).map(Vec::as_slice).unwrap_or_default();
        rows.iter()
            .map(|row| (Ident::from(row.name.as_str()), self.types.get(row.ty)))
            .collect()
    }

    fn rows(&self, relation: u32) -> &[&ColumnRow] {
        self.columns.get(&relation).map(Vec::as_slice).unwrap_or_default()
    }

    fn index(&self, relation: u32, number: i16) -> Option<ColumnIndex> {
        self.rows(relation).iter().position(|row| row.number == number)
    }

    fn column_name(&self, relation: u32, number: i16) -> Option<Ident> {
        self.rows(relation)
            .iter()
            .find(|row| row.number == number)
            .map(|row| Ident::from(row.name.as_str()))
    }
}

/// Builds the catalog and what goes beside it.
pub(super) fn assemble(answers: &Answers) -> Result<(Catalog, Surroundings), BackendError> {
    let server: Server = answers
        .rows(queries::SERVER)?
        .into_iter()
        .next()
        .ok_or_else(|| unreadable("the server says nothing"))?;
    let type_rows: Vec<TypeRow> = answers.rows(queries::TYPES)?;
    let types = Types::new(&type_rows);
    let role_rows: Vec<RoleRow> = answers.rows(queries::ROLES)?;
    let roles: HashMap<u32, Ident> = role_rows
        .iter()
        .map(|row| (row.oid, Ident::from(row.name.as_str())))
        .collect();
    let relation_rows: Vec<RelationRow> = answers.rows(queries::RELATIONS)?;
    let relation_names: HashMap<u32, QualifiedName> = relation_rows
        .iter()
        .map(|row| (row.oid, QualifiedName::new(row.schema.as_str(), row.name.as_str())))
        .collect();
    let column_rows: Vec<ColumnRow> = answers.rows(queries::COLUMNS)?;
    let columns = grouped(&column_rows, |row| row.relation);
    let context = Context {
        types: &types,
        roles: &roles,
        relation_names: &relation_names,
        columns: &columns,
    };

    let mut catalog = Catalog::empty(Enforcement::Database);
    catalog.server_version = server.version_number;
    for row in answers.rows::<SchemaRow>(queries::SCHEMAS)? {
        let schema = Schema {
            owner: context.role(row.owner),
            acl: context.acl(row.acl.as_deref(), None),
            comment: row.comment,
        };
        catalog.schemas.insert(Ident::from(row.name), schema);
    }
    add_types(&mut catalog, &context, answers)?;
    // Only what was asked for has columns here: no system catalogs, no partitions.
    let composites = type_rows.iter().filter(|row| {
        row.kind == "c" && !relation_names.contains_key(&row.relation) && columns.contains_key(&row.relation)
    });
    catalog.composites = composites
        .map(|row| {
            let name = QualifiedName::new(row.schema.as_str(), row.name.as_str());
            (name, context.composite_columns(row.relation))
        })
        .collect();
    add_relations(&mut catalog, &context, answers, &relation_rows)?;
    add_sequences(&mut catalog, &context, answers)?;
    for row in answers.rows::<RoutineRow>(queries::ROUTINES)? {
        let routine = routines::routine(&row, &context);
        catalog
            .routines
            .entry(routine.name.clone())
            .or_default()
            .push(Arc::new(routine));
    }
    for row in answers.rows::<MediaHandlerRow>(queries::MEDIA_HANDLERS)? {
        if let Some(media_type) = media_type_of(&Ident::from(row.domain)) {
            catalog.media_handlers.push(MediaHandler {
                aggregate: QualifiedName::new(row.schema, row.name),
                relation: row.relation.map(|(schema, name)| QualifiedName::new(schema, name)),
                media_type,
                is_binary: row.is_binary,
            });
        }
    }
    let representations = answers.rows::<RepresentationRow>(queries::REPRESENTATIONS)?;
    let representations = representations.into_iter().map(|row| Representation {
        domain: QualifiedName::new(row.schema, row.domain),
        kind: match row.kind.as_str() {
            "to_json" => RepresentationKind::ToJson,
            "from_json" => RepresentationKind::FromJson,
            _ => RepresentationKind::FromText,
        },
        function: QualifiedName::new(row.function_schema, row.function),
    });
    catalog.representations = Arc::new(representations.collect());
    for overloads in catalog.routines.values_mut() {
        overloads.sort_by_key(|routine| routine.id);
    }
    let role_settings = add_roles(&mut catalog, &context, answers, &role_rows)?;
    catalog.default_privileges = default_privileges(&context, answers)?;
    for row in answers.rows::<ExtensionRow>(queries::EXTENSIONS)? {
        catalog
            .extensions
            .insert(Ident::from(row.name), Ident::from(row.schema));
    }
    catalog.derive_relationships();
    let surroundings = Surroundings {
        role_settings,
        sets_response: server.sets_response,
        server,
        fingerprint: 0,
    };
    Ok((catalog, surroundings))
}

fn grouped<T>(rows: &[T], key: impl Fn(&T) -> u32) -> HashMap<u32, Vec<&T>> {
    let mut found: HashMap<u32, Vec<&T>> = HashMap::new();
    for row in rows {
        found.entry(key(row)).or_default().push(row);
    }
    found
}

fn add_types(catalog: &mut Catalog, context: &Context<'_>, answers: &Answers) -> Result<(), BackendError> {
    for row in answers.rows::<EnumRow>(queries::ENUMS)? {
        let Type::Enum(name) = context.types.get(row.oid) else {
            continue;
        };
        let entry = EnumType {
            uncommitted: Vec::new(),
            name: name.clone(),
            labels: row.labels.unwrap_or_default(),
            owner: context.role(row.owner),
            comment: row.comment,
        };
        catalog.enums.insert(name, Arc::new(entry));
    }
    for row in answers.rows::<DomainRow>(queries::DOMAINS)? {
        let Type::Domain(name, base) = context.types.get(row.oid) else {
            continue;
        };
        let checks = row.checks.unwrap_or_default().into_iter();
        let entry = DomainType {
            comment: None,
            name: name.clone(),
            modifier: modifier(&base, row.modifier),
            base: if row.base == 0 { Type::Unknown } else { *base },
            not_null: row.not_null,
            default: row.default_text,
            checks: checks
                .filter_map(|(name, text)| Some((Ident::from(name), text?)))
                .collect(),
            owner: context.role(row.owner),
        };
        catalog.domains.insert(name, Arc::new(entry));
    }
    Ok(())
}

fn add_relations(
    catalog: &mut Catalog,
    context: &Context<'_>,
    answers: &Answers,
    rows: &[RelationRow],
) -> Result<(), BackendError> {
    let constraint_rows: Vec<ConstraintRow> = answers.rows(queries::CONSTRAINTS)?;
    let index_rows: Vec<IndexRow> = answers.rows(queries::INDEXES)?;
    let policy_rows: Vec<PolicyRow> = answers.rows(queries::POLICIES)?;
    let constraints = grouped(&constraint_rows, |row| row.relation);
    let indexes = grouped(&index_rows, |row| row.relation);
    let policies = grouped(&policy_rows, |row| row.relation);
    let mut origins = Origins::default();
    for rule in answers.rows::<RuleRow>(queries::RULES)? {
        origins.add(rule.relation, &rule.tree);
    }
    let keys: HashMap<u32, &ConstraintRow> = constraint_rows
        .iter()
        .filter(|row| row.kind == "p")
        .map(|row| (row.relation, row))
        .collect();

    for row in rows {
        let kind = match row.kind.as_str() {
            "p" => RelationKind::PartitionedTable,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "f" => RelationKind::ForeignTable,
            _ => RelationKind::Table,
        };
        let mut acl = context.acl(row.acl.as_deref(), None);
        for (index, column) in context.rows(row.oid).iter().enumerate() {
            acl.extend(context.acl(column.acl.as_deref(), Some(index)));
        }
        let relation = Relation {
            name: QualifiedName::new(row.schema.as_str(), row.name.as_str()),
            kind,
            owner: context.role(row.owner),
            columns: context.rows(row.oid).iter().map(|row| column(row, context)).collect(),
            constraints: constraints
                .get(&row.oid)
                .into_iter()
                .flatten()
                .filter_map(|row| constraint(row, context))
                .collect(),
            indexes: indexes
                .get(&row.oid)
                .into_iter()
                .flatten()
                .map(|row| index(row, context))
                .collect(),
            row_security: RowSecurity {
                enabled: row.row_security,
                forced: row.forced,
            },
            triggers: Vec::new(),
            policies: policies
                .get(&row.oid)
                .into_iter()
                .flatten()
                .map(|row| policy(row, context))
                .collect(),
            acl,
            view: kind.is_view().then(|| view(row, context, &origins, &keys)),
            insertable: row.updatable & INSERTABLE != 0,
            updatable: row.updatable & UPDATABLE != 0,
            deletable: row.updatable & DELETABLE != 0,
            comment: row.comment.clone(),
            id: u64::from(row.oid),
        };
        catalog.relations.insert(relation.name.clone(), Arc::new(relation));
    }
    Ok(())
}

fn column(row: &ColumnRow, context: &Context<'_>) -> Column {
    let ty = context.types.get(row.ty);
    let is_generated = row.generated == "s";
    Column {
        name: Ident::from(row.name.as_str()),
        modifier: modifier(&ty, row.modifier),
        ty,
        not_null: row.not_null,
        default: row.default_text.clone().filter(|_| !is_generated),
        identity: match row.identity.as_str() {
            "a" => Some(Identity::Always),
            "d" => Some(Identity::ByDefault),
            _ => None,
        },
        generated: row.default_text.clone().filter(|_| is_generated),
        sequence: row
            .sequence
            .as_ref()
            .map(|(schema, name)| QualifiedName::new(schema.as_str(), name.as_str())),
        comment: row.comment.clone(),
    }
}

fn constraint(row: &ConstraintRow, context: &Context<'_>) -> Option<Constraint> {
    let columns = || -> Option<Vec<ColumnIndex>> {
        row.columns
            .as_ref()?
            .iter()
            .map(|number| context.index(row.relation, *number))
            .collect()
    };
    let kind = match row.kind.as_str() {
        "p" => ConstraintKind::PrimaryKey { columns: columns()? },
        "u" => ConstraintKind::Unique { columns: columns()? },
        "c" => ConstraintKind::Check {
            expression: row.expression.clone()?,
        },
        "f" => ConstraintKind::ForeignKey(ForeignKey {
            columns: columns()?,
            target: context.relation_names.get(&row.target)?.clone(),
            target_columns: row
                .target_columns
                .as_ref()?
                .iter()
                .map(|number| context.column_name(row.target, *number))
                .collect::<Option<_>>()?,
            on_delete: action(&row.on_delete),
            on_update: action(&row.on_update),
            deferrable: row.deferrable,
            initially_deferred: row.deferred,
        }),
        _ => return None,
    };
    Some(Constraint {
        name: Ident::from(row.name.as_str()),
        kind,
        comment: row.comment.clone(),
        not_valid: false,
    })
}

fn action(code: &str) -> ReferentialAction {
    match code {
        "r" => ReferentialAction::Restrict,
        "c" => ReferentialAction::Cascade,
        "n" => ReferentialAction::SetNull,
        "d" => ReferentialAction::SetDefault,
        _ => ReferentialAction::NoAction,
    }
}

fn index(row: &IndexRow, context: &Context<'_>) -> Index {
    let keys = row
        .keys
        .as_deref()
        .unwrap_or_default()
        .iter()
        .map(|(number, expression, options)| {
            let part = match (context.index(row.relation, *number), expression) {
                (Some(column), _) => IndexPart::Column(column),
                (None, Some(text)) => IndexPart::Expression(text.clone()),
                (None, None) => IndexPart::Expression(String::new()),
            };
            IndexKey {
                part,
                descending: options & 1 != 0,
                nulls_first: options & 2 != 0,
                // PostgreSQL spells its indexes itself (`definitions`).
                operator_class: None,
            }
        });
    Index {
        name: Ident::from(row.name.as_str()),
        unique: row.is_unique,
        method: Ident::from(row.method.as_str()),
        keys: keys.collect(),
        predicate: row.predicate.clone(),
        including: Vec::new(),
    }
}

fn policy(row: &PolicyRow, context: &Context<'_>) -> Policy {
    Policy {
        name: Ident::from(row.name.as_str()),
        command: match row.command.as_str() {
            "r" => PolicyCommand::Select,
            "a" => PolicyCommand::Insert,
            "w" => PolicyCommand::Update,
            "d" => PolicyCommand::Delete,
            _ => PolicyCommand::All,
        },
        permissive: row.permissive,
        roles: row
            .roles
            .as_deref()
            .unwrap_or_default()
            .iter()
            .map(|oid| context.grantee(*oid))
            .collect(),
        using: row.using_text.clone(),
        check: row.check_text.clone(),
    }
}

fn view(row: &RelationRow, context: &Context<'_>, origins: &Origins, keys: &HashMap<u32, &ConstraintRow>) -> View {
    let bases: Vec<Option<(u32, i16)>> = context
        .rows(row.oid)
        .iter()
        .map(|column| origins.base(row.oid, column.number))
        .collect();
    let sources = bases
        .iter()
        .map(|base| {
            let (relation, number) = (*base)?;
            Some(ColumnSource {
                relation: context.relation_names.get(&relation)?.clone(),
                column: context.column_name(relation, number)?,
            })
        })
        .collect();
    let option = |name: &str| {
        let prefix = format!("{name}=");
        row.options
            .iter()
            .flatten()
            .find_map(|text| text.strip_prefix(prefix.as_str()).map(str::to_owned))
    };
    View {
        // PostgreSQL runs it; nobody here needs its text.
        definition: String::new(),
        search_path: Vec::new(),
        security_invoker: option("security_invoker").is_some_and(|value| matches!(value.as_str(), "true" | "on" | "1")),
        check_option: match option("check_option").as_deref() {
            Some("local") => Some(CheckOption::Local),
            Some("cascaded") => Some(CheckOption::Cascaded),
            _ => None,
        },
        sources,
        key: view_key(&bases, keys),
        is_row_wise: row.is_row_wise,
    }
}

/// The base tables' primary keys that the view shows in full, each column by its first appearance.
fn view_key(bases: &[Option<(u32, i16)>], keys: &HashMap<u32, &ConstraintRow>) -> Vec<ColumnIndex> {
    let mut tables: Vec<u32> = bases.iter().flatten().map(|(relation, _)| *relation).collect();
    tables.sort_unstable();
    tables.dedup();
    let mut found: Vec<ColumnIndex> = Vec::new();
    for table in tables {
        let Some(numbers) = keys.get(&table).and_then(|key| key.columns.as_ref()) else {
            continue;
        };
        let positions: Option<Vec<ColumnIndex>> = numbers
            .iter()
            .map(|number| bases.iter().position(|base| *base == Some((table, *number))))
            .collect();
        found.extend(positions.unwrap_or_default());
    }
    found
}

fn add_sequences(catalog: &mut Catalog, context: &Context<'_>, answers: &Answers) -> Result<(), BackendError> {
    let mut owners: HashMap<QualifiedName, (QualifiedName, Ident)> = HashMap::new();
    for relation in catalog.relations.values() {
        for column in &relation.columns {
            if let Some(sequence) = &column.sequence {
                owners.insert(sequence.clone(), (relation.name.clone(), column.name.clone()));
            }
        }
    }
    for row in answers.rows::<SequenceRow>(queries::SEQUENCES)? {
        let name = QualifiedName::new(row.schema, row.name);
        let entry = Sequence {
            owned_by: owners.get(&name).cloned(),
            name: name.clone(),
            owner: context.role(row.owner),
            ty: context.types.get(row.ty),
            start: row.start,
            increment: row.increment,
            min: row.min,
            max: row.max,
            cycle: row.cycle,
            acl: context.acl(row.acl.as_deref(), None),
        };
        catalog.sequences.insert(name, Arc::new(entry));
    }
    Ok(())
}

fn add_roles(
    catalog: &mut Catalog,
    context: &Context<'_>,
    answers: &Answers,
    rows: &[RoleRow],
) -> Result<HashMap<Ident, Vec<(String, String)>>, BackendError> {
    let mut settings: HashMap<Ident, Vec<(String, String)>> = HashMap::new();
    for row in answers.rows::<RoleSettingRow>(queries::ROLE_SETTINGS)? {
        settings
            .entry(context.role(row.role))
            .or_default()
            .push((row.name, row.value));
    }
    for row in rows {
        let name = Ident::from(row.name.as_str());
        let timeout = settings
            .get(&name)
            .and_then(|list| list.iter().find(|(key, _)| key == "statement_timeout"))
            .and_then(|(_, value)| milliseconds(value));
        let role = Role {
            name: name.clone(),
            superuser: row.superuser,
            bypass_rls: row.bypass_rls,
            login: row.login,
            inherit: row.inherit,
            member_of: row
                .member_of
                .as_deref()
                .unwrap_or_default()
                .iter()
                .map(|oid| context.role(*oid))
                .collect(),
            statement_timeout_ms: timeout,
            comment: row.comment.clone(),
        };
        catalog.roles.insert(name, role);
    }
    Ok(settings)
}

/// `8s`, `300ms`, `2min`, `1h`, `1d` or a bare number of milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn default_privileges(context: &Context<'_>, answers: &Answers) -> Result<Vec<DefaultPrivilege>, BackendError> {
    let objects = BTreeMap::from([
        ("r", DefaultPrivilegeObject::Tables),
        ("S", DefaultPrivilegeObject::Sequences),
        ("f", DefaultPrivilegeObject::Functions),
        ("T", DefaultPrivilegeObject::Types),
        ("n", DefaultPrivilegeObject::Schemas),
    ]);
    let mut found = Vec::new();
    for row in answers.rows::<DefaultPrivilegeRow>(queries::DEFAULT_PRIVILEGES)? {
        let Some(object) = objects.get(row.object.as_str()) else {
            continue;
        };
        for grant in context.acl(row.acl.as_deref(), None) {
            found.push(DefaultPrivilege {
                owner: context.role(row.owner),
                schema: row.schema.as_deref().map(Ident::from),
                object: *object,
                grant,
            });
        }
    }
    Ok(found)
}

/// `SELECT`, as `aclexplode` names it; `None` for privileges that we know nothing of.
pub fn privilege(name: &str) -> Option<Privilege> {
    Some(match name {
        "SELECT" => Privilege::Select,
        "INSERT" => Privilege::Insert,
        "UPDATE" => Privilege::Update,
        "DELETE" => Privilege::Delete,
        "TRUNCATE" => Privilege::Truncate,
        "REFERENCES" => Privilege::References,
        "TRIGGER" => Privilege::Trigger,
        "USAGE" => Privilege::Usage,
        "CREATE" => Privilege::Create,
        "EXECUTE" => Privilege::Execute,
        _ => return None,
    })
}
