//! Who removes keys from the Redis that a server names.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use mcp_crds::v1alpha1::SecretKeyRef;
use mcp_redis::{Lookup, Password, Prefix, Program, Settings, SettingsError};
use thiserror::Error;

use super::{Removal, Remove, Target};
use crate::VERSION;
use crate::reconcile::CLUSTER_DOMAIN;

/// Who this is, as Redis lists its clients.
const PROGRAM: Program = Program { name: "mcp-operator", version: VERSION };

/// Where the Services are that servers name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services {
    /// Where the cluster's DNS says to a pod of the server's namespace.
    InCluster,
    /// On this machine, at the port that the server names, as `kubectl port-forward` puts them there.
    Here,
}

impl Services {
    fn lookup(self, namespace: &str) -> Lookup {
        match self {
            // What a pod's resolver searches.
            Self::InCluster => Lookup::Domains(vec![
                format!("{namespace}.svc.{CLUSTER_DOMAIN}"),
                format!("svc.{CLUSTER_DOMAIN}"),
                CLUSTER_DOMAIN.to_owned(),
            ]),
            Self::Here => Lookup::At(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        }
    }
}

/// Why keys were not removed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The password that Redis wants is not there.
    #[error("there is no Secret \"{name}\" with a key \"{key}\"")]
    NoPassword {
        /// Name of the Secret.
        name: String,
        /// The key in it.
        key: String,
    },
    /// The API server did not give the Secret with the password.
    #[error("Secret \"{name}\" cannot be read: {message}")]
    Secret {
        /// Its name.
        name: String,
        /// What it said.
        message: String,
    },
    /// What the server says of its Redis names none.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Redis cannot be reached, does not answer, or refuses.
    #[error(transparent)]
    Redis(#[from] mcp_redis::RedisError),
}

/// Removes keys from the Redis that a server names.
pub struct Remover {
    /// Asked for passwords.
    pub client: Client,
    /// Where Redis is.
    pub services: Services,
}

impl std::fmt::Debug for Remover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remover").field("services", &self.services).finish_non_exhaustive()
    }
}

impl Remove for Remover {
    async fn remove(&self, removal: &Removal) -> Result<u64, Failure> {
        let Removal { key, uid, target } = removal;
        let password = match &target.password {
            Some(from) => Some(self.password(&key.namespace, from).await?),
            None => None,
        };
        let Target { host, port, database, tls, .. } = target;
        let address = format!("{host}:{port}");
        let settings = Settings { address, database: *database, tls: *tls };
        let client = settings.client(PROGRAM, password.as_ref())?;
        let prefix = Prefix::new(&key.namespace, &key.id.name, Some(uid));
        Ok(mcp_redis::remove(&client, self.services.lookup(&key.namespace), &prefix).await?)
    }
}

impl Remover {
    /// Read each time: where there is none now, there may be one later.
    ///
    /// A list of one name, as the operator may list Secrets anyway and so needs no other permission.
    async fn password(&self, namespace: &str, from: &SecretKeyRef) -> Result<Password, Failure> {
        let SecretKeyRef { name, key } = from;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let only = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = api.list(&only).await.map_err(|error| {
            let message = match error {
                kube::Error::Api(status) => status.message,
                other => other.to_string(),
            };
            Failure::Secret { name: name.clone(), message }
        })?;
        let data = found.items.into_iter().next().and_then(|secret| secret.data?.remove(key));
        let text = data.and_then(|data| String::from_utf8(data.0).ok());
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| Failure::NoPassword { name: name.clone(), key: key.clone() })
    }
}
