//! How deep an object may be nested at all, so that whoever walks over it can bear it.

use serde_json::Value;

use crate::field::{FieldError, FieldPath, Findings};

/// How deep objects and lists may be nested, counted from the object itself. Readers keep what is deeper out of the rules'
/// way, see [`cut`]. Far above what any rule allows, and far below what a recursive walk over the value can bear.
pub const MAX_DEPTH: usize = 100;

/// What readers put in the place of an object or a list at [`MAX_DEPTH`]: a list, so that what stands there is seen to be too
/// deep, of `text` alone.
#[must_use]
pub fn cut(text: &str) -> Value {
    Value::Array(vec![text.into()])
}

/// An error for each field of the object that holds something deeper than [`MAX_DEPTH`], unless there is one about that field
/// already: a rule that measures depth itself says it better.
pub fn check(object: &Value, findings: &mut Findings) {
    for (top, members) in object.as_object().into_iter().flatten() {
        for (name, value) in members.as_object().into_iter().flatten() {
            let field = || FieldPath::of([top, name]);
            if is_nested(value, MAX_DEPTH - 2) && !findings.errors.iter().any(|said| said.field == field()) {
                let detail = format_args!("must not be nested over {MAX_DEPTH} deep");
                findings.error(FieldError::too_long(field(), detail));
            }
        }
    }
}

/// Whether there is an object or a list within so many others.
fn is_nested(value: &Value, levels: usize) -> bool {
    let is_below = |value: &Value| is_nested(value, levels.saturating_sub(1));
    match value {
        Value::Array(elements) => levels == 0 || elements.iter().any(is_below),
        Value::Object(members) => levels == 0 || members.values().any(is_below),
        _ => false,
    }
}
