//! What is served, ready to be served: looked up by name, lists as text, patterns parsed. Built aside from a snapshot,
//! and swapped in whole ([`live`]).

mod list;
pub mod live;
mod prompt;
mod resource;
mod tool;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use mcp_crds::snapshot::{self, Snapshot};
use thiserror::Error;

pub use list::{List, Lists};
pub use prompt::{Prompt, PromptError, Source as PromptSource};
pub use resource::{Content, Resource, Route};
pub use tool::{HeaderValueSource, ParamHeader, Tool};

use crate::pattern::Values;
use crate::upstream::{Backend, Directory};

/// A snapshot that cannot be served, though it was written by one who knows the rules.
#[derive(Debug, Error)]
#[error("{kind} \"{name}\" cannot be served: {reason}")]
pub struct BuildError {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// What is served.
#[derive(Debug)]
pub struct Catalog {
    /// Which catalog it is.
    pub revision: String,
    /// What concerns the server as a whole.
    pub server: snapshot::Server,
    /// `{"name":…,"version":…}` of the server.
    pub server_info: String,
    /// The results of the list methods.
    pub lists: Lists,
    tools: HashMap<Box<str>, Arc<Tool>>,
    prompts: HashMap<Box<str>, Arc<Prompt>>,
    /// Resources by their URI.
    resources: HashMap<Box<str>, Arc<Resource>>,
    /// Resources with placeholders in their URI, the more exact ones first.
    templates: Vec<Arc<Resource>>,
    /// HTTP operations, by the number of slashes in their path, the more exact ones first.
    routes: HashMap<usize, Vec<Arc<Route>>>,
    /// Who does the work. Taken over from one catalog to the next, with what is known about each.
    backends: HashMap<(Box<str>, u16), Arc<Backend>>,
}

/// How many of each there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tools.
    pub tools: usize,
    /// Prompts.
    pub prompts: usize,
    /// Resources, and templates of resources.
    pub resources: usize,
}

impl Catalog {
    /// Builds a catalog. What has not changed since `before` is taken over, with its compiled validators.
    ///
    /// # Errors
    /// Where the snapshot breaks a rule of admission after all.
    pub fn build(
        revision: String,
        snapshot: Snapshot,
        directory: &Directory,
        before: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let server_info = crate::json::Object::new()
            .string("name", &snapshot.server.name)
            .string("version", crate::VERSION)
            .finish();
        let mut catalog = Self {
            revision,
            server: snapshot.server,
            lists: Lists::default(),
            server_info,
            tools: HashMap::with_capacity(snapshot.tools.len()),
            prompts: HashMap::new(),
            resources: HashMap::new(),
            templates: Vec::new(),
            routes: HashMap::new(),
            backends: HashMap::new(),
        };
        let mut backends = Backends { directory, before, now: HashMap::new() };
        let mut list = list::Writer::default();
        for tool in snapshot.tools {
            let same = before.and_then(|before| before.tools.get(tool.name.as_str()));
            let tool = Tool::build(tool, same, &mut backends)?;
            list.tool(&tool);
            catalog.tools.insert(tool.name.clone(), tool);
        }
        for prompt in snapshot.prompts {
            list.prompt(&prompt);
            let prompt = Prompt::build(prompt, &mut backends)?;
            catalog.prompts.insert(prompt.name.clone(), Arc::new(prompt));
        }
        for resource in snapshot.resources {
            list.resource(&resource);
            for built in Resource::build(&resource, &mut backends)? {
                catalog.add_resource(built);
            }
            for route in Route::build(&resource, &mut backends)? {
                catalog.routes.entry(route.path.slashes()).or_default().push(Arc::new(route));
            }
        }
        catalog.templates.sort_by_cached_key(|template| template.pattern.precedence());
        for routes in catalog.routes.values_mut() {
            routes.sort_by_cached_key(|route| route.path.precedence());
        }
        catalog.backends = backends.now;
        catalog.lists = list.finish(&catalog.server_info);
        Ok(catalog)
    }

    fn add_resource(&mut self, resource: Resource) {
        let resource = Arc::new(resource);
        if resource.pattern.is_plain() {
            self.resources.insert(resource.uri.clone(), resource);
        } else {
            self.templates.push(resource);
        }
    }

    /// A tool.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(name)
    }

    /// A prompt.
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<&Arc<Prompt>> {
        self.prompts.get(name)
    }

    /// The resource of a URI, and the values with which a template is that URI.
    #[must_use]
    pub fn resource<'t>(&self, uri: &'t str) -> Option<(&Arc<Resource>, Values<'_, 't>)> {
        if let Some(resource) = self.resources.get(uri) {
            return Some((resource, Values::default()));
        }
        self.templates.iter().find_map(|template| Some((template, template.pattern.matches(uri)?)))
    }

    /// Whether there is a template that is written so.
    #[must_use]
    pub fn has_template(&self, uri: &str) -> bool {
        self.templates.iter().any(|template| &*template.uri == uri)
    }

    /// The operation that a request is for.
    ///
    /// # Errors
    /// Where none has this method, those that the path does have; none where the path is not known at all.
    pub fn route<'t>(
        &self,
        method: &http::Method,
        path: &'t str,
    ) -> Result<(&Arc<Route>, Values<'_, 't>), Vec<http::Method>> {
        let mut others = Vec::new();
        for route in self.routes.get(&path.matches('/').count()).into_iter().flatten() {
            let Some(values) = route.path.matches(path) else { continue };
            if route.method == *method {
                return Ok((route, values));
            }
            others.push(route.method.clone());
        }
        Err(others)
    }

    /// What a resource's contents are known by, where they stand in the catalog; `None` where there is no such
    /// resource, or somebody else answers for it.
    #[must_use]
    pub fn content_of(&self, uri: &str) -> Option<&Bytes> {
        match &self.resources.get(uri)?.content {
            Content::Inline(contents) => Some(contents),
            Content::Operation(_) => None,
        }
    }

    /// Who does the work.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends.values()
    }

    /// Names of the Secrets in which values of headers stand.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<String> {
        let sources = self.tools.values().flat_map(|tool| &tool.headers).map(|(_, source)| source);
        let names = sources.filter_map(|source| match source {
            HeaderValueSource::Secret { name, .. } => Some(name.to_string()),
            HeaderValueSource::Value(_) => None,
        });
        names.collect()
    }

    /// How many of each there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            tools: self.tools.len(),
            prompts: self.prompts.len(),
            resources: self.resources.len() + self.templates.len(),
        }
    }
}

/// Finds the backend of a Service, or makes it.
pub(crate) struct Backends<'a> {
    directory: &'a Directory,
    before: Option<&'a Catalog>,
    now: HashMap<(Box<str>, u16), Arc<Backend>>,
}

impl Backends<'_> {
    pub(crate) fn get(&mut self, service: &str, port: u16) -> Option<Arc<Backend>> {
        let key = (Box::<str>::from(service), port);
        if let Some(backend) = self.now.get(&key) {
            return Some(Arc::clone(backend));
        }
        let known = self.before.and_then(|before| before.backends.get(&key)).cloned();
        let backend = match known {
            Some(backend) => backend,
            None => Arc::new(Backend::new(self.directory.authority(service, port)?)),
        };
        self.now.insert(key, Arc::clone(&backend));
        Some(backend)
    }
}

#[cfg(test)]
pub(crate) mod tests;
