//! An answer, held against what the API server demands of one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A well-formed answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) review: Value,
}

impl Answer {
    /// Parses an answer, and fails where the API server would (`VerifyAdmissionResponse` in apiserver), or where
    /// it breaks what this webhook promises of every answer.
    pub(crate) fn parse(body: &[u8], uid: &str) -> Self {
        let review: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["kind"], "AdmissionReview");
        assert_eq!(keys(&review), ["apiVersion", "kind", "response"]);
        let response = &review["response"];
        assert_eq!(response["uid"], uid);
        let allowed = response["allowed"].as_bool().expect("a verdict");
        for key in keys(response) {
            assert!(["uid", "allowed", "status", "patch", "patchType", "warnings"].contains(&key), "{key}");
        }
        assert_eq!(response.get("status").is_none(), allowed, "{response}");
        assert_eq!(response.get("patch").is_some(), response.get("patchType").is_some(), "{response}");
        assert!(allowed || response.get("patch").is_none(), "{response}");
        if response.get("patchType").is_some() {
            assert_eq!(response["patchType"], "JSONPatch");
        }
        let answer = Self { review };
        answer.check_status();
        answer.check_warnings();
        answer
    }

    fn check_status(&self) {
        if self.allowed() {
            return;
        }
        let status = self.status();
        assert_eq!(status["status"], "Failure");
        assert!(status["message"].as_str().is_some_and(|message| !message.is_empty()));
        if status["code"] == 500 {
            return;
        }
        assert_eq!((&status["code"], &status["reason"]), (&Value::from(422), &Value::from("Invalid")));
        let causes = self.causes();
        assert!((1..=101).contains(&causes.len()), "{status}");
        for (reason, field, message) in causes {
            assert!(reason.starts_with("FieldValue") && !field.is_empty() && !message.is_empty(), "{status}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    fn check_warnings(&self) {
        let warnings = self.warnings();
        assert!(warnings.len() <= 10);
        for warning in warnings {
            assert!(warning.chars().count() <= 120 && !warning.chars().any(char::is_control), "{warning:?}");
        }
    }

    pub(crate) fn allowed(&self) -> bool {
        self.review["response"]["allowed"] == true
    }

    pub(crate) fn status(&self) -> &Value {
        &self.review["response"]["status"]
    }

    pub(crate) fn message(&self) -> &str {
        self.status()["message"].as_str().unwrap_or_default()
    }

    /// Reason, field and message of each.
    pub(crate) fn causes(&self) -> Vec<(&str, &str, &str)> {
        self.status()["details"]["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|cause| {
                let text = |key: &str| cause[key].as_str().expect("a string");
                (text("reason"), text("field"), text("message"))
            })
            .collect()
    }

    /// The fields that are wrong.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.causes().into_iter().map(|(_, field, _)| field).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self.review["response"]["warnings"].as_array();
        warnings.into_iter().flatten().map(|warning| warning.as_str().expect("a string")).collect()
    }

    /// The patch, if there is one.
    pub(crate) fn patch(&self) -> Option<json_patch::Patch> {
        let base64 = self.review["response"].get("patch")?.as_str().expect("base64");
        Some(serde_json::from_slice(&STANDARD.decode(base64).expect("base64")).expect("a JSON Patch"))
    }

    /// The object with the patch applied.
    pub(crate) fn patched(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(patch) = self.patch() {
            json_patch::patch(&mut object, &patch).expect("a patch that applies");
        }
        object
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}
