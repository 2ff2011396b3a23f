//! Manifests to start from.

use mcp_crds::kind::API_VERSION;
use serde_json::{Map, Value, json};

/// The label by which the gateways of [`mk_gateway`] select.
pub(crate) const SELECTED_BY: &str = "mcp-server";

fn mk(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// A server of the user's own.
pub(crate) fn mk_server(name: &str) -> Value {
    mk("MCPServer", name, &json!({ "image": "registry.example.com/weather:1.4.0" }))
}

/// A stdio server of the user's own.
pub(crate) fn mk_stdio_server(name: &str) -> Value {
    let spec =
        json!({ "image": "registry.example.com/files:2.0.1", "transport": "stdio", "command": ["/files"] });
    mk("MCPServer", name, &spec)
}

/// A server with an image that selects what is [`for_server`] of its name.
pub(crate) fn mk_selecting_server(name: &str) -> Value {
    mk_server(name).with("/spec/toolSelector/matchLabels/mcp-server", name)
}

/// The operator's own gateway, selecting what is [`for_server`] of its name.
pub(crate) fn mk_gateway(name: &str) -> Value {
    mk("MCPServer", name, &json!({ "toolSelector": { "matchLabels": { SELECTED_BY: name } } }))
}

/// A tool, named as its object.
pub(crate) fn mk_tool(name: &str) -> Value {
    mk(
        "MCPTool",
        name,
        &json!({ "description": "Looks things up", "service": { "name": "backend", "port": 80 } }),
    )
}

/// A prompt, named as its object.
pub(crate) fn mk_prompt(name: &str) -> Value {
    mk("MCPPrompt", name, &json!({ "template": "Say hello." }))
}

/// A resource, named as its object.
pub(crate) fn mk_resource(name: &str) -> Value {
    let uri = format!("docs://{name}");
    mk("MCPResource", name, &json!({ "content": { "uri": uri, "text": "Read me." } }))
}

/// Changes to a manifest.
pub(crate) trait Manifest: Sized {
    /// With this value at this JSON pointer; objects on the way there are made.
    #[must_use]
    fn with(self, pointer: &str, value: impl Into<Value>) -> Self;

    /// With the label that servers of this name select by.
    #[must_use]
    fn for_server(self, server: &str) -> Self;
}

impl Manifest for Value {
    fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self;
        for key in pointer.split('/').skip(1) {
            if !place.is_object() {
                *place = Self::Object(Map::new());
            }
            place = &mut place[key.replace("~1", "/").replace("~0", "~")];
        }
        *place = value.into();
        self
    }

    fn for_server(self, server: &str) -> Self {
        self.with("/metadata/labels/mcp-server", server)
    }
}
