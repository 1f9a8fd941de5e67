//! Aggregates, documents of a media type, plans, and what calls and time zones must not do in silence.

use mainstay_testing::{Project, Server, engines};

use crate::both::{Ask, Both, PROGRAM};

fn project() -> Project {
    Project::of(include_str!("groups.sql")).config(
        "postgrest_version = 17\n\n[rest]\ndb_tx_end = \"commit-allow-override\"\ndb_aggregates_enabled = true\n\
         db_plan_enabled = true",
    )
}

#[tokio::test]
async fn aggregates_are_the_same_on_both_engines() {
    let both = Both::start(project).await;
    for line in [
        "GET /people?select=count()",
        "GET /people?select=count",
        "GET /people?select=n:count()::text",
        "GET /people?select=score.sum(),score.avg(),score.min(),score.max(),score.count()",
        "GET /people?select=points.sum(),points.avg(),big.sum(),big.avg(),weight.sum(),weight.avg()",
        "GET /people?select=name.min(),name.max(),born.min(),born.max()",
        "GET /people?select=is_active.sum()",
        "GET /people?select=name.sum()",
        "GET /people?select=meta.max()",
        "GET /people?select=score,count()&order=score",
        "GET /people?select=score,count()&order=score.desc.nullslast&limit=1",
        "GET /people?select=score,count()&order=score&offset=1",
        "GET /people?select=team_id,count()&order=team_id&team_id=gt.1",
        "GET /people?select=team_id,count()&order=name",
        "GET /people?select=id,points.sum()&order=name",
        "GET /people?select=kind:meta->>kind,count()&order=meta->>kind",
        "GET /people?select=meta->kind,count()",
        "GET /people?select=meta,count()&id=in.(1,3)&order=meta",
        "GET /people?select=total:meta->>n::int.sum()&id=lt.3",
        "GET /people?select=total:meta->>n::int.sum()",
        "GET /people?select=is_active,born.max()::text&order=is_active",
        "GET /people?select=missing.sum()",
        "GET /people?select=*,count()&order=id",
        "GET /teams?select=name,people(count())&order=name",
        "GET /teams?select=name,people(score.sum(),points.max())&order=name",
        "GET /teams?select=name,people(is_active,count())&people.order=is_active&order=name",
        "GET /teams?select=name,people!inner(count())&order=name",
        "GET /teams?select=name,...people(score.sum())",
        "GET /people?select=...teams(name),count()&order=teams(name)",
        "GET /people?select=...teams(team:name,count())&order=teams(team)",
        "GET /people?select=count(),...teams(founded.max())",
        "GET /people?select=is_active,...teams!inner(name,count())&order=is_active,teams(name)",
        "GET /people?select=points.sum(),teams(name)&teams=not.is.null&order=points",
        "GET /people?select=points.sum(),...teams(name)&teams.name=eq.red&order=teams(name)",
        "GET /rpc/first_people?n=3&select=team_id,count()&order=team_id",
    ] {
        both.same(Server::anonymous, &Ask::new(line)).await;
        both.same(Server::anonymous, &Ask::new(line).header("accept", "text/csv"))
            .await;
    }
    let counted = Ask::new("GET /people?select=team_id,count()&order=team_id&limit=1").prefer("count=exact");
    both.same(Server::anonymous, &counted).await;
}

#[tokio::test]
async fn aggregates_are_refused_unless_they_are_enabled() {
    let both = Both::start(|| Project::of(include_str!("groups.sql"))).await;
    let refused = both
        .same(Server::anonymous, &Ask::new("GET /people?select=points.sum()"))
        .await;
    assert!(refused.text().contains("PGRST123"), "{}", refused.text());
}

#[tokio::test]
async fn a_value_of_a_media_type_is_sent_as_it_is() {
    let both = Both::start(project).await;
    for (line, accept) in [
        ("GET /rpc/page?title=x", "text/html"),
        ("GET /rpc/page?title=x", "text/html, application/json"),
        ("GET /rpc/page?title=x", "application/json"),
        ("GET /rpc/page?title=x", "image/png"),
        ("HEAD /rpc/page?title=x", "text/html"),
        ("GET /rpc/bytes", "application/octet-stream"),
        ("GET /rpc/nothing", "text/html"),
        ("GET /people?select=id", "text/html"),
    ] {
        both.same(Server::anonymous, &Ask::new(line).header("accept", accept))
            .await;
    }
}

#[tokio::test]
async fn calls_obey_their_limits_and_zones_are_never_guessed() {
    let both = Both::start(project).await;
    both.same(Server::anonymous, &Ask::new("GET /rpc/next_count")).await;
    let limited = Ask::new("POST /rpc/drop_moments").prefer("handling=strict, max-affected=1");
    let refused = both.same(Server::anonymous, &limited).await;
    assert!(refused.text().contains("PGRST124"), "{}", refused.text());
    for zone in ["Asia/Kolkata", "+05:30", "-3.5", "5", "05:30:15", "Invalid/Zone", "UTC"] {
        let ask = Ask::new("GET /moments?order=id").prefer(&format!("timezone={zone}"));
        both.same(Server::anonymous, &ask).await;
    }
}

#[tokio::test]
async fn a_plan_says_whose_it_is() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project()).await;
        for line in ["GET /people?id=eq.1", "GET /rpc/first_people?n=2"] {
            let ask = Ask::new(line).header("accept", "application/vnd.pgrst.plan+json");
            let answer = ask.send(&server.anonymous()).await;
            let plan: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
            assert!(plan[0]["Plan"]["Node Type"].is_string(), "{engine:?} {line}: {plan}");
        }
    }
}

#[tokio::test]
async fn plans_are_refused_unless_they_are_enabled() {
    let both = Both::start(|| Project::of(include_str!("groups.sql"))).await;
    let ask = Ask::new("GET /people").header("accept", "application/vnd.pgrst.plan");
    let refused = both.same(Server::anonymous, &ask).await;
    assert!(refused.text().contains("PGRST107"), "{}", refused.text());
}
