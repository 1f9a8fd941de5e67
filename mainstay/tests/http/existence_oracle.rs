//! A hidden row answers like a row that does not exist.

use mainstay_testing::Project;

use crate::both::{Ask, Both};

const USER: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn project() -> Project {
    Project::of(&format!(
        "create table notes (id int primary key, owner uuid default auth.uid(), body text);
         create table lines (id int primary key, note int references notes (id) on delete cascade, text text);
         alter table notes enable row level security;
         alter table lines enable row level security;
         create policy own on notes to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
         create policy own on lines to authenticated using (exists (select 1 from notes n where n.id = lines.note));
         insert into notes values (1, '{USER}', 'mine'), (2, 'bbbbbbbb-0000-4000-8000-000000000002', 'theirs');
         insert into lines values (1, 1, 'm'), (2, 2, 't');
         grant select, insert, update, delete on notes, lines to authenticated;"
    ))
    .config("[rest]\ndb_tx_end = \"rollback\"")
}

#[tokio::test]
async fn hidden_and_missing_answer_alike() {
    let both = Both::start(project).await;
    let single = "application/vnd.pgrst.object+json";
    let shapes = |id: &str| -> Vec<Ask> {
        vec![
            Ask::new(&format!("GET /notes?id=eq.{id}")),
            Ask::new(&format!("GET /notes?id=eq.{id}")).prefer("count=exact"),
            Ask::new(&format!("GET /notes?id=eq.{id}")).header("accept", single),
            Ask::new(&format!("HEAD /notes?id=eq.{id}")).prefer("count=exact"),
            Ask::new(&format!("GET /notes?id=eq.{id}")).header("accept", "text/csv"),
            Ask::new(&format!("GET /notes?select=id,lines(text)&id=eq.{id}")),
            Ask::new(&format!("GET /lines?note=eq.{id}&select=*,notes(body)")),
            Ask::new(&format!("PATCH /notes?id=eq.{id}"))
                .json(r#"{"body":"x"}"#)
                .prefer("return=representation, count=exact"),
            Ask::new(&format!("PATCH /notes?id=eq.{id}")).json(r#"{"body":"x"}"#),
            Ask::new(&format!("PATCH /notes?id=eq.{id}"))
                .json(r#"{"body":"x"}"#)
                .header("accept", single)
                .prefer("return=representation"),
            Ask::new(&format!("DELETE /notes?id=eq.{id}")).prefer("return=representation, count=exact"),
            Ask::new(&format!("DELETE /notes?id=eq.{id}")),
            Ask::new("POST /lines").json(&format!(r#"{{"id":9,"note":{id},"text":"x"}}"#)),
            Ask::new("POST /lines")
                .json(&format!(r#"{{"id":9,"note":{id},"text":"x"}}"#))
                .prefer("return=representation"),
        ]
    };
    for (hidden, missing) in shapes("2").into_iter().zip(shapes("77")) {
        let one = both.same(|server| server.user(USER), &hidden).await;
        let other = both.same(|server| server.user(USER), &missing).await;
        let strip = |text: String| text.replace("eq.77", "eq.2");
        assert_eq!(
            (one.status, one.header("content-range"), one.text()),
            (other.status, other.header("content-range"), strip(other.text())),
            "{hidden:?}"
        );
    }
    let mine = both
        .same(|server| server.user(USER), &Ask::new("GET /notes?id=eq.1&select=body"))
        .await;
    assert_eq!(mine.text(), r#"[{"body":"mine"}]"#);
}
