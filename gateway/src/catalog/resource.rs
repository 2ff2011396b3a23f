//! Resources, by URI; and the HTTP operations behind them, by path.

use bytes::Bytes;
use mcp_crds::snapshot::{self, Operation, ResourceSource};
use mcp_crds::v1alpha1::{InlineContent, Method};

use super::{Backends, BuildError, tool};
use crate::json::Object;
use crate::pattern::Pattern;
use crate::upstream::Target;

/// A resource that can be read.
#[derive(Debug)]
pub struct Resource {
    /// Its URI, or URI template, as it is written.
    pub uri: Box<str>,
    /// The same, to match with.
    pub pattern: Pattern,
    /// Its media type, where one is given.
    pub mime_type: Option<Box<str>>,
    /// Where its contents come from.
    pub content: Content,
}

/// Where a resource's contents come from.
#[derive(Debug)]
pub enum Content {
    /// One entry of `contents`, as JSON.
    Inline(Bytes),
    /// A request with `GET`.
    Operation(Target),
}

/// An HTTP operation.
#[derive(Debug)]
pub struct Route {
    /// The method, of the request that comes in and of the one that goes out.
    pub method: http::Method,
    /// The path that comes in.
    pub path: Pattern,
    /// Who answers.
    pub target: Target,
}

impl Resource {
    pub(super) fn build(
        resource: &snapshot::Resource,
        backends: &mut Backends<'_>,
    ) -> Result<Vec<Self>, BuildError> {
        match &resource.source {
            ResourceSource::Content(content) => Self::inline(resource, content).map(|it| vec![it]),
            ResourceSource::Operations(operations) => {
                let readable = operations.iter().filter(|operation| operation.method == Method::Get);
                readable.map(|operation| Self::operation(resource, operation, backends)).collect()
            }
        }
    }

    fn inline(resource: &snapshot::Resource, content: &InlineContent) -> Result<Self, BuildError> {
        let mime_type = content.mime_type.as_ref().or(resource.mime_type.as_ref());
        let default = if content.text.is_some() { "text/plain" } else { "application/octet-stream" };
        let mime_type = mime_type.map_or(default, String::as_str);
        let contents = Object::new()
            .string("uri", &content.uri)
            .string("mimeType", mime_type)
            .optional("text", content.text.as_deref())
            .optional("blob", content.blob.as_deref())
            .finish();
        Ok(Self {
            uri: content.uri.as_str().into(),
            pattern: Pattern::uri(&content.uri).ok_or_else(|| error(resource, "its URI is none"))?,
            mime_type: Some(mime_type.into()),
            content: Content::Inline(contents.into()),
        })
    }

    fn operation(
        resource: &snapshot::Resource,
        operation: &Operation,
        backends: &mut Backends<'_>,
    ) -> Result<Self, BuildError> {
        let uri = operation.uri.as_deref().ok_or_else(|| error(resource, "an operation has no URI"))?;
        Ok(Self {
            uri: uri.into(),
            pattern: Pattern::uri(uri).ok_or_else(|| error(resource, "its URI is none"))?,
            mime_type: resource.mime_type.as_deref().map(Into::into),
            content: Content::Operation(target(resource, operation, backends)?),
        })
    }
}

impl Route {
    pub(super) fn build(
        resource: &snapshot::Resource,
        backends: &mut Backends<'_>,
    ) -> Result<Vec<Self>, BuildError> {
        let ResourceSource::Operations(operations) = &resource.source else { return Ok(Vec::new()) };
        let route = |operation: &Operation| {
            Ok(Self {
                method: tool::method(operation.method),
                path: Pattern::path(&operation.ingress_path)
                    .ok_or_else(|| error(resource, "its ingressPath is none"))?,
                target: target(resource, operation, backends)?,
            })
        };
        operations.iter().map(route).collect()
    }
}

fn target(
    resource: &snapshot::Resource,
    operation: &Operation,
    backends: &mut Backends<'_>,
) -> Result<Target, BuildError> {
    let target = Target::operation(operation, backends);
    target.ok_or_else(|| error(resource, "its service is none"))
}

fn error(resource: &snapshot::Resource, reason: &str) -> BuildError {
    BuildError { kind: "resource", name: resource.name.clone(), reason: reason.to_owned() }
}
