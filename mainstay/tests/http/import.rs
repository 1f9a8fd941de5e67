//! Bringing files into tables: `mainstay import`.

use std::process::{Command, Output};

use mainstay_testing::database::sqlite_file;
use mainstay_testing::{Database, Engine, Project, engines};

use crate::both::PROGRAM;

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A project and a database of its own on one engine.
struct Place {
    project: Project,
    url: String,
    _database: Option<Database>,
}

impl Place {
    async fn new(engine: Engine, project: Project) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Database::create().await),
        };
        let url = match &database {
            Some(database) => database.url(),
            None => format!("sqlite:{}", project.path().join("own.db").display()),
        };
        let place = Place {
            project,
            url,
            _database: database,
        };
        place.succeeds(&["migrate", "up"], &[]);
        place
    }

    fn runs(&self, command: &[&str], options: &[&str]) -> Output {
        let path = self.project.path().to_str().unwrap();
        let mut line = command.to_vec();
        line.push(path);
        line.extend(options);
        line.extend(["--database-url", &self.url]);
        run(&line)
    }

    fn succeeds(&self, command: &[&str], options: &[&str]) -> String {
        let output = self.runs(command, options);
        assert!(output.status.success(), "{command:?} on {}\n{}", self.url, out(&output));
        out(&output)
    }

    fn fails(&self, command: &[&str], options: &[&str]) -> String {
        let output = self.runs(command, options);
        assert!(
            !output.status.success(),
            "{command:?} on {}\n{}",
            self.url,
            out(&output)
        );
        out(&output)
    }

    /// A file beside the project.
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.project.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let json = self.succeeds(&["db", "query", "--json", sql], &[]);
        let rows: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&json).unwrap();
        let cell = |value: serde_json::Value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        rows.into_iter()
            .map(|row| row.into_iter().map(|(_, value)| cell(value)).collect())
            .collect()
    }

    fn migrations(&self) -> usize {
        std::fs::read_dir(self.project.path().join("supabase/migrations"))
            .unwrap()
            .count()
    }
}

const PEOPLE: &str = "ID;Full Name;Born;Zip;Balance;Active;Seen at;Note\r\n\
    1;Ada Lovelace;1815-12-10;01234;12.50;true;2024-03-01T10:00:00Z;\"two\nlines; \"\"quoted\"\"\"\r\n\
    2;\"Grüße, \";1912-06-23;99999;-3;false;2024-03-01 12:00:00+02:00;\r\n\
    3;C;2000-02-29;00000;9007199254740993;true;2024-03-01T10:00:00.123456Z;\"\"\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_csv_file_becomes_a_table_and_a_second_import_changes_nothing() {
    for engine in engines() {
        let place = Place::new(engine, Project::new()).await;
        let people = place.file("People list.csv", PEOPLE);
        // What is guessed is shown, and nothing is written.
        let shown = place.succeeds(&["import", &people], &["--dry-run"]);
        for line in [
            "CSV, separated by `;`, UTF-8, 3 records",
            "public.people_list",
            "\"id\" integer primary key",
            "\"full_name\" text not null",
            "\"born\" date not null",
            "\"zip\" text not null",
            "\"balance\" numeric not null",
            "\"active\" boolean not null",
            "\"seen_at\" timestamp with time zone not null",
            "\"note\" text,",
        ] {
            assert!(shown.contains(line.trim_end_matches(',')), "{line} is not in:\n{shown}");
        }
        assert!(place.fails(&["import", &people], &[]).contains("--yes"));
        assert_eq!(place.migrations(), 0);

        let done = place.succeeds(&["import", &people], &["--yes"]);
        assert!(done.contains("3 rows"), "{done}");
        assert_eq!(place.migrations(), 1);
        let sql = "select id, full_name, born, zip, balance, active, note, note is null as none, \
                   seen_at = '2024-03-01 10:00:00+00' as same from people_list order by id";
        let rows = place.rows(sql);
        let first: Vec<Option<&str>> = rows[0].iter().map(Option::as_deref).collect();
        assert_eq!(
            first[1..5],
            [Some("Ada Lovelace"), Some("1815-12-10"), Some("01234"), Some("12.50")]
        );
        assert_eq!(first[6], Some("two\nlines; \"quoted\""));
        assert_eq!(rows[1][1].as_deref(), Some("Grüße, "));
        // Nothing between separators is null, an empty text in quotes is one.
        assert_eq!((rows[1][6].as_deref(), rows[2][6].as_deref()), (None, Some("")));
        assert_eq!(rows[2][4].as_deref(), Some("9007199254740993"));

        // Again: the same rows. With a change: the row is changed. With one more: it is there.
        place.succeeds(&["import", &people], &["--yes"]);
        assert_eq!(place.rows(sql), rows);
        let changed = place.file(
            "more.csv",
            "Full Name,ID,Born,Zip,Balance,Active,Seen at\nAda,1,1815-12-10,1,0,true,2024-01-01T00:00:00Z\n\
             D,4,2001-01-01,1,0,true,2024-01-01T00:00:00Z\n",
        );
        place.succeeds(&["import", &changed], &["--into", "people_list", "--yes"]);
        let names = place.rows("select full_name from people_list order by id");
        assert_eq!(names.len(), 4);
        assert_eq!(names[0][0].as_deref(), Some("Ada"));
        assert_eq!(place.migrations(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_and_ndjson_are_the_same_and_types_can_be_given() {
    let array = r#"[{"sku": "007", "price": 1.50, "tags": ["a", "b"], "size": {"w": 1}},
        {"sku": "008", "price": 2, "tags": [], "size": null, "made": "2024-05-05"}]"#;
    let lines = "{\"sku\": \"007\", \"price\": 1.50, \"tags\": [\"a\", \"b\"], \"size\": {\"w\": 1}}\n\
        {\"sku\": \"008\", \"price\": 2, \"tags\": [], \"size\": null, \"made\": \"2024-05-05\"}\n";
    for engine in engines() {
        let place = Place::new(engine, Project::new()).await;
        let sql = "select sku, price, tags, size, made from goods order by sku";
        let mut seen = Vec::new();
        for (name, text) in [("goods.json", array), ("goods.ndjson", lines)] {
            let file = place.file(name, text);
            place.succeeds(
                &["import", &file],
                &["--yes", "--type", "price=numeric", "--type", "made=text"],
            );
            seen.push(place.rows(sql));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0][0][..2], [Some("007".to_owned()), Some("1.50".to_owned())]);
        assert!(
            seen[0][0][2]
                .as_deref()
                .unwrap()
                .replace(' ', "")
                .contains("[\"a\",\"b\"]")
        );
        assert_eq!(seen[0][1][4].as_deref(), Some("2024-05-05"));
        let text = std::fs::read_dir(place.project.path().join("supabase/migrations"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let text = std::fs::read_to_string(text.path()).unwrap();
        assert!(
            text.contains("\"made\" text") && text.contains("\"tags\" jsonb"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_without_a_key_are_numbered() {
    for engine in engines() {
        let place = Place::new(engine, Project::new()).await;
        let log = place.file("log.csv", "what,who\nopened,a\nopened,a\nclosed,b\n");
        for _ in 0..2 {
            place.succeeds(&["import", &log], &["--yes"]);
            assert_eq!(place.rows("select count(*) from log")[0][0].as_deref(), Some("3"));
        }
        assert_eq!(
            place.rows("select what from log where record_number = 3")[0][0].as_deref(),
            Some("closed")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_name_their_line_and_leave_nothing_behind() {
    let schema = "create table accounts (id int primary key, balance int not null check (balance >= 0), owner int references accounts (id));";
    for engine in engines() {
        let place = Place::new(engine, Project::of(schema)).await;
        for (name, text, told) in [
            (
                "a.csv",
                "id,balance\n1,5\n2,x\n",
                "a.csv, line 3: column balance: \"x\" is no integer",
            ),
            (
                "a.csv",
                "id,balance\n1,5\n2\n",
                "a.csv, line 3: 1 fields, where the first line names 2",
            ),
            (
                "a.csv",
                "id,balance\n1,5\n1,6\n",
                "a.csv, line 3: the key is the same as on line 2",
            ),
            (
                "a.csv",
                "id,balance\n1,\"5\n",
                "a.csv, line 2: field 2 begins with a quote that nothing closes",
            ),
            (
                "a.csv",
                "id,balance,more\n1,5,6\n",
                "public.accounts has no column more",
            ),
            (
                "a.csv",
                "balance\n5\n",
                "the file has no column id, which must not be null",
            ),
            (
                "a.json",
                "[{\"id\":1,\"balance\":1},\n{\"id\":2,\"balance\":}]",
                "a.json, line 2: no JSON",
            ),
        ] {
            let file = place.file(name, text);
            let refused = place.fails(&["import", &file], &["--into", "accounts", "--yes"]);
            assert!(refused.contains(told), "{told} is not in:\n{refused}");
            assert_eq!(
                place.rows("select count(*) from accounts")[0][0].as_deref(),
                Some("0"),
                "{told}"
            );
        }
        // What only the table can refuse is found by its line, too.
        let mut text = String::from("id,balance\n");
        for id in 1..=1500 {
            text.push_str(&format!("{id},{}\n", if id == 1234 { -1 } else { id }));
        }
        let file = place.file("many.csv", &text);
        let refused = place.fails(&["import", &file], &["--into", "accounts", "--yes"]);
        assert!(refused.contains("many.csv, line 1235: "), "{refused}");
        assert!(refused.contains("MS-OPS-009") && refused.contains("23514"), "{refused}");
        assert_eq!(
            place.rows("select count(*) from accounts")[0][0].as_deref(),
            Some("1000")
        );
        let file = place.file("many.csv", text.replace("1234,-1", "1234,1"));
        place.succeeds(&["import", &file], &["--into", "accounts", "--yes"]);
        assert_eq!(
            place.rows("select count(*) from accounts")[0][0].as_deref(),
            Some("1500")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_encodings_are_read() {
    let place = Place::new(Engine::Sqlite, Project::new()).await;
    let latin = place.file("latin.csv", b"id,name\n1,K\xE4se \x80\n");
    assert!(place.succeeds(&["import", &latin], &["--yes"]).contains("Windows-1252"));
    assert_eq!(place.rows("select name from latin")[0][0].as_deref(), Some("Käse €"));
    let wide: Vec<u8> = "\u{FEFF}id\tname\r\n1\tKäse\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let wide = place.file("wide.csv", wide);
    assert!(place.succeeds(&["import", &wide], &["--yes"]).contains("UTF-16"));
    assert_eq!(place.rows("select name from wide")[0][0].as_deref(), Some("Käse"));
}

/// An SQLite file as other programs make them: loose types, keys that refer in a circle, a table without a key.
const FOREIGN: &str = r#"
CREATE TABLE authors (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) NOT NULL, active BOOLEAN DEFAULT 1,
    born DATE, rating REAL, favourite INT REFERENCES books (isbn));
CREATE TABLE books (isbn TEXT PRIMARY KEY, author INT NOT NULL REFERENCES authors ON DELETE CASCADE, price DECIMAL(8,2),
    data JSON, cover BLOB, added DATETIME DEFAULT CURRENT_TIMESTAMP, odd, UNIQUE (author, price));
CREATE INDEX books_added ON books (added);
CREATE TABLE "Log Lines" (what TEXT, n INT);
CREATE TABLE pairs (a INT, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE VIEW v AS SELECT * FROM books;
INSERT INTO books VALUES ('x1', 1, 9.5, '{"pages": 3}', x'00ff', '2024-01-01 10:00:00', 1), ('x2', 2, 12, NULL, NULL, '2024-01-02 10:00:00', 'text');
INSERT INTO authors VALUES (1, 'Ada', 1, '1815-12-10', 4.5, 'x2'), (2, 'Grüße', 0, NULL, 3, NULL), (40, 'Z', NULL, NULL, NULL, NULL);
INSERT INTO "Log Lines" VALUES ('a', 1), ('a', 1), (NULL, NULL);
INSERT INTO pairs VALUES (1, 'x'), (2, 'x');
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_file_becomes_tables_with_keys() {
    for engine in engines() {
        let place = Place::new(engine, Project::new()).await;
        let path = place.project.path().join("library.sqlite");
        sqlite_file(&path, FOREIGN);
        let file = path.to_str().unwrap();
        let shown = place.succeeds(&["import", file], &["--dry-run"]);
        for line in [
            "\"id\" bigint generated by default as identity not null",
            "\"active\" boolean default true",
            "\"born\" date",
            "\"rating\" double precision",
            "\"price\" numeric",
            "\"data\" jsonb",
            "\"cover\" bytea",
            "\"added\" timestamp without time zone default now()",
            "\"odd\" text",
            "unique (\"author\", \"price\")",
            "\"record_number\" bigint primary key",
            "primary key (\"b\", \"a\")",
        ] {
            assert!(shown.contains(line), "{line} is not in:\n{shown}");
        }
        assert_eq!(place.migrations(), 0);
        let mut seen = Vec::new();
        for _ in 0..2 {
            place.succeeds(&["import", file], &["--yes"]);
            // One for the tables, one for the keys, however often.
            assert_eq!(place.migrations(), 2);
            let counted = "select (select count(*) from authors) as a, (select count(*) from books) as b, \
                           (select count(*) from \"Log Lines\") as c, (select count(*) from pairs) as d";
            let first = |sql: &str| place.rows(sql).into_iter().next().unwrap();
            seen.push((
                first(counted),
                first("select name, active, born, rating, favourite from authors where id = 1"),
            ));
            seen.push((
                first("select price, data, cover, odd from books where isbn = 'x1'"),
                first("select b, a from pairs where a = 2"),
            ));
        }
        assert_eq!(seen[..2], seen[2..]);
        let count: Vec<Option<&str>> = seen[0].0.iter().map(Option::as_deref).collect();
        assert_eq!(count, [Some("3"), Some("2"), Some("3"), Some("2")]);
        assert_eq!(seen[0].1[4].as_deref(), Some("x2"));
        assert_eq!(seen[1].0[0].as_deref(), Some("9.5"));
        // Numbers go on, keys hold, deletes cascade.
        let next = "insert into authors (name) values ('next') returning id";
        assert!(
            place
                .succeeds(&["db", "query", "--json", "--write", next], &[])
                .contains("41")
        );
        let broken = "insert into books (isbn, author) values ('y', 99)";
        assert!(place.fails(&["db", "query", "--write", broken], &[]).contains("23503"));
        place.succeeds(
            &[
                "db",
                "query",
                "--write",
                "update authors set favourite = null; delete from authors where id = 2",
            ],
            &[],
        );
        assert_eq!(place.rows("select isbn from books"), [[Some("x1".to_owned())]]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_database_becomes_a_project() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let source = Database::create().await;
    source
        .run(
            "create type mood as enum ('sad', 'ok');
             create table people (id bigint generated always as identity primary key, name text not null unique,
                 mood mood default 'ok', boss bigint references people, tags text[] not null default '{}');
             create index on people (boss);
             create view names as select id, name from people;
             insert into people (name, boss, tags) values ('a', 2, '{x,\"y z\"}'), ('b', 1, '{}');
             alter table people enable row level security;
             create policy all_may_read on people for select using (name <> 'b');
             create role mainstay_import_test_unused nologin; drop role mainstay_import_test_unused;",
        )
        .await;
    let place = Place::new(Engine::Sqlite, Project::new()).await;
    let url = source.url();
    let shown = place.succeeds(&["import", &url], &["--dry-run"]);
    assert!(shown.contains("CREATE POLICY") && place.migrations() == 0, "{shown}");
    let done = place.succeeds(&["import", &url], &["--yes"]);
    assert!(done.contains("are the same in"), "{done}");
    assert_eq!(place.migrations(), 1);
    assert_eq!(
        place.rows("select name, mood, boss from people order by id")[0],
        ["a", "ok", "2"].map(|text| Some(text.to_owned()))
    );
    let next = "insert into people (name) values ('c') returning id";
    assert!(
        place
            .succeeds(&["db", "query", "--json", "--write", next], &[])
            .contains('3')
    );
    // The source was only read.
    let refused = place.fails(&["import", &url], &["--yes"]);
    assert!(refused.contains("has migrations already"), "{refused}");
    source
        .run("do $$ begin if to_regnamespace('auth') is not null then raise 'prepared'; end if; end $$")
        .await;
    // What the embedded engine cannot take is said before anything is written.
    source.run("create table places (id int primary key, at point)").await;
    let other = Place::new(Engine::Sqlite, Project::new()).await;
    let refused = other.fails(&["import", &url], &["--yes"]);
    assert!(refused.contains("places.at") && other.migrations() == 0, "{refused}");
}

/// As `pg_dump` writes it: settings, owners, rows that refer to later ones, arrays, an identity.
const DUMP: &str = r#"--
-- PostgreSQL database dump
--

\restrict 2hPq

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;

CREATE FUNCTION public.one() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
SELECT 1
$$;

ALTER FUNCTION public.one() OWNER TO postgres;

CREATE TABLE public.people (
    id bigint NOT NULL,
    "Full name" text NOT NULL,
    boss bigint,
    tags text[],
    born timestamp with time zone,
    active boolean,
    photo bytea
);

ALTER TABLE public.people OWNER TO postgres;

ALTER TABLE public.people ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.people_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

COPY public.people (id, "Full name", boss, tags, born, active, photo) FROM stdin;
1	Ada\tLovelace	2	{x,"y z"}	1815-12-10 00:00:00+00	t	\\x00ff
2	back\\slash\nline	\N	\N	\N	f	\N
\.

SELECT pg_catalog.setval('public.people_id_seq', 40, true);

ALTER TABLE ONLY public.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.people
    ADD CONSTRAINT people_boss_fkey FOREIGN KEY (boss) REFERENCES public.people(id);

\unrestrict 2hPq
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_becomes_a_project() {
    for engine in engines() {
        let place = Place::new(engine, Project::new()).await;
        let file = place.file("dump.sql", DUMP);
        let shown = place.succeeds(&["import", &file], &["--dry-run"]);
        assert!(
            shown.contains("public.people: 2 rows") && place.migrations() == 0,
            "{shown}"
        );
        place.succeeds(&["import", &file], &["--yes"]);
        let rows = place.rows("select \"Full name\", boss, tags[2] as tag, born = '1815-12-10 00:00:00+00' as born, photo from people order by id");
        let first: Vec<Option<&str>> = rows[0].iter().map(Option::as_deref).collect();
        assert_eq!(first[..3], [Some("Ada\tLovelace"), Some("2"), Some("y z")]);
        assert!(
            first[3].unwrap().starts_with('t') && first[4].unwrap().ends_with("00ff"),
            "{first:?}"
        );
        assert_eq!(rows[1][0].as_deref(), Some("back\\slash\nline"));
        let next = "insert into people (\"Full name\") values ('next') returning id";
        assert!(
            place
                .succeeds(&["db", "query", "--json", "--write", next], &[])
                .contains("41")
        );
        let broken = "update people set boss = 99";
        assert!(place.fails(&["db", "query", "--write", broken], &[]).contains("23503"));
        assert!(
            place
                .fails(&["import", &file], &["--yes"])
                .contains("has migrations already")
        );

        // A fault in the rows has its line; a key that does not hold is PostgreSQL's.
        let other = Place::new(engine, Project::new()).await;
        let broken = other.file("dump.sql", DUMP.replace("2\tback", "x\tback"));
        let refused = other.fails(&["import", &broken], &["--yes"]);
        assert!(
            refused.contains("dump.sql, lines 42 to 43") && refused.contains("22P02"),
            "{refused}"
        );
        let third = Place::new(engine, Project::new()).await;
        let broken = third.file("dump.sql", DUMP.replace("Lovelace\t2", "Lovelace\t9"));
        assert!(third.fails(&["import", &broken], &["--yes"]).contains("23503"));
    }
}
