//! The system relations and their columns. The texts of expressions (`qual`, `column_default` …) are left out: PostgreSQL
//! prints them from its own trees, the catalog keeps them as they were written.

use mainstay_core::types::Type;

type Columns = Vec<(&'static str, Type)>;

const NAMES: fn() -> Type = || Type::Array(Box::new(Type::Name));

/// Schema, name, columns.
pub static ALL: std::sync::LazyLock<Vec<(&'static str, &'static str, Columns)>> = std::sync::LazyLock::new(|| {
    let mut all = Vec::new();
    for (name, columns) in pg_catalog() {
        all.push(("pg_catalog", name, columns));
    }
    for (name, columns) in information_schema() {
        all.push(("information_schema", name, columns));
    }
    all
});

fn pg_catalog() -> Vec<(&'static str, Columns)> {
    use Type::{Bool, Char, Float4, Int2, Int4, Int8, Name, Oid, Text};
    vec![
        ("pg_namespace", vec![("oid", Oid), ("nspname", Name), ("nspowner", Oid)]),
        (
            "pg_class",
            vec![
                ("oid", Oid),
                ("relname", Name),
                ("relnamespace", Oid),
                ("relowner", Oid),
                ("relkind", Char),
                ("relpersistence", Char),
                ("relnatts", Int2),
                ("relrowsecurity", Bool),
                ("relforcerowsecurity", Bool),
                ("relispartition", Bool),
            ],
        ),
        (
            "pg_attribute",
            vec![
                ("attrelid", Oid),
                ("attname", Name),
                ("atttypid", Oid),
                ("attnum", Int2),
                ("attnotnull", Bool),
                ("atthasdef", Bool),
                ("attidentity", Char),
                ("attgenerated", Char),
                ("attisdropped", Bool),
            ],
        ),
        (
            "pg_type",
            vec![
                ("oid", Oid),
                ("typname", Name),
                ("typnamespace", Oid),
                ("typowner", Oid),
                ("typtype", Char),
                ("typrelid", Oid),
                ("typbasetype", Oid),
                ("typnotnull", Bool),
            ],
        ),
        (
            "pg_enum",
            vec![
                ("oid", Oid),
                ("enumtypid", Oid),
                ("enumsortorder", Float4),
                ("enumlabel", Name),
            ],
        ),
        (
            "pg_proc",
            vec![
                ("oid", Oid),
                ("proname", Name),
                ("pronamespace", Oid),
                ("proowner", Oid),
                ("prokind", Char),
                ("prosecdef", Bool),
                ("proisstrict", Bool),
                ("proretset", Bool),
                ("provolatile", Char),
                ("pronargs", Int2),
                ("pronargdefaults", Int2),
                ("prorettype", Oid),
                ("prosrc", Text),
            ],
        ),
        (
            "pg_constraint",
            vec![
                ("oid", Oid),
                ("conname", Name),
                ("connamespace", Oid),
                ("contype", Char),
                ("condeferrable", Bool),
                ("condeferred", Bool),
                ("convalidated", Bool),
                ("conrelid", Oid),
                ("confrelid", Oid),
                ("confupdtype", Char),
                ("confdeltype", Char),
            ],
        ),
        (
            "pg_policy",
            vec![
                ("oid", Oid),
                ("polname", Name),
                ("polrelid", Oid),
                ("polcmd", Char),
                ("polpermissive", Bool),
            ],
        ),
        (
            "pg_trigger",
            vec![
                ("oid", Oid),
                ("tgrelid", Oid),
                ("tgparentid", Oid),
                ("tgname", Name),
                ("tgfoid", Oid),
                ("tgtype", Int2),
                ("tgenabled", Char),
                ("tgisinternal", Bool),
                ("tgconstrrelid", Oid),
                ("tgconstrindid", Oid),
                ("tgconstraint", Oid),
                ("tgdeferrable", Bool),
                ("tginitdeferred", Bool),
                ("tgnargs", Int2),
                ("tgoldtable", Name),
                ("tgnewtable", Name),
            ],
        ),
        (
            "pg_policies",
            vec![
                ("schemaname", Name),
                ("tablename", Name),
                ("policyname", Name),
                ("permissive", Text),
                ("roles", NAMES()),
                ("cmd", Text),
            ],
        ),
        (
            "pg_tables",
            vec![
                ("schemaname", Name),
                ("tablename", Name),
                ("tableowner", Name),
                ("hasindexes", Bool),
                ("rowsecurity", Bool),
            ],
        ),
        (
            "pg_views",
            vec![("schemaname", Name), ("viewname", Name), ("viewowner", Name)],
        ),
        (
            "pg_indexes",
            vec![("schemaname", Name), ("tablename", Name), ("indexname", Name)],
        ),
        (
            "pg_sequences",
            vec![
                ("schemaname", Name),
                ("sequencename", Name),
                ("sequenceowner", Name),
                ("start_value", Int8),
                ("min_value", Int8),
                ("max_value", Int8),
                ("increment_by", Int8),
                ("cycle", Bool),
            ],
        ),
        (
            "pg_extension",
            vec![("oid", Oid), ("extname", Name), ("extnamespace", Oid)],
        ),
        (
            "pg_roles",
            vec![
                ("oid", Oid),
                ("rolname", Name),
                ("rolsuper", Bool),
                ("rolinherit", Bool),
                ("rolcanlogin", Bool),
                ("rolbypassrls", Bool),
                ("rolconnlimit", Int4),
            ],
        ),
        ("pg_publication", vec![("pubname", Name)]),
        (
            "pg_publication_tables",
            vec![
                ("pubname", Name),
                ("schemaname", Name),
                ("tablename", Name),
                ("attnames", NAMES()),
                ("rowfilter", Text),
            ],
        ),
    ]
}

/// The information schema's own types (`sql_identifier`, `character_data`, `yes_or_no`, `cardinal_number`) are domains
/// over `name`, `varchar` and `integer`.
fn information_schema() -> Vec<(&'static str, Columns)> {
    use Type::{Int4, Name, Varchar};
    let names = |columns: &[&'static str]| -> Columns { columns.iter().map(|column| (*column, Name)).collect() };
    vec![
        ("schemata", names(&["catalog_name", "schema_name", "schema_owner"])),
        (
            "tables",
            vec![
                ("table_catalog", Name),
                ("table_schema", Name),
                ("table_name", Name),
                ("table_type", Varchar),
                ("is_insertable_into", Varchar),
            ],
        ),
        (
            "columns",
            vec![
                ("table_catalog", Name),
                ("table_schema", Name),
                ("table_name", Name),
                ("column_name", Name),
                ("ordinal_position", Int4),
                ("is_nullable", Varchar),
                ("data_type", Varchar),
                ("character_maximum_length", Int4),
                ("numeric_precision", Int4),
                ("numeric_scale", Int4),
                ("udt_schema", Name),
                ("udt_name", Name),
                ("is_identity", Varchar),
                ("identity_generation", Varchar),
                ("is_generated", Varchar),
            ],
        ),
        (
            "table_constraints",
            vec![
                ("constraint_catalog", Name),
                ("constraint_schema", Name),
                ("constraint_name", Name),
                ("table_catalog", Name),
                ("table_schema", Name),
                ("table_name", Name),
                ("constraint_type", Varchar),
                ("is_deferrable", Varchar),
                ("initially_deferred", Varchar),
            ],
        ),
        (
            "key_column_usage",
            vec![
                ("constraint_catalog", Name),
                ("constraint_schema", Name),
                ("constraint_name", Name),
                ("table_catalog", Name),
                ("table_schema", Name),
                ("table_name", Name),
                ("column_name", Name),
                ("ordinal_position", Int4),
            ],
        ),
        (
            "constraint_column_usage",
            names(&[
                "table_catalog",
                "table_schema",
                "table_name",
                "column_name",
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
            ]),
        ),
        (
            "referential_constraints",
            vec![
                ("constraint_catalog", Name),
                ("constraint_schema", Name),
                ("constraint_name", Name),
                ("match_option", Varchar),
                ("update_rule", Varchar),
                ("delete_rule", Varchar),
            ],
        ),
        (
            "views",
            vec![
                ("table_catalog", Name),
                ("table_schema", Name),
                ("table_name", Name),
                ("check_option", Varchar),
                ("is_updatable", Varchar),
                ("is_insertable_into", Varchar),
                ("is_trigger_updatable", Varchar),
                ("is_trigger_deletable", Varchar),
                ("is_trigger_insertable_into", Varchar),
            ],
        ),
        (
            "triggers",
            vec![
                ("trigger_catalog", Name),
                ("trigger_schema", Name),
                ("trigger_name", Name),
                ("event_manipulation", Varchar),
                ("event_object_catalog", Name),
                ("event_object_schema", Name),
                ("event_object_table", Name),
                ("action_order", Int4),
                ("action_orientation", Varchar),
                ("action_timing", Varchar),
            ],
        ),
        (
            "routines",
            vec![
                ("routine_catalog", Name),
                ("routine_schema", Name),
                ("routine_name", Name),
                ("routine_type", Varchar),
                ("external_language", Varchar),
                ("security_type", Varchar),
            ],
        ),
    ]
}
