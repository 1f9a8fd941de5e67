//! Migrations through the command line: what `check` says of a whole project, engine-only files, and a rebuild that is
//! killed in the middle.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use mainstay_testing::Project;
use serde_json::Value;

use crate::both::PROGRAM;

/// Rows of the table that is rebuilt: enough for several steps of the copy.
const ROWS: u32 = 100_000;

fn run(project: &Project, arguments: &[&str]) -> Output {
    let path = project.path().to_str().unwrap();
    Command::new(PROGRAM).args(arguments).arg(path).output().unwrap()
}

fn out(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn query(project: &Project, sql: &str) -> String {
    let path = project.path().to_str().unwrap();
    let arguments = ["db", "query", "--json", sql, path];
    out(&Command::new(PROGRAM).args(arguments).output().unwrap())
        .trim()
        .to_owned()
}

#[test]
fn a_check_goes_through_the_whole_project_and_tells_causes_from_consequences() {
    let project = Project::of(
        "create table places (id int primary key, at point);\n\
         create table visits (\n  id int primary key,\n  place int references places\n);\n\
         create view seen as select * from visits;\n\
         create table fine (id int primary key, tags jsonb);\n\
         create index on fine using gin (tags);\n",
    )
    .migration("create table later (n money);\nselect nope from fine;\nselct 1;\ninsert into fine values (1, '{}');\n")
    .migration("-- mainstay: only postgres\ncreate table ranged (r int4range);\n")
    .migration("-- mainstay: only embedded\ncreate table here (id int);\n");
    let checked = run(&project, &["migrate", "check"]);
    let text = out(&checked);
    assert!(!checked.status.success());
    let first = "supabase/migrations/20240101000001_m.sql";
    let second = "supabase/migrations/20240101000002_m.sql";
    for expected in [
        format!("{first}:1: error: not available on the embedded engine: geometric types (places.at, line 1)"),
        format!("{first}:2: error: relation \"places\" does not exist (follows from {first}:1)"),
        format!("{first}:6: error: relation \"visits\" does not exist (follows from {first}:1)"),
        format!("{first}:8: note: index \"fine_tags_idx\" uses gin"),
        format!("{second}:1: error: not available on the embedded engine: money (later.n, line 1)"),
        format!("{second}:2: error: column \"nope\" does not exist"),
        format!("{second}:3: error: syntax error at or near \"selct\""),
        "supabase/migrations/20240101000003_m.sql: for the other engine, left out".to_owned(),
        "4 problem(s), and 2 that follow from them".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\nis not in\n{text}");
    }
    assert!(
        !text.contains("fine_pkey") && !text.contains("20240101000004"),
        "{text}"
    );

    let json = run(&project, &["migrate", "check", "--json"]);
    let lines: Vec<Value> = String::from_utf8_lossy(&json.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert_eq!(lines[1]["follows"]["line"], 1);
    assert_eq!(lines[1]["code"], "42P01");
    assert!(lines[0]["message"].as_str().unwrap().contains("use PostgreSQL, or"));

    let status = out(&run(&project, &["migrate", "status"]));
    assert_eq!(status.matches("for the other engine").count(), 1, "{status}");
}

#[test]
fn a_rebuild_that_is_killed_leaves_the_table_as_it_was() {
    let fill = format!("insert into big select n, 'row ' || n from generate_series(1, {ROWS}) as n;");
    let project = Project::of("create table big (id int primary key, a text not null);").migration(&fill);
    assert!(run(&project, &["migrate", "up"]).status.success());
    let before = query(&project, "select count(*), sum(id), max(a) from big");
    let project = project.migration("alter table big alter a type varchar(40) using upper(a), alter id type text;");

    let path = project.path().to_str().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["migrate", "up", path])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = false;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        if line.unwrap().contains(&format!("of {ROWS} rows")) {
            told = true;
            break;
        }
    }
    // SIGKILL: nothing of the program runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told, "the copy told nothing of its progress");

    let status = out(&run(&project, &["migrate", "status"]));
    assert_eq!(status.matches("pending").count(), 1, "{status}");
    assert_eq!(query(&project, "select count(*), sum(id), max(a) from big"), before);
    let up = run(&project, &["migrate", "up"]);
    assert!(up.status.success(), "{}", out(&up));
    assert_eq!(
        query(&project, "select id, a from big where id = '77'"),
        r#"[{"id":"77","a":"ROW 77"}]"#
    );
    let count = query(&project, "select count(*) as n from big");
    assert_eq!(count, format!(r#"[{{"n":"{ROWS}"}}]"#));
}
