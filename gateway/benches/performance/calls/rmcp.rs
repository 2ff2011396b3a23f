//! The same call, as a server on the official Rust SDK does it.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::servers::Hop;

#[derive(Clone)]
struct Server(Hop);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    text: String,
    count: u16,
    tags: Vec<String>,
}

impl Arguments {
    /// What the schema of the gateway's tool says.
    fn is_valid(&self) -> bool {
        let is_tag = |tag: &String| !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_lowercase());
        (1..=4096).contains(&self.text.len())
            && self.count <= 1000
            && self.tags.len() <= 10
            && self.tags.iter().all(is_tag)
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let failed = |error: &dyn std::fmt::Display| ErrorData::internal_error(error.to_string(), None);
        let given = Value::Object(request.arguments.unwrap_or_default());
        let arguments: Arguments = serde_json::from_value(given)
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        if !arguments.is_valid() {
            return Err(ErrorData::invalid_params("the arguments are out of bounds", None));
        }
        let body = json!({"text": arguments.text, "count": arguments.count, "tags": arguments.tags});
        let answer = self.0.go(Bytes::from(body.to_string())).await.map_err(|error| failed(&error))?;
        let value = serde_json::from_slice(&answer).map_err(|error| failed(&error))?;
        Ok(CallToolResult::structured(value).into())
    }
}

/// Without sessions, and answering with JSON, as the gateway does it.
pub(crate) fn router(hop: Hop) -> Router {
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let server = Server(hop);
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new().route_service("/mcp", service)
}
