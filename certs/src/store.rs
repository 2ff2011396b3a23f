//! The one Secret: read, created once, updated only as it was read.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::contents::Contents;

/// The name under which writes appear in `managedFields`.
pub const FIELD_MANAGER: &str = "mcp-operator";

/// Reads and writes the Secret.
#[derive(Clone)]
pub struct SecretStore {
    api: Api<Secret>,
    name: String,
}

impl SecretStore {
    /// The Secret of that name.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned() }
    }

    /// What the API server has now, not what a cache has; `None` where there is no such Secret.
    ///
    /// # Errors
    /// [`StoreError`] where the API server cannot be reached or refuses.
    pub async fn read(&self) -> Result<Option<StoredSecret>, StoreError> {
        let found = self.api.get_opt(&self.name).await.map_err(StoreError::Read)?;
        Ok(found.map(StoredSecret))
    }

    /// Creates the Secret. Of several replicas that do this at once, one wins, and the others adopt what it made.
    ///
    /// # Errors
    /// [`StoreError`] where the API server cannot be reached or refuses for another reason.
    pub async fn create(&self, contents: &Contents) -> Result<Outcome, StoreError> {
        let label = ("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned());
        let mut secret = Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(BTreeMap::from([label])),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            ..Secret::default()
        };
        put(&mut secret, contents);
        match self.api.create(&params(), &secret).await {
            Ok(_) => Ok(Outcome::Written),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Ok(Outcome::Changed)
            }
            Err(error) => Err(StoreError::Write(error)),
        }
    }

    /// Replaces the contents, if the Secret still is what was read. What else it holds is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Immutable`] where the Secret can never be updated; else as for [`Self::create`].
    pub async fn update(&self, before: &StoredSecret, contents: &Contents) -> Result<Outcome, StoreError> {
        let mut secret = before.0.clone();
        if secret.immutable == Some(true) {
            return Err(StoreError::Immutable);
        }
        // The resource version that came with the read makes this fail if anybody else wrote since.
        put(&mut secret, contents);
        match self.api.replace(&self.name, &params(), &secret).await {
            Ok(_) => Ok(Outcome::Written),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(Outcome::Changed)
            }
            Err(error) => Err(StoreError::Write(error)),
        }
    }
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretStore").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A Secret as it was read, with the version that an update names.
pub struct StoredSecret(Secret);

impl StoredSecret {
    /// What it holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        contents(&self.0)
    }
}

impl std::fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredSecret")
            .field("resource_version", &self.0.metadata.resource_version)
            .field("contents", &self.contents())
            .finish()
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Written,
    /// Somebody else was faster; read again.
    Changed,
}

/// The entries of a Secret that matter here, empty where they are missing.
pub(crate) fn contents(secret: &Secret) -> Contents {
    let entry = |key| {
        let data = secret.data.as_ref().and_then(|data| data.get(key));
        data.map(|ByteString(bytes)| bytes.clone()).unwrap_or_default()
    };
    Contents {
        tls_crt: entry(Contents::TLS_CRT),
        tls_key: entry(Contents::TLS_KEY),
        ca_crt: entry(Contents::CA_CRT),
        ca_key: entry(Contents::CA_KEY),
    }
}

fn put(secret: &mut Secret, contents: &Contents) {
    let data = secret.data.get_or_insert_default();
    for (key, bytes) in [
        (Contents::TLS_CRT, &contents.tls_crt),
        (Contents::TLS_KEY, &contents.tls_key),
        (Contents::CA_CRT, &contents.ca_crt),
        (Contents::CA_KEY, &contents.ca_key),
    ] {
        // A `kubernetes.io/tls` Secret has to have its entries, so what is empty is written too.
        data.insert(key.to_owned(), ByteString(bytes.clone()));
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// Why the Secret could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Reading failed.
    #[error("cannot read the certificate's secret")]
    Read(#[source] kube::Error),
    /// Creating or updating failed.
    #[error("cannot write the certificate's secret")]
    Write(#[source] kube::Error),
    /// Somebody made the Secret immutable; it has to be deleted by hand.
    #[error("certificate's secret is immutable and has to be deleted")]
    Immutable,
}
