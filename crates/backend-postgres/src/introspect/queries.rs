//! The questions asked of the system catalogs. Each answers with one JSON object per row.
//!
//! Source: PostgreSQL 15 manual, chapter 53 (system catalogs).

/// Positions in [`ALL`].
pub const SERVER: usize = 2;
pub const SCHEMAS: usize = 3;
pub const TYPES: usize = 4;
pub const ENUMS: usize = 5;
pub const DOMAINS: usize = 6;
pub const RELATIONS: usize = 7;
pub const COLUMNS: usize = 8;
pub const CONSTRAINTS: usize = 9;
pub const INDEXES: usize = 10;
pub const POLICIES: usize = 11;
pub const RULES: usize = 12;
pub const ROUTINES: usize = 13;
pub const ROLES: usize = 14;
pub const ROLE_SETTINGS: usize = 15;
pub const DEFAULT_PRIVILEGES: usize = 16;
pub const EXTENSIONS: usize = 17;
pub const SEQUENCES: usize = 18;
pub const MEDIA_HANDLERS: usize = 19;
pub const REPRESENTATIONS: usize = 20;

/// In the order they are sent; the first two and the last have no rows to read.
pub const ALL: [&str; 22] = [
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    // With no search path, expressions and types come back qualified.
    "SELECT pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('role', 'none', true)",
    "SELECT row_to_json(x) FROM (SELECT
        current_setting('server_version_num')::int AS version_number,
        current_setting('server_version') AS version,
        current_user::text AS connected_as,
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
        (SELECT datcollate FROM pg_database WHERE datname = current_database()) AS collation,
        EXISTS (SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
            AND (p.prosrc LIKE '%response.%'
                OR p.prosqlbody IS NOT NULL AND pg_get_function_sqlbody(p.oid) LIKE '%response.%')) AS sets_response
    ) x",
    "SELECT row_to_json(x) FROM (SELECT n.nspname AS name, n.nspowner::int8 AS owner,
        obj_description(n.oid, 'pg_namespace') AS comment,
        (SELECT json_agg(json_build_array(a.grantee::int8, a.privilege_type, a.is_grantable))
            FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a) AS acl
        FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema') x",
    "SELECT row_to_json(x) FROM (SELECT t.oid::int8 AS oid, t.typname AS name, n.nspname AS schema, t.typtype AS kind,
        t.typcategory AS category, t.typelem::int8 AS element, t.typbasetype::int8 AS base, t.typrelid::int8 AS relation
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace) x",
    "SELECT row_to_json(x) FROM (SELECT t.oid::int8 AS oid, t.typowner::int8 AS owner,
        obj_description(t.oid, 'pg_type') AS comment,
        (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels
        FROM pg_type t WHERE t.typtype = 'e') x",
    "SELECT row_to_json(x) FROM (SELECT t.oid::int8 AS oid, t.typbasetype::int8 AS base, t.typtypmod AS modifier,
        t.typnotnull AS not_null, pg_get_expr(t.typdefaultbin, 0) AS default_text, t.typowner::int8 AS owner,
        (SELECT json_agg(json_build_array(c.conname, pg_get_expr(c.conbin, 0)) ORDER BY c.conname)
            FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c') AS checks
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype = 'd' AND n.nspname <> 'information_schema') x",
    "SELECT row_to_json(x) FROM (SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
        c.relowner::int8 AS owner, c.relrowsecurity AS row_security, c.relforcerowsecurity AS forced,
        obj_description(c.oid, 'pg_class') AS comment, c.reloptions AS options,
        CASE WHEN c.relkind IN ('r', 'p') THEN 28 WHEN c.relkind = 'm' THEN 0
            ELSE pg_relation_is_updatable(c.oid, true) END AS updatable,
        c.relkind = 'v' AND pg_relation_is_updatable(c.oid, false) & 16 <> 0 AS is_row_wise,
        (SELECT json_agg(json_build_array(a.grantee::int8, a.privilege_type, a.is_grantable))
            FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a) AS acl
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema') x",
    // Composite types are here too: routines may return them.
    "SELECT row_to_json(x) FROM (SELECT a.attrelid::int8 AS relation, a.attnum AS number, a.attname AS name,
        a.atttypid::int8 AS ty, a.atttypmod AS modifier, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS not_null,
        coalesce(pg_get_expr(d.adbin, d.adrelid), CASE WHEN t.typtype = 'd' THEN pg_get_expr(t.typdefaultbin, 0) END) AS default_text,
        a.attidentity AS identity, a.attgenerated AS generated, col_description(a.attrelid, a.attnum) AS comment,
        CASE WHEN a.attacl IS NOT NULL THEN
            (SELECT json_agg(json_build_array(e.grantee::int8, e.privilege_type, e.is_grantable))
                FROM aclexplode(a.attacl) e) END AS acl,
        (SELECT json_build_array(sn.nspname, s.relname) FROM pg_depend o
            JOIN pg_class s ON s.oid = o.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
            WHERE (a.atthasdef OR a.attidentity <> '') AND o.classid = 'pg_class'::regclass
            AND o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
            AND o.deptype IN ('a', 'i') LIMIT 1) AS sequence
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'c') AND NOT c.relispartition
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
        ORDER BY a.attrelid, a.attnum) x",
    "SELECT row_to_json(x) FROM (SELECT k.conrelid::int8 AS relation, k.conname AS name, k.contype AS kind, k.conkey AS columns,
        k.confrelid::int8 AS target, k.confkey AS target_columns, k.confdeltype AS on_delete, k.confupdtype AS on_update,
        k.condeferrable AS deferrable, k.condeferred AS deferred,
        CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END AS expression,
        obj_description(k.oid, 'pg_constraint') AS comment
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE k.contype IN ('p', 'u', 'f', 'c') AND k.conparentid = 0 AND NOT c.relispartition
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
        ORDER BY k.conrelid, k.conname) x",
    "SELECT row_to_json(x) FROM (SELECT i.indrelid::int8 AS relation, c.relname AS name, i.indisunique AS is_unique,
        am.amname AS method, pg_get_expr(i.indpred, i.indrelid) AS predicate,
        (SELECT json_agg(json_build_array(i.indkey[k], CASE WHEN i.indkey[k] = 0 THEN pg_get_indexdef(i.indexrelid, k + 1, true) END,
            i.indoption[k]) ORDER BY k) FROM generate_series(0, i.indnkeyatts - 1) k) AS keys
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
        JOIN pg_class r ON r.oid = i.indrelid JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE NOT r.relispartition AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
        ORDER BY i.indrelid, c.relname) x",
    "SELECT row_to_json(x) FROM (SELECT p.polrelid::int8 AS relation, p.polname AS name, p.polcmd AS command,
        p.polpermissive AS permissive, (SELECT json_agg(r::int8) FROM unnest(p.polroles) r) AS roles,
        pg_get_expr(p.polqual, p.polrelid) AS using_text, pg_get_expr(p.polwithcheck, p.polrelid) AS check_text
        FROM pg_policy p ORDER BY p.polrelid, p.polname) x",
    "SELECT row_to_json(x) FROM (SELECT r.ev_class::int8 AS relation, r.ev_action::text AS tree
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE r.ev_type = '1' AND c.relkind IN ('v', 'm')
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema') x",
    "SELECT row_to_json(x) FROM (SELECT p.oid::int8 AS oid, n.nspname AS schema, p.proname AS name, p.proowner::int8 AS owner,
        p.prokind AS kind, p.proretset AS returns_set, p.prorettype::int8 AS returns, p.provolatile AS volatility,
        p.prorows AS rows, p.proisstrict AS strict, p.prosecdef AS security_definer, l.lanname AS language,
        (SELECT json_agg(t::int8) FROM unnest(p.proargtypes) t) AS input_types,
        (SELECT json_agg(t::int8) FROM unnest(p.proallargtypes) t) AS all_types,
        p.proargmodes AS modes, p.proargnames AS names, p.pronargdefaults AS defaults,
        d.description AS comment,
        (SELECT json_agg(json_build_array(a.grantee::int8, a.privilege_type, a.is_grantable))
            FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a) AS acl
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
        LEFT JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass AND d.objsubid = 0
        WHERE p.prokind IN ('f', 'p') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema') x",
    "SELECT row_to_json(x) FROM (SELECT r.oid::int8 AS oid, r.rolname AS name, r.rolsuper AS superuser,
        r.rolbypassrls AS bypass_rls, r.rolcanlogin AS login, r.rolinherit AS inherit,
        shobj_description(r.oid, 'pg_authid') AS comment,
        (SELECT json_agg(m.roleid::int8) FROM pg_auth_members m WHERE m.member = r.oid) AS member_of
        FROM pg_roles r) x",
    // Only what the connected role may set for a transaction; the database's own setting goes before the general one.
    "SELECT row_to_json(x) FROM (SELECT DISTINCT ON (s.setrole, split_part(o, '=', 1)) s.setrole::int8 AS role,
        split_part(o, '=', 1) AS name, substr(o, strpos(o, '=') + 1) AS value
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) o
        JOIN pg_settings g ON g.name = split_part(o, '=', 1)
        WHERE s.setrole <> 0 AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND (g.context = 'user' OR has_parameter_privilege(g.name, 'SET'))
        AND g.name NOT IN ('default_transaction_isolation', 'search_path', 'role', 'session_authorization')
        ORDER BY s.setrole, split_part(o, '=', 1), s.setdatabase DESC) x",
    "SELECT row_to_json(x) FROM (SELECT d.defaclrole::int8 AS owner, n.nspname AS schema, d.defaclobjtype AS object,
        (SELECT json_agg(json_build_array(a.grantee::int8, a.privilege_type, a.is_grantable)) FROM aclexplode(d.defaclacl) a) AS acl
        FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace) x",
    "SELECT row_to_json(x) FROM (SELECT e.extname AS name, n.nspname AS schema
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace) x",
    "SELECT row_to_json(x) FROM (SELECT n.nspname AS schema, c.relname AS name, c.relowner::int8 AS owner,
        s.seqtypid::int8 AS ty, s.seqstart AS start, s.seqincrement AS increment, s.seqmin AS min, s.seqmax AS max, s.seqcycle AS cycle,
        (SELECT json_agg(json_build_array(a.grantee::int8, a.privilege_type, a.is_grantable))
            FROM aclexplode(coalesce(c.relacl, acldefault('s', c.relowner))) a) AS acl
        FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema') x",
    // Aggregates of one argument whose result's type is named like a media type.
    "SELECT row_to_json(x) FROM (SELECT n.nspname AS schema, p.proname AS name, t.typname AS domain,
        t.typbasetype = 'bytea'::regtype AS is_binary,
        CASE WHEN a.typname <> 'anyelement' THEN json_build_array(an.nspname, a.typname) END AS relation
        FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace
        JOIN pg_type t ON t.oid = p.prorettype JOIN pg_type a ON a.oid = p.proargtypes[0]
        JOIN pg_namespace an ON an.oid = a.typnamespace
        WHERE p.pronargs = 1 AND t.typtype = 'd' AND t.typname LIKE '%/%' AND (a.typrelid <> 0 OR a.typname = 'anyelement')) x",
    // Casts to and from domains that are functions. A cast of a domain is never taken by PostgreSQL itself.
    "SELECT row_to_json(x) FROM (SELECT dn.nspname AS schema, d.typname AS domain, fn.nspname AS function_schema,
        f.proname AS function, CASE WHEN c.castsource = d.oid THEN 'to_json' WHEN o.typname = 'json' THEN 'from_json'
            ELSE 'from_text' END AS kind
        FROM pg_cast c JOIN pg_type d ON d.typtype = 'd' AND d.oid IN (c.castsource, c.casttarget)
        JOIN pg_namespace dn ON dn.oid = d.typnamespace
        JOIN pg_type o ON o.oid = CASE WHEN c.castsource = d.oid THEN c.casttarget ELSE c.castsource END
        JOIN pg_proc f ON f.oid = c.castfunc JOIN pg_namespace fn ON fn.oid = f.pronamespace
        WHERE c.castcontext = 'i' AND o.typnamespace = 'pg_catalog'::regnamespace
        AND (c.castsource = d.oid AND o.typname = 'json' OR c.casttarget = d.oid AND o.typname IN ('json', 'text'))) x",
    "COMMIT",
];
