//! How many writes an API server has been asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use kube::Client;

use super::wait;

/// Writes by verb and resource, such as `APPLY mcpservers/status`.
pub(crate) type Writes = BTreeMap<String, u64>;

/// The writes so far; dry runs are none. Leases are left out: they say that somebody lives.
///
/// # Panics
/// Where the API server does not say.
pub(crate) async fn so_far(client: &Client) -> Writes {
    let request = Request::get("/metrics").body(Vec::new()).expect("a request");
    let text = client.request_text(request).await.expect("metrics");
    let mut writes = Writes::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
        let (labels, count) = line.rsplit_once("} ").expect("a series");
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        let (verb, resource) = (label("verb").unwrap_or_default(), label("resource").unwrap_or_default());
        let is_write = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"].contains(&verb);
        if is_write && resource != "leases" && label("dry_run") == Some("") {
            let subresource = label("subresource").filter(|name| !name.is_empty());
            let what =
                subresource.map_or(format!("{verb} {resource}"), |name| format!("{verb} {resource}/{name}"));
            *writes.entry(what).or_default() += count.parse::<f64>().unwrap_or_default() as u64;
        }
    }
    writes
}

/// The writes so far, once there have been none for this long.
///
/// # Panics
/// Where they do not end.
pub(crate) async fn settled(client: &Client, quiet: Duration) -> Writes {
    wait::until("nothing is written any more", async || {
        let before = so_far(client).await;
        tokio::time::sleep(quiet).await;
        let after = so_far(client).await;
        let written = since(&before, &after);
        if written.is_empty() { Ok(after) } else { Err(format!("{written:?}")) }
    })
    .await
}

/// What came in between.
pub(crate) fn since(before: &Writes, after: &Writes) -> Writes {
    let new = |(what, count): (&String, &u64)| {
        let more = count - before.get(what).copied().unwrap_or_default();
        (more > 0).then(|| (what.clone(), more))
    };
    after.iter().filter_map(new).collect()
}
