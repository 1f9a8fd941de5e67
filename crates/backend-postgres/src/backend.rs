//! [`PostgresBackend`]: the engine behind the [`Backend`] trait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mainstay_core::backend::{
    AppliedMigration, Backend, BoxFuture, CheckedMigration, Health, Migration, MigrationError, QueryMode, QueryResult,
    RowSink, Statement, TableRows,
};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, ColumnIndex, Relation};
use mainstay_core::definition::{Definitions, Position};
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{Input, Outcome, Plan};
use mainstay_core::transaction::{Ended, Isolation, Script};
use mainstay_core::transfer::Transfer;
use mainstay_core::trial::{Trial, Verdict};

use crate::errors::OpenError;
use crate::introspect::{self, Surroundings};
use crate::options::Options;
use crate::pool::{Lane, Pool};
use crate::render::Rendered;
use crate::run::{self, Failure, Texts};
use crate::wire::Target;
use crate::{bootstrap, console, definitions, listen, migrate};

/// The oldest version that is supported.
const SERVER_VERSION_MIN: u32 = 150_000;

/// Whose statements pass row security where the connection's own do not.
const SECRET_ROLE: &str = "service_role";

/// A PostgreSQL database.
pub struct PostgresBackend {
    pub(crate) inner: Arc<Inner>,
}

/// What the background tasks share with the backend.
pub(crate) struct Inner {
    pub pool: Arc<Pool>,
    pub target: Target,
    pub options: Options,
    state: RwLock<State>,
    texts: Texts,
    versions: AtomicU64,
    reloading: tokio::sync::Mutex<()>,
    pub closing: AtomicBool,
    pub stopped: tokio::sync::Notify,
}

#[derive(Clone)]
struct State {
    catalog: Arc<Catalog>,
    surroundings: Arc<Surroundings>,
}

impl PostgresBackend {
    /// Connects, prepares the database if it is bare and `options` say so, and reads its catalog.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let target = Target::parse(&options.url)?;
        let pool = Pool::new(target.clone(), &options);
        let connection = pool.connect().await?;
        check_version(connection.parameter("server_version").as_deref())?;
        if let Some(grants) = options.bootstrap {
            bootstrap::prepare(&connection, target.user(), grants).await?;
        }
        let (mut catalog, surroundings) = introspect::introspect(&connection).await.map_err(OpenError::Catalog)?;
        if surroundings.server.version_number < SERVER_VERSION_MIN {
            return Err(OpenError::TooOld(surroundings.server.version));
        }
        catalog.time_zones = introspect::time_zones(&connection).await.map_err(OpenError::Catalog)?;
        catalog.version = 1;
        connection.close();
        let inner = Arc::new(Inner {
            pool,
            target,
            state: RwLock::new(State {
                catalog: Arc::new(catalog),
                surroundings: Arc::new(surroundings),
            }),
            texts: Texts::default(),
            versions: AtomicU64::new(1),
            reloading: tokio::sync::Mutex::default(),
            closing: AtomicBool::new(false),
            stopped: tokio::sync::Notify::new(),
            options,
        });
        if !inner.options.transaction_pooler
            && let Some(channel) = inner.options.channel.clone()
        {
            tokio::spawn(listen::listen(inner.clone(), channel));
        }
        Ok(PostgresBackend { inner })
    }
}

fn check_version(reported: Option<&str>) -> Result<(), OpenError> {
    let major = reported
        .and_then(|text| text.split(['.', ' ']).next())
        .and_then(|text| text.parse::<u32>().ok());
    match (major, reported) {
        (Some(major), Some(text)) if major < SERVER_VERSION_MIN / 10_000 => Err(OpenError::TooOld(text.to_owned())),
        _ => Ok(()),
    }
}

impl Inner {
    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The catalog as it is now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.state().catalog
    }

    /// What introspection found beside the catalog.
    pub fn surroundings(&self) -> Arc<Surroundings> {
        self.state().surroundings
    }

    /// What a run needs besides its plan.
    pub fn context<'a>(&'a self, surroundings: &'a Surroundings) -> run::Context<'a> {
        run::Context {
            pool: &self.pool,
            options: &self.options,
            surroundings,
            texts: &self.texts,
        }
    }

    /// Reads the catalog anew and publishes it if the database is another one than it was: plans made for a catalog
    /// that has not changed stay good, whoever asked for the reload.
    pub async fn reload(&self) -> Result<(), BackendError> {
        let _one_at_a_time = self.reloading.lock().await;
        let exclusive = self.pool.exclusive().await?;
        let result = introspect::introspect(exclusive.connection()).await;
        exclusive.release();
        let (mut catalog, surroundings) = result?;
        if surroundings.fingerprint == self.surroundings().fingerprint {
            tracing::debug!("catalog read anew, unchanged");
            return Ok(());
        }
        catalog.time_zones = self.catalog().time_zones.clone();
        catalog.version = self.versions.fetch_add(1, Ordering::AcqRel) + 1;
        tracing::debug!(
            version = catalog.version,
            relations = catalog.relations.len(),
            "catalog reloaded"
        );
        let state = State {
            catalog: Arc::new(catalog),
            surroundings: Arc::new(surroundings),
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }
}

impl Backend for PostgresBackend {
    fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog()
    }

    fn render(&self, plan: &Plan) -> Result<Statement, BackendError> {
        let catalog = self.inner.catalog();
        if plan.catalog_version != catalog.version {
            return Err(BackendError::StaleCatalog);
        }
        let rendered = Rendered::new(plan.clone(), catalog.representations.clone())?;
        Ok(Statement {
            sql: rendered.text(),
            engine: Arc::new(rendered),
            // Rules may read any of it, and the database does not say whether they do.
            reads_request: true,
        })
    }

    fn own(&self, sql: &'static str) -> Result<Statement, BackendError> {
        Ok(Statement {
            sql: sql.into(),
            engine: Arc::new(run::Own::new(sql)),
            reads_request: false,
        })
    }

    fn run<'a>(
        &'a self,
        caller: &'a Caller,
        statement: &'a Statement,
        input: Input,
    ) -> BoxFuture<'a, Result<Outcome, BackendError>> {
        Box::pin(async move {
            if let Some(own) = statement.engine.downcast_ref::<run::Own>() {
                let state = self.inner.state();
                return run::run_own(&self.inner.context(&state.surroundings), own, &input).await;
            }
            let rendered = statement
                .engine
                .downcast_ref::<Rendered>()
                .ok_or_else(|| BackendError::Internal("a statement of another engine".into()))?;
            let state = self.inner.state();
            if rendered.plan.catalog_version != state.catalog.version {
                return Err(BackendError::StaleCatalog);
            }
            let ctx = self.inner.context(&state.surroundings);
            match run::run(&ctx, caller, rendered, &input).await {
                Ok(outcome) => Ok(outcome),
                Err(Failure::Backend(error)) => Err(error),
                Err(Failure::CatalogChanged) => {
                    self.inner.reload().await?;
                    if self.inner.catalog().version == rendered.plan.catalog_version {
                        // Planning again would give the same plan; it must not go round in circles.
                        return Err(BackendError::Internal(format!(
                            "rows do not have the types that the catalog promises: {}",
                            rendered.text()
                        )));
                    }
                    Err(BackendError::StaleCatalog)
                }
            }
        })
    }

    fn transact<'a>(
        &'a self,
        _: &'a Ident,
        isolation: Isolation,
        script: Arc<Mutex<dyn Script>>,
    ) -> BoxFuture<'a, Result<Ended, BackendError>> {
        Box::pin(async move {
            let state = self.inner.state();
            let ctx = self.inner.context(&state.surroundings);
            match run::transact(&ctx, state.catalog.version, isolation, &script).await {
                Ok(ended) => Ok(ended),
                Err(Failure::Backend(error)) => Err(error),
                Err(Failure::CatalogChanged) => {
                    self.inner.reload().await?;
                    Err(BackendError::StaleCatalog)
                }
            }
        })
    }

    fn query<'a>(
        &'a self,
        caller: Option<&'a Caller>,
        sql: &'a str,
        mode: QueryMode,
    ) -> BoxFuture<'a, Result<QueryResult, BackendError>> {
        Box::pin(async move {
            let result = console::query(&self.inner, caller, sql, mode).await?;
            if mode == QueryMode::ReadWrite {
                // It may have changed the schema.
                self.inner.reload().await?;
            }
            Ok(result)
        })
    }

    fn judge<'a>(
        &'a self,
        caller: &'a Caller,
        trial: &'a Trial,
    ) -> BoxFuture<'a, Result<Vec<Vec<Verdict>>, BackendError>> {
        Box::pin(mainstay_sql::trial::judge(self, caller, trial))
    }

    fn compared(&self, relation: &Relation, condition: &str) -> Vec<ColumnIndex> {
        mainstay_sql::trial::compared(relation, condition)
    }

    fn overseer(&self) -> Option<Ident> {
        let state = self.inner.state();
        let connected = Ident::new(&state.surroundings.server.connected_as);
        let passes = |role: &Ident| {
            let entry = state.catalog.roles.get(role);
            entry.is_some_and(|entry| entry.superuser || entry.bypass_rls)
        };
        [connected, Ident::new(SECRET_ROLE)].into_iter().find(passes)
    }

    fn migrations<'a>(&'a self) -> BoxFuture<'a, Result<Vec<AppliedMigration>, BackendError>> {
        Box::pin(migrate::applied(&self.inner))
    }

    fn migrate<'a>(&'a self, migration: &'a Migration) -> BoxFuture<'a, Result<(), MigrationError>> {
        Box::pin(async move {
            migrate::apply(&self.inner, migration).await?;
            self.inner.reload().await?;
            Ok(())
        })
    }

    fn record<'a>(&'a self, migration: &'a Migration) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(migrate::record_only(&self.inner, migration))
    }

    fn check<'a>(&'a self, migrations: &'a [Migration]) -> BoxFuture<'a, Vec<CheckedMigration>> {
        Box::pin(migrate::check(&self.inner, migrations))
    }

    fn reset<'a>(&'a self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            migrate::reset(&self.inner).await?;
            self.inner.reload().await
        })
    }

    fn is_empty<'a>(&'a self) -> BoxFuture<'a, Result<bool, BackendError>> {
        Box::pin(console::is_empty(&self.inner))
    }

    fn reload<'a>(&'a self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(self.inner.reload())
    }

    fn definitions<'a>(&'a self) -> BoxFuture<'a, Result<Definitions, BackendError>> {
        Box::pin(definitions::definitions(&self.inner))
    }

    fn export<'a>(
        &'a self,
        tables: &'a [TableRows],
        sink: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Result<BTreeMap<QualifiedName, Position>, BackendError>> {
        Box::pin(definitions::export(&self.inner, tables, sink))
    }

    fn health<'a>(&'a self) -> BoxFuture<'a, Result<Health, BackendError>> {
        Box::pin(async move {
            let connection = self.inner.pool.shared(Lane::Read).await?;
            console::alive(&connection).await?;
            let state = self.inner.state();
            Ok(Health {
                engine: format!("PostgreSQL {}", state.surroundings.server.version),
                warnings: console::warnings(&state.catalog, &state.surroundings, &self.inner.options),
            })
        })
    }

    fn transfer(&self) -> &dyn Transfer {
        self
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.inner.closing.store(true, Ordering::Release);
            self.inner.stopped.notify_waiters();
            self.inner.pool.close();
        })
    }
}

impl Drop for PostgresBackend {
    fn drop(&mut self) {
        self.inner.closing.store(true, Ordering::Release);
        self.inner.stopped.notify_waiters();
        self.inner.pool.close();
    }
}
