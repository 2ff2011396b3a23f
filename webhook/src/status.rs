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

#[cfg(test)]
mod tests {
    use mcp_crds::field::FieldPath;
    use serde_json::{Value, json};

    use super::*;

    fn mk_named(name: &str) -> Named {
        Named { group: "mcp.example.com".into(), kind: "MCPTool".into(), name: name.to_owned() }
    }

    fn mk_error(field: &str) -> FieldError {
        FieldError::required(FieldPath::of(["spec", field]), "say it")
    }

    fn json_of(errors: &[FieldError]) -> Value {
        serde_json::to_value(Status::invalid(mk_named("search"), errors)).unwrap()
    }

    #[test]
    fn one_error_is_said_without_brackets() {
        let cause =
            json!({"reason": "FieldValueRequired", "field": "spec.a", "message": "Required value: say it"});
        assert_eq!(
            json_of(&[mk_error("a")]),
            json!({
                "status": "Failure", "code": 422, "reason": "Invalid",
                "message": "spec.a: Required value: say it",
                "details": {"group": "mcp.example.com", "kind": "MCPTool", "name": "search", "causes": [cause]}
            })
        );
    }

    #[test]
    fn several_errors_are_a_list() {
        let status = json_of(&[mk_error("a"), mk_error("b")]);
        assert_eq!(status["message"], "[spec.a: Required value: say it, spec.b: Required value: say it]");
    }

    #[test]
    fn a_cause_always_has_a_field() {
        let error = FieldError::invalid(FieldPath::default(), &json!(7), "must be an object");
        let status = json_of(&[error]);
        assert_eq!(status["details"]["causes"][0]["field"], "object");
        assert_eq!(status["message"], "object: Invalid value: 7: must be an object");
    }

    #[test]
    fn past_a_hundred_errors_the_rest_is_counted() {
        let errors = |count: usize| (0..count).map(|i| mk_error(&format!("f{i}"))).collect::<Vec<_>>();
        let causes = |count| json_of(&errors(count))["details"]["causes"].as_array().unwrap().clone();
        assert_eq!(causes(100).len(), 100);
        for (count, rest) in [(101, "and 1 more error"), (150, "and 50 more errors")] {
            let causes = causes(count);
            assert_eq!(causes.len(), 101);
            let last = json!({"reason": "FieldValueInvalid", "field": "spec.f100", "message": rest});
            assert_eq!(causes[100], last);
        }
    }

    #[test]
    fn an_object_without_a_name_has_none() {
        let status = serde_json::to_value(Status::invalid(mk_named(""), &[mk_error("a")])).unwrap();
        assert!(status["details"].get("name").is_none());
    }

    #[test]
    fn warnings_are_few_short_and_on_one_line() {
        let warnings = |count: usize| presentable((0..count).map(|i| format!("spec.f{i}: odd")).collect());
        assert_eq!(warnings(10).len(), 10);
        assert_eq!(warnings(10)[9], "spec.f9: odd");
        assert_eq!((warnings(11).len(), warnings(11)[9].as_str()), (10, "and 2 more warnings"));

        let exact = "ü".repeat(120);
        assert_eq!(presentable(vec![exact.clone()]), [exact]);
        let cut = presentable(vec!["ü".repeat(121)]);
        assert_eq!(cut, ["ü".repeat(119) + "…"]);
        assert_eq!(presentable(vec!["a\nb\u{7}".to_owned()]), ["a\\nb\\u{7}"]);
        assert!(presentable(vec!["\n".repeat(120)])[0].chars().count() == 120);
    }
}
