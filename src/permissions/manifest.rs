//! The rules as manifests: YAML in which each rule stands below its reason.

use std::fmt::Write as _;

use k8s_openapi::Resource;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use super::users::{self, UserRole};
use super::{NAME, Part, RULES, Rule, SELF_SIGNED, Scope};

/// The namespace of the operator in the manifests.
pub const NAMESPACE: &str = "mcp-operator-system";

/// Why no manifest could be printed.
type Error = serde_saphyr::ser::Error;

/// The roles that every operator has, and their bindings to its service account in `namespace`.
///
/// # Errors
/// Where a value has no YAML, which none is known not to have.
pub fn operator_roles(namespace: &str) -> Result<String, Error> {
    roles(Part::Operator, NAME, namespace)
}

/// What comes to that where the operator issues the webhook's certificate itself.
///
/// # Errors
/// As for [`operator_roles`].
pub fn self_signed_roles(namespace: &str) -> Result<String, Error> {
    roles(Part::SelfSigned, SELF_SIGNED, namespace)
}

/// What is added to the roles `view`, `edit` and `admin` of the cluster.
///
/// # Errors
/// As for [`operator_roles`].
pub fn user_roles() -> Result<String, Error> {
    let mut text = String::new();
    for UserRole { name, added_to, rules } in users::ROLES {
        let mut metadata = metadata(name, None);
        let aggregate = |role: &&str| format!("rbac.authorization.k8s.io/aggregate-to-{role}");
        let labels = metadata.labels.get_or_insert_default();
        labels.extend(added_to.iter().map(|role| (aggregate(role), "true".to_owned())));
        role::<ClusterRole>(&mut text, &metadata, rules.iter())?;
    }
    Ok(text)
}

fn roles(part: Part, name: &str, namespace: &str) -> Result<String, Error> {
    let mut text = String::new();
    let of = |scope| RULES.iter().filter(move |rule| rule.part == part && rule.scope == scope);
    let subjects = Some(vec![Subject {
        kind: "ServiceAccount".to_owned(),
        name: NAME.to_owned(),
        namespace: Some(namespace.to_owned()),
        api_group: None,
    }]);
    let role_ref = |kind: &str| RoleRef {
        api_group: ClusterRole::GROUP.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
    };
    role::<ClusterRole>(&mut text, &metadata(name, None), of(Scope::Cluster))?;
    document(
        &mut text,
        &ClusterRoleBinding {
            metadata: metadata(name, None),
            role_ref: role_ref(ClusterRole::KIND),
            subjects: subjects.clone(),
        },
    )?;
    role::<Role>(&mut text, &metadata(name, Some(namespace)), of(Scope::OwnNamespace))?;
    document(
        &mut text,
        &RoleBinding { metadata: metadata(name, Some(namespace)), role_ref: role_ref(Role::KIND), subjects },
    )?;
    Ok(text)
}

fn metadata(name: &str, namespace: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some([("app.kubernetes.io/name".to_owned(), NAME.to_owned())].into()),
        ..ObjectMeta::default()
    }
}

/// A role, with a comment above each of its rules.
fn role<'a, K: Resource>(
    text: &mut String,
    metadata: &ObjectMeta,
    rules: impl Iterator<Item = &'a Rule>,
) -> Result<(), Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        api_version: &'a str,
        kind: &'a str,
        metadata: &'a ObjectMeta,
    }
    document(text, &Head { api_version: K::API_VERSION, kind: K::KIND, metadata })?;
    text.push_str("rules:\n");
    for rule in rules {
        writeln!(text, "# {}", rule.reason)?;
        text.push_str(&serde_saphyr::to_string(&[policy_rule(rule)])?);
    }
    Ok(())
}

fn document(text: &mut String, object: &impl Serialize) -> Result<(), Error> {
    text.push_str("---\n");
    text.push_str(&serde_saphyr::to_string(object)?);
    Ok(())
}

fn policy_rule(rule: &Rule) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![rule.group.to_owned()]),
        resources: Some(owned(rule.resources)),
        resource_names: Some(owned(rule.names)).filter(|names| !names.is_empty()),
        verbs: owned(rule.verbs),
        ..PolicyRule::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<serde_json::Value> {
        serde_saphyr::from_multiple(text).unwrap()
    }

    #[test]
    fn every_rule_stands_in_one_role_below_its_reason() {
        let text = operator_roles("ns").unwrap() + &self_signed_roles("ns").unwrap();
        for rule in RULES {
            assert!(text.contains(&format!("# {}\n- apiGroups:\n", rule.reason)), "{}", rule.reason);
        }
        let rules: usize =
            documents(&text).iter().filter_map(|document| document["rules"].as_array()).map(Vec::len).sum();
        assert_eq!(rules, RULES.len());
    }

    #[test]
    fn what_has_a_namespace_is_in_the_one_asked_for() {
        let documents = documents(&operator_roles("elsewhere").unwrap());
        for document in documents {
            let namespaced = matches!(document["kind"].as_str(), Some("Role" | "RoleBinding"));
            assert_eq!(document["metadata"]["namespace"] == "elsewhere", namespaced, "{document:#}");
            for subject in document["subjects"].as_array().into_iter().flatten() {
                assert_eq!(subject["namespace"], "elsewhere");
            }
        }
    }

    #[test]
    fn nothing_is_granted_by_a_wildcard_and_no_secret_may_be_written_elsewhere() {
        let all = RULES.iter().chain(users::ROLES.iter().flat_map(|role| role.rules));
        for rule in all {
            let words = [rule.resources, rule.verbs, rule.names].concat();
            assert!(!words.is_empty() && !words.iter().any(|word| word.contains('*')), "{rule:?}");
            for verb in ["escalate", "bind", "impersonate"] {
                assert!(!rule.verbs.contains(&verb), "{rule:?}");
            }
            if rule.resources.contains(&"secrets") {
                match rule.scope {
                    Scope::Cluster => assert_eq!(rule.verbs, ["list", "watch"], "{rule:?}"),
                    Scope::OwnNamespace => {
                        assert!(!rule.names.is_empty() || rule.verbs == ["create"], "{rule:?}");
                    }
                }
            }
        }
    }
}
