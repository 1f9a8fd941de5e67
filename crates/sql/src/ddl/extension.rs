//! `CREATE EXTENSION`: a catalog entry.
//!
//! What an extension brings is known here or refused where it is used, by name; so an extension that does nothing by
//! itself can be taken with a notice, and only those that would change answers by being there are refused.

use mainstay_core::catalog::{Schema, TriggerFunction};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::Type;

use super::dependency::{self, Object};
use super::{Result, Run};
use crate::analyse::functions;

/// What having an extension means on the embedded engine.
enum Meaning {
    /// Its functions that the subset has are built in.
    BuiltIn,
    /// It adds functions, types, operators or index methods, which are refused by name where they are used.
    Kept,
}

/// Extensions of PostgreSQL 15's own distribution and of Supabase's servers, with the schema that some make.
const EXTENSIONS: &[(&str, Meaning, Option<&str>)] = &[
    ("uuid-ossp", Meaning::BuiltIn, None),
    ("pgcrypto", Meaning::BuiltIn, None),
    ("moddatetime", Meaning::BuiltIn, None),
    ("plpgsql", Meaning::BuiltIn, None),
    ("address_standardizer", Meaning::Kept, None),
    ("address_standardizer_data_us", Meaning::Kept, None),
    ("adminpack", Meaning::Kept, None),
    ("amcheck", Meaning::Kept, None),
    ("autoinc", Meaning::Kept, None),
    ("bloom", Meaning::Kept, None),
    ("btree_gin", Meaning::Kept, None),
    ("btree_gist", Meaning::Kept, None),
    ("citext", Meaning::BuiltIn, None),
    ("cube", Meaning::Kept, None),
    ("dblink", Meaning::Kept, None),
    ("dict_int", Meaning::Kept, None),
    ("dict_xsyn", Meaning::Kept, None),
    ("earthdistance", Meaning::Kept, None),
    ("file_fdw", Meaning::Kept, None),
    ("fuzzystrmatch", Meaning::Kept, None),
    ("hstore", Meaning::Kept, None),
    ("http", Meaning::Kept, None),
    ("hypopg", Meaning::Kept, None),
    ("index_advisor", Meaning::Kept, None),
    ("insert_username", Meaning::Kept, None),
    ("intagg", Meaning::Kept, None),
    ("intarray", Meaning::Kept, None),
    ("isn", Meaning::Kept, None),
    ("lo", Meaning::Kept, None),
    ("ltree", Meaning::Kept, None),
    ("old_snapshot", Meaning::Kept, None),
    ("pageinspect", Meaning::Kept, None),
    ("pg_buffercache", Meaning::Kept, None),
    ("pg_cron", Meaning::Kept, Some("cron")),
    ("pg_freespacemap", Meaning::Kept, None),
    ("pg_graphql", Meaning::Kept, Some("graphql")),
    ("pg_hashids", Meaning::Kept, None),
    ("pg_jsonschema", Meaning::Kept, None),
    ("pg_net", Meaning::Kept, Some("net")),
    ("pg_prewarm", Meaning::Kept, None),
    ("pg_repack", Meaning::Kept, Some("repack")),
    ("pg_stat_monitor", Meaning::Kept, None),
    ("pg_stat_statements", Meaning::Kept, None),
    ("pg_surgery", Meaning::Kept, None),
    ("pg_tle", Meaning::Kept, Some("pgtle")),
    ("pg_trgm", Meaning::Kept, None),
    ("pg_visibility", Meaning::Kept, None),
    ("pg_walinspect", Meaning::Kept, None),
    ("pgaudit", Meaning::Kept, None),
    ("pgjwt", Meaning::Kept, None),
    ("pgmq", Meaning::Kept, Some("pgmq")),
    ("pgroonga", Meaning::Kept, None),
    ("pgroonga_database", Meaning::Kept, None),
    ("pgrouting", Meaning::Kept, None),
    ("pgrowlocks", Meaning::Kept, None),
    ("pgsodium", Meaning::Kept, Some("pgsodium")),
    ("pgstattuple", Meaning::Kept, None),
    ("pgtap", Meaning::Kept, None),
    ("plpgsql_check", Meaning::Kept, None),
    ("plv8", Meaning::Kept, None),
    ("postgis", Meaning::Kept, None),
    ("postgis_raster", Meaning::Kept, None),
    ("postgis_sfcgal", Meaning::Kept, None),
    ("postgis_tiger_geocoder", Meaning::Kept, Some("tiger")),
    ("postgis_topology", Meaning::Kept, Some("topology")),
    ("postgres_fdw", Meaning::Kept, None),
    ("refint", Meaning::Kept, None),
    ("rum", Meaning::Kept, None),
    ("seg", Meaning::Kept, None),
    ("sslinfo", Meaning::Kept, None),
    ("supabase_vault", Meaning::Kept, Some("vault")),
    ("supautils", Meaning::Kept, None),
    ("tablefunc", Meaning::Kept, None),
    ("tcn", Meaning::Kept, None),
    ("tsm_system_rows", Meaning::Kept, None),
    ("tsm_system_time", Meaning::Kept, None),
    ("unaccent", Meaning::Kept, None),
    ("vector", Meaning::BuiltIn, None),
    ("wrappers", Meaning::Kept, None),
    ("xml2", Meaning::Kept, None),
];

/// The functions that an extension brings and the subset has.
fn functions_of(extension: &str) -> impl Iterator<Item = &'static str> {
    functions::EXTENSION_FUNCTIONS
        .iter()
        .filter(move |(name, _)| *name == extension)
        .flat_map(|(_, functions)| functions.iter().copied())
}

impl Run<'_> {
    /// Errors: 2BP01 while something uses what the extension brings; 0A000 for CASCADE then.
    pub(super) fn drop_extension(&mut self, name: &Ident, cascade: bool) -> Result<()> {
        let users = self.users_of_extension(name);
        match (users.is_empty(), cascade) {
            (true, _) => {
                self.catalog.extensions.remove(name);
                Ok(())
            }
            (false, true) => {
                let way = Some("dropping what uses it first");
                Err(self.refuse("DROP EXTENSION … CASCADE of what is used", name, way))
            }
            (false, false) => {
                let message = format!("cannot drop extension {name} because other objects depend on it");
                Err(DatabaseError::new("2BP01", message)
                    .detail(users.join("\n"))
                    .hint("Use DROP ... CASCADE to drop the dependent objects too."))
            }
        }
    }

    /// What uses an extension, as PostgreSQL lists it.
    fn users_of_extension(&self, name: &Ident) -> Vec<String> {
        let mut lines = Vec::new();
        let is_its = |ty: &Type| {
            let mut ty = ty.base();
            while let Type::Array(element) = ty {
                ty = element.base();
            }
            matches!((name.as_str(), ty), ("citext", Type::Citext) | ("vector", Type::Vector))
        };
        let mut relations: Vec<_> = self.catalog.relations.values().collect();
        relations.sort_by_key(|relation| relation.id);
        for relation in &relations {
            for column in relation.columns.iter().filter(|column| is_its(&column.ty)) {
                lines.push(format!(
                    "{} depends on type {name}",
                    self.shown(&Object::Column(relation.name.clone(), column.name.clone()))
                ));
            }
            for trigger in &relation.triggers {
                if *name == *"moddatetime" && trigger.function == TriggerFunction::Moddatetime {
                    let shown = self.shown(&Object::Trigger(relation.name.clone(), trigger.name.clone()));
                    lines.push(format!("{shown} depends on function moddatetime()"));
                }
            }
        }
        let mut domains: Vec<_> = self
            .catalog
            .domains
            .values()
            .filter(|domain| is_its(&domain.base))
            .collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        for domain in domains {
            lines.push(format!(
                "{} depends on type {name}",
                self.shown(&Object::Type(domain.name.clone()))
            ));
        }
        for routine in self.catalog.routines.values().flatten() {
            let mut types = routine
                .arguments
                .iter()
                .map(|argument| &argument.ty)
                .chain([&routine.returns.ty]);
            if types.any(is_its) {
                let object = Object::Routine(routine.name.clone(), routine.id);
                lines.push(format!("{} depends on type {name}", self.shown(&object)));
            }
        }
        for stored in dependency::stored(self.catalog) {
            let called = functions_of(name).find(|function| stored.text.contains(&format!("{function}(")));
            if let (Some(function), Some(object)) = (called, stored.object(self.catalog)) {
                lines.push(format!("{} depends on function {function}()", self.shown(&object)));
            }
        }
        lines
    }

    pub(super) fn create_extension(&mut self, name: &Ident, if_not_exists: bool, schema: Option<&Ident>) -> Result<()> {
        if self.catalog.extensions.contains_key(name) {
            let message = format!("extension \"{name}\" already exists");
            if !if_not_exists {
                return Err(DatabaseError::new("42710", message));
            }
            self.notice("42710", format!("{message}, skipping"));
            return Ok(());
        }
        let Some((_, meaning, own_schema)) = EXTENSIONS.iter().find(|(known, ..)| *name == **known) else {
            return Err(self.refuse("this extension", name, None));
        };
        if matches!(meaning, Meaning::Kept) {
            let message =
                format!("extension \"{name}\": kept for PostgreSQL; what it adds is refused where it is used");
            self.notice("00000", message);
        }
        let schema = match (schema, own_schema) {
            (Some(schema), _) if *schema != *"pg_catalog" => self.existing_schema(schema)?,
            (_, Some(own)) => Ident::new(own),
            (Some(schema), None) => schema.clone(),
            (None, None) => self.creation_schema(None)?,
        };
        if let Some(own) = own_schema {
            self.catalog.schemas.entry(Ident::new(own)).or_insert_with(|| Schema {
                owner: self.session.user.clone(),
                comment: None,
                acl: Vec::new(),
            });
        }
        self.catalog.extensions.insert(name.clone(), schema);
        Ok(())
    }
}
