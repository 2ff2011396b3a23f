//! Whatever is sent, what comes back is an answer, and soon.

use std::time::{Duration, Instant};

use http::StatusCode;
use mcp_crds::kind::Kind;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    Answer, MUTATE, UID, VALIDATE, Webhooks, mk_create, mk_dry_run, mk_server, mk_tool, mk_update,
};

/// Far more than any of these takes, also in a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(20);

async fn answered_soon(path: &str, body: impl Into<axum::body::Body>) -> (StatusCode, Vec<u8>) {
    let started = Instant::now();
    let answer = Webhooks::new().post(path, body).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    answer
}

fn nested(depth: usize) -> String {
    format!("{}{}", r#"{"not":"#.repeat(depth), format_args!("true{}", "}".repeat(depth)))
}

#[tokio::test]
async fn a_schema_nested_without_end_is_one_error_among_the_others() {
    for depth in [100, 200, 20_000] {
        let body = mk_create(Kind::Tool, mk_tool("search"))
            .to_string()
            .replace(r#""limit":{"#, &format!(r#""deep":{},"limit":{{"#, nested(depth)))
            .replace(r#""port":8080"#, r#""port":0"#);
        for path in [MUTATE, VALIDATE] {
            let (status, body) = answered_soon(path, body.clone()).await;
            assert_eq!(status, StatusCode::OK);
            let answer = Answer::parse(&body, UID);
            let fields = answer.fields();
            assert!(fields.contains(&"spec.inputSchema"), "{depth}: {answer:?}");
            assert!(fields.contains(&"spec.service.port"), "{depth}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn depth_anywhere_in_a_review_is_survived() {
    let depth = 200_000;
    for deep in [format!("{}{}", "[".repeat(depth), "]".repeat(depth)), nested(depth)] {
        for (place, expected) in [
            (r#""userInfo":"#, None),
            (r#""name":"#, Some("request.name")),
            (r#""kind":"#, Some("request.kind").filter(|_| deep.starts_with('['))),
            (r#""object":"#, None),
            (r#""oldObject":"#, None),
        ] {
            let body = format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",
                    "request":{{"uid":"u","operation":"UPDATE",{place}{deep}}}}}"#
            );
            let (status, body) = answered_soon(MUTATE, body).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(Answer::parse(&body, "u").fields(), expected.into_iter().collect::<Vec<_>>());
        }
        let (status, body) = answered_soon(MUTATE, deep).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test]
async fn an_object_of_more_values_than_can_be_stored_is_refused_before_it_takes_memory() {
    let mut tool = mk_tool("search");
    tool["spec"]["inputSchema"]["enum"] = json!([7]);
    let many = format!("[{}7]", "7,".repeat(2 << 20));
    let body = mk_create(Kind::Tool, tool).to_string().replace("[7]", &many);
    let (status, body) = answered_soon(MUTATE, body).await;
    assert_eq!(status, StatusCode::OK);
    let answer = Answer::parse(&body, UID);
    assert!(answer.message().contains("more than 1048576 values"), "{}", answer.message());
}

#[tokio::test]
async fn more_than_a_hundred_errors_are_counted() {
    let mut server = mk_server("main");
    server["spec"]["env"] = json!(vec![7; 150]);
    let answer = Webhooks::new().ask(MUTATE, &mk_create(Kind::Server, server)).await;
    let causes = answer.causes();
    assert_eq!(causes.len(), 101);
    assert!(causes[100].2.contains("50 more errors"), "{:?}", causes[100]);
    assert!(answer.message().ends_with("50 more errors]"));
}

#[tokio::test]
async fn a_panic_in_a_rule_is_a_denial_that_says_whose_fault_it_is() {
    let webhooks = Webhooks::panicking();
    for path in [MUTATE, VALIDATE] {
        let answer = webhooks.ask(path, &mk_create(Kind::Tool, mk_tool("search"))).await;
        assert_eq!(answer.status()["code"], 500);
        assert!(answer.message().contains("a bug in mcp-operator"), "{}", answer.message());
        assert_eq!(answer.status()["details"]["name"], "search");
    }
    let metrics = webhooks.metrics();
    assert!(metrics.contains(r#"kind="MCPTool",operation="CREATE",verdict="failed"} 1"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_reviews_do_not_hold_up_small_ones() {
    let webhooks = Webhooks::new();
    let mut large = mk_tool("large");
    large["metadata"]["annotations"] = json!({"a": "x".repeat(8 << 20)});
    let large = mk_dry_run(mk_create(Kind::Tool, large)).to_string();
    let (router, many) = (&webhooks, 16);
    let larges = futures::future::join_all((0..many).map(|_| router.post(MUTATE, large.clone())));
    let small = async {
        let started = Instant::now();
        let review = mk_create(Kind::Tool, mk_tool("small"));
        assert!(webhooks.ask(MUTATE, &review).await.allowed());
        started.elapsed()
    };
    let (larges, small) = tokio::join!(larges, small);
    assert!(larges.iter().all(|(status, _)| *status == StatusCode::OK));
    assert!(small < SOON, "{small:?}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::sample::select(vec!["stdio", "object", "{{a}}", "5s", "a/b:c", "{x}", "@daily"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let name = prop_oneof![
            prop::sample::select(vec![
                "metadata",
                "name",
                "labels",
                "spec",
                "service",
                "port",
                "path",
                "inputSchema",
                "type",
                "properties",
                "transport",
                "replicas",
                "resources",
                "requests",
                "limits",
                "cpu",
                "env",
                "toolSelector",
                "matchLabels",
                "template",
                "variables",
                "content",
                "operations",
                "uri",
                "config",
                "redis",
                "ingress",
                "annotations",
                "finalizers",
                "deletionTimestamp",
                "$ref",
                "required",
                "headers",
            ])
            .prop_map(str::to_owned),
            ".*",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Any value in place of any part of a review.
fn any_review() -> impl Strategy<Value = Value> {
    let places = vec![
        "/apiVersion",
        "/kind",
        "/request/kind",
        "/request/kind/kind",
        "/request/resource",
        "/request/name",
        "/request/namespace",
        "/request/operation",
        "/request/dryRun",
        "/request/object",
        "/request/object/metadata",
        "/request/object/spec",
        "/request/object/spec/service",
        "/request/object/spec/inputSchema",
        "/request/oldObject",
        "/request/oldObject/spec",
        "/request/options",
    ];
    let change = (prop::sample::select(places), any_json());
    (prop::sample::select(&Kind::ALL[..]), any::<bool>(), prop::collection::vec(change, 1..4)).prop_map(
        |(kind, update, changes)| {
            let mut review = mk_update(kind, mk_tool("search"), mk_tool("search"));
            if !update {
                review["request"]["operation"] = json!("CREATE");
                review["request"]["oldObject"] = Value::Null;
            }
            for (place, value) in changes {
                if let Some(part) = review.pointer_mut(place) {
                    *part = value;
                }
            }
            review
        },
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let (status, _) = block_on(answered_soon(MUTATE, bytes));
        prop_assert!(status == StatusCode::BAD_REQUEST);
    }

    #[test]
    fn arbitrary_json_is_answered(value in any_json()) {
        let (status, _) = block_on(answered_soon(VALIDATE, value.to_string()));
        prop_assert!(status == StatusCode::BAD_REQUEST || status == StatusCode::OK);
    }

    #[test]
    fn a_review_cut_short_is_answered(cut in 0_usize..1200) {
        let body = mk_create(Kind::Tool, mk_tool("search")).to_string();
        let (status, _) = block_on(answered_soon(MUTATE, body.get(..cut).unwrap_or(&body).to_owned()));
        prop_assert_eq!(status == StatusCode::OK, cut >= body.len());
    }

    #[test]
    fn whatever_a_review_holds_its_answer_is_a_review(review in any_review()) {
        for path in [MUTATE, VALIDATE] {
            let (status, body) = block_on(answered_soon(path, review.to_string()));
            prop_assert_eq!(status, StatusCode::OK);
            let answer = Answer::parse(&body, UID);
            // A bug is answered too, and is still a bug.
            prop_assert!(answer.allowed() || answer.status()["code"] == 422, "{answer:?}");
            // What is patched in is all that there is to patch.
            if path == MUTATE && answer.allowed() && answer.patch().is_some() {
                let mut review = review.clone();
                review["request"]["object"] = answer.patched(&review["request"]["object"]);
                let (_, body) = block_on(answered_soon(path, review.to_string()));
                prop_assert!(Answer::parse(&body, UID).patch().is_none());
            }
        }
    }
}
