//! TypeScript's view of the API: the `Database` type that `supabase-js` is given, as `supabase gen types` writes it.
//!
//! Lives here: the file's frame. Relations: [`relation`]; routines: [`routine`]; PostgreSQL's types: [`types`]; names,
//! quotes and order: [`names`]; lines: [`layout`].
//! Not here: which schemas, which file (the command line).
//! Invariant: the same catalog gives the same text.
//!
//! Source: what postgres-meta prints; docs/guides/typescript.md lists where this says more.

mod layout;
mod names;
mod relation;
mod routine;
mod types;

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation};
use mainstay_core::name::Ident;

use layout::{Enum, Member, Ts};
use names::in_order;
use routine::Signature;

/// The client's types know 13 and 14, and both can what it does with the number.
const POSTGREST_VERSION: &str = "14";

/// The schema that the client takes unless told otherwise.
const DEFAULT_SCHEMA: &str = "public";

const JSON: &str = "\
export type Json =
  | string
  | number
  | boolean
  | null
  | { [key: string]: Json | undefined }
  | Json[]
";

/// The file for these schemas of `catalog`. Schemas that are not there have nothing in them.
pub fn declare(catalog: &Catalog, schemas: &[Ident]) -> String {
    let mut schemas: Vec<&Ident> = schemas.iter().collect();
    schemas.sort_by(|a, b| in_order(a, b));
    schemas.dedup();
    let scope = Scope {
        catalog,
        schemas: &schemas,
    };
    let members = schemas.iter().map(|schema| Member::new(schema, scope.schema(schema)));
    let database = layout::typed(&Ts::Record(members.collect()));
    let constants: Vec<_> = schemas
        .iter()
        .map(|schema| (schema.as_str(), scope.enums(schema)))
        .collect();
    let default = match schemas.iter().any(|schema| ***schema == *DEFAULT_SCHEMA) {
        true => DEFAULT_SCHEMA,
        false => schemas.first().map_or(DEFAULT_SCHEMA, |schema| schema.as_str()),
    };
    format!(
        "{JSON}
export type Database = {{
  // Allows to automatically instantiate createClient with right options
  // instead of createClient<Database, {{ PostgrestVersion: 'XX' }}>(URL, KEY)
  __InternalSupabase: {{
    PostgrestVersion: \"{POSTGREST_VERSION}\"
  }}{database}

type DatabaseWithoutInternals = Omit<Database, \"__InternalSupabase\">

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, {default}>]
{helpers}
export const Constants = {constants} as const
",
        // The braces and the note above stand for the record's first line.
        database = database.trim_start_matches('{'),
        default = names::literal(default),
        helpers = helpers(),
        constants = layout::constants(&constants),
    )
}

/// What is declared: some schemas of a catalog.
struct Scope<'a> {
    catalog: &'a Catalog,
    schemas: &'a [&'a Ident],
}

impl Scope<'_> {
    fn schema(&self, schema: &Ident) -> Ts {
        let signatures = self.signatures(schema);
        let (views, tables): (Vec<_>, Vec<_>) = self
            .relations(schema)
            .into_iter()
            .partition(|relation| relation.kind.is_view());
        let declared = |relations: Vec<Arc<Relation>>| {
            let members = relations
                .iter()
                .map(|relation| Member::new(&relation.name.name, self.relation(relation, &signatures)));
            Ts::members_or_never(members.collect())
        };
        let enums = self.enums(schema).into_iter().map(|(name, labels)| {
            let labels = labels.iter().map(|label| Ts::literal(label));
            Member::new(&name, Ts::Union(labels.collect()))
        });
        Ts::Record(vec![
            Member::new("Tables", declared(tables)),
            Member::new("Views", declared(views)),
            Member::new("Functions", Ts::members_or_never(self.functions(&signatures))),
            Member::new("Enums", Ts::members_or_never(enums.collect())),
            Member::new("CompositeTypes", Ts::members_or_never(self.composites(schema))),
        ])
    }

    fn relations(&self, schema: &Ident) -> Vec<Arc<Relation>> {
        let all = self.catalog.relations.values();
        let mut found: Vec<_> = all
            .filter(|relation| relation.name.schema == *schema)
            .cloned()
            .collect();
        found.sort_by(|a, b| in_order(&a.name.name, &b.name.name));
        found
    }

    fn enums(&self, schema: &Ident) -> Vec<Enum> {
        let all = self.catalog.enums.values();
        let mut found: Vec<_> = all
            .filter(|entry| entry.name.schema == *schema && !entry.labels.is_empty())
            .map(|entry| (entry.name.name.to_string(), entry.labels.clone()))
            .collect();
        found.sort_by(|(a, _), (b, _)| in_order(a, b));
        found
    }

    fn composites(&self, schema: &Ident) -> Vec<Member> {
        let all = self.catalog.composites.iter();
        let mut found: Vec<_> = all.filter(|(name, _)| name.schema == *schema).collect();
        found.sort_by(|(a, _), (b, _)| in_order(&a.name, &b.name));
        let declared = found.into_iter().map(|(name, attributes)| {
            let members = attributes
                .iter()
                .map(|(attribute, ty)| Member::new(attribute, self.spelled(ty).or_null()));
            Member::new(&name.name, Ts::Record(members.collect()))
        });
        declared.collect()
    }

    /// The signatures that the API can be asked by.
    fn signatures(&self, schema: &Ident) -> Vec<Signature> {
        let all = self.catalog.routines.iter();
        let mut found: Vec<_> = all
            .filter(|(name, _)| name.schema == *schema)
            .flat_map(|(_, overloads)| overloads)
            .filter(|routine| self.is_callable(routine))
            .map(|routine| Signature::new(routine.clone()))
            .collect();
        found.sort_by(|a, b| {
            in_order(&a.routine.name.name, &b.routine.name.name)
                .then_with(|| in_order(&a.written, &b.written))
                .then_with(|| in_order(&a.routine.returns.ty.to_string(), &b.routine.returns.ty.to_string()))
                .then_with(|| a.routine.id.cmp(&b.routine.id))
        });
        found
    }
}

/// The generic types that shorten `Database["public"]["Tables"]["orders"]["Row"]` to `Tables<"orders">`.
fn helpers() -> String {
    [
        ROWS.to_owned(),
        writes("TablesInsert", "Insert", "I"),
        writes("TablesUpdate", "Update", "U"),
        named("Enums", "DefaultSchemaEnum", "Enum"),
        named("CompositeTypes", "PublicCompositeType", "CompositeType"),
    ]
    .concat()
}

/// Of tables and views.
const ROWS: &str = r#"
export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] &
        DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] &
        DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
        Row: infer R
      }
      ? R
      : never
    : never
"#;

/// Of what a table is written with.
fn writes(helper: &str, member: &str, letter: &str) -> String {
    WRITES
        .replace("HELPER", helper)
        .replace("MEMBER", member)
        .replace("LETTER", letter)
}

const WRITES: &str = r#"
export type HELPER<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      MEMBER: infer LETTER
    }
    ? LETTER
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
        MEMBER: infer LETTER
      }
      ? LETTER
      : never
    : never
"#;

/// Of types by their name.
fn named(member: &str, of_default: &str, of_schema: &str) -> String {
    NAMED
        .replace("MEMBER", member)
        .replace("DEFAULT", &format!("{of_default}NameOrOptions"))
        .replace("OTHER", &format!("{of_schema}Name"))
}

const NAMED: &str = r#"
export type MEMBER<
  DEFAULT extends
    | keyof DefaultSchema["MEMBER"]
    | { schema: keyof DatabaseWithoutInternals },
  OTHER extends DEFAULT extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DEFAULT["schema"]]["MEMBER"]
    : never = never,
> = DEFAULT extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DEFAULT["schema"]]["MEMBER"][OTHER]
  : DEFAULT extends keyof DefaultSchema["MEMBER"]
    ? DefaultSchema["MEMBER"][DEFAULT]
    : never
"#;
