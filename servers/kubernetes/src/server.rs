//! What MCP asks, handed to tools, resources and prompts.

use rmcp::ErrorData;
use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ResourceContents, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::json;
use tracing::{info, warn};

use crate::kubernetes::Kubernetes;
use crate::prompts::{self, PromptError};
use crate::resources::{self, Uri};
use crate::tools;

/// How long a client may keep a list, in milliseconds. The lists only change with this program.
const LISTS_TTL_MS: u64 = 3_600_000;

/// The MCP server. All clones are one, and none remembers anything of a client.
#[derive(Clone, Debug)]
pub struct Server {
    name: String,
    kubernetes: Kubernetes,
    tools: Vec<Tool>,
}

impl Server {
    /// A server of this name.
    ///
    /// # Errors
    /// Where a tool's schema cannot be made, which a test rules out.
    pub fn new(name: impl Into<String>, kubernetes: Kubernetes) -> Result<Self, ErrorData> {
        Ok(Self { name: name.into(), kubernetes, tools: tools::all()? })
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        let implementation = Implementation::new(self.name.clone(), env!("CARGO_PKG_VERSION"))
            .with_title("Kubernetes")
            .with_description(env!("CARGO_PKG_DESCRIPTION"));
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(
            "Looks after pods of one Kubernetes cluster, with the rights of this server's service account. Where a call is \
             refused, the answer says which right is missing: do not try again, tell the user.",
        )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let all = ListToolsResult::with_all_items(self.tools.clone());
        Ok(all.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = &*request.name;
        let Some(result) = tools::call(&self.kubernetes, name, request.arguments).await else {
            let known: Vec<&str> = self.tools.iter().map(|tool| &*tool.name).collect();
            let text = format!("no such tool: there are {}", known.join(", "));
            return Err(ErrorData::invalid_params(text, None));
        };
        if result.is_error == Some(true) {
            let said = result.content.first().and_then(|content| content.as_text());
            warn!(tool = name, error = said.map(|said| said.text.as_str()), "a call failed");
        } else {
            info!(tool = name, "called");
        }
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let all = ListResourcesResult::with_all_items(resources::all());
        Ok(all.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let all = ListResourceTemplatesResult::with_all_items(resources::templates());
        Ok(all.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri: Uri = request.uri.parse().map_err(|error: resources::UnknownUri| {
            ErrorData::resource_not_found(error.to_string(), Some(json!({ "uri": request.uri })))
        })?;
        let read = resources::read(&self.kubernetes, &uri).await;
        let text = read.map_err(|refusal| {
            warn!(uri = request.uri, error = %refusal, "a resource could not be read");
            ErrorData::internal_error(refusal.to_string(), Some(json!({ "uri": request.uri })))
        })?;
        info!(uri = request.uri, "read");
        let contents = ResourceContents::text(text, request.uri).with_mime_type(resources::MIME_TYPE);
        let result = ReadResourceResult::new(vec![contents]);
        Ok(result.with_ttl_ms(0).with_cache_scope(CacheScope::Private).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let all = ListPromptsResult::with_all_items(prompts::all());
        Ok(all.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match prompts::get(&self.kubernetes, &request.name, request.arguments).await {
            Ok(prompt) => {
                info!(prompt = request.name, "given");
                Ok(prompt.into())
            }
            Err(error) => {
                warn!(prompt = request.name, %error, "a prompt could not be given");
                Err(match &error {
                    PromptError::Refused(_) => ErrorData::internal_error(error.to_string(), None),
                    _ => ErrorData::invalid_params(error.to_string(), None),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
