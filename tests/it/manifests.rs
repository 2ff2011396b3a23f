//! What the manifests and the Dockerfile have to say the same as the code.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory as _;
use mcp_crds::validate::duration::parse_go_duration;
use mcp_operator::cli::Cli;
use mcp_operator::permissions::{NAME, NAMESPACE, SECRET};
use serde_json::Value;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file)
}

fn documents(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(file)).expect(file)
}

/// What a flag of `mcp-operator run` is unless something else is said.
fn default(flag: &str) -> String {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").expect("run");
    let argument = run.get_arguments().find(|argument| argument.get_long() == Some(flag)).expect(flag);
    argument.get_default_values()[0].to_string_lossy().into_owned()
}

fn pod() -> Value {
    documents("config/manager/manager.yaml")[0]["spec"]["template"]["spec"].clone()
}

#[test]
fn a_pod_has_time_to_drain() {
    let grace = pod()["terminationGracePeriodSeconds"].as_u64().expect("seconds");
    let deadline = parse_go_duration(&default("shutdown-deadline")).expect("a duration");
    assert!(Duration::from_secs(grace) > deadline);
}

#[test]
fn ports_are_where_the_process_listens() {
    let pod = pod();
    let ports = pod["containers"][0]["ports"].as_array().expect("ports").iter();
    let of = |name: &str| {
        ports.clone().find(|port| port["name"] == name).expect(name)["containerPort"].to_string()
    };
    assert_eq!(of("webhook"), default("webhook-port"));
    assert_eq!(of("http"), default("admin-port"));
}

#[test]
fn names_are_what_the_process_looks_for() {
    assert_eq!(pod()["serviceAccountName"], NAME);
    assert_eq!(documents("config/manager/namespace.yaml")[0]["metadata"]["name"], NAMESPACE);
    assert_eq!(documents("config/webhook/service.yaml")[0]["metadata"]["name"], default("webhook-service"));
    for configuration in documents("config/webhook/manifests.yaml") {
        let flag = match configuration["kind"].as_str() {
            Some("MutatingWebhookConfiguration") => "mutating-configuration",
            _ => "validating-configuration",
        };
        assert_eq!(configuration["metadata"]["name"], default(flag));
    }
    assert_eq!(default("cert-secret"), SECRET);
    assert_eq!(default("lease-name"), NAME);
    let certificates = documents("config/certmanager/certificate.yaml");
    assert!(certificates.iter().any(|certificate| certificate["spec"]["secretName"] == SECRET));
}

#[test]
fn images_are_built_by_the_compiler_of_the_project() {
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a channel");
    let base = format!("ARG RUST_IMAGE=rust:{}-", version.trim_matches('"'));
    assert!(read("Dockerfile").contains(&base), "the Dockerfile has no {base}");
}

#[test]
fn the_build_gets_all_that_the_workspace_is_made_of() {
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("members");
    let ignored = read(".dockerignore");
    for member in members.trim_end_matches(']').split(", ") {
        let folder = member.trim_matches('"').split('/').next().expect("a folder");
        assert!(ignored.lines().any(|line| line == format!("!{folder}")), "{folder} is left out");
    }
}

#[test]
fn every_sample_is_applied_by_their_kustomization() {
    let kustomization = documents("config/samples/Kustomization").remove(0);
    let listed = kustomization["resources"].as_array().expect("resources").iter();
    let listed: Vec<_> = listed.filter_map(Value::as_str).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    let names = fs::read_dir(folder).expect("samples").map(|entry| entry.expect("a file").file_name());
    let mut files: Vec<_> =
        names.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".yaml")).collect();
    files.sort();
    assert_eq!(listed, files);
}

/// Kustomizations below a folder: its own files, and what they hold.
fn kustomizations(folder: &Path) -> Vec<(PathBuf, Value)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let own = files
        .into_iter()
        .filter(|path| path.file_stem().is_some_and(|name| name.eq_ignore_ascii_case("kustomization")));
    let own = own.map(|path| {
        let text = fs::read_to_string(&path).expect("a kustomization");
        (folder.to_owned(), serde_saphyr::from_str(&text).expect("YAML"))
    });
    let below = folders.iter().flat_map(|folder| kustomizations(folder));
    own.chain(below).collect()
}

/// kubectl before 1.34 panics where a patch that deletes shares its file with another.
#[test]
fn a_patch_is_one_document() {
    let all = kustomizations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"));
    let patches = |(folder, kustomization): &(PathBuf, Value)| {
        let patches = kustomization["patches"].as_array().cloned().unwrap_or_default();
        let folder = folder.clone();
        patches.into_iter().map(move |patch| match patch["path"].as_str() {
            Some(file) => fs::read_to_string(folder.join(file)).expect(file),
            None => patch["patch"].as_str().expect("a patch").to_owned(),
        })
    };
    let patches: Vec<String> = all.iter().flat_map(patches).collect();
    assert!(patches.len() > 5, "{patches:#?}");
    for patch in patches {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&patch).expect("YAML");
        assert_eq!(documents.len(), 1, "{patch}");
    }
}
