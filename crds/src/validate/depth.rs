//! How deep an object may be nested at all, so that whoever walks over it can bear it.

use crate::field::{FieldError, FieldPath, Findings};

/// How deep objects and lists may be nested, counted from the object itself. Readers keep what is deeper out of the rules'
/// way. Far above what any rule allows, and far below what a recursive walk over the value can bear.
pub const MAX_DEPTH: usize = 100;

/// The error about a field that holds something deeper than [`MAX_DEPTH`].
#[must_use]
pub fn too_deep(field: FieldPath) -> FieldError {
    FieldError::too_long(field, format_args!("must not be nested over {MAX_DEPTH} deep"))
}

/// Adds those of the errors about whose field nothing is said yet: a rule that measures depth itself says it better.
pub fn add_unsaid(errors: impl IntoIterator<Item = FieldError>, findings: &mut Findings) {
    for error in errors {
        if !findings.errors.iter().any(|said| said.field == error.field) {
            findings.error(error);
        }
    }
}
