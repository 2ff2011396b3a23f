//! Programs of other packages, built where they are missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program of the workspace, or one of its examples (`examples/NAME`), as new as its sources.
///
/// # Panics
/// Where it cannot be built.
pub(crate) fn of(name: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_mcp-operator")).with_file_name(name);
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/build.sh");
    let status = Command::new(build).stdout(Stdio::null()).status().expect("bash runs");
    assert!(status.success() && binary.exists(), "{name} could not be built");
    binary
}
