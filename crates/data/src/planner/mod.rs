//! Intent to decisions: names against the catalog, rights against its policies, values told apart from the shape.
//!
//! Pure: no I/O. What comes out depends on the request's shape alone, so it can be kept; [`Template`] says how to
//! give it another request's values. Not here: what text means (`request`), SQL (`backend-*`).

pub mod call;
mod embed;
mod group;
pub mod leave;
mod read;
mod suggest;
mod template;
mod tree;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation, Routine};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{Action as PlanAction, Call, CallResult, Count, Outcome, Plan, Read};
use mainstay_core::policy;
use mainstay_core::types::Type;

use crate::config::Config;
use crate::error::Error;
use crate::paging::{Page, Part};
use crate::request::media::{self, Handlers, Negotiated};
use crate::request::prefer::Preferences;
use crate::request::range::Windows;
use crate::request::{CallMethod, Head, Query};
use call::{Arguments, CallRequest};
use embed::Joined;
use leave::{Leave, Notes};
use read::Resolver;
pub use template::Template;
use tree::{Branch, Scope};
use write::WriteRequest;

/// A plan, how to fill it, and what the response needs to know of it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub plan: Plan,
    pub template: Template,
    pub negotiated: Negotiated,
    /// The exact total is the number of rows, since none are left out.
    pub total_is_rows: bool,
    /// HEAD with a count: only the total was asked of the database, and every row counts as returned.
    pub rows_are_total: bool,
    /// Of a page: the rest of its rows is read by another statement ([`Part`]).
    pub has_rest: bool,
    /// Embeds with an alias that were named by their relation: relation and alias.
    pub named_by_target: Vec<(String, String)>,
}

impl Planned {
    /// True if the page is not whole with the rows of this statement.
    pub fn leaves_a_rest(&self, outcome: &Outcome) -> bool {
        self.has_rest && !outcome.has_more && self.plan.explain.is_none()
    }
}

/// What planning looks at.
pub struct Planner<'a> {
    pub config: &'a Config,
    pub catalog: &'a Catalog,
    pub role: &'a Ident,
    pub head: &'a Head,
    pub query: &'a Query,
    pub windows: &'a Windows,
    /// To explain: leave is not asked for, and what it would have been asked for stands here.
    pub notes: Option<&'a Notes>,
    /// The page that a read asks for.
    pub page: Option<&'a Page>,
}

impl Planner<'_> {
    /// Plans a read of a relation.
    pub fn read(&self, name: &str, head_only: bool) -> Result<Planned, Error> {
        let relation = self.relation(name)?;
        let branch = self.branch(name, Scope::Everything)?;
        let joined = embed::join(self.scope(), &branch, relation, None)?;
        let mut resolver = self.resolver(self.config.max_rows);
        let mut draft = resolver.draft(&joined)?;
        let negotiated = self.negotiate(&self.handlers(Some(&joined.relation.name), &branch))?;
        self.check_preferences()?;
        let mut has_rest = false;
        if let Some(page) = self.page {
            if negotiated.handler.is_some() {
                return Err(Error::NotPaged("rows that a function makes a document of"));
            }
            page.check(self.windows)?;
            (draft, has_rest) = resolver.paged(draft, page, negotiated.singular)?;
        }
        let leave = self.leave();
        leave.role()?;
        let mut read = draft.authorize(&leave, None)?;
        read.count = match self.page {
            // All rows were counted with the first part.
            Some(Page { part: Part::Rest, .. }) => Count::None,
            _ => self.head.preferences.count.unwrap_or_default(),
        };
        let leaves_none_out = self.windows.root.is_all()
            && self.config.max_rows.is_none()
            && self.page.is_none_or(|page| page.after.is_none());
        let mut total_is_rows = false;
        let mut rows_are_total = false;
        if read.count == Count::Exact && leaves_none_out {
            if head_only && !negotiated.singular {
                // The rows themselves would be thrown away: count them and read none.
                read.limit = Some(resolver.template.constant(mainstay_core::plan::Value::Integer(0)));
                rows_are_total = true;
            } else {
                read.count = Count::None;
                total_is_rows = true;
            }
        }
        let mut planned = self.planned(PlanAction::Read(read), resolver, negotiated, &branch);
        planned.total_is_rows = total_is_rows;
        planned.rows_are_total = rows_are_total;
        planned.has_rest = has_rest;
        Ok(planned)
    }

    /// Plans a write to a relation. `columns`: those that the rows set.
    pub fn write(&self, name: &str, columns: &BTreeSet<String>) -> Result<Planned, Error> {
        let relation = self.relation(name)?;
        let branch = self.branch(name, Scope::Returned)?;
        let joined = embed::join(self.scope(), &branch, relation, None)?;
        let mut resolver = self.resolver(None);
        let write = WriteRequest {
            action: &self.head.action,
            query: self.query,
            preferences: &self.head.preferences,
            columns,
            leave: self.leave(),
        };
        let action = write::plan(&mut resolver, &joined, &write)?;
        self.check_preferences()?;
        let negotiated = self.negotiate(&self.handlers(Some(&joined.relation.name), &branch))?;
        Ok(self.planned(action, resolver, negotiated, &branch))
    }

    /// Finds the routine that a call means.
    pub fn routine(&self, name: &str, keys: &BTreeSet<String>, method: CallMethod) -> Result<Arc<Routine>, Error> {
        call::find(
            self.catalog,
            &CallRequest {
                schema: &self.head.schema,
                name,
                keys,
                is_post: method == CallMethod::Post,
                content: &self.head.content,
            },
        )
    }

    /// Plans a call of `routine`.
    pub fn call(&self, routine: Arc<Routine>, given: &Arguments) -> Result<Planned, Error> {
        let row_type = call::row_type(self.catalog, &routine);
        let name = row_type
            .as_ref()
            .map_or(&routine.name.name, |relation| &relation.name.name);
        let branch = self.branch(name, Scope::Everything)?;
        let mut resolver = self.resolver(self.config.max_rows);
        let read = match &row_type {
            Some(relation) => {
                let joined: Joined<'_> = embed::join(self.scope(), &branch, relation.clone(), None)?;
                Some(resolver.draft(&joined)?)
            }
            None => None,
        };
        let mut handlers = self.handlers(row_type.as_ref().map(|relation| &relation.name), &branch);
        handlers.value = routine.media_type();
        let negotiated = self.negotiate(&handlers)?;
        self.check_preferences()?;
        let set = routine.returns.set;
        if self.head.preferences.is_strict() && self.head.preferences.max_affected.is_some() && !set {
            return Err(Error::MaxAffectedSingle);
        }
        policy::authorize_role(self.catalog, self.role)?;
        let access = policy::authorize_routine(self.catalog, self.role, &routine)?;
        let arguments = call::arguments(&routine, given, &mut resolver.template);
        let result = match read {
            _ if routine.returns.ty == Type::Void && !set => CallResult::Void,
            Some(draft) => {
                let mut read: Read = draft.authorize(&self.leave(), Some(access.clone()))?;
                read.count = self.head.preferences.count.unwrap_or_default();
                CallResult::Rows {
                    read: Box::new(read),
                    single: !set,
                }
            }
            None if set => CallResult::ScalarSet,
            None => CallResult::Scalar,
        };
        let call = Call {
            routine,
            arguments,
            result,
            access,
        };
        Ok(self.planned(PlanAction::Call(call), resolver, negotiated, &branch))
    }

    /// The relation of that name in the request's schema. Errors: `PGRST205`.
    pub fn relation(&self, name: &str) -> Result<Arc<Relation>, Error> {
        let qualified = QualifiedName::new(self.head.schema.clone(), name);
        if let Some(relation) = self.catalog.relation(&qualified) {
            return Ok(relation.clone());
        }
        let known = self
            .catalog
            .relations
            .keys()
            .filter(|known| known.schema == self.head.schema)
            .map(|known| known.name.as_str());
        let suggestion = suggest::closest(known, name, suggest::NAME_SCORE_MIN).map(|(_, name)| Ident::new(name));
        Err(Error::NoRelation {
            schema: self.head.schema.clone(),
            relation: name.to_owned(),
            suggestion,
        })
    }

    fn leave(&self) -> Leave<'_> {
        Leave {
            catalog: self.catalog,
            role: self.role,
            notes: self.notes,
        }
    }

    fn scope(&self) -> embed::Scope<'_> {
        embed::Scope {
            catalog: self.catalog,
            schema: &self.head.schema,
            exposed: &self.config.schemas,
        }
    }

    fn branch(&self, name: &str, scope: Scope) -> Result<Branch, Error> {
        Branch::draw(
            name,
            self.query,
            self.windows,
            scope,
            self.config.url_use_legacy_target_names,
        )
    }

    fn resolver(&self, max_rows: Option<u64>) -> Resolver<'_> {
        Resolver {
            catalog: self.catalog,
            schema: &self.head.schema,
            extra_search_path: &self.config.extra_search_path,
            windows: self.windows,
            max_rows,
            aggregates_enabled: self.config.aggregates_enabled,
            template: Template::default(),
        }
    }

    /// Who may write what is shown of `relation`: handlers of its own rows take them only as they are.
    fn handlers(&self, relation: Option<&QualifiedName>, branch: &Branch) -> Handlers<'_> {
        let mut found = Handlers {
            tells_plans: self.config.plan_enabled,
            ..Handlers::default()
        };
        let Some(relation) = relation else { return found };
        let exposed = self
            .catalog
            .media_handlers
            .iter()
            .filter(|handler| self.config.schemas.contains(&handler.aggregate.schema));
        for handler in exposed {
            match &handler.relation {
                None => found.any.push(handler),
                Some(own) if own == relation && branch.shows_rows_as_they_are() => found.own.push(handler),
                Some(_) => {}
            }
        }
        found
    }

    fn negotiate(&self, handlers: &Handlers<'_>) -> Result<Negotiated, Error> {
        media::negotiate(&self.head.accept, handlers).map_err(Error::MediaType)
    }

    /// With `handling=strict`, what we do not know is refused. Errors: `PGRST122`.
    fn check_preferences(&self) -> Result<(), Error> {
        let preferences: &Preferences = &self.head.preferences;
        if !preferences.is_strict() {
            return Ok(());
        }
        let mut unknown = preferences.unknown.clone();
        if let Some(zone) = &preferences.time_zone
            && self.config.version.forgives_time_zones()
            && !self.catalog.time_zones.contains(zone)
        {
            unknown.push(format!("timezone={zone}"));
        }
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Error::Preferences(unknown))
        }
    }

    fn planned(&self, action: PlanAction, resolver: Resolver<'_>, negotiated: Negotiated, branch: &Branch) -> Planned {
        let mut named_by_target = Vec::new();
        if self.config.url_use_legacy_target_names {
            branch.named_by_target(&mut named_by_target);
        }
        Planned {
            plan: Plan {
                catalog_version: self.catalog.version,
                role: self.role.clone(),
                format: negotiated.format,
                handler: negotiated.handler.clone(),
                explain: negotiated.explain,
                action,
            },
            template: resolver.template,
            negotiated,
            total_is_rows: false,
            rows_are_total: false,
            has_rest: false,
            named_by_target,
        }
    }
}
