//! Values of keywords that are no schemas.

use std::collections::HashSet;

use serde_json::{Number, Value};

use super::dialect::Dialect;
use super::keyword::{Shape, TYPES};
use crate::field::{FieldError, Path};

/// Checks a value that can be judged without what is around it.
pub(super) fn plain(
    shape: Shape,
    value: &Value,
    path: &Path<'_>,
    dialect: Dialect,
) -> Result<(), FieldError> {
    let (holds, must) = match shape {
        Shape::Names => return names(value, path, dialect),
        Shape::Types => return types(value, path),
        Shape::Number => (value.is_number(), "must be a number"),
        Shape::PositiveNumber => {
            (value.as_f64().is_some_and(|number| number > 0.0), "must be a number greater than zero")
        }
        Shape::Count => {
            let holds = matches!(value, Value::Number(number) if is_count(number, dialect));
            (holds, "must be an integer, and not negative")
        }
        Shape::Boolean | Shape::BooleanBeside(_) => (value.is_boolean(), "must be a boolean"),
        Shape::Text => (value.is_string(), "must be a string"),
        Shape::List => (value.is_array(), "must be a list"),
        Shape::Id if dialect.ref_stands_alone() => (value.is_string(), "must be a string"),
        Shape::Id => {
            let holds = |id: &str| !id.strip_suffix('#').unwrap_or(id).contains('#');
            (
                value.as_str().is_some_and(holds),
                "must be a URI without a fragment; an anchor is written as $anchor",
            )
        }
        Shape::Anchor => {
            let holds = value.as_str().is_some_and(|name| is_anchor(name, dialect));
            (holds, "must be a name: a letter, and then letters, digits and any of -._")
        }
        Shape::Vocabulary => {
            let holds = value.as_object().is_some_and(|members| members.values().all(Value::is_boolean));
            (holds, "must map URIs to booleans")
        }
        // Judged by the walk, which knows what is around them.
        _ => (true, ""),
    };
    if holds { Ok(()) } else { Err(FieldError::invalid(path, value, must)) }
}

/// A list of strings, none of them twice.
pub(super) fn names(value: &Value, path: &Path<'_>, dialect: Dialect) -> Result<(), FieldError> {
    let Some(names) = value.as_array().filter(|names| names.iter().all(Value::is_string)) else {
        return Err(FieldError::invalid(path, value, "must be a list of names"));
    };
    if names.is_empty() && dialect == Dialect::Draft4 {
        return Err(FieldError::invalid(path, value, "must hold at least one name in draft-04"));
    }
    different(names.iter().filter_map(Value::as_str), path)
}

fn types(value: &Value, path: &Path<'_>) -> Result<(), FieldError> {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    match value {
        Value::Array(names) if !names.is_empty() => match names.iter().find(|name| !known(name)) {
            Some(unknown) => Err(FieldError::not_supported(path, unknown, &TYPES)),
            None => different(names.iter().filter_map(Value::as_str), path),
        },
        Value::String(_) if known(value) => Ok(()),
        Value::String(_) => Err(FieldError::not_supported(path, value, &TYPES)),
        _ => Err(FieldError::invalid(path, value, "must be the name of a type, or a list of at least one")),
    }
}

fn different<'v>(names: impl Iterator<Item = &'v str> + Clone, path: &Path<'_>) -> Result<(), FieldError> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(second) => Err(FieldError::duplicate(path, second, "")),
        None => Ok(()),
    }
}

/// Since draft-06 `2.0` is an integer too. What is no 64-bit integer has been read as a float, and past 2⁶⁴ all of those
/// are whole.
fn is_count(number: &Number, dialect: Dialect) -> bool {
    const PAST_U64: f64 = 18_446_744_073_709_551_616.0;
    let whole = |number: f64| number >= 0.0 && number.fract() == 0.0;
    number.is_u64()
        || number
            .as_f64()
            .is_some_and(|number| number >= PAST_U64 || (dialect > Dialect::Draft4 && whole(number)))
}

fn is_anchor(name: &str, dialect: Dialect) -> bool {
    let since_2020 = dialect == Dialect::Draft2020;
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || (since_2020 && c == '_'))
        && chars
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') || (!since_2020 && c == ':'))
}
