//! Publications: realtime's switch.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

use super::{Change, Result, Run};
use crate::ast::ddl::{Publication, PublicationAction};

/// The only publication that there can be.
const REALTIME: &str = "supabase_realtime";

impl Run<'_> {
    pub(super) fn publication(&mut self, publication: &Publication) -> Result<()> {
        if publication.name != *REALTIME {
            let way = Some("the publication supabase_realtime");
            return Err(self.refuse("publications of one's own", &publication.name, way));
        }
        let mut tables = Vec::new();
        for table in &publication.tables {
            tables.push(self.existing_table(table)?.name.clone());
        }
        if publication.all_tables && publication.action == PublicationAction::Create {
            return Err(self.refuse("FOR ALL TABLES", &publication.name, Some("ADD TABLE for each")));
        }
        self.changes.push(Change::Publication {
            name: publication.name.clone(),
            action: publication.action,
            tables,
        });
        Ok(())
    }

    /// Errors: 42704 for another than Supabase's, which is the only one that can be made.
    pub(super) fn existing_publication(&mut self, name: &Ident) -> Result<()> {
        if **name != *REALTIME {
            let message = format!("publication \"{name}\" does not exist");
            return Err(DatabaseError::new("42704", message));
        }
        // The engine keeps it, and says if it has been dropped.
        self.changes.push(Change::Publication {
            name: name.clone(),
            action: PublicationAction::Add,
            tables: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn drop_publications(&mut self, names: &[Ident], if_exists: bool) -> Result<()> {
        for name in names {
            let message = format!("publication \"{name}\" does not exist");
            match (**name == *REALTIME, if_exists) {
                (true, _) => self.changes.push(Change::DropPublication {
                    name: name.clone(),
                    if_exists,
                }),
                (false, true) => self.notice("00000", format!("{message}, skipping")),
                (false, false) => return Err(DatabaseError::new("42704", message)),
            }
        }
        Ok(())
    }
}
