//! `mcp-gateway install`: the binary copies itself, as its image has neither a shell nor a `cp`.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

/// Copy this binary, from an init container into a volume that a pod's other containers share.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Where to
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Copies the binary, for everyone to run. What is there is replaced as a whole.
///
/// # Errors
/// Where it cannot be read or written.
pub fn install(args: &InstallArgs) -> anyhow::Result<()> {
    let own = env::current_exe().context("cannot find the binary")?;
    let mut aside = args.path.clone().into_os_string();
    aside.push(".new");
    // With its permissions, so that whoever may run this one may run the copy.
    fs::copy(&own, &aside).with_context(|| format!("cannot copy to {}", args.path.display()))?;
    fs::rename(&aside, &args.path).with_context(|| format!("cannot write {}", args.path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_copy_can_be_run_and_replaces_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcp-gateway");
        fs::write(&path, "older").unwrap();
        install(&InstallArgs { path: path.clone() }).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().len(),
            fs::metadata(env::current_exe().unwrap()).unwrap().len()
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o555, 0o555);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = InstallArgs { path: folder.path().join("missing/mcp-gateway") };
        assert!(install(&missing).unwrap_err().to_string().starts_with("cannot copy to "));
    }
}
