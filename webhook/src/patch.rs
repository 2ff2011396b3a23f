//! What the mutating webhook changed, as a JSON Patch (RFC 6902).

use json_patch::Patch;
use serde_json::Value;

/// The patch that makes `after` of `before`, or `None` where they are equal.
///
/// It has one operation a difference, at the highest place where one side has nothing: a value is never added
/// below a parent that is not there.
pub(crate) fn between(before: &Value, after: &Value) -> Option<Patch> {
    let patch = json_patch::diff(before, after);
    (!patch.is_empty()).then_some(patch)
}
