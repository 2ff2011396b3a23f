//! What the people of a cluster may do with the four kinds: what they may do with everything else in their namespaces, by
//! the roles that Kubernetes has for that.

use mcp_crds::kind::GROUP;

use super::{Part, Rule, Scope};

/// A role whose rules are added to roles that every cluster has.
#[derive(Debug, Clone, Copy)]
pub(super) struct UserRole {
    pub(super) name: &'static str,
    pub(super) added_to: &'static [&'static str],
    pub(super) rules: &'static [Rule],
}

const RULE: Rule = Rule {
    part: Part::Operator,
    scope: Scope::Cluster,
    group: GROUP,
    resources: &["mcpservers", "mcptools", "mcpprompts", "mcpresources"],
    names: &[],
    verbs: &[],
    reason: "",
};

/// `edit` is added to `admin` too, and `view` to both, as with Kubernetes' own kinds.
pub(super) const ROLES: &[UserRole] = &[
    UserRole {
        name: "mcp-operator-view",
        added_to: &["view", "edit", "admin"],
        rules: &[
            Rule {
                verbs: &["get", "list", "watch"],
                reason: "Who may look at a namespace sees what is in it.",
                ..RULE
            },
            Rule {
                resources: &[
                    "mcpservers/status",
                    "mcpservers/scale",
                    "mcptools/status",
                    "mcpprompts/status",
                    "mcpresources/status",
                ],
                verbs: &["get"],
                reason: "How it is.",
                ..RULE
            },
        ],
    },
    UserRole {
        name: "mcp-operator-edit",
        added_to: &["edit", "admin"],
        rules: &[
            Rule {
                verbs: &["create", "update", "patch", "delete", "deletecollection"],
                reason: "Who may run pods in a namespace may run servers in it.",
                ..RULE
            },
            Rule {
                resources: &["mcpservers/scale"],
                verbs: &["update", "patch"],
                reason: "For kubectl scale.",
                ..RULE
            },
        ],
    },
];
