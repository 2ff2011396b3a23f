use std::collections::HashMap;

use super::*;

/// Backends for tests of what is addressed to one.
pub(crate) fn backends(directory: &Directory) -> Backends<'_> {
    Backends { directory, before: None, now: HashMap::new() }
}
