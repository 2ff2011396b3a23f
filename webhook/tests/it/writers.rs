//! Two writers at once, on one replica.

use std::time::Duration;

use mcp_crds::kind::Kind;
use serde_json::{Value, json};

use crate::support::{MUTATE, VALIDATE, Webhooks, mk_create, mk_dry_run, mk_server, mk_tool};

/// A tool by another object's name that offers the same name.
fn mk_rival(object: &str) -> Value {
    let mut tool = mk_tool(object);
    tool["spec"]["name"] = json!("search");
    tool
}

fn with_a_server() -> Webhooks {
    let webhooks = Webhooks::new();
    webhooks.know_server(mk_server("main"));
    webhooks
}

#[tokio::test]
async fn the_second_of_two_is_told_that_the_first_is_being_created() {
    let webhooks = with_a_server();
    let (first, second) = (mk_create(Kind::Tool, mk_rival("a")), mk_create(Kind::Tool, mk_rival("b")));
    // Both have passed the mutating webhook before either is validated.
    for review in [&first, &second] {
        assert!(webhooks.ask(MUTATE, review).await.allowed());
    }
    assert!(webhooks.ask(VALIDATE, &first).await.allowed());
    for path in [VALIDATE, MUTATE] {
        let answer = webhooks.ask(path, &second).await;
        let [("FieldValueDuplicate", "spec.name", message)] = answer.causes()[..] else {
            panic!("{answer:?}")
        };
        assert!(message.contains("is being created") && message.contains('a'), "{message}");
    }
}

#[tokio::test]
async fn who_is_admitted_may_ask_again() {
    let webhooks = with_a_server();
    let review = mk_create(Kind::Tool, mk_rival("a"));
    for _ in 0..2 {
        webhooks.admit(&review).await.unwrap();
    }
}

#[tokio::test]
async fn a_name_is_free_again_where_nothing_came_of_it() {
    let webhooks = with_a_server();
    webhooks.admit(&mk_create(Kind::Tool, mk_rival("a"))).await.unwrap();
    webhooks.admit(&mk_create(Kind::Tool, mk_rival("b"))).await.unwrap_err();
    webhooks.pass(Duration::from_secs(6));
    webhooks.admit(&mk_create(Kind::Tool, mk_rival("b"))).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_gets_the_same_verdict_and_leaves_no_trace() {
    let webhooks = with_a_server();
    webhooks.admit(&mk_dry_run(mk_create(Kind::Tool, mk_rival("a")))).await.unwrap();
    webhooks.admit(&mk_create(Kind::Tool, mk_rival("b"))).await.unwrap();
    webhooks.admit(&mk_dry_run(mk_create(Kind::Tool, mk_rival("c")))).await.unwrap_err();
}

#[tokio::test]
async fn what_is_refused_takes_no_name() {
    let webhooks = with_a_server();
    let mut wrong = mk_rival("a");
    wrong["spec"]["service"]["port"] = json!(0);
    assert!(!webhooks.ask(VALIDATE, &mk_create(Kind::Tool, wrong)).await.allowed());
    webhooks.admit(&mk_create(Kind::Tool, mk_rival("b"))).await.unwrap();
}

#[tokio::test]
async fn the_mutating_webhook_takes_no_name() {
    let webhooks = with_a_server();
    assert!(webhooks.ask(MUTATE, &mk_create(Kind::Tool, mk_rival("a"))).await.allowed());
    webhooks.admit(&mk_create(Kind::Tool, mk_rival("b"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_racing_writers_one_is_admitted() {
    for _ in 0..20 {
        let webhooks = std::sync::Arc::new(with_a_server());
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let webhooks = std::sync::Arc::clone(&webhooks);
            writers.spawn(async move {
                webhooks.admit(&mk_create(Kind::Tool, mk_rival(&format!("writer-{writer}")))).await.is_ok()
            });
        }
        let admitted = writers.join_all().await.into_iter().filter(|admitted| *admitted).count();
        assert_eq!(admitted, 1);
    }
}
