//! Plans over a small catalog made by hand, and the SQL they become.

use std::sync::Arc;

use mainstay_core::catalog::{
    Argument, Column, Relation, RelationKind, Relationship, RelationshipKind, Returns, Routine, RowSecurity, Volatility,
};
use mainstay_core::keyset::{self, Key};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::*;
use mainstay_core::policy::Access;
use mainstay_core::types::{Type, TypeModifier};

use super::*;

fn relation(name: &str, columns: &[(&str, Type)]) -> Arc<Relation> {
    Arc::new(Relation {
        name: QualifiedName::new("public", name),
        kind: RelationKind::Table,
        owner: Ident::new("postgres"),
        columns: columns
            .iter()
            .map(|(name, ty)| Column {
                name: Ident::new(name),
                ty: ty.clone(),
                modifier: TypeModifier::None,
                not_null: false,
                default: (*name == "state").then(|| "'new'::text".to_owned()),
                identity: None,
                generated: None,
                sequence: None,
                comment: None,
            })
            .collect(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        row_security: RowSecurity::default(),
        policies: Vec::new(),
        triggers: Vec::new(),
        acl: Vec::new(),
        view: None,
        insertable: true,
        updatable: true,
        deletable: true,
        comment: None,
        id: 1,
    })
}

fn orders() -> Arc<Relation> {
    relation(
        "orders",
        &[
            ("id", Type::Int8),
            ("state", Type::Text),
            ("placed", Type::Timestamptz),
            ("data", Type::Jsonb),
            ("span", Type::Interval),
        ],
    )
}

fn items() -> Arc<Relation> {
    relation("items", &[("order_id", Type::Int8), ("quantity", Type::Int4)])
}

fn read(relation: Arc<Relation>, columns: &[usize]) -> Read {
    let output = columns
        .iter()
        .map(|column| Output::Column {
            name: relation.columns[*column].name.clone(),
            field: Field::column(*column),
            cast: None,
        })
        .collect();
    Read {
        source: Source {
            relation,
            access: Access::system(),
        },
        output,
        embeds: Vec::new(),
        filter: None,
        order: Vec::new(),
        limit: None,
        offset: None,
        count: Count::None,
        grouping: None,
        paging: None,
    }
}

fn with_items(inner: bool, cardinality: Cardinality) -> Read {
    let mut parent = read(orders(), &[0]);
    let mut child = read(items(), &[1]);
    child.limit = Some(1);
    child.filter = Some(Predicate::Compare {
        field: Field::column(1),
        operator: Operator::Gt,
        value: 0,
    });
    parent.embeds.push(Embed {
        name: Ident::new("items"),
        relationship: Arc::new(Relationship {
            from: QualifiedName::new("public", "orders"),
            to: QualifiedName::new("public", "items"),
            kind: RelationshipKind::OneToMany {
                constraint: Ident::new("k"),
                columns: vec![(Ident::new("id"), Ident::new("order_id"))],
            },
            is_self: false,
        }),
        junction: None,
        cardinality,
        inner,
        read: child,
    });
    parent.output.push(Output::Embed {
        name: Ident::new("items"),
        embed: 0,
    });
    parent
}

fn plan(action: Action, format: Format) -> Plan {
    Plan {
        catalog_version: 1,
        role: Ident::new("anon"),
        format,
        handler: None,
        explain: None,
        action,
    }
}

fn sql(action: Action) -> String {
    Rendered::new(plan(action, Format::Json), Arc::default())
        .unwrap()
        .text()
        .to_string()
}

#[test]
fn a_read_names_its_columns_and_binds_its_values() {
    let mut read = read(orders(), &[0, 1, 4]);
    read.filter = Some(Predicate::And(vec![
        Predicate::Compare {
            field: Field::column(1),
            operator: Operator::Eq,
            value: 0,
        },
        Predicate::Not(Box::new(Predicate::In {
            field: Field::column(0),
            values: 1,
        })),
        Predicate::Compare {
            field: Field {
                base: mainstay_core::plan::Base::Column(3),
                path: vec![JsonStep::Key(2), JsonStep::Index(3)],
                as_text: true,
            },
            operator: Operator::Like,
            value: 4,
        },
    ]));
    read.order.push(Order {
        target: OrderTarget::Field(Field::column(2)),
        descending: true,
        nulls_first: Some(false),
    });
    read.limit = Some(5);
    assert_eq!(
        sql(Action::Read(read)),
        "SELECT \"t1\".\"id\", \"t1\".\"state\", pg_catalog.to_json(\"t1\".\"span\") FROM \"public\".\"orders\" AS \"t1\" \
         WHERE (\"t1\".\"state\" = $1 AND NOT (\"t1\".\"id\" = ANY($2)) AND \
         (\"t1\".\"data\"->$3::pg_catalog.text->>$4::pg_catalog.int4) LIKE $5) \
         ORDER BY \"t1\".\"placed\" DESC NULLS LAST LIMIT $6::pg_catalog.int8"
    );
}

#[test]
fn a_page_shows_its_keys_and_begins_after_a_row_of_them() {
    let by = |column, descending| Order {
        target: OrderTarget::Field(Field::column(column)),
        descending,
        nulls_first: None,
    };
    let after = |order: Vec<Order>, values: Vec<Option<usize>>| {
        let keys: Vec<Key> = order
            .iter()
            .map(|order| Key {
                descending: order.descending,
                nulls_first: order.descending,
                may_be_null: matches!(&order.target, OrderTarget::Field(field) if *field != Field::column(0)),
            })
            .collect();
        let nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        let mut read = read(orders(), &[1]);
        read.order = order;
        read.limit = Some(9);
        read.count = Count::Exact;
        read.paging = Some(Paging {
            after: Some(Position {
                values,
                condition: keyset::after(&keys, &nulls),
            }),
        });
        let rendered = Rendered::new(plan(Action::Read(read), Format::Json), Arc::default()).unwrap();
        let variant = rendered.variant(Situation::default()).unwrap();
        let count = variant.count.as_ref().unwrap().statement.sql.to_string();
        assert!(!count.contains('$'), "{count}");
        assert_eq!((variant.keys_shown, variant.formats.as_slice()), (2, &[1][..]));
        rendered.text().to_string()
    };
    assert_eq!(
        after(vec![by(2, true), by(0, true)], vec![Some(0), Some(1)]),
        "SELECT \"t1\".\"state\", (\"t1\".\"placed\")::pg_catalog.text, (\"t1\".\"id\")::pg_catalog.text \
         FROM \"public\".\"orders\" AS \"t1\" WHERE (\"t1\".\"placed\", \"t1\".\"id\") < ($1, $2) \
         ORDER BY \"t1\".\"placed\" DESC, \"t1\".\"id\" DESC LIMIT $3::pg_catalog.int8"
    );
    assert_eq!(
        after(vec![by(2, false), by(0, false)], vec![None, Some(1)]),
        "SELECT \"t1\".\"state\", (\"t1\".\"placed\")::pg_catalog.text, (\"t1\".\"id\")::pg_catalog.text \
         FROM \"public\".\"orders\" AS \"t1\" WHERE (\"t1\".\"placed\" IS NULL AND (\"t1\".\"id\") > ($1)) \
         ORDER BY \"t1\".\"placed\" ASC, \"t1\".\"id\" ASC LIMIT $2::pg_catalog.int8"
    );
}

#[test]
fn embeds_are_subqueries_of_records() {
    assert_eq!(
        sql(Action::Read(with_items(true, Cardinality::Many))),
        "SELECT \"t1\".\"id\", (SELECT pg_catalog.array_agg(\"r3\".r) FROM (SELECT ROW(\"t2\".\"quantity\") AS r \
         FROM \"public\".\"items\" AS \"t2\" WHERE \"t2\".\"order_id\" = \"t1\".\"id\" AND \"t2\".\"quantity\" > $1 \
         LIMIT $2::pg_catalog.int8) AS \"r3\") FROM \"public\".\"orders\" AS \"t1\" WHERE EXISTS (SELECT 1 \
         FROM \"public\".\"items\" AS \"t4\" WHERE \"t4\".\"order_id\" = \"t1\".\"id\" AND \"t4\".\"quantity\" > $3)"
    );
    assert_eq!(
        sql(Action::Read(with_items(false, Cardinality::One))),
        "SELECT \"t1\".\"id\", (SELECT ROW(\"t2\".\"quantity\") FROM \"public\".\"items\" AS \"t2\" \
         WHERE \"t2\".\"order_id\" = \"t1\".\"id\" AND \"t2\".\"quantity\" > $1 LIMIT 1) FROM \"public\".\"orders\" AS \"t1\""
    );
}

#[test]
fn an_embed_that_must_be_there_is_a_plain_exists() {
    let mut read = with_items(false, Cardinality::Many);
    read.output.truncate(1);
    read.filter = Some(Predicate::Not(Box::new(Predicate::EmbedIsNull(0))));
    assert_eq!(
        sql(Action::Read(read)),
        "SELECT \"t1\".\"id\" FROM \"public\".\"orders\" AS \"t1\" WHERE EXISTS (SELECT 1 FROM \"public\".\"items\" AS \"t2\" \
         WHERE \"t2\".\"order_id\" = \"t1\".\"id\" AND \"t2\".\"quantity\" > $1)"
    );
}

#[test]
fn timestamps_are_left_to_the_database_where_the_zone_is_not_utc() {
    let rendered = Rendered::new(plan(Action::Read(read(orders(), &[2])), Format::Json), Arc::default()).unwrap();
    let local = rendered
        .variant(Situation {
            local_time: true,
            json_arguments: false,
        })
        .unwrap();
    assert!(rendered.text().starts_with("SELECT \"t1\".\"placed\" FROM"));
    assert!(
        local
            .main
            .statement
            .sql
            .starts_with("SELECT pg_catalog.to_json(\"t1\".\"placed\") FROM")
    );
}

#[test]
fn an_insert_returns_only_what_was_asked_for() {
    let insert = Insert {
        source: Source {
            relation: orders(),
            access: Access::system(),
        },
        columns: vec![1],
        missing: Missing::Null,
        conflict: None,
        returning: Returning {
            read: Some(read(orders(), &[0])),
            location: Vec::new(),
        },
        must_match: Vec::new(),
    };
    assert_eq!(
        sql(Action::Insert(insert.clone())),
        "WITH written AS (INSERT INTO \"public\".\"orders\" AS \"w1\"(\"state\") SELECT \"b2\".\"state\" \
         FROM pg_catalog.json_to_recordset($1::pg_catalog.json) AS \"b2\"(\"state\" pg_catalog.\"text\") \
         RETURNING \"w1\".\"id\") SELECT \"t3\".\"id\" FROM written AS \"t3\""
    );
    let bare = Insert {
        returning: Returning {
            read: None,
            location: Vec::new(),
        },
        missing: Missing::Default,
        ..insert
    };
    assert_eq!(
        sql(Action::Insert(bare)),
        "INSERT INTO \"public\".\"orders\" AS \"w1\"(\"state\") SELECT \"b2\".\"state\" FROM (SELECT CASE WHEN \
         (\"e3\".value->$1::pg_catalog.text) IS NULL THEN ('new'::text)::pg_catalog.\"text\" ELSE \"v4\".\"state\" END AS \"state\" \
         FROM pg_catalog.json_array_elements($2::pg_catalog.json) AS \"e3\"(value), \
         pg_catalog.json_to_record(\"e3\".value) AS \"v4\"(\"state\" pg_catalog.\"text\")) AS \"b2\""
    );
}

#[test]
fn a_cast_cannot_smuggle_sql() {
    let casted = |name: &str| {
        let mut read = read(orders(), &[]);
        let cast = Some(Cast {
            name: name.into(),
            ty: None,
        });
        read.output.push(Output::Column {
            name: Ident::new("x"),
            field: Field::column(0),
            cast,
        });
        Rendered::new(plan(Action::Read(read), Format::Json), Arc::default())
            .map(|rendered| rendered.text().to_string())
    };
    assert!(
        casted("text")
            .unwrap()
            .contains("CAST(\"t1\".\"id\" AS pg_catalog.\"text\")")
    );
    assert!(casted("my.type[]").unwrap().contains("AS \"my\".\"type\"[])"));
    for bad in ["int) FROM x --", "a\"b", "a.b.c", "", "int4'"] {
        assert!(
            matches!(casted(bad), Err(BackendError::Refused(error)) if error.sqlstate == "42704"),
            "{bad}"
        );
    }
}

#[test]
fn calls_bind_text_directly_and_json_through_a_record() {
    let routine = Arc::new(Routine {
        name: QualifiedName::new("public", "add"),
        owner: Ident::new("postgres"),
        arguments: vec![Argument {
            name: Ident::new("a"),
            ty: Type::Int4,
            default: None,
            variadic: false,
        }],
        returns: Returns {
            at_most_one: false,
            ty: Type::Int4,
            set: false,
            columns: Vec::new(),
            relation: None,
        },
        volatility: Volatility::Stable,
        strict: false,
        security_definer: false,
        language: Ident::new("sql"),
        body: String::new(),
        search_path: Vec::new(),
        acl: Vec::new(),
        comment: None,
        is_procedure: false,
        id: 1,
    });
    let call = Call {
        routine,
        arguments: vec![CallArgument { argument: 0, value: 0 }],
        result: CallResult::Scalar,
        access: Access::system(),
    };
    let rendered = Rendered::new(plan(Action::Call(call), Format::Json), Arc::default()).unwrap();
    assert_eq!(
        &*rendered.text(),
        "SELECT \"v2\".v FROM (SELECT \"public\".\"add\"(\"a\" := $1::pg_catalog.\"int4\") AS v) AS \"v2\""
    );
    let json = rendered
        .variant(Situation {
            local_time: false,
            json_arguments: true,
        })
        .unwrap();
    assert_eq!(
        &*json.main.statement.sql,
        "SELECT \"v2\".v FROM pg_catalog.json_to_record($1::pg_catalog.json) AS \"a1\"(\"a0\" pg_catalog.\"int4\"), \
         LATERAL (SELECT \"public\".\"add\"(\"a\" := \"a1\".\"a0\") AS v) AS \"v2\""
    );
}
