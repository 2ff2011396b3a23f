//! The results of the list methods, written once for each catalog and generation.

use bytes::Bytes;
use mcp_crds::snapshot::{self, ResourceSource};

use super::tool::Tool;
use crate::json::{Object, array};
use crate::mcp::protocol::Generation;

/// How long a client may keep a list, in milliseconds.
const TTL_MS: &str = "1000";

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum List {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl List {
    const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }
}

/// The lists' results, for either generation.
#[derive(Debug, Default)]
pub struct Lists {
    legacy: [Bytes; 4],
    modern: [Bytes; 4],
}

impl Lists {
    /// The result as JSON.
    #[must_use]
    pub fn get(&self, list: List, generation: Generation) -> Bytes {
        let results = if generation.is_modern() { &self.modern } else { &self.legacy };
        results.get(list as usize).cloned().unwrap_or_default()
    }

    /// Whether a list is another than it was.
    #[must_use]
    pub fn differs(&self, before: &Self, list: List) -> bool {
        // What modern clients are shown is more than what legacy ones are.
        self.modern.get(list as usize) != before.modern.get(list as usize)
    }
}

#[derive(Debug, Default)]
pub(super) struct Writer {
    legacy_tools: Vec<Box<str>>,
    modern_tools: Vec<Box<str>>,
    prompts: Vec<String>,
    resources: Vec<String>,
    templates: Vec<String>,
}

impl Writer {
    pub(super) fn tool(&mut self, tool: &Tool) {
        self.legacy_tools.push(tool.published.legacy.clone());
        self.modern_tools.push(tool.published.modern.clone());
    }

    pub(super) fn prompt(&mut self, prompt: &snapshot::Prompt) {
        let mut object = Object::new();
        object.string("name", &prompt.name);
        object.optional("title", prompt.title.as_deref());
        object.optional("description", prompt.description.as_deref());
        if !prompt.variables.is_empty() {
            let arguments = prompt.variables.iter().map(|variable| {
                let required = if variable.required { "true" } else { "false" };
                Object::new()
                    .string("name", &variable.name)
                    .optional("description", variable.description.as_deref())
                    .raw("required", required)
                    .finish()
            });
            object.raw("arguments", &array(arguments));
        }
        self.prompts.push(object.finish());
    }

    pub(super) fn resource(&mut self, resource: &snapshot::Resource) {
        match &resource.source {
            ResourceSource::Content(content) => {
                let media_type = content.mime_type.as_ref().or(resource.mime_type.as_ref());
                let default = if content.text.is_some() { "text/plain" } else { "application/octet-stream" };
                let media_type = media_type.map_or(default, String::as_str);
                self.resources.push(described(resource, "uri", &content.uri, Some(media_type)));
            }
            ResourceSource::Operations(operations) => {
                for uri in operations.iter().filter_map(|operation| operation.uri.as_deref()) {
                    let media_type = resource.mime_type.as_deref();
                    if uri.contains('{') {
                        self.templates.push(described(resource, "uriTemplate", uri, media_type));
                    } else {
                        self.resources.push(described(resource, "uri", uri, media_type));
                    }
                }
            }
        }
    }

    pub(super) fn finish(self, server_info: &str) -> Lists {
        let texts = [
            (array(&self.legacy_tools), array(&self.modern_tools)),
            both(array(&self.prompts)),
            both(array(&self.resources)),
            both(array(&self.templates)),
        ];
        let mut lists = Lists::default();
        let slots = lists.legacy.iter_mut().zip(lists.modern.iter_mut());
        for ((list, (legacy, modern)), (legacy_slot, modern_slot)) in
            List::ALL.into_iter().zip(texts).zip(slots)
        {
            *legacy_slot = Object::new().raw(list.member(), &legacy).finish().into();
            *modern_slot =
                cacheable(Object::new().raw(list.member(), &modern), TTL_MS, "public", server_info);
        }
        lists
    }
}

fn both(text: String) -> (String, String) {
    (text.clone(), text)
}

fn described(resource: &snapshot::Resource, member: &str, uri: &str, media_type: Option<&str>) -> String {
    Object::new()
        .string(member, uri)
        .string("name", &resource.name)
        .optional("title", resource.title.as_deref())
        .optional("description", resource.description.as_deref())
        .optional("mimeType", media_type)
        .finish()
}

/// A complete result of the modern generation that may be kept.
fn cacheable(result: &mut Object, ttl_ms: &str, scope: &str, server_info: &str) -> Bytes {
    result.string("resultType", "complete").raw("ttlMs", ttl_ms).string("cacheScope", scope);
    crate::mcp::result::add_meta(result, server_info);
    result.finish().into()
}
