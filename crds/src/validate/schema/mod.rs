//! T4 to T7 and T11: whether a tool's `inputSchema` or `outputSchema` is a JSON Schema that can be served.
//!
//! The metaschemas are written here as a table ([`keyword`]) over which one walk goes, and not run by a validator: an
//! error then stands at the keyword whose value is wrong, and a typical schema takes microseconds. The tests hold the
//! table against the metaschemas themselves. What passes also [compiles](compile), which is what the gateway does with it.

mod advice;
mod argument;
mod dialect;
mod expansion;
mod extent;
mod header;
mod instance;
mod keyword;
mod pattern;
mod reference;
mod value;
mod walk;

use jsonschema::{ValidationError, Validator};
use serde_json::Value;

pub use argument::{Arguments, Presence};
pub use dialect::Dialect;
pub use extent::{MAX_BYTES, MAX_DEPTH};

use self::extent::Excess;
use self::walk::Walk;
use crate::field::{FieldError, Findings};
use crate::node::Node;

/// Which of a tool's schemas is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `inputSchema`: it describes an object, whose members may be sent as headers.
    Input,
    /// `outputSchema`: it may describe anything.
    Output,
}

/// Checks a schema. What is no JSON object is left to the structural pass.
pub fn check(schema: &Node<'_>, role: Role, findings: &mut Findings) {
    if !schema.value.is_object() {
        return;
    }
    match extent::check(schema.value) {
        Ok(bytes) => Walk::new(schema.value, bytes, &schema.path, role, findings).run(),
        Err(Excess::Bytes) => findings.error(FieldError::too_long(
            &schema.path,
            format_args!("may not be more than {MAX_BYTES} bytes as compact JSON"),
        )),
        Err(Excess::Depth) => findings.error(FieldError::too_long(
            &schema.path,
            format_args!("may not nest objects and arrays more than {MAX_DEPTH} deep"),
        )),
    }
}

/// Compiles a schema in its dialect, as everything that validates by it must. Nothing is fetched.
///
/// # Errors
///
/// Where [`check`] refuses the schema, and never else.
pub fn compile(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options().with_draft(Dialect::of(schema).draft()).build(schema)
}

#[cfg(test)]
mod tests;
