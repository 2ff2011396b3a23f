//! The answer: an `AdmissionReview` of `admission.k8s.io/v1` with a `response`.

use mcp_crds::field::{FieldError, Findings};
use serde::Serialize;

use crate::patch::Patch;
use crate::review::{API_VERSION, KIND};
use crate::status::{Named, Status, presentable};

/// What is decided about a review.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Refused, and why.
    pub(crate) refusal: Option<Status>,
    /// What to change in the object; only where it is not refused.
    pub(crate) patch: Option<Patch>,
    /// As the rules said them.
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    /// Allowed, as it is.
    pub(crate) fn allowed() -> Self {
        Self::default()
    }

    /// Refused for these errors.
    pub(crate) fn refused(named: Named, errors: &[FieldError]) -> Self {
        Self { refusal: Some(Status::invalid(named, errors)), ..Self::default() }
    }

    /// Refused where there are errors, else allowed; the warnings are told either way.
    pub(crate) fn of(findings: Findings, named: impl FnOnce() -> Named) -> Self {
        let refusal = (!findings.errors.is_empty()).then(|| Status::invalid(named(), &findings.errors));
        Self { refusal, patch: None, warnings: findings.warnings }
    }

    /// The review to send.
    pub(crate) fn into_json(self, uid: &str) -> serde_json::Result<Vec<u8>> {
        let response = Response {
            uid,
            allowed: self.refusal.is_none(),
            status: self.refusal.as_ref(),
            patch: self.patch.as_ref(),
            patch_type: self.patch.as_ref().map(|_| "JSONPatch"),
            warnings: presentable(self.warnings),
        };
        serde_json::to_vec(&Review { api_version: API_VERSION, kind: KIND, response })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a Patch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}
