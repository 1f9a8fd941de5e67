//! Pages by cursor on both engines: every row once and in order, whatever is written meanwhile, and no cursor but ours.
//!
//! `MAINSTAY_PAGING=first..last` walks with other seeds than the usual ones.

use std::collections::BTreeSet;

use mainstay_testing::{Answer, Client, Engine, Project, Server, token};
use serde_json::{Value, json};

use crate::both::{Ask, Both, PROGRAM};

const ANN: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
const BOB: &str = "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

/// Walks of one run.
const SEEDS: std::ops::Range<u64> = 1..41;
/// Rows at the beginning of a walk.
const ROWS: u64 = 60;
/// Rows that come while a walk goes on.
const ADDED_MAX: u64 = 30;

/// Columns to sort by. Values are few, so that most rows share theirs with others.
const COLUMNS: [(&str, &[&str]); 12] = [
    ("a", &["null", "1", "2", "3", "-4"]),
    ("b", &["1", "2", "3"]),
    ("t", &["null", "''", "'a'", "'B'", "'\u{e4}\"x'", "'a,b'"]),
    ("n", &["null", "1.50", "1.5", "-0.001", "12345678901234567890.5"]),
    ("f", &["null", "0.1", "1e300", "-2.5"]),
    (
        "z",
        &[
            "null",
            "'2024-03-01 10:00:00.123456+02'",
            "'2024-03-01 08:00:00+00'",
            "'1999-12-31 23:59:59.9+00'",
        ],
    ),
    ("s", &["null", "'2024-03-01 10:00:00'", "'2024-03-01 10:00:00.5'"]),
    ("d", &["'2024-02-29'", "'2023-01-01'"]),
    ("o", &["null", "true", "false"]),
    (
        "u",
        &[
            "null",
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            "'00000000-0000-0000-0000-000000000000'",
        ],
    ),
    ("m", &["null", "'sad'", "'ok'", "'happy'"]),
    ("j", &["null", "'{\"k\":\"x\",\"n\":2}'", "'{\"k\":\"y\"}'", "'[1]'"]),
];

fn project() -> Project {
    Project::of(
        "create type mood as enum ('sad', 'ok', 'happy');
         create table teams (id int primary key, name text, rank int);
         insert into teams values (1, 'red', 2), (2, null, 1), (3, 'blue', null);
         create table rows (
           id bigint primary key, a int, b int not null, t text, n numeric, f float8, z timestamptz, s timestamp,
           d date not null, o boolean, u uuid, m mood, j jsonb, team int references teams, owner uuid);
         create table lines (row_id bigint references rows on delete cascade, place int, body text, primary key (row_id, place));
         create table bare (a int);
         insert into bare values (1), (2);
         create table hidden (id int primary key, public int, secret int);
         insert into hidden select v, v % 3, v from generate_series(1, 9) as g(v);
         create table odd (cursor text primary key);
         insert into odd values ('x'), ('y');
         create table long (id int primary key, body text);
         insert into long select v, repeat('x', 3000) from generate_series(1, 3) as g(v);
         create view plain as select id as key, a as what, owner from rows where b < 3;
         create view joined as select r.id, l.place from rows r join lines l on l.row_id = r.id;
         create view grouped as select b, count(*) as n from rows group by b;
         create function list() returns setof rows language sql stable as 'select * from rows';
         create index on rows (b, id);
         create table mine (id int primary key, owner uuid, a int not null);
         insert into mine select v, case v % 3 when 0 then 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
           else 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid end, v % 2 from generate_series(1, 30) as g(v);
         alter table mine enable row level security;
         create policy own on mine to authenticated using (owner = auth.uid());
         grant select on mine to authenticated;
         grant select, insert, update, delete on rows, lines, teams to service_role;
         grant select on rows, lines, teams, bare, odd, long, plain, joined, grouped to anon, service_role;
         grant select (id, public) on hidden to anon;
         grant select (public, secret) on hidden to authenticated;",
    )
}

/// Numbers that follow from a seed (xorshift; Marsaglia, 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    /// `a.desc.nullslast,t`, and with the key that the walk adds.
    fn order(&mut self) -> (String, String) {
        let mut terms = Vec::new();
        let mut descending = false;
        for _ in 0..self.roll(4) {
            let (name, _) = COLUMNS[self.roll(COLUMNS.len())];
            let name = match (name, self.roll(3)) {
                ("j", 0) => "j->>k",
                (_, 0) if self.roll(3) == 0 => "teams(name)",
                _ => name,
            };
            descending = self.roll(2) == 0;
            let direction = if descending {
                ".desc"
            } else {
                ["", ".asc"][self.roll(2)]
            };
            let nulls = ["", ".nullsfirst", ".nullslast"][self.roll(3)];
            terms.push(format!("{name}{direction}{nulls}"));
        }
        let order = terms.join(",");
        terms.push(if descending { "id.desc" } else { "id" }.to_owned());
        (order, terms.join(","))
    }
}

fn paged(line: &str) -> Ask {
    Ask::new(line).prefer("paging=cursor")
}

fn next(answer: &Answer) -> Option<String> {
    let cursor = answer.header("next-cursor");
    (!cursor.is_empty()).then(|| cursor.to_owned())
}

fn ids(answer: &Answer) -> Vec<i64> {
    let rows = answer.json();
    let rows = rows.as_array().unwrap_or_else(|| panic!("{}", answer.text()));
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// All pages of `path`, the same on both engines.
async fn walk(both: &Both, who: impl Fn(&Server) -> Client, path: &str) -> Vec<Answer> {
    let mut pages = vec![both.same(&who, &paged(&format!("GET {path}"))).await];
    while let Some(cursor) = next(pages.last().unwrap()) {
        let glue = if path.contains('?') { '&' } else { '?' };
        pages.push(
            both.same(&who, &paged(&format!("GET {path}{glue}cursor={cursor}")))
                .await,
        );
        assert!(pages.len() < 500, "{path} has no end");
    }
    pages
}

/// Inserts rows with these numbers.
async fn fill(both: &Both, dice: &mut Dice, numbers: impl Iterator<Item = u64>) {
    let rows: Vec<Value> = numbers
        .map(|id| {
            let mut row = json!({"id": id});
            for (name, values) in COLUMNS {
                let value = values[dice.roll(values.len())];
                row[name] = match value {
                    "null" => Value::Null,
                    text if name == "j" => serde_json::from_str(text.trim_matches('\'')).unwrap(),
                    text => Value::String(text.trim_matches('\'').to_owned()),
                };
            }
            row["team"] = [Value::Null, json!(1), json!(2), json!(3)][dice.roll(4)].clone();
            row
        })
        .collect();
    let ask = Ask::new("POST /rows").json(&Value::Array(rows).to_string());
    let answer = both.same(Server::service, &ask).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
}

#[tokio::test]
async fn walks_see_every_row_once_and_in_order_whatever_is_written_meanwhile() {
    let both = Both::start(project).await;
    let seeds = match std::env::var("MAINSTAY_PAGING")
        .ok()
        .as_deref()
        .and_then(|text| text.split_once(".."))
    {
        Some((first, last)) => first.parse().unwrap()..last.parse().unwrap(),
        None => SEEDS,
    };
    for seed in seeds {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        both.same(Server::service, &Ask::new("DELETE /rows")).await;
        // Odd numbers from the beginning, even ones meanwhile.
        fill(&both, &mut dice, (0..ROWS).map(|number| 2 * number + 1)).await;
        let (order, whole) = dice.order();
        let limit = 1 + dice.roll(9);
        let filter = ["", "&b=gt.1", "&a=not.is.null", "&or=(o.is.true,b.eq.2)"][dice.roll(4)];
        let path = match order.as_str() {
            "" => format!("/rows?select=id,teams(id)&limit={limit}{filter}"),
            order => format!("/rows?select=id,teams(id)&order={order}&limit={limit}{filter}"),
        };
        let all = both
            .same(
                Server::anonymous,
                &Ask::new(&format!("GET /rows?select=id,teams(id)&order={whole}{filter}")),
            )
            .await;
        let mut all = ids(&all);
        let mut seen: Vec<i64> = Vec::new();
        let mut added = 0;
        let mut cursor: Option<String> = None;
        loop {
            let ask = match &cursor {
                None => paged(&format!("GET {path}")),
                Some(cursor) => paged(&format!("GET {path}&cursor={cursor}")),
            };
            let page = both.same(Server::anonymous, &ask).await;
            assert_eq!(page.status.as_u16(), 200, "seed {seed}: {path} {}", page.text());
            let rows = ids(&page);
            assert!(rows.len() <= limit);
            seen.extend(&rows);
            cursor = next(&page);
            if cursor.is_none() {
                break;
            }
            assert_eq!(
                rows.len(),
                limit,
                "seed {seed}: a page that is not full is the last: {path}"
            );
            // Not for ever, or a small page never comes to the end.
            let more = if added < ADDED_MAX { 3 } else { 0 };
            if more > 0 {
                fill(&both, &mut dice, (added..added + more).map(|number| 2 * number + 2)).await;
                added += more;
            }
            // The row that the page ended with may go, and one that was not yet seen.
            let unseen = all.iter().rfind(|id| !seen.contains(id)).copied();
            if dice.roll(2) == 0 {
                let last = *rows.last().unwrap();
                both.same(Server::service, &Ask::new(&format!("DELETE /rows?id=eq.{last}")))
                    .await;
            } else if let (Some(unseen), 0) = (unseen, dice.roll(3)) {
                both.same(Server::service, &Ask::new(&format!("DELETE /rows?id=eq.{unseen}")))
                    .await;
                all.retain(|id| *id != unseen);
            }
        }
        let distinct: BTreeSet<i64> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "seed {seed}: a row twice: {path}");
        let first: Vec<i64> = seen.into_iter().filter(|id| id % 2 == 1).collect();
        assert_eq!(first, all, "seed {seed}: {path}");
    }
}

async fn filled() -> Both {
    let both = Both::start(project).await;
    fill(&both, &mut Dice(7), 1..31).await;
    both
}

#[tokio::test]
async fn a_page_says_where_the_next_one_is() {
    let both = filled().await;
    let path = "/rows?select=id&order=b.desc&limit=12";
    let pages = walk(&both, Server::anonymous, path).await;
    let lengths: Vec<usize> = pages.iter().map(|page| ids(page).len()).collect();
    assert_eq!(lengths, [12, 12, 6]);
    let (first, last) = (&pages[0], &pages[2]);
    assert_eq!(first.header("preference-applied"), "paging=cursor");
    assert_eq!(first.header("content-range"), "0-11/*");
    assert_eq!(pages[1].header("content-range"), "*/*");
    assert_eq!((last.header("link"), last.header("next-cursor")), ("", ""));
    let cursor = next(first).unwrap();
    assert_eq!(
        first.header("link"),
        format!("<?select=id&order=b.desc&limit=12&cursor={cursor}>; rel=\"next\"")
    );
    // The link is enough: a cursor asks for pages by itself.
    let link = first.header("link").trim_start_matches('<').split('>').next().unwrap();
    let second = both
        .same(Server::anonymous, &Ask::new(&format!("GET /rows{link}")))
        .await;
    assert_eq!(second.text(), pages[1].text());
    assert_eq!(next(&second), next(&pages[1]));
    assert!(second.header("content-location").contains(&format!("cursor={cursor}&")));
    // A page that ends with the last row is the last.
    let exact = walk(&both, Server::anonymous, "/rows?select=id&order=b.desc&limit=15").await;
    assert_eq!(exact.len(), 2);
    // A range is a limit, max_rows too; without either there is one page.
    let ranged = both
        .same(
            Server::anonymous,
            &paged("GET /rows?select=id&order=b.desc").header("range", "0-11"),
        )
        .await;
    assert_eq!((ids(&ranged), next(&ranged).is_some()), (ids(first), true));
    let whole = both.same(Server::anonymous, &paged("GET /rows?select=id")).await;
    assert_eq!((ids(&whole).len(), next(&whole)), (30, None));
    let none = both
        .same(Server::anonymous, &paged("GET /rows?select=id&limit=0"))
        .await;
    assert_eq!((none.text().as_str(), next(&none)), ("[]", None));
    // Whoever does not ask gets no cursor.
    let plain = both
        .same(
            Server::anonymous,
            &Ask::new("GET /rows?select=id&order=b.desc&limit=12"),
        )
        .await;
    assert_eq!((plain.header("link"), plain.header("next-cursor")), ("", ""));
    // The page's entity tag still holds; so does where the next is.
    let again = paged(&format!("GET {path}")).header("if-none-match", first.header("etag"));
    let again = both.same(Server::anonymous, &again).await;
    assert_eq!((again.status.as_u16(), next(&again)), (304, Some(cursor)));
    let headers = both
        .same(Server::anonymous, &paged("HEAD /rows?select=id&order=b.desc&limit=12"))
        .await;
    assert_eq!((headers.text().as_str(), next(&headers)), ("", next(first)));
    let origin = paged(&format!("GET {path}")).header("origin", "http://a.example");
    let origin = both.same(Server::anonymous, &origin).await;
    assert!(origin.header("access-control-expose-headers").contains("Next-Cursor"));
}

#[tokio::test]
async fn a_limit_of_the_server_makes_pages_too() {
    let both = Both::start(|| project().config("[rest]\ndb_max_rows = 4")).await;
    for start in [1, 11, 21] {
        fill(&both, &mut Dice(start), start..start + 10).await;
    }
    let pages = walk(&both, Server::anonymous, "/rows?select=id&order=z").await;
    assert_eq!(pages.len(), 8);
    let all: BTreeSet<i64> = pages.iter().flat_map(ids).collect();
    assert_eq!(all.len(), 30);
}

#[tokio::test]
async fn counts_are_of_all_rows_on_every_page() {
    let both = filled().await;
    for count in ["exact", "estimated"] {
        let mut cursor = String::new();
        for page in 0..3 {
            let path = format!("GET /rows?select=id&b=gt.0&order=a&limit=10{cursor}");
            let answer = both
                .same(Server::anonymous, &paged(&path).prefer(&format!("count={count}")))
                .await;
            let range = if page == 0 { "0-9/30" } else { "*/30" };
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-range")),
                (206, range),
                "{count} {page}"
            );
            cursor = next(&answer)
                .map(|cursor| format!("&cursor={cursor}"))
                .unwrap_or_default();
        }
        assert!(cursor.is_empty());
    }
    let one = both
        .same(
            Server::anonymous,
            &paged("GET /rows?select=id&limit=1").header("accept", "application/vnd.pgrst.object+json"),
        )
        .await;
    assert_eq!((one.text().as_str(), next(&one).is_some()), ("{\"id\":1}", true));
}

#[tokio::test]
async fn other_forms_and_embeds_come_in_pages() {
    let both = filled().await;
    let lines: Vec<Value> = (1..31)
        .flat_map(|row| {
            (0..row % 4).map(move |place| json!({"row_id": row, "place": place, "body": format!("{row}.{place}")}))
        })
        .collect();
    let lines = Ask::new("POST /lines").json(&Value::Array(lines).to_string());
    assert_eq!(both.same(Server::service, &lines).await.status.as_u16(), 201);
    let csv = both
        .same(
            Server::anonymous,
            &paged("GET /rows?select=id,b&order=d&limit=7").header("accept", "text/csv"),
        )
        .await;
    assert_eq!(csv.text().lines().count(), 8, "{}", csv.text());
    assert!(next(&csv).is_some());
    let paths = [
        "/rows?select=id,teams(rank),lines(body)&order=teams(rank).desc.nullslast&limit=7&lines.order=place&lines.limit=2",
        "/rows?select=id,lines!inner(body),...teams(name)&order=teams(name),a&limit=4&lines.order=place.desc",
        "/rows?lines.place=eq.2&lines=not.is.null&select=id,lines(place)&order=m.desc&limit=2",
        "/rows?select=b&order=j->>k,j->n.desc&limit=11",
        "/lines?select=body&order=row_id.desc&limit=5",
        "/lines?limit=5",
        "/plain?select=key&order=what.desc&limit=3",
    ];
    for path in paths {
        let pages = walk(&both, Server::anonymous, path).await;
        assert!(pages.len() > 2, "{path}: {}", pages[0].text());
        let paged: Vec<Value> = pages
            .iter()
            .flat_map(|page| page.json().as_array().unwrap().clone())
            .collect();
        let (line, _) = path
            .split_once("&limit=")
            .or_else(|| path.split_once("limit="))
            .unwrap();
        let rest = path.split_once("limit=").unwrap().1;
        let rest = rest
            .split_once('&')
            .map(|(_, rest)| format!("&{rest}"))
            .unwrap_or_default();
        let whole = both.same(Server::anonymous, &paged_once(line, &rest)).await;
        assert_eq!(Value::Array(paged), whole.json(), "{path}");
    }
}

/// The same rows on one page.
fn paged_once(line: &str, rest: &str) -> Ask {
    paged(&format!("GET {line}{rest}"))
}

#[tokio::test]
async fn places_in_time_are_the_same_in_every_zone() {
    let both = filled().await;
    let whole = both
        .same(Server::anonymous, &Ask::new("GET /rows?select=id&order=z.desc,s,id"))
        .await;
    let zones = ["Asia/Kolkata", "America/Lima", "UTC"];
    let (mut seen, mut cursor, mut page) = (Vec::new(), String::new(), 0);
    loop {
        // Each page in another zone: a cursor is of a moment.
        let ask = Ask::new(&format!("GET /rows?select=id,z&order=z.desc,s&limit=4{cursor}"));
        let ask = ask.prefer(&format!("paging=cursor, timezone={}", zones[page % zones.len()]));
        let answer = both.same(Server::anonymous, &ask).await;
        seen.extend(ids(&answer));
        page += 1;
        match next(&answer) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids(&whole));
}

#[tokio::test]
async fn texts_are_compared_as_they_are_sorted() {
    if !mainstay_testing::engines().contains(&Engine::Postgres) {
        return;
    }
    // The embedded engine has one order of texts, PostgreSQL one per column.
    let project = Project::of(
        "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table words (id int primary key, word text collate \"und-x-icu\", folded text collate folded);
         insert into words select v, w, w from
           unnest(array['a', 'B', 'A', 'b', '\u{e4}', 'Z', 'z', '\u{c4}', '_', 'a b']) with ordinality as u(w, v);
         grant select on words to anon;",
    );
    let server = Server::start(PROGRAM, Engine::Postgres, project).await;
    for order in ["word", "word.desc", "folded", "folded.desc,word"] {
        let direction = if order == "word.desc" { ".desc" } else { "" };
        let whole = Ask::new(&format!("GET /words?select=id&order={order},id{direction}"));
        let whole = whole.send(&server.anonymous()).await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let ask = paged(&format!("GET /words?select=id&order={order}&limit=2{cursor}"));
            let page = ask.send(&server.anonymous()).await;
            seen.extend(ids(&page));
            match next(&page) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, ids(&whole), "{order}");
        assert!(!seen.is_sorted(), "{order}: {seen:?}");
    }
}

#[tokio::test]
async fn policies_hold_on_every_page() {
    let both = Both::start(project).await;
    let walked = walk(&both, |server| server.user(ANN), "/mine?select=id&order=a.desc&limit=3").await;
    let all: Vec<i64> = walked.iter().flat_map(ids).collect();
    assert_eq!(all, [27, 21, 15, 9, 3, 30, 24, 18, 12, 6]);
    // The place of another's page is a place among one's own rows.
    let cursor = next(&walked[1]).unwrap();
    let bobs = both
        .same(
            |server| server.user(BOB),
            &paged(&format!("GET /mine?select=id&order=a.desc&limit=50&cursor={cursor}")),
        )
        .await;
    assert!(
        ids(&bobs).iter().all(|id| id % 3 != 0) && ids(&bobs).len() == 10,
        "{}",
        bobs.text()
    );
    let nothing = both.same(Server::anonymous, &paged("GET /mine?order=a&limit=3")).await;
    assert_eq!((nothing.status.as_u16(), nothing.code().as_str()), (401, "42501"));
}

#[tokio::test]
async fn a_cursor_tells_nothing_and_goes_with_its_request_alone() {
    let both = filled().await;
    let path = "/rows?select=id&order=t.desc,a&b=gt.0&limit=3";
    let first = both.same(Server::anonymous, &paged(&format!("GET {path}"))).await;
    let cursor = next(&first).unwrap();
    let good = [
        format!("/rows?select=id&order=t.desc,a&b=gt.0&limit=3&cursor={cursor}"),
        // Another page size, other columns, other values.
        format!("/rows?select=t,b&order=t.desc,a&b=gt.1&limit=9&cursor={cursor}"),
        format!("/rows?cursor={cursor}&b=gt.0&order=t.desc,a"),
    ];
    for path in &good {
        let answer = both.same(Server::anonymous, &paged(&format!("GET {path}"))).await;
        assert_eq!(answer.status.as_u16(), 200, "{path} {}", answer.text());
    }
    let mut tampered = cursor.clone().into_bytes();
    tampered[4] = if tampered[4] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    let bad = [
        format!("/rows?select=id&order=t.desc,b&b=gt.0&limit=3&cursor={cursor}"),
        format!("/rows?select=id&order=t,a&b=gt.0&limit=3&cursor={cursor}"),
        format!("/rows?select=id&order=t.desc,a&limit=3&cursor={cursor}"),
        format!("/rows?select=id&order=t.desc,a&b=lt.0&limit=3&cursor={cursor}"),
        format!("/rows?select=id&order=t.desc,a&b=gt.0&a=eq.1&limit=3&cursor={cursor}"),
        format!("/plain?select=key&order=t.desc,a&b=gt.0&cursor={cursor}"),
        format!("/rows?select=id&order=t.desc,a&b=gt.0&cursor={tampered}"),
        format!("/rows?select=id&order=t.desc,a&b=gt.0&cursor={cursor}&cursor={cursor}"),
        format!("/rows?select=id&order=t.desc,a&b=gt.0&cursor={}", &cursor[1..]),
        "/rows?select=id&order=t.desc,a&b=gt.0&cursor=".to_owned(),
        "/rows?select=id&order=t.desc,a&b=gt.0&cursor=AAAAAAAA".to_owned(),
    ];
    for path in &bad {
        let refused = both.same(Server::anonymous, &paged(&format!("GET {path}"))).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, "MS-DATA-013"),
            "{path} {}",
            refused.text()
        );
    }
    let other_role = both
        .same(Server::service, &paged(&format!("GET {path}&cursor={cursor}")))
        .await;
    assert_eq!(
        (other_role.status.as_u16(), other_role.code().as_str()),
        (400, "MS-DATA-013")
    );
    // What the row's sort key is cannot be read in it, in any encoding.
    let odd = both
        .same(Server::anonymous, &paged("GET /odd?limit=1&select=cursor"))
        .await;
    assert_eq!(odd.text(), r#"[{"cursor":"x"}]"#);
    assert!(next(&odd).unwrap().len() > 20);
}

#[tokio::test]
async fn a_column_called_cursor_is_filtered_as_ever() {
    let both = Both::start(project).await;
    for paging in [false, true] {
        let ask = Ask::new("GET /odd?cursor=eq.y&select=cursor");
        let ask = if paging { ask.prefer("paging=cursor") } else { ask };
        let answer = both.same(Server::anonymous, &ask).await;
        assert_eq!(answer.text(), r#"[{"cursor":"y"}]"#);
    }
    let walked = walk(&both, Server::anonymous, "/odd?cursor=neq.z&limit=1").await;
    assert_eq!(walked.len(), 2);
}

#[tokio::test]
async fn what_has_no_places_is_refused() {
    let both = filled().await;
    let refusals = [
        ("GET /bare?limit=1", "MS-DATA-014"),
        ("GET /joined?limit=1", "MS-DATA-014"),
        ("GET /grouped?limit=1", "MS-DATA-014"),
        ("GET /rows?limit=1&offset=1", "MS-DATA-014"),
        ("GET /rpc/list?limit=1", "MS-DATA-014"),
        ("POST /rpc/list?limit=1", "MS-DATA-014"),
        ("GET /long?order=body&limit=1", "MS-DATA-015"),
        ("GET /rows?order=nothing&limit=1", "42703"),
    ];
    for (line, code) in refusals {
        let refused = both.same(Server::anonymous, &paged(line)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, code),
            "{line} {}",
            refused.text()
        );
    }
    let ranged = both
        .same(Server::anonymous, &paged("GET /rows").header("range", "5-9"))
        .await;
    assert_eq!(ranged.code(), "MS-DATA-014");
    let batch = r#"{"requests":[{"method":"GET","path":"/rows?limit=1","headers":{"Prefer":"paging=cursor"}}]}"#;
    assert_eq!(
        both.same(Server::anonymous, &Ask::new("POST /batch").json(batch))
            .await
            .code(),
        "MS-DATA-014"
    );
    // The long key does not matter where nothing follows, nor where it is not sorted by.
    for line in ["GET /long?order=body&limit=3", "GET /long?limit=1"] {
        assert_eq!(both.same(Server::anonymous, &paged(line)).await.status.as_u16(), 200);
    }
    // Writes have no pages.
    let write = paged("PATCH /rows?id=eq.1").prefer("return=minimal").json(r#"{"b":2}"#);
    assert_eq!(both.same(Server::service, &write).await.status.as_u16(), 204);
}

#[tokio::test]
async fn what_the_caller_may_not_read_orders_no_pages() {
    let both = Both::start(project).await;
    // A column without a grant, and a key without one.
    for (who, line) in [
        (token::role("anon"), "GET /hidden?select=public&order=secret&limit=2"),
        (token::user(ANN), "GET /hidden?select=public&order=public&limit=2"),
    ] {
        let refused = both.same(|server| server.anonymous().bearer(&who), &paged(line)).await;
        assert_eq!(refused.code(), "42501", "{line} {}", refused.text());
        assert!(next(&refused).is_none());
    }
    let fine = walk(&both, Server::anonymous, "/hidden?select=public&order=public&limit=4").await;
    assert_eq!(fine.len(), 3);
}

#[tokio::test]
async fn a_cursor_outlives_the_process() {
    for engine in mainstay_testing::engines() {
        let mut server = Server::start(PROGRAM, engine, project()).await;
        let first = paged("GET /mine?select=id&limit=4&order=a")
            .send(&server.user(ANN))
            .await;
        let cursor = next(&first).unwrap();
        server.kill();
        server.run().unwrap_or_else(|log| panic!("{log}"));
        let line = format!("GET /mine?select=id&limit=4&order=a&cursor={cursor}");
        let second = paged(&line).send(&server.user(ANN)).await;
        assert_eq!(second.status.as_u16(), 200, "{}", second.text());
        assert_eq!(ids(&second), [30, 3, 9, 15]);
    }
}

#[tokio::test]
async fn a_later_page_begins_in_the_index() {
    let project = || {
        Project::of(
            "create table big (id bigint primary key, at timestamptz not null, kind int not null, note text, owner uuid);
             insert into big select v, timestamptz '2024-01-01 00:00:00+00' + (v / 7) * interval '1 minute', v % 3, 'x' || v % 50, null
               from generate_series(1, 30000) as g(v);
             create index on big (at, id);
             create index on big (kind, at desc, id desc);
             create index on big (note, id);
             alter table big enable row level security;
             create policy open on big using (owner is null or owner = auth.uid());
             grant select on big to anon;",
        )
        .config("[rest]\ndb_plan_enabled = true")
    };
    for engine in mainstay_testing::engines() {
        let server = Server::start(PROGRAM, engine, project()).await;
        if let Some(url) = server.database_url() {
            mainstay_testing::database::postgres_value(&url, "analyze big").await;
        }
        // (order, what the plan must say of where it begins)
        let orders = [
            ("order=at", "at"),
            ("order=at.desc", "at"),
            ("kind=eq.1&order=at.desc", "at"),
            ("order=at.desc,id", "at"),
            ("order=note.desc", "note"),
            // Nulls come last: they are a part of their own.
            ("order=note", "note"),
            ("order=note.desc.nullslast", "note"),
            ("", "id"),
        ];
        for (order, column) in orders {
            let path = format!("big?select=id&{order}&limit=20");
            let half = paged(&format!("GET /{}", path.replace("limit=20", "limit=5000")))
                .send(&server.anonymous())
                .await;
            let cursor = next(&half).unwrap_or_else(|| panic!("{}", half.text()));
            let plan = paged(&format!("GET /{path}&cursor={cursor}"))
                .header("accept", "application/vnd.pgrst.plan+json")
                .send(&server.anonymous())
                .await;
            let text = plan.text();
            assert_eq!(plan.status.as_u16(), 200, "{text}");
            let begins = match engine {
                Engine::Sqlite => text.lines().chain([text.as_str()]).any(|line| {
                    line.contains("SEARCH")
                        && (line.contains(&format!("{column}>"))
                            || line.contains(&format!("{column}<"))
                            || line.contains("rowid>")
                            || line.contains("rowid<")
                            || line.contains(&format!(",{column})>"))
                            || line.contains(&format!(",{column})<")))
                }),
                Engine::Postgres => text
                    .split("\"Index Cond\":")
                    .skip(1)
                    .any(|cond| cond.lines().next().unwrap().contains(column)),
            };
            assert!(begins, "{engine:?} {order}: {text}");
            if order != "order=at.desc,id" {
                assert!(
                    !text.contains("TEMP B-TREE") && !text.contains("\"Sort\""),
                    "{engine:?} {order}: {text}"
                );
            }
        }
    }
}
