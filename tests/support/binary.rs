//! Programs of other packages, built where they are missing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary that a package of the workspace makes, as new as its sources.
///
/// # Panics
/// Where it cannot be built.
pub(crate) fn of(package: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_mcp-operator")).with_file_name(package);
    let profile = match binary.parent().and_then(Path::file_name).and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", package, "--profile", profile]);
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("run cargo");
    assert!(status.success() && binary.exists(), "{package} could not be built");
    binary
}
