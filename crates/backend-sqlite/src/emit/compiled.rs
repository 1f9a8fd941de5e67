//! Analysed policies, defaults, checks and views of one catalog version, each analysed once.
//!
//! Lives beside the catalog: a new catalog gets a new, empty [`Compiled`].

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, OnceLock, RwLock};

use mainstay_core::catalog::{Catalog, Relation, Routine};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse::Analyser;
use mainstay_sql::session::Session;
use mainstay_sql::typed::{BoundExpression, Expr, ExprKind, Literal, Query, Statement};

use super::constant;
use super::emitter::Rights;
use crate::routine::body::Body;
use crate::write::triggered::Triggered;
use crate::write::triggers::{self, Triggers};

/// Schemas in which expressions that belong to a table are looked up, after the table's own.
const USUAL_SCHEMAS: [&str; 3] = ["public", "extensions", "auth"];

/// A catalog and what has been analysed against it.
pub struct Compiled {
    catalog: Arc<Catalog>,
    expressions: RwLock<HashMap<ExpressionKey, Arc<BoundExpression>>>,
    views: RwLock<HashMap<QualifiedName, Arc<Query>>>,
    routines: RwLock<HashMap<u64, Arc<Vec<Statement>>>>,
    bodies: RwLock<HashMap<(u64, Rights), Arc<Body>>>,
    /// The catalog's routines by their identities.
    by_id: OnceLock<HashMap<u64, Arc<Routine>>>,
    /// By relation and the user under whom they fire.
    triggers: RwLock<HashMap<(QualifiedName, Ident), Arc<Triggers>>>,
    /// Tables as foreign keys' actions write them.
    row_by_row: RwLock<HashMap<QualifiedName, Arc<Triggered>>>,
    carried_keys: OnceLock<HashSet<(QualifiedName, Ident)>>,
}

/// One text over one relation; `None`: over no relation (a default).
#[derive(Clone, PartialEq, Eq, Hash)]
struct ExpressionKey {
    relation: QualifiedName,
    over: bool,
    text: String,
    expected: Option<(Type, TypeModifier)>,
}

impl Compiled {
    /// Nothing analysed yet.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Compiled {
            catalog,
            expressions: RwLock::default(),
            views: RwLock::default(),
            routines: RwLock::default(),
            bodies: RwLock::default(),
            by_id: OnceLock::new(),
            triggers: RwLock::default(),
            row_by_row: RwLock::default(),
            carried_keys: OnceLock::new(),
        }
    }

    /// The catalog that everything is resolved against.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A policy or check over `relation`: a boolean.
    pub fn condition(&self, relation: &Arc<Relation>, text: &str) -> Result<Arc<BoundExpression>, DatabaseError> {
        self.expression(relation, true, text, Some((Type::Bool, TypeModifier::None)))
    }

    /// True if a policy's text holds for every row, whatever is in it.
    pub fn always_holds(&self, relation: &Arc<Relation>, text: &str) -> bool {
        self.condition(relation, text)
            .is_ok_and(|bound| self.is_always(&bound.expr))
    }

    /// True if PostgreSQL's planner makes `true` of the expression before it looks at any of its subqueries.
    pub fn is_always(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Literal(Literal::Bool(value)) => *value,
            ExprKind::Or(parts) => parts.iter().any(|part| self.is_always(part)),
            ExprKind::And(parts) => parts.iter().all(|part| self.is_always(part)),
            _ => constant::holds(self, expr),
        }
    }

    /// A generated column's expression, cast to the column's type.
    pub fn generated(
        &self,
        relation: &Arc<Relation>,
        text: &str,
        ty: &Type,
        modifier: TypeModifier,
    ) -> Result<Arc<BoundExpression>, DatabaseError> {
        self.expression(relation, true, text, Some((ty.clone(), modifier)))
    }

    /// An index key or any other expression over `relation`, of whatever type it has.
    pub fn value(&self, relation: &Arc<Relation>, text: &str) -> Result<Arc<BoundExpression>, DatabaseError> {
        self.expression(relation, true, text, None)
    }

    /// A default, cast to the column's type.
    pub fn default(
        &self,
        relation: &Arc<Relation>,
        text: &str,
        ty: &Type,
        modifier: TypeModifier,
    ) -> Result<Arc<BoundExpression>, DatabaseError> {
        self.expression(relation, false, text, Some((ty.clone(), modifier)))
    }

    /// A routine's argument's default, cast to the argument's type.
    pub fn argument_default(
        &self,
        routine: &Routine,
        text: &str,
        ty: &Type,
    ) -> Result<Arc<BoundExpression>, DatabaseError> {
        let expected = Some((ty.clone(), TypeModifier::None));
        let key = ExpressionKey {
            relation: routine.name.clone(),
            over: false,
            text: text.to_owned(),
            expected,
        };
        cached(&self.expressions, key, || {
            let session = Session::new(routine.owner.clone(), routine.search_path.clone());
            let expected = Some((ty, TypeModifier::None));
            Analyser::new(&self.catalog, &session).expression(text, None, expected)
        })
    }

    /// A view's query.
    pub fn view(&self, relation: &Relation) -> Result<Arc<Query>, DatabaseError> {
        cached(&self.views, relation.name.clone(), || {
            let path = relation
                .view
                .as_ref()
                .map(|view| view.search_path.clone())
                .unwrap_or_default();
            let session = Session::new(relation.owner.clone(), path);
            Analyser::new(&self.catalog, &session).view(relation)
        })
    }

    /// The statements of a `LANGUAGE sql` body; parameter `n` is the routine's argument `n`.
    pub fn routine(&self, routine: &Arc<Routine>) -> Result<Arc<Vec<Statement>>, DatabaseError> {
        cached(&self.routines, routine.id, || {
            let session = Session::new(routine.owner.clone(), routine.search_path.clone());
            Analyser::new(&self.catalog, &session).routine_statements(routine)
        })
    }

    /// A routine's body as it runs with the rights given.
    pub fn body(&self, routine: &Arc<Routine>, role: &Ident, definer: bool) -> Result<Arc<Body>, DatabaseError> {
        let rights = Rights {
            role: role.clone(),
            definer,
        };
        cached(&self.bodies, (routine.id, rights.clone()), || {
            Body::compile(self, routine, &rights)
        })
    }

    /// The routine of that identity.
    pub fn routine_of(&self, id: u64) -> Option<Arc<Routine>> {
        let all = self.by_id.get_or_init(|| {
            let routines = self.catalog.routines.values().flatten();
            routines.map(|routine| (routine.id, Arc::clone(routine))).collect()
        });
        all.get(&id).cloned()
    }

    /// What fires when `user` writes `relation`; `None`: nothing ever does, and no foreign key to it is carried out by
    /// the engine.
    pub fn triggers(&self, relation: &Arc<Relation>, user: &Ident) -> Result<Option<Arc<Triggers>>, DatabaseError> {
        if relation.triggers.is_empty() && !triggers::is_carried_target(self, &relation.name) {
            return Ok(None);
        }
        let key = (relation.name.clone(), user.clone());
        cached(&self.triggers, key, || Triggers::compile(self, relation, user)).map(Some)
    }

    /// How foreign keys' actions write `relation`.
    pub fn row_by_row(&self, relation: &Arc<Relation>) -> Result<Arc<Triggered>, DatabaseError> {
        cached(&self.row_by_row, relation.name.clone(), || {
            Triggered::for_keys(self, relation)
        })
    }

    /// The foreign keys, by table and name, whose actions the engine carries out.
    pub fn carried_keys(&self) -> &HashSet<(QualifiedName, Ident)> {
        self.carried_keys.get_or_init(|| triggers::carried_keys(&self.catalog))
    }

    fn expression(
        &self,
        relation: &Arc<Relation>,
        over: bool,
        text: &str,
        expected: Option<(Type, TypeModifier)>,
    ) -> Result<Arc<BoundExpression>, DatabaseError> {
        let key = ExpressionKey {
            relation: relation.name.clone(),
            over,
            text: text.to_owned(),
            expected,
        };
        let expected = key.expected.clone();
        cached(&self.expressions, key, || {
            let mut path = vec![relation.name.schema.clone()];
            path.extend(
                USUAL_SCHEMAS
                    .into_iter()
                    .map(Ident::new)
                    .filter(|schema| *schema != relation.name.schema),
            );
            let session = Session::new(relation.owner.clone(), path);
            let expected = expected.as_ref().map(|(ty, modifier)| (ty, *modifier));
            Analyser::new(&self.catalog, &session).expression(text, over.then_some(relation), expected)
        })
    }
}

/// Looks `key` up; makes and keeps the value when it is new. Two threads may make the same value; one is kept.
fn cached<K: Eq + Hash, V>(
    cache: &RwLock<HashMap<K, Arc<V>>>,
    key: K,
    make: impl FnOnce() -> Result<V, DatabaseError>,
) -> Result<Arc<V>, DatabaseError> {
    if let Some(found) = cache.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&key) {
        return Ok(Arc::clone(found));
    }
    let made = Arc::new(make()?);
    let mut cache = cache.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(Arc::clone(cache.entry(key).or_insert(made)))
}
