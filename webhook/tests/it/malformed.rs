//! What is wrong with the question itself.

use axum::body::{Body, Bytes};
use http::{Request, StatusCode};
use mcp_crds::kind::Kind;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Answer, MUTATE, UID, VALIDATE, Webhooks, mk_create, mk_tool};

async fn refused_with_a_sentence(body: impl Into<Body>, expected: StatusCode) {
    let (status, sentence) = Webhooks::new().post(MUTATE, body).await;
    let sentence = String::from_utf8(sentence).unwrap();
    assert_eq!(status, expected, "{sentence}");
    assert!(sentence.ends_with('\n') && sentence.split(' ').count() > 5, "{sentence}");
}

#[tokio::test]
async fn what_is_no_review_is_a_bad_request() {
    for body in [
        "",
        "hello",
        "null",
        "[]",
        "7",
        "{",
        "{}",
        r#"{"request": null}"#,
        r#"{"request": {}}"#,
        r#"{"request": []}"#,
        r#"{"request": {"uid": ""}}"#,
        r#"{"request": {"uid": null}}"#,
        r#"{"request": {"uid": 7}}"#,
        r#"{"request": {"uid": "\ud800"}}"#,
        r#"{"request": {"uid": "a"}} trailing"#,
    ] {
        refused_with_a_sentence(body, StatusCode::BAD_REQUEST).await;
    }
    refused_with_a_sentence(&b"{\"request\": {\"uid\": \"\xff\"}}"[..], StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn a_uid_is_enough_for_an_answer() {
    let answer = Webhooks::new().ask(MUTATE, &json!({"request": {"uid": "a"}})).await;
    assert_eq!(answer.fields(), ["apiVersion", "kind", "request.operation"]);
}

#[tokio::test]
async fn a_uid_is_echoed_as_it_is() {
    for uid in ["\"quoted\"", "ü\u{1F600}", "back\\slash\n", "a b"] {
        let mut review = mk_create(Kind::Tool, mk_tool("search"));
        review["request"]["uid"] = json!(uid);
        assert!(Webhooks::new().ask(VALIDATE, &review).await.review["response"]["uid"] == uid);
    }
}

#[tokio::test]
async fn names_may_be_escaped_and_given_twice() {
    let body = r#"{"\u0072equest": {"u\u0069d": "first"}, "request": {"uid": "x", "uid": "last"}}"#;
    let (status, body) = Webhooks::new().post(MUTATE, body).await;
    assert_eq!(status, StatusCode::OK);
    Answer::parse(&body, "last");
}

#[tokio::test]
async fn an_envelope_of_the_wrong_shape_is_refused_by_the_field() {
    let cases = [
        ("/apiVersion", json!("admission.k8s.io/v1beta1"), "apiVersion"),
        ("/kind", json!(7), "kind"),
        ("/request/kind", json!("MCPTool"), "request.kind"),
        ("/request/kind/group", json!(7), "request.kind.group"),
        ("/request/resource", json!([]), "request.resource"),
        ("/request/operation", json!("TOUCH"), "request.operation"),
        ("/request/operation", json!(["CREATE"]), "request.operation"),
        ("/request/operation", Value::Null, "request.operation"),
        ("/request/name", json!({}), "request.name"),
        ("/request/namespace", json!(7), "request.namespace"),
        ("/request/dryRun", json!("true"), "request.dryRun"),
    ];
    for (pointer, value, field) in cases {
        let mut review = mk_create(Kind::Tool, mk_tool("search"));
        *review.pointer_mut(pointer).unwrap() = value;
        for path in [MUTATE, VALIDATE] {
            let answer = Webhooks::new().ask(path, &review).await;
            assert_eq!(answer.fields(), [field], "{pointer}");
        }
    }
}

#[tokio::test]
async fn a_missing_or_misshapen_object_is_refused() {
    for (object, field) in [
        (Value::Null, "request.object"),
        (json!("an object"), "object"),
        (json!([]), "object"),
        (json!(7), "object"),
    ] {
        for path in [MUTATE, VALIDATE] {
            let answer = Webhooks::new().ask(path, &mk_create(Kind::Tool, object.clone())).await;
            assert_eq!(answer.fields(), [field]);
        }
    }
}

#[tokio::test]
async fn values_of_the_wrong_type_are_refused_and_never_an_http_error() {
    for kind in Kind::ALL {
        for spec in
            [json!(null), json!(7), json!("x"), json!([]), json!({"name": {}, "service": 7, "replicas": "1"})]
        {
            let object = json!({"metadata": {"name": "a"}, "spec": spec});
            for path in [MUTATE, VALIDATE] {
                let answer = Webhooks::new().ask(path, &mk_create(kind, object.clone())).await;
                // A server has no field that it must have.
                assert!(!answer.allowed() || kind == Kind::Server, "{kind:?} {object}");
            }
        }
    }
}

#[tokio::test]
async fn what_json_can_write_and_nobody_can_read_is_refused_by_its_field() {
    let review = mk_create(Kind::Tool, mk_tool("search")).to_string();
    for unreadable in ["1e999", r#""\ud800""#] {
        let body = review.replace(r#""port":8080"#, &format!(r#""port":{unreadable}"#));
        assert_ne!(body, review);
        let (status, body) = Webhooks::new().post(MUTATE, body).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(Answer::parse(&body, UID).fields(), ["spec.service.port"]);
    }
}

#[tokio::test]
async fn sixteen_mebibytes_are_read_and_no_more() {
    let mut review = mk_create(Kind::Tool, mk_tool("search"));
    let padding = (16 << 20) - review.to_string().len() - r#","padding":"""#.len();
    review["request"]["padding"] = json!("x".repeat(padding));
    let body = review.to_string();
    assert_eq!(body.len(), 16 << 20);
    let (status, answer) = Webhooks::new().post(MUTATE, body.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(Answer::parse(&answer, UID).allowed());
    refused_with_a_sentence(body.clone() + " ", StatusCode::PAYLOAD_TOO_LARGE).await;

    // Also where nothing says beforehand how much there will be.
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20])));
    let body = Body::from_stream(futures::stream::iter(chunks));
    refused_with_a_sentence(body, StatusCode::PAYLOAD_TOO_LARGE).await;
}

#[tokio::test]
async fn a_body_in_pieces_is_one_body() {
    let review = mk_create(Kind::Tool, mk_tool("search")).to_string().into_bytes();
    let pieces: Vec<_> =
        review.chunks(7).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let (status, body) = Webhooks::new().post(MUTATE, Body::from_stream(futures::stream::iter(pieces))).await;
    assert_eq!(status, StatusCode::OK);
    assert!(Answer::parse(&body, UID).allowed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_waited_for_ten_seconds() {
    let started = tokio::time::Instant::now();
    let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    refused_with_a_sentence(body, StatusCode::REQUEST_TIMEOUT).await;
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_broken_body_is_a_bad_request() {
    let broken = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))];
    refused_with_a_sentence(Body::from_stream(futures::stream::iter(broken)), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn only_posts_to_the_two_paths_are_served() {
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        Webhooks::new().router.oneshot(request).await.unwrap().status()
    };
    assert_eq!(ask("GET", MUTATE).await, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ask("PUT", VALIDATE).await, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ask("POST", "/").await, StatusCode::NOT_FOUND);
    assert_eq!(ask("POST", "/mutate/x").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_timeout_of_the_api_server_in_the_query_is_no_matter() {
    let review = mk_create(Kind::Tool, mk_tool("search"));
    assert!(Webhooks::new().ask("/mutate?timeout=5s", &review).await.allowed());
}
