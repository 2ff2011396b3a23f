//! What a request says about itself before anything else, and wrongly.

use axum::body::Body;
use http::Method;
use serde_json::json;

use super::support::client::legacy;
use super::support::gateway::{Gateway, Objects};

#[tokio::test]
async fn a_version_that_is_none_is_refused_whatever_it_is_for() {
    let objects = Objects::new(&[]);
    let gateway = Gateway::start(&objects, "127.0.0.1:9".parse().unwrap(), &[], &[]).await;
    let client = gateway.client();
    let session = client.session().await;
    for (version, statuses) in
        [("2024-11-05", [400; 3]), ("caf\u{e9}", [400; 3]), ("2026-07-28", [405, 405, 400])]
    {
        let headers = [
            ("mcp-session-id", session.as_str()),
            ("mcp-protocol-version", version),
            ("accept", "text/event-stream"),
        ];
        for (method, status) in [Method::GET, Method::DELETE].into_iter().zip(statuses) {
            let said = client.open(method.clone(), "/mcp", &headers, Body::empty()).await.expect("an answer");
            assert_eq!(said.status().as_u16(), status, "{method} {version}");
        }
        let said = client.post(&headers[..2], legacy(1, "ping", &json!({})).to_string()).await;
        assert_eq!(said.status, statuses[2], "{version}: {said:?}");
    }
    let null = r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#;
    let said = client.post(&[("mcp-session-id", session.as_str())], null).await;
    assert_eq!((said.status, &said.message()["error"]["code"]), (400, &json!(-32600)));
    assert_eq!(client.end(&session).await.status, 204, "it is there to the last");
}

#[tokio::test]
async fn a_list_is_one_page_to_which_no_cursor_leads() {
    let objects = Objects::new(&[]);
    let gateway = Gateway::start(&objects, "127.0.0.1:9".parse().unwrap(), &[], &[]).await;
    let client = gateway.client();
    for cursor in [json!("next"), json!(7), json!({})] {
        let error = client.modern("tools/list", json!({"cursor": cursor})).await.message()["error"].clone();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(-32602), &json!(format!("params.cursor: {cursor} is none")))
        );
    }
    assert!(client.modern("tools/list", json!({"cursor": null})).await.result()["tools"].is_array());
}
