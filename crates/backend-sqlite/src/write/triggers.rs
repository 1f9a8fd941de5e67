//! Triggers of one relation: which fire when, and what they make of a row.
//!
//! Lives here: choosing by event, level and columns; WHEN; the built-in trigger functions; foreign keys whose actions
//! must be carried out row by row because they reach a table with triggers.
//! Not here: the order of a write's steps (`triggered`), running a function's body (`routine`).
//!
//! Source: PostgreSQL 15 manual, chapter 39 and CREATE TRIGGER; extension spi (moddatetime).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mainstay_core::catalog::{
    Catalog, ColumnIndex, ConstraintKind, ForeignKey, ReferentialAction, Relation, Routine, Trigger, TriggerFunction,
    TriggerTiming,
};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse::Analyser;
use mainstay_sql::plpgsql;
use mainstay_sql::session::Session;
use mainstay_sql::typed::ContextValue;
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::statement::Prepared;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::{Emitter, Parameters};
use crate::routine::plpgsql::{Fired, fire};

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Insert,
    Update,
    Delete,
}

/// Where everything runs.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub conn: &'a Connection,
    pub compiled: &'a Compiled,
    pub sources: &'a Sources<'a>,
}

/// The triggers of a relation, as they fire under one user, and the foreign keys that the engine acts for.
#[derive(Debug)]
pub struct Triggers {
    relation: Arc<Relation>,
    user: Ident,
    list: Vec<Fire>,
    keys: Vec<Key>,
}

/// One trigger.
#[derive(Debug)]
struct Fire {
    trigger: Trigger,
    condition: Option<Prepared>,
    function: Function,
}

#[derive(Debug)]
enum Function {
    Routine(Arc<Routine>),
    Moddatetime(ColumnIndex),
    SuppressRedundantUpdates,
}

/// A foreign key of another table to this one.
#[derive(Debug)]
pub struct Key {
    pub child: Arc<Relation>,
    pub key: ForeignKey,
    /// The key's columns here.
    pub targets: Vec<ColumnIndex>,
}

impl Triggers {
    /// What is to be fired on `relation` by statements of `user`.
    pub fn compile(compiled: &Compiled, relation: &Arc<Relation>, user: &Ident) -> Result<Self, DatabaseError> {
        let mut list = Vec::new();
        for trigger in relation.triggers.iter().filter(|trigger| trigger.enabled) {
            list.push(Fire {
                condition: match &trigger.condition {
                    Some(text) => Some(when(compiled, relation, user, text)?),
                    None => None,
                },
                function: function(compiled.catalog(), relation, trigger)?,
                trigger: trigger.clone(),
            });
        }
        let keys = keys_to(compiled, &relation.name);
        Ok(Triggers {
            relation: Arc::clone(relation),
            user: user.clone(),
            list,
            keys,
        })
    }

    /// True if writing by `event` needs more than writing. `assigned`: the columns that an UPDATE sets.
    pub fn watch(&self, event: Event, assigned: &[ColumnIndex]) -> bool {
        let fires = self.list.iter().any(|fire| fire.is_for(event, assigned));
        fires
            || match event {
                Event::Insert => false,
                Event::Delete => !self.keys.is_empty(),
                Event::Update => self
                    .keys
                    .iter()
                    .any(|key| key.targets.iter().any(|column| assigned.contains(column))),
            }
    }

    /// True if a trigger of this kind fires.
    pub fn has(&self, timing: TriggerTiming, for_each_row: bool, event: Event, assigned: &[ColumnIndex]) -> bool {
        self.firing(timing, for_each_row, event, assigned).next().is_some()
    }

    /// The foreign keys to this relation whose actions are ours.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    fn firing<'t>(
        &'t self,
        timing: TriggerTiming,
        for_each_row: bool,
        event: Event,
        assigned: &'t [ColumnIndex],
    ) -> impl Iterator<Item = &'t Fire> {
        self.list.iter().filter(move |fire| {
            fire.trigger.timing == timing && fire.trigger.for_each_row == for_each_row && fire.is_for(event, assigned)
        })
    }

    /// Fires the statement's triggers.
    pub fn statement(
        &self,
        env: Env<'_>,
        timing: TriggerTiming,
        event: Event,
        assigned: &[ColumnIndex],
    ) -> Result<(), BackendError> {
        for one in self.firing(timing, false, event, assigned) {
            if one.applies(env, &self.relation, None, None)? {
                self.run(env, one, event, None, None)?;
            }
        }
        Ok(())
    }

    /// Fires a row's BEFORE or INSTEAD OF triggers: the row as they leave it (for DELETE the old one), or `None` if one
    /// of them skips it.
    pub fn before(
        &self,
        env: Env<'_>,
        timing: TriggerTiming,
        event: Event,
        assigned: &[ColumnIndex],
        old: Option<&[Scalar]>,
        new: Option<Vec<Scalar>>,
    ) -> Result<Option<Vec<Scalar>>, BackendError> {
        let mut row = match event {
            Event::Delete => old.map(<[Scalar]>::to_vec).unwrap_or_default(),
            _ => new.unwrap_or_default(),
        };
        for one in self.firing(timing, true, event, assigned) {
            let new = (event != Event::Delete).then_some(row.as_slice());
            if !one.applies(env, &self.relation, old, new)? {
                continue;
            }
            match self.run(env, one, event, old, new)? {
                None => return Ok(None),
                Some(returned) if event != Event::Delete => row = returned,
                Some(_) => {}
            }
        }
        Ok(Some(row))
    }

    /// Fires a row's AFTER triggers.
    pub fn after(
        &self,
        env: Env<'_>,
        event: Event,
        assigned: &[ColumnIndex],
        old: Option<&[Scalar]>,
        new: Option<&[Scalar]>,
    ) -> Result<(), BackendError> {
        for one in self.firing(TriggerTiming::After, true, event, assigned) {
            if one.applies(env, &self.relation, old, new)? {
                self.run(env, one, event, old, new)?;
            }
        }
        Ok(())
    }

    /// Runs one trigger; `None`: it returned null.
    fn run(
        &self,
        env: Env<'_>,
        one: &Fire,
        event: Event,
        old: Option<&[Scalar]>,
        new: Option<&[Scalar]>,
    ) -> Result<Option<Vec<Scalar>>, BackendError> {
        match &one.function {
            Function::Routine(routine) => fire(
                env,
                routine,
                &self.user,
                &Fired {
                    relation: &self.relation,
                    trigger: &one.trigger,
                    event,
                    old,
                    new,
                },
            ),
            Function::Moddatetime(column) => {
                let mut row = new.unwrap_or_default().to_vec();
                let value = match self.relation.columns[*column].ty {
                    Type::Timestamp => ContextValue::LocalTimestamp,
                    _ => ContextValue::Now,
                };
                row[*column] = env.sources.context.value(&value)?;
                Ok(Some(row))
            }
            Function::SuppressRedundantUpdates => {
                let stored = |row: &[Scalar]| -> Vec<Scalar> {
                    row.iter()
                        .zip(&self.relation.columns)
                        .filter(|(_, column)| column.generated.is_none())
                        .map(|(value, _)| value.clone())
                        .collect()
                };
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                Ok((stored(old) != stored(new)).then(|| new.to_vec()))
            }
        }
    }
}

impl Fire {
    fn is_for(&self, event: Event, assigned: &[ColumnIndex]) -> bool {
        let trigger = &self.trigger;
        match event {
            Event::Insert => trigger.on_insert,
            Event::Delete => trigger.on_delete,
            Event::Update => {
                trigger.on_update
                    && (trigger.columns.is_empty() || trigger.columns.iter().any(|column| assigned.contains(column)))
            }
        }
    }

    /// True if WHEN holds.
    fn applies(
        &self,
        env: Env<'_>,
        relation: &Relation,
        old: Option<&[Scalar]>,
        new: Option<&[Scalar]>,
    ) -> Result<bool, BackendError> {
        let Some(condition) = &self.condition else {
            return Ok(true);
        };
        let mut rows = Vec::with_capacity(relation.columns.len() * 2);
        for row in [new, old] {
            match row {
                Some(row) => rows.extend(row.iter().take(relation.columns.len()).cloned()),
                None => rows.resize(rows.len() + relation.columns.len(), Scalar::Null),
            }
        }
        let holds: Option<Option<bool>> =
            condition.one(env.conn, &env.sources.with_variables(&rows), |row| row.get(0))?;
        Ok(holds.flatten() == Some(true))
    }
}

fn when(compiled: &Compiled, relation: &Arc<Relation>, user: &Ident, text: &str) -> Result<Prepared, DatabaseError> {
    let session = Session::new(relation.owner.clone(), vec![relation.name.schema.clone()]);
    let bound = Analyser::new(compiled.catalog(), &session)
        .with_variables(plpgsql::condition(relation))
        .expression(text, None, Some((&Type::Bool, TypeModifier::None)))?;
    let mut emitter = Emitter::new(compiled, user)
        .with_parameters(Parameters::Variables)
        .as_definer();
    emitter.writer().sql("SELECT ");
    emitter.expr(&bound.expr)?;
    Ok(Prepared::from(emitter.finish()))
}

fn function(catalog: &Catalog, relation: &Relation, trigger: &Trigger) -> Result<Function, DatabaseError> {
    Ok(match &trigger.function {
        TriggerFunction::Routine(id) => {
            let routine = catalog.routines.values().flatten().find(|routine| routine.id == *id);
            match routine {
                Some(routine) => Function::Routine(Arc::clone(routine)),
                None => {
                    let message = format!("the function of trigger \"{}\" has gone", trigger.name);
                    return Err(DatabaseError::new("XX000", message));
                }
            }
        }
        TriggerFunction::Moddatetime => {
            let column = trigger.arguments.first().and_then(|name| relation.column(name));
            match column {
                Some((column, _)) => Function::Moddatetime(column),
                None => {
                    let name = trigger.arguments.first().map_or("", String::as_str);
                    let message = format!("\"{}\" has no attribute \"{name}\"", relation.name.name);
                    return Err(DatabaseError::new("09000", message));
                }
            }
        }
        TriggerFunction::SuppressRedundantUpdates => Function::SuppressRedundantUpdates,
    })
}

/// A foreign key by its table and name.
type KeyName = (QualifiedName, Ident);

/// A table that refers to another, with the key by which it does.
type ChildKey<'c> = (&'c Arc<Relation>, &'c Ident, &'c ForeignKey);

/// The foreign keys whose actions the engine carries out itself: those that change rows of a table with triggers, or of
/// a table whose own changes go on to one. In the file such keys have no action.
pub fn carried_keys(catalog: &Catalog) -> HashSet<KeyName> {
    let mut children: HashMap<&QualifiedName, Vec<ChildKey<'_>>> = HashMap::new();
    for relation in catalog.relations.values() {
        for constraint in &relation.constraints {
            if let ConstraintKind::ForeignKey(key) = &constraint.kind
                && acts(key)
            {
                children
                    .entry(&key.target)
                    .or_default()
                    .push((relation, &constraint.name, key));
            }
        }
    }
    let mut noticed: HashSet<&QualifiedName> = catalog
        .relations
        .values()
        .filter(|relation| {
            relation
                .triggers
                .iter()
                .any(|trigger| trigger.on_update || trigger.on_delete)
        })
        .map(|relation| &relation.name)
        .collect();
    let mut carried = HashSet::new();
    if noticed.is_empty() {
        return carried;
    }
    loop {
        let before = carried.len();
        for (target, keys) in &children {
            for (child, name, _) in keys {
                if noticed.contains(&child.name) && carried.insert((child.name.clone(), (*name).clone())) {
                    noticed.insert(*target);
                }
            }
        }
        if carried.len() == before {
            return carried;
        }
    }
}

/// True if some carried key leads to `target`.
pub fn is_carried_target(compiled: &Compiled, target: &QualifiedName) -> bool {
    let carried = compiled.carried_keys();
    !carried.is_empty()
        && carried.iter().any(|(child, name)| {
            let child = compiled.catalog().relations.get(child);
            child.is_some_and(|child| {
                child.constraints.iter().any(|constraint| {
                    constraint.name == *name
                        && matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.target == *target)
                })
            })
        })
}

fn acts(key: &ForeignKey) -> bool {
    let acts = |action: ReferentialAction| !matches!(action, ReferentialAction::NoAction | ReferentialAction::Restrict);
    acts(key.on_delete) || acts(key.on_update)
}

/// The carried keys to `target`, in the order of their names, as PostgreSQL's own triggers have it nearly always.
fn keys_to(compiled: &Compiled, target: &QualifiedName) -> Vec<Key> {
    let carried = compiled.carried_keys();
    let catalog = compiled.catalog();
    let Some(relation) = catalog.relations.get(target) else {
        return Vec::new();
    };
    let mut names: Vec<&KeyName> = carried.iter().collect();
    names.sort();
    let mut keys = Vec::new();
    for (child, name) in names {
        let Some(child) = catalog.relations.get(child) else {
            continue;
        };
        let found = child.constraints.iter().find(|constraint| constraint.name == *name);
        let Some(ConstraintKind::ForeignKey(key)) = found.map(|constraint| &constraint.kind) else {
            continue;
        };
        if key.target != *target {
            continue;
        }
        let targets: Option<Vec<ColumnIndex>> = key
            .target_columns
            .iter()
            .map(|column| Some(relation.column(column)?.0))
            .collect();
        if let Some(targets) = targets {
            keys.push(Key {
                child: Arc::clone(child),
                key: key.clone(),
                targets,
            });
        }
    }
    keys
}
