//! How large and how deep a schema is.

use serde_json::Value;

/// A schema may have this many bytes as compact JSON.
pub const MAX_BYTES: usize = 256 * 1024;

/// Objects and arrays of a schema may nest this deep, the schema itself included.
pub const MAX_DEPTH: usize = 64;

/// The bound that a schema breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    /// More than [`MAX_BYTES`].
    Bytes,
    /// Deeper than [`MAX_DEPTH`].
    Depth,
}

/// The bytes of `schema`, which is measured no further than the first bound that it breaks.
pub(super) fn check(schema: &Value) -> Result<usize, Excess> {
    let mut room = MAX_BYTES;
    measure(schema, MAX_DEPTH, &mut room)?;
    Ok(MAX_BYTES - room)
}

fn measure(value: &Value, levels: usize, room: &mut usize) -> Result<(), Excess> {
    let mut take = |bytes: usize| -> Result<(), Excess> {
        *room = room.checked_sub(bytes).ok_or(Excess::Bytes)?;
        Ok(())
    };
    match value {
        Value::Null | Value::Bool(true) => take(4),
        Value::Bool(false) => take(5),
        Value::Number(number) => take(number.to_string().len()),
        Value::String(text) => take(quoted(text)),
        Value::Array(elements) => {
            take(2 + elements.len().saturating_sub(1))?;
            let levels = levels.checked_sub(1).ok_or(Excess::Depth)?;
            elements.iter().try_for_each(|element| measure(element, levels, room))
        }
        Value::Object(members) => {
            take(2 + members.len().saturating_sub(1))?;
            let levels = levels.checked_sub(1).ok_or(Excess::Depth)?;
            members.iter().try_for_each(|(name, member)| {
                *room = room.checked_sub(quoted(name) + 1).ok_or(Excess::Bytes)?;
                measure(member, levels, room)
            })
        }
    }
}

/// Bytes of a string in quotes, escaped as `serde_json` does.
fn quoted(text: &str) -> usize {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + 2 + escapes.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (1..depth).fold(
            json!({}),
            |inner, level| if level % 2 == 0 { json!({ "not": inner }) } else { json!([inner]) },
        )
    }

    #[test]
    fn the_deepest_that_is_allowed() {
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(check(&nested(MAX_DEPTH + 1)), Err(Excess::Depth));
    }

    #[test]
    fn the_largest_that_is_allowed() {
        let of_bytes = |bytes: usize| json!({ "title": "x".repeat(bytes - r#"{"title":""}"#.len()) });
        assert_eq!(of_bytes(MAX_BYTES).to_string().len(), MAX_BYTES);
        assert_eq!(check(&of_bytes(MAX_BYTES)), Ok(MAX_BYTES));
        assert_eq!(check(&of_bytes(MAX_BYTES + 1)), Err(Excess::Bytes));
    }

    proptest! {
        #[test]
        fn measures_what_serde_json_would_write(text in "[\\x00-\\x7fäß€😀]{0,40}", number in any::<f64>(), list in any::<Vec<i64>>()) {
            let value = json!({ text.clone(): [text, number, list, null, true, false, {}, []] });
            prop_assert_eq!(check(&value), Ok(value.to_string().len()));
        }
    }
}
