//! Reads whose rows have named columns, as the database's own functions take them: embeds are JSON.

use mainstay_core::catalog::Relation;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Cardinality, Cast, Embed, Field, Output};
use mainstay_core::types::Type;

use super::Renderer;
use super::read::{Scope, cast_type, embed_at};
use super::sql::{Alias, Sql};

type Result<T> = std::result::Result<T, BackendError>;

impl Renderer {
    /// `SELECT <value> AS "name", … FROM <source> WHERE … ORDER BY … LIMIT …`.
    pub(super) fn named_select(&mut self, sql: &mut Sql, scope: Scope<'_>, source: Sql) -> Result<()> {
        sql.push("SELECT ");
        if let Some(grouping) = &scope.read.grouping {
            let groups = self.groups(scope, grouping, source, |renderer, sql| {
                renderer.filters(sql, scope, Sql::default())
            })?;
            for (index, (name, value, _)) in groups.shown.into_iter().enumerate() {
                named(sql, index, value, &name);
            }
            sql.append(groups.tail);
        } else {
            self.named_outputs(sql, scope)?;
            sql.push(" FROM ").append(source);
            self.filters(sql, scope, Sql::default())?;
            self.order(sql, scope)?;
        }
        self.range(sql, scope.read);
        Ok(())
    }

    /// The embed of a row as `jsonb`: one object or null, or an array.
    pub(super) fn embed_as_json(&mut self, sql: &mut Sql, parent: Scope<'_>, embed: &Embed) -> Result<()> {
        let (alias, rows) = (self.alias('t'), self.alias('r'));
        let scope = Scope {
            alias: &alias,
            read: &embed.read,
        };
        let is_one = embed.cardinality == Cardinality::One;
        sql.push(if is_one {
            "(SELECT pg_catalog.to_jsonb("
        } else {
            "(SELECT coalesce(pg_catalog.jsonb_agg("
        });
        sql.alias(&rows);
        sql.push(if is_one {
            ") FROM (SELECT "
        } else {
            "), '[]') FROM (SELECT "
        });
        self.named_embed(sql, parent, embed, scope)?;
        sql.push(") AS ").alias(&rows).push(")");
        Ok(())
    }

    /// The embed's select list and all that follows it.
    fn named_embed(&mut self, sql: &mut Sql, parent: Scope<'_>, embed: &Embed, scope: Scope<'_>) -> Result<()> {
        if let Some(grouping) = &embed.read.grouping {
            let groups = self.embed_groups(parent, embed, scope, grouping)?;
            for (index, (name, value, _)) in groups.shown.into_iter().enumerate() {
                named(sql, index, value, &name);
            }
            sql.append(groups.tail);
        } else {
            self.named_outputs(sql, scope)?;
            self.embed_source(sql, parent, embed, scope.alias)?;
            self.order(sql, scope)?;
        }
        match embed.cardinality {
            Cardinality::One => sql.push(" LIMIT 1"),
            Cardinality::Many => {
                self.range(sql, &embed.read);
                sql
            }
        };
        Ok(())
    }

    fn named_outputs(&mut self, sql: &mut Sql, scope: Scope<'_>) -> Result<()> {
        let mut index = 0;
        for output in &scope.read.output {
            match output {
                Output::Column { name, field, cast } => {
                    let mut value = Sql::default();
                    let relation = &scope.read.source.relation;
                    let ty = self.cast_field(&mut value, scope.alias, relation, field, cast.as_ref())?;
                    let value = match ty.filter(|_| cast.is_none()) {
                        Some(ty) => self.shown(value, field, ty).0,
                        None => value,
                    };
                    named(sql, index, value, name);
                    index += 1;
                }
                Output::Embed { name, embed } => {
                    let mut value = Sql::default();
                    self.embed_as_json(&mut value, scope, embed_at(scope.read, *embed)?)?;
                    named(sql, index, value, name);
                    index += 1;
                }
                Output::Spread { embed } => {
                    for (name, value) in self.spread(scope, embed_at(scope.read, *embed)?)? {
                        named(sql, index, value, &name);
                        index += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// A spread's members one by one: values of its row, or arrays of them.
    fn spread(&mut self, parent: Scope<'_>, embed: &Embed) -> Result<Vec<(String, Sql)>> {
        let mut found = Vec::new();
        for output in &embed.read.output {
            let Output::Column { name, field, cast } = output else {
                return Err(BackendError::Internal(
                    "a spread within a spread has no columns here".into(),
                ));
            };
            let (alias, rows) = (self.alias('t'), self.alias('r'));
            let scope = Scope {
                alias: &alias,
                read: &embed.read,
            };
            let is_one = embed.cardinality == Cardinality::One;
            let mut value = Sql::default();
            if is_one {
                value.push("(SELECT ");
            } else {
                value.push("(SELECT coalesce(pg_catalog.jsonb_agg(").alias(&rows);
                value.push(".v), '[]') FROM (SELECT ");
            }
            self.cast_field(&mut value, &alias, &embed.read.source.relation, field, cast.as_ref())?;
            value.push(" AS v");
            self.embed_source(&mut value, parent, embed, &alias)?;
            self.order(&mut value, scope)?;
            if is_one {
                value.push(" LIMIT 1)");
            } else {
                self.range(&mut value, &embed.read);
                value.push(") AS ").alias(&rows).push(")");
            }
            found.push((name.to_string(), value));
        }
        Ok(found)
    }

    /// Writes a field with its cast, and says its type where it is known.
    pub(super) fn cast_field(
        &mut self,
        sql: &mut Sql,
        alias: &Alias,
        relation: &Relation,
        field: &Field,
        cast: Option<&Cast>,
    ) -> Result<Option<Type>> {
        let mut value = Sql::default();
        let ty = self.field(&mut value, alias, relation, field)?;
        let Some(cast) = cast else {
            sql.append(value);
            return Ok(Some(ty));
        };
        sql.push("CAST(").append(value).push(" AS ");
        cast_type(sql, cast)?;
        sql.push(")");
        Ok(cast.ty.clone())
    }
}

fn named(sql: &mut Sql, index: usize, value: Sql, name: &str) {
    sql.push(if index > 0 { ", " } else { "" })
        .append(value)
        .push(" AS ")
        .ident(name);
}
