//! The catalog as the API server has it.
//!
//! The index is watched. When it changes, the shards that it names and that are not known yet are read; whoever writes
//! puts the shards there first. So a pod has one watch open, however many shards there are.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use mcp_crds::snapshot::{self, INDEX_KEY, Index, LoadError, Snapshot, shard_key, shard_name};
use thiserror::Error;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::{mounted, refuse, take};
use crate::gateway::Gateway;
use crate::upstream::Directory;

/// After how long shards are read again that are not the ones that the index names.
const PENDING: Duration = Duration::from_millis(200);

/// Which catalog of the cluster is served.
#[derive(Debug, Clone)]
pub struct Source {
    /// The MCPServer's name.
    pub server: String,
    /// Its namespace.
    pub namespace: String,
    /// Where the kubelet mounts the same catalog.
    pub mounted: Option<PathBuf>,
}

/// The catalog could not be read.
#[derive(Debug, Error)]
enum FetchError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the API server did not give a shard")]
    Api(#[from] kube::Error),
    #[error("the ConfigMap has no {INDEX_KEY}")]
    NoIndex,
}

impl Source {
    /// Serves what is mounted, where there is something: the API server may be away.
    pub async fn begin(&self, gateway: &Arc<Gateway>, directory: &Directory) {
        let Some(folder) = self.mounted.clone() else { return };
        match tokio::task::spawn_blocking(move || mounted::load(&folder)).await {
            Ok(Ok((revision, snapshot))) => {
                take(gateway, revision, snapshot, directory).await;
            }
            Ok(Err(error)) => debug!(error = &error as &dyn std::error::Error, "no catalog is mounted"),
            Err(error) => debug!(%error, "no catalog is mounted"),
        }
    }

    /// Follows the API server, for ever.
    pub async fn follow(self, client: Client, gateway: Arc<Gateway>, directory: Directory) -> Infallible {
        let api: Api<ConfigMap> = Api::namespaced(client, &self.namespace);
        let name = snapshot::name(&self.server);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher(api.clone(), config).default_backoff();
        pin_mut!(events);
        let mut fetcher = Fetcher { api, server: self.server, known: HashMap::new() };
        // An index whose shards have not all come; the next one takes its place.
        let mut waiting: Option<ConfigMap> = None;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(Event::Apply(index) | Event::InitApply(index))) => waiting = Some(index),
                    Some(Ok(Event::Delete(_))) => warn!("the catalog was deleted, and the last good one stays"),
                    Some(Ok(Event::Init | Event::InitDone)) => {}
                    Some(Err(error)) => {
                        warn!(error = &error as &dyn std::error::Error, "the catalog's watch failed, and begins again");
                    }
                    // The stream of a watcher does not end; should it, its waiting does no harm.
                    None => std::future::pending::<()>().await,
                },
                () = sleep(PENDING), if waiting.is_some() => {}
            }
            if let Some(index) = &waiting
                && fetcher.settles(index, &gateway, &directory).await
            {
                waiting = None;
            }
        }
    }
}

/// Reads shards, and keeps those that the next index may name again.
struct Fetcher {
    api: Api<ConfigMap>,
    server: String,
    /// Texts by the hash that the index gives.
    known: HashMap<String, String>,
}

impl Fetcher {
    /// Serves the catalog of an index, or refuses it. `false` where it is only a matter of time.
    async fn settles(&mut self, index: &ConfigMap, gateway: &Arc<Gateway>, directory: &Directory) -> bool {
        let is_served = |revision: &str| gateway.live.get().is_some_and(|it| it.revision == revision);
        match self.fetch(index).await {
            Ok((revision, _)) if is_served(&revision) => {}
            Ok((revision, snapshot)) => {
                take(gateway, revision, snapshot, directory).await;
            }
            Err(FetchError::Load(error)) if error.is_pending() => return false,
            Err(FetchError::Api(error)) => {
                warn!(error = &error as &dyn std::error::Error, "a shard of the catalog could not be read");
                return false;
            }
            Err(error) => {
                refuse(gateway, &error);
            }
        }
        true
    }

    async fn fetch(&mut self, index: &ConfigMap) -> Result<(String, Snapshot), FetchError> {
        let text = index.data.as_ref().and_then(|data| data.get(INDEX_KEY)).ok_or(FetchError::NoIndex)?;
        let index = Index::parse(text)?;
        let mut texts = HashMap::with_capacity(index.shards.len());
        let mut by_number = HashMap::new();
        for named in &index.shards {
            let text = match self.known.remove(&named.hash) {
                Some(text) => Some(text),
                None => self.read(named.shard).await?,
            };
            if let Some(text) = text {
                texts.insert(named.hash.clone(), text);
            }
            by_number.insert(named.shard, named.hash.clone());
        }
        let loaded = index.load(|shard| texts.get(by_number.get(&shard)?));
        self.known = texts;
        // A text under another's hash is read again.
        if loaded.is_err() {
            self.known.clear();
        }
        Ok((index.revision, loaded?))
    }

    async fn read(&self, shard: u8) -> Result<Option<String>, kube::Error> {
        let name = shard_name(&self.server, shard);
        let config_map = self.api.get_opt(&name).await?;
        Ok(config_map.and_then(|it| it.data).and_then(|mut data| data.remove(&shard_key(shard))))
    }
}
