//! The questions asked of the system catalogs for `db dump` and `db diff`. Each answers with one JSON object per row.
//!
//! Objects that belong to an extension are left out: it brings them.
//!
//! Source: PostgreSQL 15 manual, chapter 53 (system catalogs) and 9.26 (`pg_get_*def`).

/// With no search path, everything comes back qualified.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''";

pub const OWNER: &str = "SELECT to_json(current_user::text)";

pub const SCHEMAS: &str = "SELECT row_to_json(x) FROM (SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner,
    obj_description(n.oid, 'pg_namespace') AS comment,
    (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable))
        FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a) AS acl
    FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')) x";

pub const EXTENSIONS: &str = "SELECT row_to_json(x) FROM (SELECT e.extname AS name, n.nspname AS schema
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace) x";

/// `is_named`: something in this database is owned by it, granted to it or for it.
pub const ROLES: &str = "SELECT row_to_json(x) FROM (SELECT r.rolname AS name, r.rolinherit AS inherit,
    r.rolbypassrls AS bypass_rls, r.rolcanlogin AS login, shobj_description(r.oid, 'pg_authid') AS comment,
    (SELECT json_agg(pg_get_userbyid(m.roleid)) FROM pg_auth_members m WHERE m.member = r.oid) AS member_of,
    EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
        AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS is_named
    FROM pg_roles r) x";

pub const TYPES: &str = "SELECT row_to_json(x) FROM (SELECT n.nspname AS schema, t.typname AS name, t.typtype AS kind,
    pg_get_userbyid(t.typowner) AS owner, obj_description(coalesce(c.oid, t.oid), CASE WHEN c.oid IS NULL THEN 'pg_type' ELSE 'pg_class' END) AS relation_comment,
    obj_description(t.oid, 'pg_type') AS comment,
    (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable))
        FROM aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a) AS acl,
    (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
    CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
    CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN
        (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname) FROM pg_collation co
            JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = t.typcollation) END AS collation,
    t.typnotnull AS not_null, CASE WHEN t.typtype = 'd' THEN coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)) END AS default_text,
    (SELECT json_agg(json_build_array(k.conname, pg_get_constraintdef(k.oid)) ORDER BY k.conname)
        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') AS checks,
    (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS attributes,
    (SELECT 'subtype = ' || format_type(r.rngsubtype, NULL)
        || CASE WHEN r.rngsubdiff <> 0 THEN ', subtype_diff = ' || r.rngsubdiff::regproc::text ELSE '' END
        FROM pg_range r WHERE r.rngtypid = t.oid) AS subtype
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_type b ON b.oid = t.typbasetype
    WHERE t.typtype IN ('e', 'd', 'c', 'r') AND (c.oid IS NULL OR c.relkind = 'c')
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')) x";

pub const SEQUENCES: &str = "SELECT row_to_json(x) FROM (SELECT n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner,
    obj_description(c.oid, 'pg_class') AS comment, format_type(s.seqtypid, NULL) AS ty, s.seqstart AS start,
    s.seqincrement AS increment, s.seqmin AS min, s.seqmax AS max, s.seqcache AS cache, s.seqcycle AS cycle,
    (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable))
        FROM aclexplode(coalesce(c.relacl, acldefault('s', c.relowner))) a) AS acl,
    (SELECT json_build_array(tn.nspname, t.relname, a.attname, d.deptype = 'i') FROM pg_depend d
        JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
        AND d.deptype IN ('a', 'i') LIMIT 1) AS owned_by
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')) x";

pub const RELATIONS: &str = "SELECT row_to_json(x) FROM (SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
    pg_get_userbyid(c.relowner) AS owner, obj_description(c.oid, 'pg_class') AS comment,
    c.relrowsecurity AS row_security, c.relforcerowsecurity AS forced, c.relpersistence = 'u' AS unlogged,
    c.relreplident = 'f' AS replica_full, c.reloptions AS options,
    (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable))
        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a) AS acl,
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS query,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_by,
    CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS bounds,
    (SELECT json_agg(json_build_array(pn.nspname, p.relname) ORDER BY i.inhseqno) FROM pg_inherits i
        JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) AS parents
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'p') AND c.relpersistence <> 't'
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')) x";

/// Of tables and views. Columns that a table has from its parents alone are left out.
pub const COLUMNS: &str = "SELECT row_to_json(x) FROM (SELECT a.attrelid::int8 AS relation, a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS ty, a.attnotnull AS not_null, a.attidentity AS identity, a.attgenerated AS generated,
    pg_get_expr(d.adbin, d.adrelid) AS default_text, col_description(a.attrelid, a.attnum) AS comment,
    CASE WHEN a.attcollation <> t.typcollation THEN
        (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname) FROM pg_collation co
            JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END AS collation,
    (SELECT json_agg(json_build_array(CASE WHEN e.grantee <> 0 THEN pg_get_userbyid(e.grantee) END, e.privilege_type, e.is_grantable))
        FROM aclexplode(a.attacl) e) AS acl, a.attislocal OR c.relispartition AS is_own
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'p')
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    ORDER BY a.attrelid, a.attnum) x";

pub const CONSTRAINTS: &str =
    "SELECT row_to_json(x) FROM (SELECT k.conrelid::int8 AS relation, k.conname AS name, k.contype AS kind,
    pg_get_constraintdef(k.oid) AS text, obj_description(k.oid, 'pg_constraint') AS comment,
    (SELECT json_agg(a.attname ORDER BY o.n) FROM unnest(k.conkey) WITH ORDINALITY o(number, n)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.number) AS columns,
    (SELECT json_build_array(tn.nspname, t.relname) FROM pg_class t JOIN pg_namespace tn ON tn.oid = t.relnamespace
        WHERE t.oid = k.confrelid) AS target
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0 AND k.conislocal AND k.coninhcount = 0
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema') x";

/// That of a partitioned table reaches its parts, which have none of their own.
pub const INDEXES: &str = "SELECT row_to_json(x) FROM (SELECT i.indrelid::int8 AS relation, c.relname AS name,
    regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS text, obj_description(c.oid, 'pg_class') AS comment
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))) x";

pub const POLICIES: &str = "SELECT row_to_json(x) FROM (SELECT p.polrelid::int8 AS relation, p.polname AS name, p.polcmd AS command,
    p.polpermissive AS permissive, (SELECT json_agg(CASE WHEN r <> 0 THEN pg_get_userbyid(r) END) FROM unnest(p.polroles) r) AS roles,
    pg_get_expr(p.polqual, p.polrelid) AS using_text, pg_get_expr(p.polwithcheck, p.polrelid) AS check_text,
    obj_description(p.oid, 'pg_policy') AS comment FROM pg_policy p) x";

pub const TRIGGERS: &str = "SELECT row_to_json(x) FROM (SELECT t.tgrelid::int8 AS relation, t.tgname AS name,
    pg_get_triggerdef(t.oid) AS text, t.tgenabled AS mode, obj_description(t.oid, 'pg_trigger') AS comment
    FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0) x";

pub const ROUTINES: &str = "SELECT row_to_json(x) FROM (SELECT n.nspname AS schema, p.proname AS name, p.prokind AS kind,
    pg_get_userbyid(p.proowner) AS owner, obj_description(p.oid, 'pg_proc') AS comment,
    (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable))
        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a) AS acl,
    coalesce((SELECT string_agg(format_type(o.ty, NULL), ', ' ORDER BY o.n) FROM unnest(p.proargtypes) WITH ORDINALITY o(ty, n)), '') AS arguments,
    concat_ws(' ', pg_get_function_identity_arguments(p.oid), 'RETURNS', pg_get_function_result(p.oid), 'DEFAULTS', p.pronargdefaults) AS signature,
    pg_get_functiondef(p.oid) AS text, CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE '' END AS body,
    (SELECT substr(o, 13) FROM unnest(p.proconfig) o WHERE o LIKE 'search\\_path=%') AS search_path
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prokind IN ('f', 'p', 'w') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))) x";

pub const DEFAULT_RIGHTS: &str = "SELECT row_to_json(x) FROM (SELECT pg_get_userbyid(d.defaclrole) AS owner, n.nspname AS schema, d.defaclobjtype AS object,
    (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable))
        FROM aclexplode(d.defaclacl) a) AS acl
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace) x";

pub const PUBLICATIONS: &str = "SELECT row_to_json(x) FROM (SELECT p.pubname AS name, p.puballtables AS all_tables,
    (SELECT json_agg(json_build_array(n.nspname, c.relname)) FROM pg_publication_rel r
        JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid) AS tables
    FROM pg_publication p) x";

/// Objects whose statement PostgreSQL gives, and whose place is behind the tables and views.
pub const OTHERS: &str = "SELECT row_to_json(x) FROM (
    SELECT 'rule' AS kind, n.nspname AS schema, c.relname AS of, r.rulename AS name, pg_get_ruledef(r.oid) AS text
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT 'statistics', n.nspname, '', s.stxname, pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema') x";

/// Objects of kinds that are named and not written.
pub const UNWRITTEN: &str =
    "SELECT row_to_json(x) FROM (SELECT i.type AS kind, i.identity AS name, n.nspname AS schema FROM (
        SELECT 'pg_proc'::regclass AS class, oid, pronamespace AS namespace FROM pg_proc WHERE prokind = 'a'
        UNION ALL SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class WHERE relkind = 'f'
        UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
        UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace FROM pg_opclass
        UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
        UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace FROM pg_conversion
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace FROM pg_ts_dict
        UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type WHERE typtype = 'b' AND typcategory <> 'A'
        UNION ALL SELECT 'pg_cast'::regclass, oid, 0 FROM pg_cast WHERE oid >= 16384
        UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0 FROM pg_event_trigger
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0 FROM pg_foreign_server
    ) o LEFT JOIN pg_namespace n ON n.oid = o.namespace CROSS JOIN LATERAL pg_identify_object(o.class, o.oid, 0) i
    WHERE coalesce(n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema', true)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype IN ('e', 'i'))) x";

/// Tables whose rows are all in others.
pub const PARTITIONED: &str = "SELECT json_build_array(n.nspname, c.relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p'";
