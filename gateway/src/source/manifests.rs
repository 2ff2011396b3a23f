//! Objects from files: the same objects, under the same rules, without a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_crds::catalog::{self, Catalog, Entry};
use mcp_crds::field::FieldError;
use mcp_crds::kind::{API_VERSION, Kind};
use mcp_crds::snapshot::Snapshot;
use mcp_crds::validate::{self, Operation};
use mcp_crds::{default, labels};
use serde_json::{Map, Number, Value, json};
use thiserror::Error;
use tracing::{info, warn};

use super::{refuse, take};
use crate::gateway::Gateway;
use crate::upstream::Directory;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(300);

/// Files larger than this are no manifests.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The domain that stands in the names by which the server could be addressed in a cluster.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// Where objects are, and which server of them is served.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// A folder, or a file.
    path: PathBuf,
    /// The server's name, or its namespace and name, where there are several.
    server: Option<String>,
    /// What the files were when they were last read.
    read: Option<Stamp>,
}

/// What tells that files are others than they were.
type Stamp = Vec<(PathBuf, u64, SystemTime)>;

/// Nothing can be served from the files as they are.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// They cannot be read.
    #[error("{path}: cannot be read")]
    Read {
        /// Which of them.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// One is no YAML.
    #[error("{path}: {reason}")]
    Parse {
        /// Which of them.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Which server is meant cannot be told.
    #[error("{0}")]
    Server(String),
    /// What is offered does not compile.
    #[error(transparent)]
    Compile(#[from] mcp_crds::snapshot::CompileError),
    /// It is too large.
    #[error(transparent)]
    TooLarge(#[from] mcp_crds::snapshot::TooLarge),
}

/// What the files hold.
#[derive(Debug)]
pub struct Loaded {
    /// What is served.
    pub snapshot: Snapshot,
    /// Which catalog it is.
    pub revision: String,
    /// The server's port.
    pub port: u16,
    /// Values of Secrets that may be sent to Services: Secret, key, value.
    pub secrets: Vec<(String, String, Vec<u8>)>,
    /// What is left out, and why.
    pub complaints: Vec<String>,
}

impl Manifests {
    /// Those of a folder or a file, and of them the server of this name, or of this namespace and name.
    #[must_use]
    pub const fn new(path: PathBuf, server: Option<String>) -> Self {
        Self { path, server, read: None }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Where nothing can be served from them. An object that breaks rules is left out, and no error.
    pub fn load(&mut self) -> Result<Loaded, ManifestError> {
        // Before they are read, so that what is written meanwhile is seen at the next look.
        self.read = self.stamp();
        let mut objects = Objects::default();
        for path in self.files()? {
            let name = path.display().to_string();
            let read = fs::read_to_string(&path);
            let text = read.map_err(|source| ManifestError::Read { path: name.clone(), source })?;
            for object in
                documents(&text).map_err(|reason| ManifestError::Parse { path: name.clone(), reason })?
            {
                objects.add(&name, object);
            }
        }
        objects.compile(self.server.as_deref())
    }

    fn files(&self) -> Result<Vec<PathBuf>, ManifestError> {
        let error = |source| ManifestError::Read { path: self.path.display().to_string(), source };
        if self.path.is_file() {
            return Ok(vec![self.path.clone()]);
        }
        let entries = fs::read_dir(&self.path).map_err(error)?;
        let paths: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(error)?;
        let mut files: Vec<PathBuf> = paths.into_iter().filter(|path| is_manifest(path)).collect();
        files.sort();
        Ok(files)
    }

    /// What the files are now.
    fn stamp(&self) -> Option<Stamp> {
        let stamp = |path: PathBuf| {
            let metadata = fs::metadata(&path).ok()?;
            Some((path, metadata.len(), metadata.modified().ok()?))
        };
        self.files().ok()?.into_iter().map(stamp).collect()
    }

    /// Follows the files, for ever, from what they were when they were last read.
    pub async fn follow(mut self, gateway: Arc<Gateway>, directory: Directory) -> std::convert::Infallible {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let mut manifests = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let changed = manifests.stamp() != manifests.read;
                changed.then(|| {
                    let loaded = manifests.load();
                    (manifests, loaded)
                })
            });
            let Ok(Some((read, loaded))) = looked.await else { continue };
            self = read;
            match loaded {
                Ok(loaded) => serve(&gateway, loaded, &directory).await,
                Err(error) => {
                    refuse(&gateway, &error);
                }
            }
        }
    }
}

/// Serves what was loaded, if it is another than what is served.
pub async fn serve(gateway: &Arc<Gateway>, loaded: Loaded, directory: &Directory) {
    for complaint in &loaded.complaints {
        warn!("left out: {complaint}");
    }
    let secrets = loaded.secrets.iter();
    gateway
        .credentials
        .replace(secrets.map(|(name, key, value)| (name.as_str(), key.as_str(), value.as_slice())));
    if gateway.live.get().is_some_and(|catalog| catalog.revision == loaded.revision) {
        info!(revision = loaded.revision, "the files have changed, and what is served has not");
        return;
    }
    take(gateway, loaded.revision, loaded.snapshot, directory).await;
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_small =
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_FILE_BYTES);
    is_small && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// The documents of a file.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        // kubectl reads YAML 1.1: 0644 is octal, and yes is true.
        legacy_octal_numbers: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 72,
            simple_key_max_lookahead: 1 << 16,
            max_nodes: 1 << 24,
            max_events: 1 << 25,
        },
    };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().map(as_stored).collect())
}

/// The value as the API server would store it: whole floats are integers.
fn as_stored(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        Value::Array(elements) => elements.into_iter().map(as_stored).collect(),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (name, as_stored(value))).collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

fn whole(number: &Number) -> Option<Number> {
    /// Beyond it a float does not hold every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_f64() {
        return None;
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 53 bits")]
    Some((float as i64).into())
}

/// Everything that the files hold.
#[derive(Default)]
struct Objects {
    catalog: Catalog,
    servers: BTreeMap<(String, String), Value>,
    secrets: Vec<(String, Value)>,
    namespaces: std::collections::BTreeSet<String>,
    complaints: Vec<String>,
}

impl Objects {
    fn add(&mut self, file: &str, mut object: Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind_name) = (text("/apiVersion").to_owned(), text("/kind").to_owned());
        if kind_name == "List" {
            let items = object.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
            items.into_iter().flatten().for_each(|item| self.add(file, item));
            return;
        }
        let name = text("/metadata/name").to_owned();
        let namespace =
            Some(text("/metadata/namespace")).filter(|it| !it.is_empty()).unwrap_or("default").to_owned();
        if (api_version.as_str(), kind_name.as_str()) == ("v1", "Secret") {
            self.secrets.push((namespace, object));
            return;
        }
        let Some(kind) = Kind::from_name(&kind_name).filter(|_| api_version == API_VERSION) else { return };
        default::apply(kind, &mut object, None);
        let errors = validate::object(kind, Operation::Create, &object).errors;
        if !errors.is_empty() {
            let errors: Vec<String> = errors.iter().map(FieldError::to_string).collect();
            self.complaints.push(format!("{file}: {kind} \"{name}\": {}", errors.join(", ")));
            return;
        }
        self.namespaces.insert(namespace.clone());
        if kind == Kind::Server {
            self.servers.insert((namespace, name), object);
        } else {
            let entry = Entry::read(kind, &namespace, &object).with_document(object.to_string());
            self.catalog.apply(entry);
        }
    }

    fn compile(mut self, name: Option<&str>) -> Result<Loaded, ManifestError> {
        let (namespace, server) = self.server(name)?;
        let entry = Entry::read(Kind::Server, &namespace, &server);
        let mut offered = Vec::new();
        if let (Some(selector), Some(index)) = (&entry.selector, self.catalog.namespace(&namespace)) {
            let offers = catalog::settle(index, selector);
            for served in offers.served {
                let object: Value = serde_json::from_str(&served.document).unwrap_or_default();
                offered.push((served.key.id.kind, object));
            }
            for (left_out, conflict) in offers.left_out {
                let (noun, value, id) = (conflict.claim.noun(), conflict.claim.value(), &left_out.key.id);
                self.complaints.push(format!("{id}: {noun} \"{value}\" is offered by {}", conflict.winner));
            }
        }
        let offered = offered.iter().map(|(kind, object)| (*kind, object));
        let snapshot = Snapshot::compile(&server, CLUSTER_DOMAIN, offered)?;
        let revision = snapshot.encode()?.revision;
        let port =
            server.pointer("/spec/port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        Ok(Loaded {
            snapshot,
            revision,
            port: port.unwrap_or(8080),
            secrets: self.secrets(&namespace),
            complaints: self.complaints,
        })
    }

    /// The server that is meant, or one that offers everything where there is none.
    fn server(&mut self, name: Option<&str>) -> Result<(String, Value), ManifestError> {
        let is_meant = |namespace: &str, own: &str, server: &Value| match name {
            Some(name) => match name.split_once('/') {
                Some((of, name)) => (namespace, own) == (of, name),
                None => own == name,
            },
            None => server.pointer("/spec/image").is_none(),
        };
        let mut meant: Vec<((String, String), Value)> = std::mem::take(&mut self.servers)
            .into_iter()
            .filter(|((namespace, own), server)| is_meant(namespace, own, server))
            .collect();
        match (meant.len(), name) {
            (1, _) => {}
            (0, Some(name)) => {
                return Err(ManifestError::Server(format!(
                    "there is no MCPServer {name:?} among the objects"
                )));
            }
            (0, None) => return self.everything(),
            _ => {
                let names: Vec<String> =
                    meant.iter().map(|((namespace, name), _)| format!("{namespace}/{name}")).collect();
                let names = names.join(", ");
                return Err(ManifestError::Server(match name {
                    Some(name) => format!(
                        "there is an MCPServer {name:?} in several namespaces ({names}): say which with --server NAMESPACE/NAME"
                    ),
                    None => format!(
                        "there are several MCPServers ({names}): name one with --server, or leave one in the folder"
                    ),
                }));
            }
        }
        let found = meant.pop().map(|((namespace, _), server)| (namespace, server));
        found.ok_or_else(|| ManifestError::Server("there is no MCPServer".to_owned()))
    }

    fn everything(&self) -> Result<(String, Value), ManifestError> {
        let mut namespaces = self.namespaces.iter();
        let namespace = namespaces.next().map_or("default", String::as_str);
        if namespaces.next().is_some() {
            let reason = "there is no MCPServer, and the objects are of several namespaces: add an MCPServer";
            return Err(ManifestError::Server(reason.to_owned()));
        }
        let mut server = json!({
            "apiVersion": API_VERSION,
            "kind": "MCPServer",
            "metadata": {"name": "local", "namespace": namespace},
            "spec": {"toolSelector": {}},
        });
        default::apply(Kind::Server, &mut server, None);
        Ok((namespace.to_owned(), server))
    }

    /// The values of Secrets whose owners consent to their being sent to Services.
    fn secrets(&self, namespace: &str) -> Vec<(String, String, Vec<u8>)> {
        let mut values = Vec::new();
        for (_, secret) in self.secrets.iter().filter(|(own, _)| own == namespace) {
            let metadata = secret.get("metadata").unwrap_or(&Value::Null);
            let consent = metadata.get("labels").and_then(|labels| labels.get(labels::TOOL_CREDENTIAL));
            let name = metadata.get("name").and_then(Value::as_str);
            let Some(name) = name.filter(|_| consent.is_some_and(|consent| consent == "true")) else {
                continue;
            };
            let texts = |field: &str| {
                let members = secret.get(field).and_then(Value::as_object).into_iter().flatten();
                members.filter_map(|(key, value)| Some((key.clone(), value.as_str()?)))
            };
            let decoded = |(key, text): (String, &str)| Some((key, STANDARD.decode(text).ok()?));
            let plain = |(key, text): (String, &str)| (key, text.as_bytes().to_vec());
            let all = texts("data").filter_map(decoded).chain(texts("stringData").map(plain));
            values.extend(all.map(|(key, value)| (name.to_owned(), key, value)));
        }
        values
    }
}

#[cfg(test)]
mod tests;
