//! What a gateway's pods may read, and as whom: their catalog, and the Secrets that its tools' headers name where the Secrets'
//! owners consent.

use k8s_openapi::Resource as _;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use mcp_crds::snapshot::{self, MAX_SHARDS};

use super::{Intent, json, metadata};
use crate::children::ChildKind;
use crate::reconcile::dereference::Offered;
use crate::reconcile::validate::ValidServer;

/// Name of the ServiceAccount, the Role and the RoleBinding of a server.
pub(super) fn name(server: &str) -> String {
    format!("{server}-gateway")
}

/// Nothing where the user names an account: what that may do is the user's to say.
pub(super) fn build(server: &ValidServer, offered: &Offered) -> Vec<Intent> {
    if server.spec().service_account.is_some() {
        return Vec::new();
    }
    let name = name(&server.identity().name);
    let account = ServiceAccount { metadata: metadata(server, &name), ..ServiceAccount::default() };
    let role = Role { metadata: metadata(server, &name), rules: Some(rules(server, offered)) };
    let binding = RoleBinding {
        metadata: metadata(server, &name),
        role_ref: RoleRef {
            api_group: Role::GROUP.to_owned(),
            kind: Role::KIND.to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: ServiceAccount::KIND.to_owned(),
            name: name.clone(),
            namespace: Some(server.identity().namespace.to_string()),
            api_group: None,
        }]),
    };
    vec![
        Intent::new(ChildKind::ServiceAccount, server, &name, json(&account)),
        Intent::new(ChildKind::Role, server, &name, json(&role)),
        Intent::new(ChildKind::RoleBinding, server, &name, json(&binding)),
    ]
}

/// Each watch begins with a list, of one name as the watch itself.
const FOLLOW: [&str; 2] = ["list", "watch"];

fn rules(server: &ValidServer, offered: &Offered) -> Vec<PolicyRule> {
    let name = &server.identity().name;
    let shards = (0..MAX_SHARDS).map(|shard| snapshot::shard_name(name, shard)).collect();
    let index = rule("configmaps", vec![snapshot::name(name)], &FOLLOW);
    let secrets: Vec<String> = offered.credentials.iter().map(ToString::to_string).collect();
    let secrets = (!secrets.is_empty()).then(|| rule("secrets", secrets, &FOLLOW));
    [index, rule("configmaps", shards, &["get"])].into_iter().chain(secrets).collect()
}

fn rule(resource: &str, names: Vec<String>, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: Some(names),
        verbs: verbs.iter().map(ToString::to_string).collect(),
        non_resource_urls: None,
    }
}
