//! A denial in the form of Kubernetes' own: a `Status` that kubectl prints as it prints its own kinds' errors.

use std::borrow::Cow;

use mcp_crds::field::{FieldError, Reason, on_one_line};
use serde::Serialize;

/// How many errors are told one by one.
const MAX_CAUSES: usize = 100;
/// How many warnings an answer carries.
const MAX_WARNINGS: usize = 10;
/// How many characters a warning has; the API server cuts what is longer.
const MAX_WARNING_CHARS: usize = 120;

/// The object that a denial is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Named {
    pub(crate) group: Cow<'static, str>,
    pub(crate) kind: Cow<'static, str>,
    /// The name, or what one is to be generated from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
}

/// A `metav1.Status` that refuses.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    status: &'static str,
    code: u16,
    reason: &'static str,
    message: String,
    details: Details,
}

#[derive(Debug, Serialize)]
struct Details {
    #[serde(flatten)]
    named: Named,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
}

#[derive(Debug, Serialize)]
struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

impl From<&FieldError> for Cause {
    fn from(error: &FieldError) -> Self {
        let field = error.field.to_string();
        // A cause without a field is one that kubectl cannot print well.
        let field = if field.is_empty() { "object".to_owned() } else { field };
        Self { reason: error.reason.as_str(), message: error.message.clone(), field }
    }
}

impl Status {
    /// 422 `Invalid`, with all errors.
    pub(crate) fn invalid(named: Named, errors: &[FieldError]) -> Self {
        let mut causes: Vec<Cause> = errors.iter().take(MAX_CAUSES).map(Cause::from).collect();
        if let Some((first, _)) = errors.get(MAX_CAUSES..).and_then(<[_]>::split_first) {
            let rest = errors.len() - MAX_CAUSES;
            let message = format!("and {rest} more error{}", if rest == 1 { "" } else { "s" });
            causes.push(Cause { reason: Reason::Invalid.as_str(), message, ..Cause::from(first) });
        }
        let sentences: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let message = match sentences.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        Self { status: "Failure", code: 422, reason: "Invalid", message, details: Details { named, causes } }
    }

    /// 500 `InternalError`: the object may be right, and we could not tell.
    pub(crate) fn bug(named: Named) -> Self {
        Self {
            status: "Failure",
            code: 500,
            reason: "InternalError",
            message:
                "mcp-operator failed to judge this object, which is a bug in mcp-operator; its log has the \
                      cause under this request's uid"
                    .to_owned(),
            details: Details { named, causes: Vec::new() },
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// The warnings as the API server lets them through: not too many, not too long, and no control characters,
/// for which it drops a warning whole.
pub(crate) fn presentable(mut warnings: Vec<String>) -> Vec<String> {
    let count = warnings.len();
    if count > MAX_WARNINGS {
        warnings.truncate(MAX_WARNINGS - 1);
        warnings.push(format!("and {} more warnings", count - warnings.len()));
    }
    warnings.iter().map(|warning| cut(&on_one_line(warning))).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_WARNING_CHARS) {
        None => text.to_owned(),
        Some(_) => text.chars().take(MAX_WARNING_CHARS - 1).chain(['…']).collect(),
    }
}
