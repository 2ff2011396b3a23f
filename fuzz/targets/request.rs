//! A request to the gateway, from its head to its answer. The input is its text: a method and a path, headers, an empty line,
//! and the body. `SESSION` as the value of a header is that of a session that there is.
#![no_main]

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt as _;
use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_gateway::catalog::live::Live;
use mcp_gateway::credentials::Credentials;
use mcp_gateway::gateway::{Bounds, Gateway};
use mcp_gateway::router;
use mcp_gateway::source::manifests::{self, Manifests};
use mcp_gateway::upstream::{Directory, Upstream};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};

/// After so many requests the gateway is another one: sessions are bounded.
const REQUESTS: u32 = 5_000;

const INITIALIZE: &[u8] = include_bytes!("../seeds/request/initialize");

struct Served {
    gateway: Arc<Gateway>,
    runtime: Runtime,
    session: HeaderValue,
    requests: u32,
}

impl Served {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut manifests =
            Manifests::new(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/objects")), None);
        let loaded = manifests.load().expect("the objects");
        assert!(loaded.complaints.is_empty(), "{:?}", loaded.complaints);
        // Nobody is there: calls are refused at once.
        let directory = Directory::local(["shop=127.0.0.1:9".parse().expect("a Service")]);
        let gateway = runtime.block_on(async {
            let bounds = Bounds { sessions: 2 * REQUESTS as usize, ..Bounds::default() };
            let gateway = Gateway::new(
                Live::new(),
                Credentials::default(),
                Upstream::new(),
                None,
                bounds,
                Default::default(),
            );
            let gateway = Arc::new(gateway);
            manifests::serve(&gateway, loaded, &directory).await;
            gateway
        });
        let mut this = Self { gateway, runtime, session: HeaderValue::from_static("none"), requests: 0 };
        this.begin_session();
        this
    }

    fn begin_session(&mut self) {
        let request = read(INITIALIZE, &self.session).expect("a request");
        let answer = self.runtime.block_on(router::answer(Arc::clone(&self.gateway), None, request));
        self.session = answer.headers().get("mcp-session-id").expect("a session").clone();
    }

    fn answer(&self, request: Request<Body>) -> (Response<()>, Option<Vec<u8>>) {
        self.runtime.block_on(async {
            let (head, body) = router::answer(Arc::clone(&self.gateway), None, request).await.into_parts();
            // A stream may have no end.
            let is_json =
                head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
            let body =
                if is_json { Some(body.collect().await.expect("a body").to_bytes().to_vec()) } else { None };
            (Response::from_parts(head, ()), body)
        })
    }
}

fn read(input: &[u8], session: &HeaderValue) -> Option<Request<Body>> {
    let end = input.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = input.split_at(end);
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, path) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?).uri(path);
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(at);
        let value = value[1..].trim_ascii();
        let value =
            if value == b"SESSION" { session.clone() } else { HeaderValue::from_bytes(value).ok()? };
        request = request.header(HeaderName::from_bytes(name).ok()?, value);
    }
    request.body(Body::from(body[2..].to_vec())).ok()
}

thread_local! {
    static SERVED: std::cell::RefCell<Option<Served>> = const { std::cell::RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| -> Corpus {
    SERVED.with_borrow_mut(|slot| {
        let served = slot.get_or_insert_with(Served::new);
        let Some(request) = read(input, &served.session) else { return Corpus::Reject };
        let (method, is_batch) = (request.method().clone(), input.windows(3).any(|part| part == b"\n\n["));
        let (head, body) = served.answer(request);
        assert_ne!(head.status(), 500);
        if let Some(body) = body {
            let answer: &RawValue = serde_json::from_slice(&body).expect("an answer is JSON");
            let is_answer = |message: &Value| {
                message["jsonrpc"] == "2.0"
                    && message.get("result").is_some() != message.get("error").is_some()
            };
            match serde_json::from_str(answer.get()) {
                Ok(Value::Array(messages)) => assert!(is_batch && messages.iter().all(is_answer), "{answer}"),
                Ok(message) => assert!(is_answer(&message), "{answer}"),
                // An id is given back as it came: half a surrogate is JSON, and no text.
                Err(_) => assert!(answer.get().to_ascii_lowercase().contains(r"\ud"), "{answer}"),
            }
        }
        served.requests += 1;
        if served.requests == REQUESTS {
            *slot = None;
        } else if method == Method::DELETE && head.status().is_success() {
            served.begin_session();
        }
        Corpus::Keep
    })
});
