//! JSON as rows of columns that the call names: `jsonb_to_recordset` and its kin.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::typed::{Expr, OutputColumn};
use serde_json::{Value, json};

use super::emitter::{Emitter, Result};
use super::types::suffix;

impl Emitter<'_> {
    /// The rows as JSON arrays of stored forms, for the parts of a set.
    pub(super) fn records(&mut self, function: &str, document: &Expr, columns: &[OutputColumn]) -> Result<()> {
        let mut described = Vec::with_capacity(columns.len());
        for column in columns {
            described.push(self.described(column)?);
        }
        self.sql("json_each(pg_srf_json_records(");
        self.expr(document)?;
        self.sql(", ").writer.literal(&Value::Array(described).to_string());
        self.sql(", ").writer.literal(function);
        self.sql("))");
        Ok(())
    }

    /// What reading a member into the column needs to know.
    fn described(&self, column: &OutputColumn) -> Result<Value> {
        let (element, is_array) = match column.ty.base() {
            Type::Array(element) => (element.base(), true),
            scalar => (scalar, false),
        };
        let labels = match element {
            Type::Enum(name) => {
                let found = self
                    .catalog()
                    .enums
                    .get(name)
                    .ok_or_else(|| DatabaseError::new("42704", format!("type \"{}\" does not exist", name.name)))?;
                json!([name.name.as_str(), found.labels])
            }
            _ => Value::Null,
        };
        let modifier = match column.modifier {
            TypeModifier::None => Value::Null,
            modifier => serde_json::to_value(modifier).unwrap_or_default(),
        };
        Ok(json!([
            column.name.as_str(),
            suffix(element)?,
            is_array,
            labels,
            modifier
        ]))
    }
}
