//! From objects to what is served.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{Operation, Prompt, PromptSource, RateLimit, Resource, ResourceSource, Server, Snapshot, Tool};
use crate::default;
use crate::kind::Kind;
use crate::v1alpha1::{
    ConfigValue, MCPPromptSpec, MCPResourceSpec, MCPServerSpec, MCPToolSpec, Method, RateLimit as Limit,
};
use crate::validate::duration::parse_positive_duration;
use crate::validate::quantity::Quantity;

/// `requestTimeout` where `config` does not say.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// `maxConcurrentRequests` where `config` does not say.
const MAX_CONCURRENT_REQUESTS: u64 = 100;

/// An object that was to be compiled breaks rules: only valid ones with defaults can be.
#[derive(Debug, Error)]
#[error("{kind} \"{name}\" is not valid: {reason}")]
pub struct CompileError {
    /// Its kind.
    pub kind: Kind,
    /// Its `metadata.name`.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Snapshot {
    /// Compiles a server with what it offers, in whatever order. All of them are valid and have their defaults
    /// ([`crate::validate::object`], [`crate::default::apply`]), and no two of those offered claim the same
    /// ([`crate::catalog::settle`]). `cluster_domain` is mostly `cluster.local`.
    ///
    /// # Errors
    /// Where an object is not valid after all.
    pub fn compile<'a>(
        server: &Value,
        cluster_domain: &str,
        offered: impl IntoIterator<Item = (Kind, &'a Value)>,
    ) -> Result<Self, CompileError> {
        let mut snapshot = Self::of(server, cluster_domain)?;
        match snapshot.offer(offered).into_iter().next() {
            Some(error) => Err(error),
            None => Ok(snapshot),
        }
    }

    /// Compiles a server that offers nothing yet.
    ///
    /// # Errors
    /// As [`Snapshot::compile`].
    pub fn of(server: &Value, cluster_domain: &str) -> Result<Self, CompileError> {
        let server = Server::compile(server, cluster_domain)?;
        Ok(Self { server, tools: Vec::new(), prompts: Vec::new(), resources: Vec::new() })
    }

    /// Adds what the server offers, and gives what could not be.
    pub fn offer<'a>(&mut self, offered: impl IntoIterator<Item = (Kind, &'a Value)>) -> Vec<CompileError> {
        let mut errors = Vec::new();
        for (kind, object) in offered {
            errors.extend(self.add(kind, object).err());
        }
        self.tools.sort_by(|a, b| a.name.cmp(&b.name));
        self.prompts.sort_by(|a, b| a.name.cmp(&b.name));
        self.resources.sort_by(|a, b| a.name.cmp(&b.name));
        errors
    }

    fn add(&mut self, kind: Kind, object: &Value) -> Result<(), CompileError> {
        match kind {
            Kind::Server => {}
            Kind::Tool => self.tools.push(Tool::compile(object)?),
            Kind::Prompt => self.prompts.push(Prompt::compile(object)?),
            Kind::Resource => self.resources.push(Resource::compile(object)?),
        }
        Ok(())
    }
}

impl Server {
    fn compile(object: &Value, cluster_domain: &str) -> Result<Self, CompileError> {
        let compiled = Compiled::<MCPServerSpec>::read(Kind::Server, object)?;
        let (name, namespace, spec) = (&compiled.name, &compiled.namespace, &compiled.spec);
        let config = |key: &str| spec.config.get(key).map(ConfigValue::to_string);
        let request_timeout_ms = match config("requestTimeout") {
            Some(text) => compiled.milliseconds("requestTimeout", &text)?,
            None => whole_milliseconds(REQUEST_TIMEOUT),
        };
        let max_concurrent_requests = match config("maxConcurrentRequests") {
            Some(text) => text.parse().map_err(|error| compiled.wrong("maxConcurrentRequests", &error))?,
            None => MAX_CONCURRENT_REQUESTS,
        };
        let origins = config("allowedOrigins").unwrap_or_default();
        let mut hosts = vec![
            name.clone(),
            format!("{name}.{namespace}"),
            format!("{name}.{namespace}.svc"),
            format!("{name}.{namespace}.svc.{cluster_domain}"),
        ];
        hosts.extend(spec.ingress.iter().map(|ingress| ingress.host.to_ascii_lowercase()));
        Ok(Self {
            path: spec.path.clone(),
            path_prefix: spec.ingress.as_ref().map_or_else(|| "/".to_owned(), |it| it.path_prefix.clone()),
            hosts,
            allowed_origins: origins
                .split(',')
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
            request_timeout_ms,
            max_concurrent_requests,
            name: compiled.name,
            namespace: compiled.namespace,
        })
    }
}

impl Tool {
    fn compile(object: &Value) -> Result<Self, CompileError> {
        let compiled = Compiled::<MCPToolSpec>::read(Kind::Tool, object)?;
        let spec = &compiled.spec;
        let duration = |field: &str, text: &Option<String>| {
            text.as_ref().map(|text| compiled.milliseconds(field, text)).transpose()
        };
        let raw = |field: &str, schema: &Value| -> Result<Box<RawValue>, CompileError> {
            serde_json::value::to_raw_value(schema).map_err(|error| compiled.wrong(field, &error))
        };
        let bytes: Quantity =
            spec.max_response_bytes.0.parse().map_err(|error| compiled.wrong("maxResponseBytes", &error))?;
        Ok(Self {
            input_schema: raw("inputSchema", &spec.input_schema)?,
            output_schema: spec.output_schema.as_ref().map(|it| raw("outputSchema", it)).transpose()?,
            timeout_ms: duration("timeout", &spec.timeout)?,
            cache_ttl_ms: duration("cacheTTL", &spec.cache_ttl)?,
            max_response_bytes: bytes.to_u64_ceil().unwrap_or(u64::MAX),
            retries: u8::try_from(spec.retries).unwrap_or_default(),
            rate_limit: spec.rate_limit.as_ref().map(RateLimit::compile),
            name: compiled.mcp_name(spec.name.as_ref()),
            title: compiled.spec.title,
            description: compiled.spec.description,
            annotations: compiled.spec.annotations,
            service: compiled.spec.service,
            method: compiled.spec.method,
            headers: compiled.spec.headers,
        })
    }
}

impl RateLimit {
    fn compile(limit: &Limit) -> Self {
        let per_second = limit.requests_per_second;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast from a float saturates, and the value is above zero"
        )]
        let one_second = per_second.ceil().max(1.0) as u32;
        Self {
            per_second,
            burst: limit.burst.and_then(|burst| u32::try_from(burst).ok()).unwrap_or(one_second).max(1),
        }
    }
}

impl Prompt {
    fn compile(object: &Value) -> Result<Self, CompileError> {
        let compiled = Compiled::<MCPPromptSpec>::read(Kind::Prompt, object)?;
        let name = compiled.mcp_name(compiled.spec.name.as_ref());
        let source = match (&compiled.spec.template, &compiled.spec.service) {
            (Some(template), None) => PromptSource::Template(template.clone()),
            (None, Some(service)) => PromptSource::Service(service.clone()),
            _ => return Err(compiled.wrong("template", &"it is one of template and service")),
        };
        let spec = compiled.spec;
        Ok(Self { name, title: spec.title, description: spec.description, source, variables: spec.variables })
    }
}

impl Resource {
    fn compile(object: &Value) -> Result<Self, CompileError> {
        let compiled = Compiled::<MCPResourceSpec>::read(Kind::Resource, object)?;
        let name = compiled.mcp_name(compiled.spec.name.as_ref());
        let source = match (&compiled.spec.content, compiled.spec.operations.as_slice()) {
            (Some(content), []) => ResourceSource::Content(content.clone()),
            (None, [_, ..]) => {
                let operations = compiled.spec.operations.iter();
                let compiled = operations.map(|operation| {
                    let made = || default::operation_uri(&name, &operation.ingress_path);
                    let uri = operation.uri.clone().unwrap_or_else(made);
                    Ok(Operation {
                        method: operation.method,
                        ingress_path: operation.ingress_path.clone(),
                        service: operation.service.name.clone(),
                        port: u16::try_from(operation.service.port)
                            .map_err(|error| compiled.wrong("operations", &error))?,
                        path: operation.service.path.clone(),
                        uri: (operation.method == Method::Get).then_some(uri),
                    })
                });
                ResourceSource::Operations(compiled.collect::<Result<_, CompileError>>()?)
            }
            _ => return Err(compiled.wrong("content", &"it is one of content and operations")),
        };
        let spec = compiled.spec;
        Ok(Self { name, title: spec.title, description: spec.description, mime_type: spec.mime_type, source })
    }
}

/// An object that is being compiled.
struct Compiled<S> {
    kind: Kind,
    name: String,
    namespace: String,
    spec: S,
}

impl<S: DeserializeOwned> Compiled<S> {
    fn read(kind: Kind, object: &Value) -> Result<Self, CompileError> {
        let metadata = |field: &str| {
            let value = object.pointer("/metadata").and_then(|metadata| metadata.get(field));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let spec = object.get("spec").unwrap_or(&Value::Null);
        match S::deserialize(spec) {
            Ok(spec) => Ok(Self { kind, name: metadata("name"), namespace: metadata("namespace"), spec }),
            Err(error) => Err(CompileError { kind, name: metadata("name"), reason: error.to_string() }),
        }
    }
}

impl<S> Compiled<S> {
    fn wrong(&self, field: &str, reason: &dyn std::fmt::Display) -> CompileError {
        CompileError { kind: self.kind, name: self.name.clone(), reason: format!("{field}: {reason}") }
    }

    /// The name for clients, which is the object's own where it gives none.
    fn mcp_name(&self, given: Option<&String>) -> String {
        given.unwrap_or(&self.name).clone()
    }

    fn milliseconds(&self, field: &str, text: &str) -> Result<u64, CompileError> {
        parse_positive_duration(text).map(whole_milliseconds).map_err(|error| self.wrong(field, &error))
    }
}

/// Rounded up: what is above zero stays so.
fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
