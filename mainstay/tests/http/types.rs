//! `mainstay types` on both engines, and the file that `mainstay dev` keeps.
//!
//! What the TypeScript compiler makes of the text is checked by `cargo xtask types`.

use std::process::{Command, Stdio};
use std::time::Duration;

use mainstay_testing::{Engine, Project, Server, engines};

use crate::both::PROGRAM;

const LIBRARY: &str = include_str!("../../../e2e/types/library.sql");
/// As postgres-meta prints it for the Supabase command line, but for the argument of `by_isbn`, which it does not know.
const LIBRARY_TYPES: &str = include_str!("library.types.ts");

fn library() -> Project {
    Project::of(LIBRARY).config("[api]\nschemas = [\"public\", \"stacks\"]")
}

/// Status, standard output, standard error.
fn run(mut command: Command) -> (bool, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn types_are_those_of_the_supabase_command_line_while_the_database_is_served() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, library()).await;
        let (ok, text, errors) = run(server.command(&["types"]));
        assert!(ok, "{engine:?}: {errors}");
        for (number, (is, wanted)) in text.lines().zip(LIBRARY_TYPES.lines()).enumerate() {
            assert_eq!(is, wanted, "{engine:?}, line {}", number + 1);
        }
        assert_eq!(text, LIBRARY_TYPES, "{engine:?}");
        assert_eq!(errors, "", "{engine:?}");
    }
}

#[tokio::test]
async fn types_are_of_the_schemas_that_are_asked_for() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, library()).await;
        let (ok, text, _) = run(server.command(&["types", "--lang", "ts", "--schema", "stacks"]));
        assert!(ok, "{engine:?}");
        assert!(text.contains("      rooms: {") && !text.contains("books"), "{text}");
        assert!(text.contains("Extract<keyof Database, \"stacks\">"), "{text}");
        // The platform's schemas are not of the API, and can be asked for.
        let (ok, text, _) = run(server.command(&["types", "-s", "auth,public"]));
        assert!(
            ok && text.contains("  auth: {") && text.contains("      books: {"),
            "{text}"
        );

        let (ok, text, errors) = run(server.command(&["types", "--schema", "public,attic"]));
        assert_eq!((ok, text.as_str()), (false, ""), "{engine:?}");
        assert!(errors.contains("there is no schema `attic`"), "{errors}");
        let (ok, _, errors) = run(server.command(&["types", "--lang", "cobol"]));
        assert!(!ok && errors.contains("possible values: ts"), "{errors}");
    }
}

#[tokio::test]
async fn a_file_of_types_is_written_whole_and_left_alone_when_nothing_changed() {
    let mut server = Server::start(PROGRAM, Engine::Sqlite, library()).await;
    let path = server.project.path().join("database.types.ts");
    let written = |server: &Server| {
        let mut command = server.command(&["types"]);
        command.arg("--out").arg(&path);
        run(command)
    };
    let (ok, text, errors) = written(&server);
    assert_eq!((ok, text.as_str(), errors.as_str()), (true, "", ""));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), LIBRARY_TYPES);
    let first = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert!(written(&server).0);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), first);

    server.kill();
    std::fs::write(&path, "export {}").unwrap();
    server.project = std::mem::take(&mut server.project).migration("create table pending (id int primary key);");
    let (ok, _, errors) = written(&server);
    assert!(
        ok && errors.contains("1 migration(s) have not been applied"),
        "{errors}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), LIBRARY_TYPES);

    let mut nowhere = server.command(&["types"]);
    nowhere.arg("--out").arg(server.project.path().join("nowhere/types.ts"));
    let (ok, _, errors) = run(nowhere);
    assert!(!ok && errors.contains("cannot write"), "{errors}");
}

#[tokio::test]
async fn dev_keeps_the_types_in_step_with_the_schema() {
    let project =
        Project::of("create table notes (id int primary key);").config("types_file = \"web/database.types.ts\"");
    let path = project.path().join("web/database.types.ts");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("dev")
        .arg(project.path())
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert!(lines.next().unwrap().unwrap().starts_with("Mainstay is ready"));
    let first = std::fs::read_to_string(&path).unwrap();
    let project = project.migration("alter table notes add column body text;");
    let mut last = first.clone();
    for _ in 0..200 {
        last = std::fs::read_to_string(&path).unwrap();
        if last != first {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = child.kill();
    let _ = child.wait();
    drop(project);
    assert!(first.contains("      notes: {") && !first.contains("body"), "{first}");
    assert!(last.contains("          body: string | null"), "{last}");
}

#[test]
fn a_types_file_that_is_not_typescript_is_refused() {
    let project = Project::new().config("types_file = \"package.json\"");
    let mut command = Command::new(PROGRAM);
    command.arg("types").arg(project.path());
    let (ok, _, errors) = run(command);
    assert!(!ok && errors.contains("mainstay.types_file"), "{errors}");
}
