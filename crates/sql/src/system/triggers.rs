//! Triggers in the system catalogs. Those that PostgreSQL makes itself, for foreign keys, are not there.

use mainstay_core::catalog::{Privilege, Relation, Trigger, TriggerFunction, TriggerTiming};
use mainstay_core::policy;

use super::identifiers::Object;
use super::{Cell, Row, Source};

/// `suppress_redundant_updates_trigger` in PostgreSQL 15's `pg_proc`.
const SUPPRESS_REDUNDANT_UPDATES: i64 = 1291;

/// `pg_trigger.tgtype`.
fn bits(trigger: &Trigger) -> i64 {
    let timing = match trigger.timing {
        TriggerTiming::Before => 1 << 1,
        TriggerTiming::InsteadOf => 1 << 6,
        TriggerTiming::After => 0,
    };
    timing
        | i64::from(trigger.for_each_row)
        | i64::from(trigger.on_insert) << 2
        | i64::from(trigger.on_delete) << 3
        | i64::from(trigger.on_update) << 4
}

/// The events in the order in which the information schema lists them.
fn events(trigger: &Trigger) -> impl Iterator<Item = &'static str> {
    [
        ("INSERT", trigger.on_insert),
        ("DELETE", trigger.on_delete),
        ("UPDATE", trigger.on_update),
    ]
    .into_iter()
    .filter_map(|(event, fires)| fires.then_some(event))
}

impl Source<'_> {
    pub(super) fn pg_trigger(&self) -> Vec<Row> {
        let none = || Cell::Integer(0);
        let mut rows = Vec::new();
        for relation in self.relations() {
            for trigger in &relation.triggers {
                let function = match trigger.function {
                    TriggerFunction::Routine(id) => self.identifiers.get(&Object::Routine(id)),
                    TriggerFunction::SuppressRedundantUpdates => Cell::Integer(SUPPRESS_REDUNDANT_UPDATES),
                    // An extension's functions are not listed.
                    TriggerFunction::Moddatetime => none(),
                };
                rows.push(vec![
                    self.identifiers
                        .get(&Object::Trigger(relation.name.clone(), trigger.name.clone())),
                    self.identifiers.relation(&relation.name),
                    none(),
                    (&trigger.name).into(),
                    function,
                    bits(trigger).into(),
                    (if trigger.enabled { "O" } else { "D" }).into(),
                    false.into(),
                    none(),
                    none(),
                    none(),
                    false.into(),
                    false.into(),
                    trigger.arguments.len().into(),
                    Cell::Null,
                    Cell::Null,
                ]);
            }
        }
        rows
    }

    /// `information_schema.triggers`: those of tables that the role may do more with than read.
    pub(super) fn triggers(&self, database: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in self
            .relations()
            .into_iter()
            .filter(|relation| self.may_change(relation))
        {
            for trigger in &relation.triggers {
                for event in events(trigger) {
                    let same = |other: &&Trigger| {
                        other.name < trigger.name
                            && other.timing == trigger.timing
                            && other.for_each_row == trigger.for_each_row
                            && events(other).any(|other| other == event)
                    };
                    let before = relation.triggers.iter().filter(same).count();
                    rows.push(vec![
                        database.into(),
                        (&relation.name.schema).into(),
                        (&trigger.name).into(),
                        event.into(),
                        database.into(),
                        (&relation.name.schema).into(),
                        (&relation.name.name).into(),
                        (before + 1).into(),
                        (if trigger.for_each_row { "ROW" } else { "STATEMENT" }).into(),
                        match trigger.timing {
                            TriggerTiming::Before => "BEFORE",
                            TriggerTiming::After => "AFTER",
                            TriggerTiming::InsteadOf => "INSTEAD OF",
                        }
                        .into(),
                    ]);
                }
            }
        }
        rows
    }

    fn may_change(&self, relation: &Relation) -> bool {
        self.owns(&relation.owner)
            || Privilege::OF_TABLES
                .iter()
                .filter(|privilege| **privilege != Privilege::Select)
                .any(|privilege| policy::any_column_allows(self.catalog, self.role, relation, *privilege))
    }
}
