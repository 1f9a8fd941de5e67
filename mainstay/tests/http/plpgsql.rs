//! PL/pgSQL functions over RPC, and DO blocks of migrations, on both engines.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

fn project() -> Project {
    Project::of(include_str!("plpgsql.sql"))
}

async fn rpc(both: &Both, name: &str, body: &str) -> String {
    let ask = Ask::new(&format!("POST /rpc/{name}")).json(body);
    both.same(Server::anonymous, &ask).await.text()
}

#[tokio::test]
async fn do_blocks_leave_the_same_tables() {
    let both = Both::start(project).await;
    let purchases = both.table("purchases?order=id").await;
    assert!(
        purchases.starts_with(r#"[{"id":1,"customer":"customer 1","state":"open","total":3.75,"note":"n1"}"#),
        "{purchases}"
    );
    both.table("purchase_lines?order=purchase_id,place").await;
    both.table("half_done").await;
}

#[tokio::test]
async fn functions_answer_alike() {
    let both = Both::start(project).await;
    assert_eq!(rpc(&both, "pay", r#"{"p_id":1,"p_amount":10}"#).await, "\"paid 3.75\"");
    rpc(&both, "pay", r#"{"p_id":1,"p_amount":10}"#).await;
    let missing = rpc(&both, "pay", r#"{"p_id":9,"p_amount":10}"#).await;
    assert!(missing.contains("no purchase 9"), "{missing}");
    rpc(&both, "pay", r#"{"p_id":2,"p_amount":1}"#).await;
    rpc(&both, "pay", r#"{"p_id":2,"p_amount":null}"#).await;
    for line in [
        "GET /rpc/open_purchases",
        "GET /rpc/open_purchases?low=9&select=id,customer,purchase_lines(place,price)",
        "GET /rpc/open_purchases?order=id.desc&limit=1",
        "GET /rpc/summary",
        "GET /rpc/summary?state=eq.open",
        "GET /rpc/describe?p_id=2",
        "GET /rpc/describe?p_id=77",
        "GET /rpc/whoami",
        "GET /rpc/spin",
        "GET /rpc/writes_in_a_read",
        "GET /rpc/pay?p_id=3&p_amount=100",
    ] {
        both.same(Server::anonymous, &Ask::new(line)).await;
    }
    rpc(&both, "new_purchase", r#"{"who":"ann","prices":[1.5,2.25]}"#).await;
    rpc(&both, "new_purchase", r#"{"who":"bob","prices":[]}"#).await;
    rpc(&both, "new_purchase", r#"{"who":"eve","prices":null}"#).await;
    rpc(&both, "new_purchase", r#"{"who":null,"prices":[1]}"#).await;
    rpc(&both, "wipe", r#"{"p_id":1}"#).await;
    for id in [1, 1] {
        let ask = Ask::new("POST /rpc/wipe").json(&format!(r#"{{"p_id":{id}}}"#));
        both.same(Server::service, &ask).await;
    }
    both.table("purchases?order=id").await;
    both.table("purchase_lines?order=purchase_id,place").await;
}
