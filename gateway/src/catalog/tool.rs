//! A tool, ready to be called.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jsonschema::Validator;
use mcp_crds::snapshot::{self, RateLimit};
use mcp_crds::v1alpha1::{Header, Method};
use mcp_crds::validate::schema;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Backends, BuildError};
use crate::json::Object;
use crate::pattern::Pattern;
use crate::upstream::Target;

/// A tool.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: Box<str>,
    /// What lists say about it.
    pub(super) published: Published,
    /// Who does the work.
    pub target: Target,
    /// With which method.
    pub method: http::Method,
    /// What is sent along.
    pub headers: Vec<(HeaderName, HeaderValueSource)>,
    /// Text of the path's placeholders where a call does not give them.
    pub path_defaults: BTreeMap<String, String>,
    /// How long a call may take; the server's time where it does not say.
    pub timeout: Option<Duration>,
    /// How often a call is tried again.
    pub retries: u8,
    /// How often it may be called.
    pub rate_limit: Option<RateLimit>,
    /// How long a result may be used again.
    pub cache_ttl: Option<Duration>,
    /// How large a response may be, in bytes.
    pub max_response_bytes: usize,
    input: Schema,
    output: Option<Schema>,
    param_headers: OnceLock<Vec<ParamHeader>>,
    /// A hash of everything of which it was made.
    pub fingerprint: u64,
    /// Everything of which it was made.
    source: Box<str>,
}

/// A tool's entry in `tools/list`.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) legacy: Box<str>,
    pub(super) modern: Box<str>,
}

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValueSource {
    /// The object.
    Value(HeaderValue),
    /// A key of a Secret.
    Secret {
        /// Name of the Secret.
        name: Box<str>,
        /// The key.
        key: Box<str>,
    },
}

/// An argument that modern clients repeat as a header, `Mcp-Param-NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The header.
    pub header: HeaderName,
    /// Where the argument is: the members that lead to it.
    pub path: Vec<String>,
}

/// A JSON Schema that is compiled when it is needed first.
#[derive(Debug)]
struct Schema {
    text: Box<RawValue>,
    validator: OnceLock<Result<Validator, String>>,
}

impl Schema {
    const fn new(text: Box<RawValue>) -> Self {
        Self { text, validator: OnceLock::new() }
    }

    fn validator(&self) -> Result<&Validator, &str> {
        let compiled = self.validator.get_or_init(|| {
            let schema: Value = serde_json::from_str(self.text.get()).map_err(|error| error.to_string())?;
            schema::compile(&schema).map_err(|error| error.to_string())
        });
        compiled.as_ref().map_err(String::as_str)
    }
}

impl Tool {
    /// Builds a tool, or takes over `before` where that is made of the same.
    pub(super) fn build(
        tool: snapshot::Tool,
        before: Option<&Arc<Self>>,
        backends: &mut Backends<'_>,
    ) -> Result<Arc<Self>, BuildError> {
        let name = tool.name.clone();
        let error = |reason: String| BuildError { kind: "tool", name: name.clone(), reason };
        let source = serde_json::to_string(&tool).map_err(|reason| error(reason.to_string()))?;
        let target =
            Target::build(&tool.service, backends).ok_or_else(|| error("its service is none".to_owned()))?;
        if let Some(same) = before.filter(|before| *before.source == *source && before.target == target) {
            return Ok(Arc::clone(same));
        }
        let headers = tool.headers.iter().map(header).collect::<Result<_, _>>().map_err(error)?;
        Ok(Arc::new(Self {
            published: publish(&tool),
            path_defaults: path_defaults(&target.path, &tool.input_schema),
            method: method(tool.method),
            headers,
            target,
            timeout: tool.timeout_ms.map(Duration::from_millis),
            retries: if may_be_repeated(tool.method) { tool.retries } else { 0 },
            rate_limit: tool.rate_limit,
            cache_ttl: tool.cache_ttl_ms.map(Duration::from_millis),
            max_response_bytes: usize::try_from(tool.max_response_bytes).unwrap_or(usize::MAX),
            input: Schema::new(tool.input_schema),
            output: tool.output_schema.map(Schema::new),
            param_headers: OnceLock::new(),
            fingerprint: fingerprint(&source),
            source: source.into(),
            name: tool.name.into(),
        }))
    }

    /// What is wrong with a call's arguments: nothing, or a sentence for each offending path.
    ///
    /// # Errors
    /// Where the schema does not compile, which admission rules out.
    pub fn check_arguments(&self, arguments: &Value) -> Result<Vec<String>, &str> {
        self.input.validator().map(|validator| complaints(validator, arguments))
    }

    /// What is wrong with a result's structured content; nothing where there is no `outputSchema`.
    ///
    /// # Errors
    /// Where the schema does not compile, which admission rules out.
    pub fn check_output(&self, content: &Value) -> Result<Vec<String>, &str> {
        match &self.output {
            Some(schema) => schema.validator().map(|validator| complaints(validator, content)),
            None => Ok(Vec::new()),
        }
    }

    /// Whether results have structured content of any type.
    #[must_use]
    pub const fn has_output_schema(&self) -> bool {
        self.output.is_some()
    }

    /// The arguments that modern clients repeat as headers.
    pub fn param_headers(&self) -> &[ParamHeader] {
        self.param_headers.get_or_init(|| {
            let mut found = Vec::new();
            if self.input.text.get().contains("x-mcp-header")
                && let Ok(schema) = serde_json::from_str::<Value>(self.input.text.get())
            {
                find_param_headers(&schema, &mut Vec::new(), &mut found);
            }
            found
        })
    }
}

/// The annotated properties that are reached through `properties` alone; admission allows no others.
fn find_param_headers(schema: &Value, path: &mut Vec<String>, found: &mut Vec<ParamHeader>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str)
            && let Ok(header) = HeaderName::try_from(format!("mcp-param-{header}"))
        {
            found.push(ParamHeader { header, path: path.clone() });
        }
        find_param_headers(property, path, found);
        path.pop();
    }
}

/// How many complaints are told at once.
const MAX_COMPLAINTS: usize = 20;

/// How long one may be, in characters: it may repeat the value.
const MAX_COMPLAINT: usize = 300;

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    if validator.is_valid(value) {
        return Vec::new();
    }
    let complaint = |error: jsonschema::ValidationError<'_>| {
        let path = error.instance_path().as_str().to_owned();
        let mut text = error.to_string();
        if let Some((cut, _)) = text.char_indices().nth(MAX_COMPLAINT) {
            text.truncate(cut);
            text.push('…');
        }
        format!("{}: {text}", if path.is_empty() { "/" } else { &path })
    };
    validator.iter_errors(value).take(MAX_COMPLAINTS).map(complaint).collect()
}

fn publish(tool: &snapshot::Tool) -> Published {
    let entry = |with_output: bool| {
        let mut object = Object::new();
        object.string("name", &tool.name);
        object.optional("title", tool.title.as_deref());
        object.optional("description", tool.description.as_deref());
        object.raw("inputSchema", &with_type(tool.input_schema.get()));
        if let Some(schema) = tool.output_schema.as_ref().filter(|_| with_output) {
            object.raw("outputSchema", schema.get());
        }
        if let Some(Ok(annotations)) = tool.annotations.as_ref().map(serde_json::to_string) {
            object.raw("annotations", &annotations);
        }
        object.finish().into_boxed_str()
    };
    let modern = entry(true);
    let hidden = tool.output_schema.as_ref().is_some_and(|schema| !is_of_object(schema.get()));
    let legacy = if hidden { entry(false) } else { modern.clone() };
    Published { legacy, modern }
}

/// The protocol wants `"type": "object"` at the root.
fn with_type(schema: &str) -> std::borrow::Cow<'_, str> {
    let root: Result<crate::json::Members<'_>, _> = serde_json::from_str(schema);
    match root {
        Ok(members) if !members.has("type") => {
            let mut object = Object::new();
            object.string("type", "object");
            for (name, value) in &members.0 {
                object.raw(name, value.get());
            }
            object.finish().into()
        }
        _ => schema.into(),
    }
}

fn is_of_object(schema: &str) -> bool {
    let members: Result<crate::json::Members<'_>, _> = serde_json::from_str(schema);
    members.is_ok_and(|members| members.get("type").is_some_and(|named| named.get() == "\"object\""))
}

fn path_defaults(path: &Pattern, schema: &RawValue) -> BTreeMap<String, String> {
    if path.is_plain() {
        return BTreeMap::new();
    }
    let schema: Value = serde_json::from_str(schema.get()).unwrap_or_default();
    let default = |name: &str| match schema.get("properties")?.get(name)?.get("default")? {
        Value::String(text) => Some(text.clone()),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    path.placeholders().filter_map(|name| Some((name.to_owned(), default(name)?))).collect()
}

fn header(header: &Header) -> Result<(HeaderName, HeaderValueSource), String> {
    let name = HeaderName::try_from(header.name.as_str()).map_err(|error| error.to_string())?;
    let source = match (&header.value, &header.value_from) {
        (_, Some(from)) => HeaderValueSource::Secret {
            name: from.secret_key_ref.name.as_str().into(),
            key: from.secret_key_ref.key.as_str().into(),
        },
        (value, None) => {
            let value = HeaderValue::try_from(value.as_deref().unwrap_or_default());
            HeaderValueSource::Value(value.map_err(|error| error.to_string())?)
        }
    };
    Ok((name, source))
}

fn fingerprint(source: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    hasher.finish()
}

/// The method of a request.
pub(super) const fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

/// What HTTP calls idempotent.
const fn may_be_repeated(method: Method) -> bool {
    matches!(method, Method::Get | Method::Put | Method::Delete)
}
